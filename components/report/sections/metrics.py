"""Metrics against the baseline, and the slices, the worst first."""

from __future__ import annotations

from components.report.collect import Findings, Json
from components.report.plots.evaluation import SliceRow, metrics_plot, slices_plot

LOWER_IS_BETTER = ("log_loss", "rmse", "mae", "mse")
LEADING = ("auc", "accuracy", "rmse")
SMALL = 0.0005
"""Changes below it are not coloured: no one should act on them."""

MOST_SLICES = 12
MOST_TABLE_ROWS = 500


def view(found: Findings) -> Json | None:
    """Return the metrics' table rows and plot, and a plot and a table per sliced feature."""
    metrics = found.data.get("metrics")
    if not metrics or not metrics.get("overall"):
        return None
    overall, baseline = metrics["overall"], metrics.get("baseline") or {}
    rules = (found.data.get("verdict") or {}).get("rules") or []
    bounds = _bounds(rules)
    told = ", ".join(f"{name} {entry.get('value')}" for name, entry in overall.items())
    return {
        "rows": [_row(name, overall[name], baseline.get(name)) for name in overall],
        "has_baseline": bool(baseline),
        "has_bounds": bool(bounds),
        "plot": metrics_plot(overall, baseline, bounds, f"Metrics of this model with their intervals: {told}"),
    }


def _row(name: str, entry: Json, baseline: Json | None) -> Json:
    row: Json = {"name": name, "path": f"metrics.overall.{name}", "baseline": f"metrics.baseline.{name}"}
    value, other = entry.get("value"), (baseline or {}).get("value")
    if value is not None and other is not None:
        gain = other - value if name in LOWER_IS_BETTER else value - other
        row["change"] = value - other
        row["tone"] = "" if name == "calibration" or abs(gain) < SMALL else "good" if gain > 0 else "bad"
    return row


def _bounds(rules: list[Json]) -> dict[str, list[float]]:
    """Return the gate's absolute bounds on all rows; those of a drop or rise are not values of the metric."""
    bounds: dict[str, list[float]] = {}
    for rule in rules:
        if not rule.get("slice") and rule.get("bound") is not None and _is_absolute(rule):
            bounds.setdefault(str(rule.get("metric")), []).append(rule["bound"])
    return bounds


def _is_absolute(rule: Json) -> bool:
    words = str(rule.get("rule")).split()
    return "drop" not in words and "rise" not in words


def slices(metrics: Json, rules: list[Json]) -> Json | None:
    """Return what shows the slices, or None when there are none.

    Args:
        metrics: content of metrics.json.
        rules: the verdict's rules.
    """
    entries = [dict(entry, path=f"metrics.slices.{index}") for index, entry in enumerate(metrics.get("slices") or [])]
    on_slices = [rule for rule in rules if rule.get("slice")]
    metric = leading_metric(metrics, on_slices)
    entries = [entry for entry in entries if (entry.get("metrics") or {}).get(metric, {}).get("value") is not None]
    if not entries:
        return None
    verdicts = {_key(rule["slice"]): rule.get("verdict") for rule in on_slices if rule.get("metric") == metric}
    groups: dict[str, list[Json]] = {}
    for entry in sorted(entries, key=lambda entry: _badness(metric, entry)):
        entry["verdict"] = verdicts.get(_key(entry["slice"]))
        entry["value"] = " · ".join(map(str, entry["slice"].values()))
        groups.setdefault(" × ".join(entry["slice"]), []).append(entry)
    overall = metrics["overall"].get(metric, {}).get("value")
    return {
        "metric": metric,
        "names": list(entries[0]["metrics"]),
        "groups": [_group(name, rows, metric, overall, on_slices) for name, rows in groups.items()],
    }


def leading_metric(metrics: Json, on_slices: list[Json]) -> str:
    """Return the metric to sort slices by: the one the gate asks of slices, else the task's leading one."""
    named = [str(rule.get("metric")) for rule in on_slices]
    known = metrics["overall"]
    return next((name for name in (*named, *LEADING) if name in known), next(iter(known)))


def _key(slice_: Json) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in slice_.items()))


def _badness(metric: str, entry: Json) -> float:
    value = entry["metrics"][metric]["value"]
    return -value if metric in LOWER_IS_BETTER else value


def _group(name: str, rows: list[Json], metric: str, overall: float | None, on_slices: list[Json]) -> Json:
    shown = _pick(rows)
    features = set(rows[0]["slice"])
    bound = next((r.get("bound") for r in on_slices if set(r["slice"]) == features and _is_absolute(r)), None)
    worst = shown[0]
    label = f"{metric} by {name}, worst first: {worst['value']} has {worst['metrics'][metric]['value']}"
    drawn = [
        SliceRow(
            row["value"],
            int(row.get("examples") or 0),
            row["metrics"][metric]["value"],
            tuple(row["metrics"][metric]["interval"]) if row["metrics"][metric].get("interval") else None,
            row["verdict"],
        )
        for row in shown
    ]
    return {
        "name": name,
        "count": len(rows),
        "shown": len(shown),
        "rows": rows[:MOST_TABLE_ROWS],
        "plot": slices_plot(drawn, metric, overall, bound, label),
    }


def _pick(rows: list[Json]) -> list[Json]:
    """Return the slices to draw: those that the gate could judge before those with too few rows, the worst first."""
    ranked = sorted(rows, key=lambda row: row["verdict"] == "not_enough_data")[:MOST_SLICES]
    return [row for row in rows if any(row is one for one in ranked)]

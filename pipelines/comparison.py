"""What differs between two runs: spec, data, code, metrics, slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.plan import differences
from pipelines.run_record import output_folder
from pipelines.state import read_json

LARGEST_CHANGES = 12
"""How many metrics of slices a comparison shows, largest change first."""


@dataclass(frozen=True)
class Comparison:
    """The differences between two runs.

    Args:
        first, second: ids of the runs.
        spec: `(dotted path, before, now)` of each key that differs.
        data: the same for the raw files' hashes.
        code: components whose cache key differs.
        versions: libraries whose version differs.
        metrics: metric name to its value in both runs.
        slices: slice name to metric name to its value in both runs.
    """

    first: str
    second: str
    spec: list[tuple[str, str, str]]
    data: list[tuple[str, str, str]]
    code: list[tuple[str, str, str]]
    versions: list[tuple[str, str, str]]
    metrics: dict[str, tuple[float | None, float | None]]
    slices: dict[str, dict[str, tuple[float | None, float | None]]]


def compare(first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    """Compare two `run.json` records, with the evaluations they point to."""
    before, now = _measured(first), _measured(second)
    return Comparison(
        first=first["run_id"],
        second=second["run_id"],
        spec=differences(first["spec"], second["spec"]),
        data=differences(_hashes(first), _hashes(second)),
        code=differences(_code(first), _code(second)),
        versions=differences(first["versions"], second["versions"]),
        metrics=_paired(before.get("overall", {}), now.get("overall", {})),
        slices=_paired_slices(before, now),
    )


def comparison_view(comparison: Comparison) -> RenderableType:
    """Draw a comparison for the screen."""
    parts: list[RenderableType] = [Text(f"{comparison.first} → {comparison.second}", style="bold")]
    for heading, rows in (
        ("spec", comparison.spec),
        ("data", comparison.data),
        ("code", comparison.code),
        ("versions", comparison.versions),
    ):
        if not rows:
            parts.append(Text(f"{heading}: the same", style="dim"))
            continue
        table = Table.grid(padding=(0, 2))
        for path, old, new in rows:
            table.add_row(f"  {path}", old, "→", new)
        parts += [Text(heading, style="bold"), table]
    metrics = _values_table("metric", comparison.metrics)
    parts += [Text("metrics", style="bold"), metrics] if comparison.metrics else [Text("metrics: none", style="dim")]
    flat = {f"{name} · {metric}": pair for name, values in comparison.slices.items() for metric, pair in values.items()}
    flat = dict(sorted(flat.items(), key=lambda item: -_change(item[1]))[:LARGEST_CHANGES])
    if any(_change(pair) for pair in flat.values()):
        parts += [Text("slices that moved most", style="bold"), _values_table("slice", flat)]
    return Group(*parts)


def runs_table(runs: list[dict[str, Any]]) -> RenderableType:
    """Draw the list of runs for the screen."""
    if not runs:
        return Text("no runs yet")
    table = Table(box=None, pad_edge=False)
    for column in ("run", "status", "seconds", "ran", "version", "metrics", "overrides"):
        table.add_column(column, overflow="fold")
    for run in runs:
        ran = sum(node["status"] == "done" for node in run.get("nodes", []))
        overall = _measured(run).get("overall", {})
        measured = run.get("metrics") or {name: metric["value"] for name, metric in overall.items()}
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in list(measured.items())[:2] if value is not None)
        version = str(run["pushed"]["version"]) if run.get("pushed") else "–"
        overrides = " ".join(f"{path}={value}" for path, value in run["overrides"].items()) or "–"
        table.add_row(
            run["run_id"], run["status"], f"{run.get('seconds', 0):.1f}", str(ran), version, metrics or "–", overrides
        )
    return table


def _measured(run: dict[str, Any]) -> dict[str, Any]:
    folder = output_folder(run, "Evaluator", "evaluation") if run.get("nodes") else None
    return (read_json(folder / "metrics.json") or {}) if folder else {}


def _hashes(run: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file.get("sha256") or f"{file['bytes']} bytes" for file in run["data"]["files"]}


def _code(run: dict[str, Any]) -> dict[str, str]:
    return {node["name"]: node["key"][:8] for node in run.get("nodes", [])}


def _paired(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    return {
        name: (before.get(name, {}).get("value"), now.get(name, {}).get("value"))
        for name in dict.fromkeys((*before, *now))
    }


def _paired_slices(before: dict[str, Any], now: dict[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    old = {_slice_name(entry): entry["metrics"] for entry in before.get("slices", [])}
    new = {_slice_name(entry): entry["metrics"] for entry in now.get("slices", [])}
    paired = {name: _paired(old.get(name, {}), new.get(name, {})) for name in dict.fromkeys((*old, *new))}
    return {name: values for name, values in paired.items() if any(a != b for a, b in values.values())}


def _slice_name(entry: dict[str, Any]) -> str:
    return ", ".join(f"{feature}={value}" for feature, value in entry["slice"].items())


def _change(pair: tuple[float | None, float | None]) -> float:
    before, now = pair
    return abs(now - before) if before is not None and now is not None else 0.0


def _values_table(name: str, values: dict[str, tuple[float | None, float | None]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in (f"  {name}", "before", "now", "change"):
        table.add_column(column, justify="left" if column.strip() == name else "right")
    for key, (before, now) in values.items():
        change = f"{now - before:+.4f}" if before is not None and now is not None else "–"
        table.add_row(f"  {key}", *("–" if value is None else f"{value:.4f}" for value in (before, now)), change)
    return table

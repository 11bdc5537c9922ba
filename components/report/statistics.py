"""TFDV's statistics as plain numbers, read with the proto alone: no TensorFlow, no pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BARS = 16
TOP = 8


def read(folder: Path) -> dict[str, Any]:
    """Return the statistics of every feature, the train and the eval split side by side.

    Args:
        folder: an ExampleStatistics artifact with `Split-train/FeatureStats.pb` and `Split-eval/…`.

    Raises:
        OSError: it has no split.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    splits: dict[str, Any] = {}
    for split in ("train", "eval"):
        file = folder / f"Split-{split}" / "FeatureStats.pb"
        if file.is_file():
            splits[split] = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets[0]
    if not splits:
        raise FileNotFoundError(2, f"no Split-train/FeatureStats.pb in {folder}")
    by_name: dict[str, dict[str, Any]] = {}
    for split, dataset in splits.items():
        for feature in dataset.features:
            by_name.setdefault(_name(feature), {})[split] = feature
    return {
        "examples": {split: int(dataset.num_examples) for split, dataset in splits.items()},
        "features": [_feature(name, by_name[name], splits) for name in sorted(by_name)],
    }


def _name(feature: Any) -> str:
    return feature.name or ".".join(feature.path.step)


def _feature(name: str, splits: dict[str, Any], datasets: dict[str, Any]) -> dict[str, Any]:
    is_number = any(feature.HasField("num_stats") for feature in splits.values())
    described: dict[str, Any] = {"name": name, "kind": "number" if is_number else "text"}
    for split, feature in splits.items():
        examples = int(datasets[split].num_examples)
        described[split] = _numbers(feature, examples) if is_number else _texts(feature, examples)
    described["bars"] = _number_bars(splits) if is_number else _text_bars(described)
    return described


def _common(feature: Any, examples: int) -> dict[str, Any]:
    kind = feature.WhichOneof("stats")
    shared = getattr(feature, kind).common_stats if kind else None
    # an example that has the feature without a value counts as non-missing in TFDV, so values are counted instead
    present = min(int(shared.num_non_missing), int(shared.tot_num_values)) if shared else 0
    missing = max(0, examples - present)
    return {"present": present, "missing": missing, "missing_share": missing / examples if examples else 0.0}


def _numbers(feature: Any, examples: int) -> dict[str, Any]:
    stats = feature.num_stats
    known = _common(feature, examples)
    if known["present"]:
        known |= {"mean": stats.mean, "sd": stats.std_dev, "min": stats.min, "median": stats.median, "max": stats.max}
        known["zero_share"] = stats.num_zeros / known["present"]
    return known


def _texts(feature: Any, examples: int) -> dict[str, Any]:
    stats = feature.string_stats
    top = [
        {"value": pair.value, "count": int(pair.frequency)} for pair in sorted(stats.top_values, key=_by_count)[:TOP]
    ]
    known = _common(feature, examples)
    for value in top:
        value["share"] = value["count"] / known["present"] if known["present"] else 0.0
    return known | {"distinct": int(stats.unique), "top": top}


def _by_count(pair: Any) -> tuple[float, str]:
    return -pair.frequency, pair.value


def _number_bars(splits: dict[str, Any]) -> dict[str, Any] | None:
    """Return shares per bin of one range for both splits.

    The range leaves far outliers out: one ride of 500 miles would press all others into the first bin.
    """
    knots = {split: _distribution(feature) for split, feature in splits.items()}
    knots = {split: points for split, points in knots.items() if points}
    if not knots:
        return None
    low = min(_inner(points)[0] for points in knots.values())
    high = max(_inner(points)[1] for points in knots.values())
    if not high > low:
        return None
    step = (high - low) / BARS
    edges = [low + step * index for index in range(BARS + 1)]
    bars: dict[str, Any] = {"low": low, "high": high}
    for split, points in knots.items():
        below = [_share_below(points, edge) for edge in edges]
        below[0] = 0.0 if low <= points[0][0] else below[0]
        bars[split] = [max(0.0, upper - lower) for lower, upper in zip(below, below[1:], strict=False)]
    return bars


def _distribution(feature: Any) -> list[tuple[float, float]]:
    """Return points (value, share below it) from the feature's equal-width and quantile histograms together."""
    points: list[tuple[float, float]] = []
    for histogram in feature.num_stats.histograms:
        total = sum(bucket.sample_count for bucket in histogram.buckets)
        running = 0.0
        for bucket in histogram.buckets if total else ():
            points.append((bucket.low_value, running / total))
            running += bucket.sample_count
            points.append((bucket.high_value, running / total))
    merged: list[tuple[float, float]] = []
    highest = 0.0
    for value, share in sorted(point for point in points if abs(point[0]) < float("inf")):
        highest = max(highest, share)
        if merged and merged[-1][0] == value:
            merged[-1] = (value, highest)
        else:
            merged.append((value, highest))
    return merged


def _inner(points: list[tuple[float, float]]) -> tuple[float, float]:
    tenth = next(value for value, share in points if share >= 0.1)
    ninetieth = next(value for value, share in points if share >= 0.9)
    reach = 1.5 * (ninetieth - tenth)
    return max(points[0][0], tenth - reach), min(points[-1][0], ninetieth + reach)


def _share_below(points: list[tuple[float, float]], value: float) -> float:
    if value <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in zip(points, points[1:], strict=False):
        if value <= right:
            return low + (high - low) * (value - left) / (right - left)
    return 1.0


def _text_bars(described: dict[str, Any]) -> dict[str, Any] | None:
    leading = described.get("train") or described.get("eval") or {}
    labels = [value["value"] for value in leading.get("top", [])]
    if not labels:
        return None
    bars: dict[str, Any] = {"labels": labels}
    for split in ("train", "eval"):
        shares = {value["value"]: value["share"] for value in described.get(split, {}).get("top", [])}
        if shares:
            bars[split] = [shares.get(label, 0.0) for label in labels]
    return bars

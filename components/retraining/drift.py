"""How far the distribution of a column has moved, from TFDV's statistics: one number between 0 and 1 for any column.

The distance is the largest difference of a share of rows: for text of one value's share (L-infinity, as TFDV and
ExampleValidator have it), for numbers of the share below some value (Kolmogorov-Smirnov), and for both of the share of
missing values. TFDV's own distance of numbers, the Jensen-Shannon divergence of deciles, calls two random halves of the
taxi data up to 0.15 apart, because deciles jump where many rows have the same value; this one comes to 0.04.

What chance alone gives two samples of these sizes is taken off, so that a bound means the same for a thousand rows as
for a million: of samples from one source, one in a hundred columns is above zero.

Reference:
    Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18(3), 1990.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_BY_CHANCE = math.sqrt(math.log(2 / 0.01) / 2)
"""Times the square root of 1/n + 1/m: what the distance of two empirical distributions exceeds once in a hundred."""
_DEVIATIONS = 2.576
"""Standard deviations that a difference of two shares exceeds once in a hundred."""


@dataclass(frozen=True)
class Drift:
    """How far one column has moved.

    Args:
        distance: the largest difference of a share of rows, 0 to 1.
        chance: how much of it chance alone may give samples of these sizes.
    """

    distance: float
    chance: float

    @property
    def beyond_chance(self) -> float:
        """The part of the distance that chance does not explain."""
        return max(0.0, self.distance - self.chance)


def read_statistics(folder: str | Path) -> Any | None:
    """Return TFDV's statistics of the train split (`DatasetFeatureStatistics`), or None when they are not there."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    file = Path(folder, "Split-train", "FeatureStats.pb")
    if not file.is_file():
        return None
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets[0]


def drift_of(now: Any, before: Any, columns: Iterable[str]) -> dict[str, Drift]:
    """Return how far each column has moved, furthest first.

    Args:
        now: `DatasetFeatureStatistics` of TFDV.
        before: those to compare with.
        columns: the columns to compare; one that neither has is left out.
    """
    new, old = _by_name(now), _by_name(before)
    known = [name for name in columns if name in new or name in old]
    rows = int(now.num_examples), int(before.num_examples)
    found = {name: _drift(new.get(name), old.get(name), rows) for name in known}
    return dict(sorted(found.items(), key=lambda item: (-item[1].beyond_chance, -item[1].distance, item[0])))


def _by_name(dataset: Any) -> dict[str, Any]:
    return {feature.name or ".".join(feature.path.step): feature for feature in dataset.features}


def _drift(new: Any | None, old: Any | None, rows: tuple[int, int]) -> Drift:
    present = _present(new), _present(old)
    absent = [1 - min(1.0, have / max(1, count)) for have, count in zip(present, rows, strict=True)]
    missing = _shares_differ(absent[0], absent[1], rows)
    if new is None or old is None or not all(present):
        return missing
    if new.WhichOneof("stats") != old.WhichOneof("stats"):
        return Drift(1.0, 0.0)
    values = _numbers(new, old, present) if new.HasField("num_stats") else _texts(new, old, present)
    return max(missing, values, key=lambda drift: (drift.beyond_chance, drift.distance))


def _present(feature: Any | None) -> int:
    kind = feature.WhichOneof("stats") if feature is not None else None
    return int(getattr(feature, kind).common_stats.tot_num_values) if kind else 0


def _shares_differ(new: float, old: float, counts: tuple[int, int]) -> Drift:
    """Compare how large a share is in two samples."""
    pooled = (new * counts[0] + old * counts[1]) / max(1, sum(counts))
    chance = _DEVIATIONS * math.sqrt(pooled * (1 - pooled) * _spread(counts))
    return Drift(abs(new - old), min(1.0, chance))


def _spread(counts: tuple[int, int]) -> float:
    return sum(1 / max(1, count) for count in counts)


def _texts(new: Any, old: Any, present: tuple[int, int]) -> Drift:
    shares = [
        {bucket.label: bucket.sample_count / count for bucket in feature.string_stats.rank_histogram.buckets}
        for feature, count in zip((new, old), present, strict=True)
    ]
    values = [_shares_differ(shares[0].get(x, 0.0), shares[1].get(x, 0.0), present) for x in {*shares[0], *shares[1]}]
    return max(values, key=lambda drift: (drift.beyond_chance, drift.distance), default=Drift(0.0, 0.0))


def _numbers(new: Any, old: Any, present: tuple[int, int]) -> Drift:
    curves = [_shares_below(feature) for feature in (new, old)]
    if not all(len(values) for values, _ in curves):
        return Drift(0.0, 0.0)
    at = np.unique(np.concatenate([_deciles(feature) for feature in (new, old)]))
    below = [np.interp(at, values, shares, left=0.0, right=1.0) for values, shares in curves]
    distance = float(np.max(np.abs(below[0] - below[1]), initial=0.0))
    return Drift(distance, min(1.0, _BY_CHANCE * math.sqrt(_spread(present))))


def _deciles(feature: Any) -> list[float]:
    """Return the inner bounds of the quantile histogram, between which shares are only estimated."""
    kinds = [histogram for histogram in feature.num_stats.histograms if histogram.type == histogram.QUANTILES]
    return [bucket.high_value for histogram in kinds for bucket in histogram.buckets[:-1]]


def _shares_below(feature: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return values and the share of rows up to each, from the deciles and the equal-width bars together."""
    points: dict[float, float] = {}
    for histogram in feature.num_stats.histograms:
        total = sum(bucket.sample_count for bucket in histogram.buckets)
        running = 0.0
        for bucket in histogram.buckets if total else ():
            for value, count in ((bucket.low_value, 0.0), (bucket.high_value, bucket.sample_count)):
                running += count
                if math.isfinite(value):
                    points[value] = max(points.get(value, 0.0), running / total)
    stats = feature.num_stats
    if points and stats.min >= 0 and stats.num_zeros:
        # zeros are counted, where deciles only say that there are about so many
        points[0.0] = stats.num_zeros / max(1, stats.common_stats.tot_num_values)
    values = np.array(sorted(points))
    return values, np.maximum.accumulate([points[value] for value in values]) if len(values) else values

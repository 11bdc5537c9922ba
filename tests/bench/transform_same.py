"""Whether what Sluice and the others made of the same rows is equal, and how equal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.bench.transform_rivals import PAIRS, Columns


def same(frame: pd.DataFrame, tolerance: dict[str, float], theirs: Columns, ours: Columns) -> str:
    """Compare column by column; raise AssertionError where more differs than the tolerance says."""
    worst = 0.0
    for name, expected in theirs.items():
        found = ours[name].reshape(expected.shape)
        if "partition" in tolerance:
            _same_partition(frame, name, expected, found)
            continue
        absolute = tolerance.get("absolute", 1e-5)
        off = ~np.isclose(found, expected, rtol=tolerance.get("relative", 1e-4), atol=absolute)
        if off.any() and "rank" in tolerance:
            _near_in_rank(frame[name], expected[off], found[off], tolerance["rank"])
            off[:] = False
        worst = max(worst, float(off.mean()))
        if worst > tolerance.get("ties", 0):
            at = np.argwhere(off)[0]
            raise AssertionError(
                f"{name}: {worst:.2%} differ; row {at} is {found[tuple(at)]}, not {expected[tuple(at)]}"
            )
    if "partition" in tolerance:
        return "one id per category"
    limits = [f"{key} {value:g}" for key, value in tolerance.items() if key not in ("ties",)]
    return ", ".join(limits or ["relative 1e-4"]) + (f"; {worst:.2%} of values differ" if "ties" in tolerance else "")


def _same_partition(frame: pd.DataFrame, name: str, expected: np.ndarray, found: np.ndarray) -> None:
    columns = list(PAIRS.get(name, (name,)))
    complete = frame[columns].notna().all(axis=1)
    groups = frame.loc[complete, columns].groupby(columns, sort=False).ngroups
    for ids in (expected, found):
        pairs = frame.loc[complete, columns].assign(made=ids[complete]).drop_duplicates()
        if len(pairs) != groups or np.ptp(ids[~complete]) > 0:
            raise AssertionError(f"{name}: a category has more than one id")


def _near_in_rank(values: pd.Series, expected: np.ndarray, found: np.ndarray, limit: float) -> None:
    known = np.sort(values.dropna().to_numpy())
    ranks = [np.searchsorted(known, each) / len(known) for each in (expected, found)]
    if (far := np.abs(ranks[0] - ranks[1]).max()) > limit:
        raise AssertionError(f"{values.name}: {far:.3%} of the rows between both")

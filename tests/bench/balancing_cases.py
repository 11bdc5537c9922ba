"""Each balancing step against imbalanced-learn: a table in memory in, the balanced table out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from components.balancing.config import BalancingConfig
from components.balancing.executor import balance
from components.balancing.rows import Rows, Table
from components.features import ModelInput
from tests.bench.data import CATEGORIES, NUMBERS
from tests.bench.timing import Case

K = 5
CHECKED = 500
"""New rows that are looked at one by one."""

Balanced = tuple[Rows, Table]


def table_of(frame: pd.DataFrame) -> Table:
    """Return ten standardised numbers and eight ids, as Transform would hand them over."""
    numbers = {name: (frame[name] - frame[name].mean()) / frame[name].std() for name in NUMBERS}
    columns = {name: values.fillna(0).to_numpy("f4")[:, None] for name, values in numbers.items()}
    ids = {name: pd.factorize(frame[name], use_na_sentinel=False)[0].astype("i8")[:, None] for name in CATEGORIES}
    return columns | ids


def cases(frame: pd.DataFrame) -> Iterator[Case]:
    """Yield the cases."""
    from imblearn.over_sampling import SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    table, label = table_of(frame), frame["big_tip"].to_numpy()
    both, numbers = [*NUMBERS, *CATEGORIES], list(NUMBERS)
    samplers: list[tuple[str, list[str], Any, Any]] = [
        ("random_undersample", both, RandomUnderSampler(random_state=0), same_counts),
        ("random_oversample", both, RandomOverSampler(random_state=0), same_counts),
        ("smote", numbers, SMOTE(k_neighbors=K, random_state=0), same_lines),
        ("borderline_smote", numbers, BorderlineSMOTE(k_neighbors=K, m_neighbors=10, random_state=0), same_border),
        ("smote_nc", both, SMOTENC(list(range(len(NUMBERS), len(both))), k_neighbors=K, random_state=0), same_lines),
    ]
    for name, columns, sampler, same in samplers:
        packed = np.concatenate([table[each] for each in columns], axis=1)

        def theirs(sampler: Any = sampler, packed: np.ndarray = packed) -> Any:
            return (*sampler.fit_resample(packed, label), sampler)

        where = f"{len(numbers)} numbers" + (f", {len(CATEGORIES)} ids" if columns is both else "")
        yield Case(name, where, "imbalanced-learn", theirs, _ours(name, columns, table, label), same)


def _ours(name: str, columns: list[str], table: Table, label: np.ndarray) -> Callable[[], Balanced]:
    inputs = [
        ModelInput(each, "int64", (1,), 10_000) if each in CATEGORIES else ModelInput(each, "float32")
        for each in columns
    ]
    config = BalancingConfig.model_validate([name])

    def ours() -> Balanced:
        rows = balance(config, 0, Rows.in_memory(inputs, label, {each: table[each] for each in columns}))
        return rows, rows.columns(np.arange(len(rows.members)))

    return ours


def same_counts(theirs: Any, ours: Balanced) -> str:
    """Compare how many rows each class has."""
    found, expected = ours[0].counts(), dict(enumerate(np.bincount(theirs[1]).tolist()))
    if found != expected:
        raise AssertionError(f"rows by class {found}, expected {expected}")
    return f"{found[0]:,} and {found[1]:,} rows"


def same_lines(theirs: Any, ours: Balanced) -> str:
    """Look whether new rows lie between a row and one of its nearest neighbours that scikit-learn finds."""
    text = same_counts(theirs, ours)
    rows, table = ours
    made = np.random.default_rng(0).choice(np.arange(rows.rows_of_file, len(rows.members)), CHECKED, replace=False)
    rare = np.flatnonzero(rows.classes[: rows.rows_of_file] == 1)
    points = np.concatenate([table[name] for name in NUMBERS], axis=1).astype("f8")
    ids = [table[name][:, 0] for name in CATEGORIES if name in table]
    penalty = float(np.median(points[rare].std(axis=0))) ** 2
    starts = rows.anchors[rows.members[made]]
    for new, start in zip(made, starts, strict=True):
        far = ((points[rare] - points[start]) ** 2).sum(axis=1) + sum(
            penalty * (each[rare] != each[start]) for each in ids
        )
        far[rare == start] = np.inf
        ends = points[rare[far <= np.partition(far, K - 1)[K - 1] * (1 + 1e-9)]]
        along, way = ends - points[start], points[new] - points[start]
        share = (along @ way) / np.maximum((along**2).sum(axis=1), 1e-30)
        off = np.abs(way - np.clip(share, 0, 1)[:, None] * along).max(axis=1).min()
        if off > 1e-5:
            raise AssertionError(f"row {new} is {off} off every line to a neighbour of row {start}")
    return text + f"; {CHECKED} new ones lie on such lines, to 1e-5"


def same_border(theirs: Any, ours: Balanced) -> str:
    """Compare the rows that new ones are made from, too."""
    text = same_lines(theirs, ours)
    rows = ours[0]
    starts = np.unique(rows.anchors[rows.members[rows.rows_of_file :]])
    danger = theirs[2].in_danger_indices[1] if hasattr(theirs[2], "in_danger_indices") else starts
    if (different := len(np.setxor1d(starts, danger))) > len(danger) * 0.01:
        raise AssertionError(f"{different} of {len(danger)} rows near the border differ")
    return f"{text}; {len(danger):,} rows near the border, {different} differ"

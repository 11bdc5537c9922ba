"""Each cleaning step against pandas: rows with their records in, the rows that stay out.

Sluice's side filters the columns that the step decoded and the rows' numbers, as the Cleaner does, which then copies
the records that stay once, whatever the number of steps; pandas' side gives the frame that stays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.cleaning.arrow_engine import ArrowCleaner
from components.cleaning.config import CleaningConfig
from components.cleaning.filtering import Batch, needed_columns
from components.cleaning.step import TRAIN
from components.engine.examples import decode_examples
from tests.bench.data import CATEGORIES, NUMBERS
from tests.bench.timing import Case

FEATURES = [*NUMBERS, *CATEGORIES]
LONG = ["fare", "trip_miles", "trip_seconds"]
BIG = ["Company blue cab 0", "Company city taxi 1", "Company star ride 2", "Company new line 3"]
PATTERN = "[A-Z][a-z_]+ (blue|city|star) [a-z]+ [0-9]{1,2}"


def _within(frame: pd.DataFrame, limits: Callable[[pd.Series], tuple[float, float]]) -> pd.DataFrame:
    keep = np.ones(len(frame), bool)
    for name in LONG:
        smallest, largest = limits(frame[name])
        keep &= (frame[name].isna() | frame[name].between(smallest, largest)).to_numpy()
    return frame[keep]


def _fences(values: pd.Series) -> tuple[float, float]:
    first, last = values.quantile([0.25, 0.75], interpolation="lower")
    return first - 1.5 * (last - first), last + 1.5 * (last - first)


def _deviations(values: pd.Series) -> tuple[float, float]:
    mean, deviation = values.astype("f8").mean(), values.astype("f8").std(ddof=0)
    return mean - 3 * deviation, mean + 3 * deviation


def _quantiles(values: pd.Series) -> tuple[float, float]:
    smallest, largest = values.quantile([0.01, 0.99], interpolation="lower")
    return smallest, largest


Steps = list[tuple[dict[str, Any], str, Callable[[pd.DataFrame], pd.DataFrame]]]

STEPS: Steps = [
    ({"drop_missing": LONG}, "3 numbers", lambda frame: frame.dropna(subset=LONG)),
    ({"drop_missing": FEATURES}, "18 columns", lambda frame: frame.dropna(subset=FEATURES)),
    (
        {"keep_range": {"column": "fare", "min": 3, "max": 100}},
        "1 number",
        lambda frame: frame[frame.fare.between(3, 100) | frame.fare.isna()],
    ),
    (
        {"keep_values": {"column": "company", "values": BIG}},
        "1 category",
        lambda frame: frame[frame.company.isin(BIG) | frame.company.isna()],
    ),
    (
        {"match_pattern": {"column": "company", "pattern": PATTERN}},
        "1 category",
        lambda frame: frame[frame.company.str.fullmatch(PATTERN, na=True)],
    ),
    ({"drop_duplicates": FEATURES}, "18 columns", lambda frame: frame.drop_duplicates(FEATURES)),
    ({"drop_duplicates": ["driver", "fare"]}, "2 columns", lambda frame: frame.drop_duplicates(["driver", "fare"])),
    ({"drop_outliers": LONG}, "3 numbers", lambda frame: _within(frame, _fences)),
    (
        {"drop_outliers": {"columns": LONG, "method": "z_score"}},
        "3 numbers",
        lambda frame: _within(frame, _deviations),
    ),
    (
        {"drop_outliers": {"columns": LONG, "method": "quantile"}},
        "3 numbers",
        lambda frame: _within(frame, _quantiles),
    ),
]


def shown(step: dict[str, Any]) -> str:
    """Return the step's name and its method."""
    ((name, parameters),) = step.items()
    return f"{name}: {parameters['method']}" if isinstance(parameters, dict) and "method" in parameters else name


def cases(frame: pd.DataFrame, records: list[pa.BinaryArray]) -> Iterator[Case]:
    """Yield the cases.

    Args:
        frame: the rows.
        records: the same as serialized tf.Examples, in batches.
    """
    for written, columns, theirs in STEPS:
        steps = CleaningConfig.model_validate([written]).steps
        needed = [*(needed_columns(steps) or FEATURES), "row"]
        batches = [Batch(pa.array(np.arange(len(part))), decode_examples(part, needed)) for part in records]

        def ours(steps: Any = steps, batches: Any = batches) -> list[Batch]:
            cleaner = ArrowCleaner(steps)
            cleaner.learn_from(lambda: iter(batches))
            return [cleaner.apply_all(batch, TRAIN) for batch in batches]

        yield Case(shown(written), columns, "pandas", functools.partial(theirs, frame), ours, same_rows)


def same_rows(theirs: pd.DataFrame, ours: list[Batch]) -> str:
    """Compare the rows that stay, all but those that are at a learned limit to one part in 65,536."""
    kept = np.concatenate([batch.columns.column("row").to_numpy() for batch in ours])
    different = len(np.setxor1d(kept, theirs["row"].to_numpy()))
    if different > len(kept) * 1e-4:
        raise AssertionError(f"{different} rows differ of {len(kept)}")
    return f"{len(kept):,} rows stay" + (f", {different} differ" if different else "")

"""Steps that learn from the train rows, and patterns, on the taxi data: both engines, against pandas."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from components.cleaning.config import CleaningConfig
from components.cleaning.step import add_up
from components.cleaning.steps.drop_outliers import DropOutliers
from components.cleaning.steps.match_pattern import MatchPattern
from components.engine.examples import decode_examples
from components.errors import ComponentError
from tests.factories.examples_artifacts import split_taxi, taxi_rows, write_examples
from tests.integration.test_cleaner import clean, records

STEPS: list[Any] = [
    {"keep_range": {"column": "fare", "min": 1}},
    {"drop_outliers": {"columns": ["fare", "trip_miles"], "limit": 3.0}},
    {"match_pattern": {"column": "company", "pattern": ".*(Cab|Taxi).*"}},
    {"drop_duplicates": ["trip_start_timestamp", "company"]},
    {"drop_outliers": {"columns": "trip_seconds", "method": "quantile", "limit": 0.02}},
]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_examples(tmp_path_factory.mktemp("taxi"), split_taxi(taxi_rows()))


@pytest.fixture(scope="module")
def cleaned(taxi: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    root = tmp_path_factory.mktemp("cleaned")
    return {name: (root / name, clean(taxi, root / name, STEPS, {"name": name})) for name in ("arrow", "beam")}


def test_both_engines_learn_and_keep_the_same(cleaned: Any) -> None:
    assert cleaned["arrow"][1] == cleaned["beam"][1]
    for split in ("train", "eval"):
        arrow, beam = (records(cleaned[name][0], split) for name in ("arrow", "beam"))
        assert len(arrow) > 1000
        assert collections.Counter(arrow) == collections.Counter(beam)


def test_outliers_leave_the_train_split_and_stay_in_the_other(cleaned: Any) -> None:
    folder, summary = cleaned["arrow"]
    for position in (1, 4):
        assert summary["steps"][position]["dropped"]["train"] > 50
        assert summary["steps"][position]["dropped"]["eval"] == 0
    fares = {
        split: decode_examples(pa.array(records(folder, split)), ["fare"]).column(0).to_pandas()
        for split in ("train", "eval")
    }
    _, largest = summary["steps"][1]["kept_between"]["fare"]
    assert fares["train"].max() <= largest * 1.0001
    assert fares["eval"].max() > largest


def test_the_fences_are_those_of_the_train_rows_that_reach_the_step(cleaned: Any) -> None:
    frame = taxi_rows().slice(0, 10_000).to_pandas()
    frame = frame[frame.fare.isna() | (frame.fare >= 1)]
    for name in ("fare", "trip_miles"):
        first, last = frame[name].quantile([0.25, 0.75], interpolation="lower")
        fences = (first - 3 * (last - first), last + 3 * (last - first))
        assert cleaned["arrow"][1]["steps"][1]["kept_between"][name] == pytest.approx(fences, rel=1e-3)


@pytest.mark.parametrize(("method", "limit"), [("iqr", 1.5), ("z_score", 3.0), ("quantile", 0.01)])
def test_a_method_drops_the_rows_that_pandas_drops(method: str, limit: float) -> None:
    rows = taxi_rows()
    fare = rows.column("fare").to_pandas().astype(float)
    if method == "z_score":
        low, high = fare.mean() - limit * fare.std(ddof=0), fare.mean() + limit * fare.std(ddof=0)
    elif method == "quantile":
        low, high = fare.quantile([limit, 1 - limit], interpolation="higher")
    else:
        first, last = fare.quantile([0.25, 0.75], interpolation="lower")
        low, high = first - limit * (last - first), last + limit * (last - first)
    expected = fare.isna() | fare.between(low, high)
    kept = DropOutliers(columns=("fare",), method=method).keep(rows).to_pandas()  # type: ignore[arg-type]
    assert 0 < (~expected).sum() < 2500
    # a value on a limit may fall on either side
    assert (kept != expected).sum() <= 3


def test_what_is_learned_does_not_depend_on_the_batches() -> None:
    rows = taxi_rows()
    step = DropOutliers(columns=("trip_seconds", "fare"), method="z_score")
    whole = step.learn(step.summarize(rows))
    parts = [step.summarize(rows.slice(start, 977)) for start in range(0, rows.num_rows, 977)]
    assert step.learn(add_up(reversed(parts))) == whole


def test_a_summary_stays_small_however_many_values_there_are() -> None:
    values = pd.Series(range(1, 1_000_001)) / 3
    ((different, counts),) = DropOutliers(columns=("x",)).summarize(pa.record_batch({"x": pa.array(values)})).values()
    assert len(different) < 350_000
    assert counts.sum() == 1_000_000


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_column_without_a_value_is_refused_with_the_place(tmp_path: Path, engine: str) -> None:
    rows = pa.record_batch({"x": pa.array([None, None], pa.float32()), "y": pa.array([1.0, 2.0], pa.float32())})
    evaluation = pa.record_batch({"x": pa.array([1.0], pa.float32()), "y": pa.array([1.0], pa.float32())})
    examples = write_examples(tmp_path / "in", {"train": rows, "eval": evaluation})
    steps = [{"drop_missing": ["y"]}, {"drop_outliers": ["y", "x"]}]
    with pytest.raises(ComponentError, match="learns from column 'x', which has no value in any train row") as error:
        clean(examples, tmp_path / "out", steps, {"name": engine})
    assert error.value.spec_path == "cleaning[1]"
    assert error.value.remedy.startswith("Take the column out")


def test_a_pattern_matches_the_whole_text_in_utf8() -> None:
    column = pa.array(["Żółta".encode(), "żółta".encode(), b"\xff", b"Flash\nCab", None, b""])
    keep = MatchPattern(column="name", pattern="[A-ZŻ].{4}|(?s:F.*)").keep(pa.record_batch({"name": column}))
    assert keep.to_pylist() == [True, False, False, True, True, False]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"match_pattern": {"column": "company", "pattern": "(Cab"}}, "is not a regular expression of RE2: missing"),
        ({"drop_outliers": {"columns": "fare", "method": "quantile", "limit": 0.5}}, "no quantile below 0.5"),
        ({"drop_outliers": []}, "at least 1 item"),
        ({"drop_outliers": {"columns": "fare", "method": "iqr", "limit": 0}}, "greater than 0"),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(written: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CleaningConfig.model_validate([written])

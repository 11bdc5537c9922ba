"""Laws that every cleaning step found in the folder keeps."""

from __future__ import annotations

import doctest
import importlib

import pyarrow as pa
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from components import catalog
from components.cleaning.config import STEPS, CleaningConfig
from components.cleaning.step import ANY_KIND, CleaningStep

NAMES = catalog.names(STEPS)
WRITTEN = {
    "drop_missing": "drop_missing: [fare, company]",
    "drop_duplicates": "drop_duplicates",
    "drop_outliers": "drop_outliers: {columns: [fare, hour], method: z_score, limit: 1.2}",
    "match_pattern": "match_pattern: {column: company, pattern: '[A-Z].*'}",
    "keep_range": "keep_range: {column: fare, min: 0, max: 10}",
    "keep_values": "keep_values: {column: company, values: [Flash Cab, '']}",
}
ROWS = pa.record_batch(
    {
        "fare": pa.array([1.0, None, float("nan"), -2.0, 10.0, 11.0, 1.0], pa.float32()),
        "company": pa.array([b"Flash Cab", b"Flash Cab", None, b"", "Żółta".encode(), b"\xff", b"Flash Cab"]),
        "hour": pa.array([1, 2, None, 4, 5, 6, 1], pa.int64()),
    }
)


def step_of(name: str) -> CleaningStep:
    assert name in WRITTEN, f"write a line for {name} into WRITTEN, so that the laws are tried on it"
    return CleaningConfig.model_validate([YAML(typ="safe").load(WRITTEN[name])]).steps[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_comes_back_from_its_own_dump(name: str) -> None:
    config = CleaningConfig.model_validate([step_of(name).model_dump(mode="json")])
    assert config.steps[0] == step_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_refuses_an_unknown_parameter(name: str) -> None:
    parameters = step_of(name).model_dump(mode="json")[name]
    with pytest.raises(ValidationError):
        type(step_of(name)).model_validate({**parameters, "no_such_parameter": 1})


@pytest.mark.parametrize("name", NAMES)
def test_a_step_says_yes_or_no_for_every_row(name: str) -> None:
    mask = step_of(name).keep(ROWS)
    assert (mask.type, len(mask), mask.null_count) == (pa.bool_(), ROWS.num_rows, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_drops_something_and_keeps_something(name: str) -> None:
    mask = step_of(name).keep(ROWS).to_pylist()
    assert any(mask)
    assert not all(mask)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_a_batch_without_rows(name: str) -> None:
    assert len(step_of(name).keep(ROWS.slice(0, 0))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_step_says_the_same_of_a_slice_from_the_middle(name: str) -> None:
    step, part = step_of(name), ROWS.slice(2, 3)
    copied = pa.RecordBatch.from_pylist(part.to_pylist(), schema=part.schema)
    assert step.keep(part).to_pylist() == step.keep(copied).to_pylist()


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_columns_without_any_value(name: str) -> None:
    step = step_of(name)
    nothing = pa.record_batch({column: pa.nulls(3) for column in ROWS.schema.names})
    assert len(step.keep(nothing)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_step_does_the_same_twice_and_leaves_the_batch_alone(name: str) -> None:
    before = ROWS.to_pylist()
    assert step_of(name).keep(ROWS).to_pylist() == step_of(name).keep(ROWS).to_pylist()
    assert repr(ROWS.to_pylist()) == repr(before)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_looks_only_at_the_columns_it_names(name: str) -> None:
    step = step_of(name)
    needed = list(step.needed_columns()) or ROWS.schema.names
    assert step.keep(ROWS.select(needed)).to_pylist() == step.keep(ROWS).to_pylist()
    assert step.accepts() <= ANY_KIND


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_a_steps_docstring_is_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"{STEPS}.{name}"))
    assert found.attempted > 0
    assert found.failed == 0

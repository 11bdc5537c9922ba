"""Features that are no model inputs themselves: `transform: {FEATURE: null}`."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import SpecError
from pipelines.spec import LoadedSpec, load_spec

SPEC = """
name: trips
task: regression
data:
  path: trips.csv
  label: fare
  features: {{started: categorical, miles: numeric}}
transform:
{transform}
model: {{family: mlp}}
"""


def load(folder: Path, transform: str) -> LoadedSpec:
    file = folder / "trips.yaml"
    file.write_text(SPEC.format(transform=transform))
    return load_spec(file)


def test_a_feature_that_another_chain_reads_may_be_no_input_itself(tmp_path: Path):
    loaded = load(tmp_path, "  started: null\n  hour: [{date_parts: {column: started, parts: [hour]}}]")
    assert set(loaded.spec.transform.chains) == {"hour", "miles"}
    inputs = loaded.spec.transform.expected_inputs(loaded.spec.data.features)
    assert {each.name for each in inputs} == {"hour", "miles"}
    assert "started" in loaded.spec.data.features  # a request still brings it
    again = type(loaded.spec).model_validate(loaded.spec.model_dump(mode="json"))
    assert again.transform == loaded.spec.transform


def test_null_for_a_feature_that_nothing_reads_is_refused(tmp_path: Path):
    with pytest.raises(SpecError, match=r"trips\.yaml:9.*null, and no chain reads it.*Remove data\.features\.started"):
        load(tmp_path, "  started: null")


def test_null_for_a_name_that_is_no_feature_is_refused(tmp_path: Path):
    with pytest.raises(SpecError, match="null for 'startet'.*Did you mean 'started'"):
        load(tmp_path, "  startet: null")

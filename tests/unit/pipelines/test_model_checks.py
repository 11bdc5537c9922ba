"""A model family that can do nothing with the inputs is refused before anything runs."""

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
  features: {{miles: numeric, remark: text}}
{transform}
model: {model}
"""


def load(folder: Path, model: str, transform: str = "") -> LoadedSpec:
    file = folder / "trips.yaml"
    file.write_text(SPEC.format(model=model, transform=transform))
    return load_spec(file)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{family: lstm}", r"trips\.yaml:9.*no sequence among the inputs miles, remark.*for lstm.*with token_ids"),
        ("{family: resnet}", r"trips\.yaml:9.*no image among the inputs miles, remark.*for resnet.*decode_image"),
        ("{family: gru, series: [miles]}", "series 'miles', which is one number.*a vector.*out of model.series"),
        ("{family: gru, series: [milse]}", "input 'milse'.*one of miles, remark.*Did you mean 'miles'"),
    ],
)
def test_a_family_without_the_inputs_that_it_reads_is_refused(tmp_path: Path, model: str, message: str):
    with pytest.raises(SpecError, match=f"(?s){message}"):
        load(tmp_path, model)


def test_ids_of_words_and_vectors_are_read_step_by_step(tmp_path: Path):
    words = "transform: {remark: [tokenize, token_ids: 20]}"
    assert load(tmp_path, "{family: lstm}", words).spec.model.family is not None
    assert load(tmp_path, "{family: temporal_cnn, series: [remark]}").spec.model.family is not None


def test_lags_are_a_window(tmp_path: Path):
    text = SPEC.format(model="{family: gru}", transform="")
    file = tmp_path / "trips.yaml"
    file.write_text(text.replace("{miles: numeric, remark: text}", "{miles_lag_1: numeric, miles_lag_2: numeric}"))
    assert load_spec(file).spec.model.family is not None

"""What a spec may ask of augmentation, and what the Trainer is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.listing import catalogue, json_schema
from pipelines.node import Node
from pipelines.spec import LoadedSpec, load_spec

SPEC = """\
name: rides
task: binary_classification
data:
  path: rides.csv
  label: {big_tip: tips > 0.2 * fare}
  features: {fare: numeric, miles: numeric, company: categorical, hour: categorical, latitude: numeric}
transform:
  hour: [vocabulary: 24]
  latitude: [fill_missing: median, bucketize: 4]
model: {family: mlp}
augmentation:
"""
FIRST = len(SPEC.splitlines()) + 1


def load(folder: Path, *steps: str) -> LoadedSpec:
    (folder / "rides.csv").write_text("fare,miles,company,hour,latitude,tips\n1,1,a,1,1,1\n")
    file = folder / "rides.yaml"
    file.write_text(
        SPEC.replace("augmentation:\n", "") if not steps else SPEC + "".join(f"- {each}\n" for each in steps)
    )
    return load_spec(file)


def problem(folder: Path, *steps: str) -> Any:
    with pytest.raises(SpecError) as caught:
        load(folder, *steps)
    assert len(caught.value.problems) == 1, caught.value
    return caught.value.problems[0]


def trainer(loaded: LoadedSpec) -> Node:
    return next(node for node in pipeline_nodes(loaded) if node.name == "Trainer")


def test_the_trainer_is_told_its_steps_and_their_code_is_in_its_key(tmp_path: Path):
    told = trainer(load(tmp_path, "noise: {inputs: [fare], stddev: 0.05}", "feature_dropout: {inputs: [hour]}"))
    assert [list(each) for each in told.config["augmentation"]] == [["noise"], ["feature_dropout"]]
    assert told.config["augmentation"][0]["noise"] == {"inputs": ["fare"], "stddev": 0.05, "fraction": 1.0}
    assert "components.augmentation.steps.noise" in told.plugins
    assert "augmentation_files" not in told.config


def test_a_spec_without_augmentation_trains_under_the_key_it_had(tmp_path: Path):
    told = trainer(load(tmp_path))
    assert not [key for key in told.config if "augmentation" in key]
    assert not [each for each in told.plugins if "augmentation" in each]


def test_an_unknown_step_gets_the_nearest_name(tmp_path: Path):
    found = problem(tmp_path, "noize: 0.1")
    assert found.line == FIRST
    assert "Did you mean 'noise'?" in str(found)


def test_an_unknown_input_gets_the_nearest_name_and_its_line(tmp_path: Path):
    found = problem(tmp_path, "noise: 0.1", "noise: {inputs: [fares]}")
    assert (found.where, found.line) == ("augmentation.1", FIRST + 1)
    assert found.received == "input 'fares'"
    assert found.remedy == "Did you mean 'fare'?"


def test_a_step_for_another_kind_of_input_is_refused(tmp_path: Path):
    assert problem(tmp_path, "random_flip").received == "random_flip without an input for it"
    assert (
        problem(tmp_path, "noise: {inputs: [company]}").received == "noise on 'company', which holds ids of categories"
    )


def test_mixing_rows_that_hold_ids_is_refused(tmp_path: Path):
    assert "since whole rows are mixed" in problem(tmp_path, "mix_up").expected


def test_hiding_ids_needs_an_id_that_stands_for_nothing(tmp_path: Path):
    found = problem(tmp_path, "feature_dropout: 0.1")
    assert found.received == "feature_dropout on 'latitude', where no id stands for a missing value"
    assert found.remedy.startswith("Write inputs: [")
    assert {"fare", "hour", "company"} <= set(found.remedy.partition("[")[2].rstrip("].").split(", "))
    assert "latitude" not in found.remedy


TEXT = SPEC.replace("latitude: numeric", "latitude: text").replace(
    "latitude: [fill_missing: median, bucketize: 4]", "latitude: [tokenize: words, token_ids: 16]"
)


def test_the_thesaurus_travels_with_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.SPEC", TEXT)
    (tmp_path / "words.tsv").write_text("big\tlarge\n")
    told = trainer(load(tmp_path, "synonym_replacement: words.tsv"))
    assert told.config["augmentation_files"] == {"words.tsv": "big\tlarge\n"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "'words.tsv', which is not there"),
        (b"big large\n", "'words.tsv', whose line 1 is 'big large'"),
        (b"big\t\xff\n", "'words.tsv' (invalid start byte)"),
        (b"big\tlarge\n" * 60_000, "'words.tsv' of 585 KiB"),
    ],
)
def test_a_thesaurus_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
):
    monkeypatch.setattr(f"{__name__}.SPEC", TEXT)
    if content is not None:
        (tmp_path / "words.tsv").write_bytes(content)
    found = problem(tmp_path, "synonym_replacement: words.tsv")
    assert (found.received, found.line) == (message, FIRST)


def test_every_step_is_listed_and_in_the_schema_for_editors():
    rows = dict(catalogue())["Augmentation steps"]
    assert len(rows) == 22
    schema = YAML(typ="safe").load(json_schema())
    written = [step for form in schema["$defs"]["AugmentationStep"]["anyOf"] for step in form.get("anyOf", [form])]
    assert {"const": "random_flip", "description": "Mirrors half of the images."} in written

"""What a spec may ask of augmentation, and what the Trainer is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.ir.compile import Target, compile_pipeline
from pipelines.ir.tasks import run_parameters
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


TRANSLATOR = "def translate(texts):\n    return texts\n"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.SPEC", TEXT)


@pytest.mark.usefixtures("texts")
def test_the_translator_travels_with_the_trainer(tmp_path: Path):
    (tmp_path / "mine.py").write_text(TRANSLATOR)
    told = trainer(load(tmp_path, "back_translation: mine.py"))
    assert told.config["augmentation_files"] == {"mine.py": TRANSLATOR}
    assert told.config["augmentation"] == [
        {"back_translation": {"fraction": 0.5, "inputs": None, "translator": "mine.py"}}
    ]


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(
    ("content", "message", "expected"),
    [
        (None, "'mine.py', which is not there", "a file, relative to"),
        ("def translate(texts:\n", "mine.py:1: '(' was never closed", "Python"),
        ("\ndef translate():\n    pass\n", "mine.py:2: translate()", "translate(texts, **parameters) -> list[str]"),
        ("def other(texts):\n    pass\n", "mine.py:1: 'translate'", "a function that mine.py defines (other)"),
    ],
)
def test_a_translator_that_cannot_be_one_is_refused(tmp_path: Path, content: str | None, message: str, expected: str):
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    found = problem(tmp_path, "back_translation: mine.py")
    assert (found.received, found.line) == (message, FIRST)
    assert found.expected.startswith(expected)


@pytest.mark.usefixtures("texts")
def test_a_translation_behind_a_step_that_changes_the_text_is_refused(tmp_path: Path):
    (tmp_path / "mine.py").write_text(TRANSLATOR)
    found = problem(tmp_path, "noise: {inputs: [fare]}", "random_swap: 0.1", "back_translation: mine.py")
    assert (found.where, found.line) == ("augmentation.2", FIRST + 2)
    assert found.received == "back_translation behind random_swap, which changes 'latitude'"
    assert found.remedy == "Move it up, to place 2 of the list."
    load(tmp_path, "noise: {inputs: [fare]}", "back_translation: mine.py", "random_swap: 0.1")


def models_in(folder: Path) -> str:
    for each in ("there", "back"):
        (folder / each).mkdir(parents=True)
        (folder / each / "model.bin").write_text(each)
    return f"back_translation: {{translator: {{ctranslate2: {{forward: {folder}/there, backward: {folder}/back}}}}}}"


@pytest.mark.usefixtures("texts")
def test_what_is_in_the_models_is_in_the_trainers_key(tmp_path: Path):
    step = models_in(tmp_path / "models")
    first = trainer(load(tmp_path, step)).config["augmentation_models"]
    assert list(first) == [f"{tmp_path}/models/{each}" for each in ("there", "back")]
    assert trainer(load(tmp_path, step)).config["augmentation_models"] == first
    (tmp_path / "models" / "back" / "model.bin").write_text("another")
    second = trainer(load(tmp_path, step)).config["augmentation_models"]
    assert [first[each] == second[each] for each in first] == [True, False]


@pytest.mark.usefixtures("texts")
def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    found = problem(tmp_path, "back_translation: {translator: {ctranslate2: {forward: a, backward: a}}}")
    assert (found.received, found.line) == ("'a', where there is no model.bin", FIRST)


@pytest.mark.usefixtures("texts")
def test_models_that_the_trainers_container_would_not_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    step = models_in(tmp_path / "models")
    with pytest.raises(SpecError, match="there', which the Trainer's container does not have") as caught:
        compile_pipeline(load(tmp_path, step), Target("image", {}))
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].line == FIRST
    volumes = f"resources: {{trainer: {{volumes: {{models: {tmp_path}/models}}}}}}\n"
    monkeypatch.setattr(f"{__name__}.SPEC", TEXT.replace("augmentation:\n", volumes + "augmentation:\n"))
    loaded = load(tmp_path, step)
    compile_pipeline(loaded, Target("image", run_parameters(loaded, "/data.csv", "/root")))


def test_every_step_is_listed_and_in_the_schema_for_editors():
    rows = dict(catalogue())["Augmentation steps"]
    assert len(rows) == 23
    schema = YAML(typ="safe").load(json_schema())
    written = [step for form in schema["$defs"]["AugmentationStep"]["anyOf"] for step in form.get("anyOf", [form])]
    assert {"const": "random_flip", "description": "Mirrors half of the images."} in written

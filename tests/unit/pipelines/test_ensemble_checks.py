"""An ensemble that cannot be trained as the spec says is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.node import Node
from pipelines.spec import LoadedSpec, load_spec

SPEC = """
name: trips
task: regression
data:
  path: trips.csv
  label: fare
  features: {{miles: numeric, minutes: numeric}}
model: {{family: mlp}}
training: {training}
ensemble: {ensemble}
"""


def load(folder: Path, ensemble: str, training: str = "{}") -> LoadedSpec:
    file = folder / "trips.yaml"
    file.write_text(SPEC.format(training=training, ensemble=ensemble))
    return load_spec(file)


def trainer(folder: Path, ensemble: str) -> Node:
    return next(node for node in pipeline_nodes(load(folder, ensemble)) if node.name == "Trainer")


@pytest.mark.parametrize(
    ("ensemble", "training", "message"),
    [
        ("{bagging: {}}", "{strategy: multi_worker}", "multi_worker.*one after the other on one machine.*to auto"),
        ("{bagging: {}}", "{callbacks: {module: own.py}}", "none with an ensemble: members would share their state"),
        ("{bagging: {}}", "{loop: {module: own.py}}", "loop.*none with an ensemble: members would share their state"),
        ("{bagging: {}}", "{cache: never}", "never.*auto or always with bagging, which chooses rows in memory"),
        ("{stacking: {members: [{family: linear}]}}", "{cache: never}", "never.*auto or always with stacking"),
        ("{stacking: {members: [{family: resnet}]}}", "{}", "stacking.members.0.*no image among the inputs"),
        ("{snapshot: {cycles: 4}}", "{epochs: 3}", "3.*at least 4 with 4 cycles.*Raise training.epochs"),
        ("{snapshot: {}}", "{early_stopping: {}}", "a cycle must reach its end.*Remove training.early_stopping"),
        ("{snapshot: {}}", "{reduce_learning_rate: {}}", "must reach its end.*Remove training.reduce_learning_rate"),
        ("{snapshot: {}}", "{keep: best}", "best.*last; none with snapshot.*Remove training.keep"),
        (
            "{snapshot: {}}",
            "{optimizer: {adam: {learning_rate: {cosine_decay: {initial_learning_rate: 0.1}}}}}",
            "a number with snapshot, which has its own schedule.*Write the rate of its start",
        ),
        ("{voting: {members: [{family: resnet}]}}", "{}", "no image among the inputs.*for resnet"),
        ("{voting: {members: [{family: wide}]}}", "{}", "wide_and_deep"),
        ("{boosting: {}}", "{}", "boosting"),
    ],
)
def test_what_members_cannot_do_is_refused(tmp_path: Path, ensemble: str, training: str, message: str):
    with pytest.raises(SpecError, match=f"(?s){message}"):
        load(tmp_path, ensemble, training)


def test_the_line_is_that_of_the_member(tmp_path: Path):
    with pytest.raises(SpecError, match=r"trips\.yaml:10: ensemble\.voting\.members\.1"):
        load(tmp_path, "{voting: {members: [{family: linear}, {family: resnet}]}}")


def test_the_trainer_runs_the_code_of_the_ensemble_and_of_its_families(tmp_path: Path):
    node = trainer(tmp_path, "{voting: {members: [{family: linear}]}}")
    assert node.section == "ensemble"
    assert {"components.ensemble.kinds.voting", "components.model.families.linear"} <= set(node.plugins)
    assert node.config["ensemble"]["voting"]["members"][0]["family"] == "linear"


def test_without_the_section_the_trainer_is_as_it_was(tmp_path: Path):
    file = tmp_path / "trips.yaml"
    file.write_text(SPEC.format(training="{}", ensemble="null"))
    node = next(node for node in pipeline_nodes(load_spec(file)) if node.name == "Trainer")
    assert node.section == "training"
    assert "ensemble" not in node.config


def test_the_catalogue_names_kinds_and_methods():
    from pipelines.listing import catalogue

    found = dict(catalogue())
    assert [name for name, _ in found["Ensembles"]] == ["voting", "stacking", "bagging", "snapshot"]
    assert all(text.endswith(".") for _, text in found["Ensembles"])
    assert [name for name, _ in found["Tuning methods"]] == ["grid", "random", "bayesian", "hyperband"]

"""A spec says everything that is wrong with it, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.errors import SpecError
from pipelines.spec import PipelineSpec, load_spec

SPEC = """\
name: trips
task: binary_classification
data:
  path: data.csv
  label: {big_tip: tips > 0.2 * fare}
  features:
    miles: numeric
    company: categorical
model: {family: mlp, hidden_units: [8]}
evaluation:
  gate: [auc >= 0.5]
"""


def write(folder: Path, text: str = SPEC) -> Path:
    """Write a spec into a folder."""
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def problems(path: Path, *overrides: str) -> list[str]:
    """Return the problems of a spec as they are printed."""
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_valid_spec_loads_and_survives_a_round_trip_through_yaml(tmp_path):
    spec = load_spec(write(tmp_path)).spec
    again = PipelineSpec.model_validate(yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json"))))
    assert again == spec
    assert again.model.family.hidden_units == (8,)


def test_the_shipped_taxi_spec_round_trips():
    spec = load_spec("taxi").spec
    assert PipelineSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "trainin: {epochs: 3}\n"))
    assert f"{tmp_path}/pipeline.yaml:12: trainin: got unknown key 'trainin'" in problem
    assert "Did you mean 'training'?" in problem


def test_an_unknown_key_inside_a_section_names_the_keys_of_that_section(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "training: {epoch: 3}\n"))
    assert "training.epoch" in problem
    assert "Did you mean 'epochs'?" in problem


def test_an_unknown_parameter_of_a_family_is_refused_with_its_line(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC.replace("hidden_units", "hiden_units")))
    assert "pipeline.yaml:9: model.hiden_units" in problem


def test_an_unknown_step_names_the_nearest_one(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "cleaning: [drop_mising: [miles]]\n"))
    assert "pipeline.yaml:12: cleaning.0" in problem
    assert "Did you mean 'drop_missing'?" in problem


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path):
    text = SPEC.replace("miles: numeric", "miles: numeri") + "training: {epochs: 0, batch_size: x}\n"
    found = problems(write(tmp_path, text))
    assert [problem.split(": ")[1] for problem in found] == [
        "data.features.miles",
        "training.epochs",
        "training.batch_size",
    ]
    assert "Did you mean 'numeric'?" in found[0]


def test_a_missing_key_says_what_to_add(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC.replace("  path: data.csv\n", "")))
    assert "data.path: got nothing" in problem
    assert "Add path" in problem


def test_a_key_given_twice_is_an_error(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "task: regression\n"))
    assert "pipeline.yaml:12: task: got the key a second time" in problem


def test_broken_yaml_names_the_line(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "training: {epochs: 3\n"))
    assert "pipeline.yaml:1" in problem
    assert "valid YAML" in problem


def test_an_override_changes_the_spec_and_is_remembered(tmp_path):
    loaded = load_spec(write(tmp_path), ["training.epochs=3", "evaluation.gate.0=auc >= 0.9"])
    assert loaded.spec.training.epochs == 3
    assert loaded.spec.evaluation.gate[0].at_least == 0.9
    assert loaded.overrides == {"training.epochs": "3", "evaluation.gate.0": "auc >= 0.9"}


def test_a_wrong_override_is_told_from_the_file(tmp_path):
    (problem,) = problems(write(tmp_path), "training.epochs=none")
    assert "from the command line: training.epochs=none" in problem


def test_an_override_without_a_value_is_refused(tmp_path):
    (problem,) = problems(write(tmp_path), "training.epochs")
    assert "SECTION.KEY=VALUE" in problem


def test_a_metric_that_the_task_does_not_have_is_refused(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC.replace("auc >= 0.5", "acuracy >= 0.5")))
    assert "pipeline.yaml:11" in problem
    assert "Did you mean 'accuracy'?" in problem


def test_a_rule_that_is_no_rule_shows_what_one_looks_like(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC.replace("auc >= 0.5", "auc is good")))
    assert "auc >= 0.8" in problem


def test_the_labels_own_column_as_a_feature_is_refused(tmp_path):
    text = SPEC.replace("{big_tip: tips > 0.2 * fare}", "miles")
    (problem,) = problems(write(tmp_path, text))
    assert "pipeline.yaml:7: data.features.miles" in problem
    assert "Remove it" in problem


def test_a_chain_for_a_feature_that_is_not_declared_is_refused(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC + "transform: {mile: [z_score]}\n"))
    assert "Did you mean 'miles'?" in problem


def test_an_expression_that_could_run_code_is_refused(tmp_path):
    (problem,) = problems(write(tmp_path, SPEC.replace("tips > 0.2 * fare", "__import__('os').system('x')")))
    assert "is not allowed" in problem


def test_a_spec_that_does_not_exist_names_the_ones_that_do(tmp_path):
    with pytest.raises(SpecError, match="Did you mean 'taxi'"):
        load_spec("taxy")


def test_a_module_that_is_not_there_is_refused(tmp_path):
    text = SPEC.replace("{family: mlp, hidden_units: [8]}", "{module: mine.py, builder: build}")
    (problem,) = problems(write(tmp_path, text))
    assert "mine.py" in problem


def test_every_feature_without_a_chain_gets_the_default_of_its_kind(tmp_path):
    chains = load_spec(write(tmp_path)).spec.transform.chains
    assert [step.plugin_name() for step in chains["miles"]] == ["fill_missing", "z_score"]
    assert [step.plugin_name() for step in chains["company"]] == ["fill_missing", "vocabulary"]


def test_exponents_without_a_dot_are_numbers_although_yaml_reads_text(tmp_path):
    spec = load_spec(write(tmp_path), ["training.early_stopping={min_delta: 1e-3}"]).spec
    assert spec.training.early_stopping.min_delta == 0.001

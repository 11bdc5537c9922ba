"""What the spec says about section `tuning` before anything runs, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.ir.compile import CompiledPipeline, Target, compile_pipeline
from pipelines.ir.graph import FromTask
from pipelines.ir.reading import read_tasks
from pipelines.ir.rules import check
from pipelines.ir.tasks import run_parameters
from pipelines.plan import Choices, make_plan
from pipelines.spec import load_spec
from pipelines.state import PipelineRoot
from tests.factories.small_project import write_project


def write(folder: Path, line: str, more: str = "") -> Path:
    return write_project(folder, more=f"tuning:\n  space:\n    {line}\n{more}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("modle.dropout: [0.1]", "Did you mean 'model'"),
        ("data.path: [a]", "a key of model, training, augmentation"),
        ("model.dropuot: [0.1]", "Did you mean 'dropout'"),
        ("model.dropout: {min: 0.0, max: 2.0}", "2.0, of which dropout is 2.0; expected less than 1"),
        ("training.batch_size: [32, 0]", "0, of which batch_size is 0; expected greater than or equal to 1"),
        ("training.epochs: [1, 2]", "tuning.epochs says how long a trial is"),
        ("training.optimizer.adma.learning_rate: [0.1]", "tuning.space.training.optimizer.adma.learning_rate"),
        ("augmentation.0.noise.stddev: [0.1]", "tuning.space.augmentation.0.noise.stddev"),
        ("training.batch_size.x: [1]", "which has no key 'x'"),
        ("model.hidden_units.7: [1]", "has 1 entries, numbered from 0, and no '7'"),
    ],
)
def test_a_path_or_value_that_the_spec_would_refuse_is_named_with_its_line(
    line: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write(tmp_path, line))

    assert message in str(caught.value)
    assert "pipeline.yaml:13" in str(caught.value)


def test_the_tuner_stands_before_the_trainer_and_feeds_it(tmp_path: Path) -> None:
    nodes = {node.name: node for node in pipeline_nodes(load_spec(write(tmp_path, "model.dropout: [0.1]")))}

    assert list(nodes).index("Tuner") == list(nodes).index("Trainer") - 1
    assert nodes["Trainer"].inputs["hyperparameters"].node == "Tuner"
    assert nodes["Tuner"].inputs["examples"] == nodes["Trainer"].inputs["examples"]


def test_without_the_section_there_is_no_tuner(tmp_path: Path) -> None:
    names = [node.name for node in pipeline_nodes(load_spec(write_project(tmp_path)))]

    assert "Tuner" not in names


def test_it_compiles_for_a_cluster_and_the_trainer_gets_what_was_found(tmp_path: Path) -> None:
    def compiled() -> CompiledPipeline:
        loaded = load_spec(write(tmp_path, "model.dropout: [0.1]"))
        parameters = run_parameters(loaded, "s3://bucket/cells.csv", "s3://bucket/cells")
        return compile_pipeline(loaded, Target("registry/sluice:1", parameters))

    found = compiled()

    tasks = {task.name: task for task in read_tasks(found.pipeline_spec)}
    assert dict(tasks["trainer"].artifacts)["hyperparameters"] == FromTask("tuner", "best_hyperparameters")
    assert dict(tasks["report"].artifacts)["tuner__tuner_results"] == FromTask("tuner", "tuner_results")
    assert check(found.pipeline_spec, found.platform_spec) == []
    assert compiled().to_yaml() == found.to_yaml()


def test_the_tuner_runs_again_only_for_what_trials_depend_on(tmp_path: Path) -> None:
    def keys(line: str, more: str = "", auc: float = 0.8) -> dict[str, str | None]:
        spec = write_project(tmp_path, more=f"tuning:\n  space:\n    {line}\n{more}", auc=auc)
        root = PipelineRoot(tmp_path / "root")
        plan = make_plan(pipeline_nodes(load_spec(spec)), root, files=(), data_fingerprint="data", choices=Choices())
        return {step.node.name: json.dumps(step.facts, sort_keys=True) for step in plan.steps}

    first = keys("model.dropout: [0.1]")

    assert keys("model.dropout: [0.1]")["Tuner"] == first["Tuner"]
    assert keys("model.dropout: [0.1]", auc=0.7)["Tuner"] == first["Tuner"]
    assert keys("model.dropout: [0.2]")["Tuner"] != first["Tuner"]

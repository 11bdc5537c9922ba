"""Compiled pipelines against the rules of Kubeflow's backend, and read with the libraries that it is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from pipelines.ir.compile import CompiledPipeline, Target, compile_pipeline
from pipelines.ir.rules import check
from pipelines.ir.tasks import run_parameters
from pipelines.spec import SPECS_FOLDER, load_spec
from tests.factories import kubeflow_backend
from tests.factories.argo_schedule import Schedule
from tests.factories.compiled_pipelines import good
from tests.factories.kfp_toss import toss

SECTIONS = {
    "plain": "",
    "notify": "notify: {webhook: https://hooks.example/x}\n",
    "retraining": "retraining: {retrain_on_drift_above: 0.3, cool_down_hours: 12}\n",
    "pools": """
resources:
  resolve: {pool: cpu, timeout_seconds: 600}
  example_gen: {pool: cpu, retries: 2}
  cleaner: cpu
  statistics_gen: cpu-spot
  schema_gen: cpu
  latest_blessed: cpu
  example_validator: cpu
  transform: {pool: highmem, retries: {count: 2, backoff_seconds: 30}}
  trainer:
    pool: gpu-l4-spot
    retries: 3
    timeout_seconds: 7200
    env: {LEVEL: 2}
    labels: {team: ml}
    secrets: {token: {env: {TOKEN: token}, mount: /var/secrets/token}}
    volumes: {cache: /cache}
  evaluator: {pool: cpu, timeout_seconds: 1800}
  pusher: {pool: cpu, retries: 1}
  report: cpu
""",
    "templates": "# {{workflow.name}}, {{=1+1}}, {{item}}, {{{{ and {{$.inputs.parameters['config']}}; $(HOME) is $$\n",
}
SECTIONS["everything"] = "".join(SECTIONS.values())


def compiled_taxi(sections: str, folder: Path) -> CompiledPipeline:
    spec = folder / "taxi.yaml"
    spec.write_text((SPECS_FOLDER / "taxi.yaml").read_text() + "\n" + sections)
    loaded = load_spec(spec)
    return compile_pipeline(
        loaded, Target("registry.example/sluice:1f3c", run_parameters(loaded, "s3://b/in", "s3://b/out"))
    )


def all_tasks(pipeline_spec: dict[str, Any]) -> dict[str, Any]:
    parts = [pipeline_spec["root"], *pipeline_spec["components"].values()]
    return {name: task for part in parts for name, task in part.get("dag", {}).get("tasks", {}).items()}


def answers(compiled: CompiledPipeline, value: str | None, folder: Path) -> list[bool | str]:
    """Return what the driver makes of each condition when all it reads is `value`, or is not there."""
    asked = [
        (condition, {} if value is None else dict.fromkeys(names, value))
        for condition, names in kubeflow_backend.conditions_in(compiled.pipeline_spec)
    ]
    return kubeflow_backend.read(compiled.to_yaml(), asked, folder).runs


@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS.keys())
def test_the_compiled_taxi_pipeline_is_taken(sections: str, tmp_path: Path):
    compiled = compiled_taxi(sections, tmp_path)
    assert check(compiled.pipeline_spec, compiled.platform_spec) == []
    assert kubeflow_backend.read(compiled.to_yaml(), [], tmp_path).problems == []


def test_conditions_decide_in_the_driver_as_they_are_meant_to(tmp_path: Path):
    compiled = compiled_taxi(SECTIONS["everything"], tmp_path)
    # train or not, push or not: each with its opposite, which has a report
    assert answers(compiled, "true", tmp_path) == [True] * 4
    assert answers(compiled, "false", tmp_path) == [False] * 4
    assert all("no such key" in str(answer) for answer in answers(compiled, None, tmp_path))


ENDS = {
    "pushed": ({"decider.go": "true", "evaluator.push": "true"}, "", "report", "Succeeded"),
    "blocked": ({"decider.go": "true", "evaluator.blocked": "true"}, "", "report-blocked", "Succeeded"),
    "not trained": ({"decider.skipped": "true"}, "", "report-skipped", "Succeeded"),
    "failed": ({"decider.go": "true"}, "trainer", None, "Failed"),
}


@pytest.mark.parametrize(("outputs", "failing", "report", "phase"), ENDS.values(), ids=ENDS.keys())
def test_every_end_of_a_run_is_told(
    outputs: dict[str, str], failing: str, report: str | None, phase: str, tmp_path: Path
):
    """In Argo nothing runs behind a task that was skipped, so each good end has a report of its own, and only one."""
    compiled = compiled_taxi(SECTIONS["everything"], tmp_path)

    def decide(condition: str, values: dict[str, Any]) -> bool:
        (runs,) = kubeflow_backend.read(compiled.to_yaml(), [(condition, values)], tmp_path).runs
        assert isinstance(runs, bool), runs
        return runs

    phases = Schedule(compiled.pipeline_spec, outputs, frozenset({failing}), decide).run()
    ran = {name for name, ended in phases.items() if ended in ("Succeeded", "Failed")}
    assert {name for name in ran if name.startswith("report")} == ({report} if report else set())
    assert (phases["pipeline"], "notify" in ran, "pusher" in ran) == (phase, True, report == "report")


def test_pods_ask_for_what_the_pools_say(tmp_path: Path):
    """Each step's resources, place, retries and timeout are where the compiler to Argo and the driver look for them."""
    compiled = compiled_taxi(SECTIONS["pools"], tmp_path)
    executors = compiled.pipeline_spec["deploymentSpec"]["executors"]
    pods = compiled.platform_spec["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    accelerator = executors["exec-trainer"]["container"]["resources"]["accelerator"]
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "1")
    assert pods["exec-trainer"]["nodeSelector"]["labels"]["cloud.google.com/gke-accelerator"] == "nvidia-l4"
    assert pods["exec-trainer"]["activeDeadlineSeconds"] == "7200"
    retried = {
        name: task["retryPolicy"]["maxRetryCount"]
        for name, task in all_tasks(compiled.pipeline_spec).items()
        if "retryPolicy" in task
    }
    assert retried.items() >= {"example-gen": 2, "transform": 2, "trainer": 3, "pusher": 1}.items()
    assert all("resources" in executor["container"] for executor in executors.values())


def test_what_the_kfp_sdk_compiles_is_taken(tmp_path: Path):
    """The rules are the backend's, not ours alone: KFP's own conditions and exit handlers keep them."""
    file = tmp_path / "toss.yaml"
    compiler.Compiler().compile(toss, str(file))
    pipeline, platform = yaml.safe_load_all(file.read_text())
    assert check(pipeline, platform) == []
    condition = next(kubeflow_backend.conditions_in(pipeline))[0]
    coin = "pipelinechannel--draw-coin"
    read = kubeflow_backend.read(file.read_text(), [(condition, {coin: side}) for side in ("heads", "tails")], tmp_path)
    assert (read.problems, read.runs) == ([], [True, False])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p, k: p["root"].update(executor="x"), 'pipeline spec: .*unknown field "executor"'),
        (lambda p, k: train(p).update(cmd=["sh"]), 'deploymentSpec: .*unknown field "cmd"'),
        (lambda p, k: pod(k).update(priorityClassName="high"), 'exec-train: .*unknown field "priorityClassName"'),
        (lambda p, k: k.update(kubernetes={}), 'platform spec: .*unknown field "kubernetes"'),
        (
            lambda p, k: train(p)["resources"].update(resourceMemoryRequest="2GB"),
            "resourceMemoryRequest: quantities must",
        ),
        (lambda p, k: pod(k)["podMetadata"]["labels"].update(team="our team"), "exec-train label team: .*valid label"),
    ],
)
def test_the_backends_libraries_refuse_what_the_rules_refuse(
    change: Callable[[dict[str, Any], dict[str, Any]], Any], said: str, tmp_path: Path
):
    pipeline, platform = good()
    documents = CompiledPipeline(pipeline, platform)
    assert kubeflow_backend.read(documents.to_yaml(), [], tmp_path).problems == []
    change(pipeline, platform)
    assert check(pipeline, platform)
    (problem,) = kubeflow_backend.read(documents.to_yaml(), [], tmp_path).problems
    assert re.search(said, problem), problem


def train(pipeline: dict[str, Any]) -> dict[str, Any]:
    return pipeline["deploymentSpec"]["executors"]["exec-train"]["container"]


def pod(platform: dict[str, Any]) -> dict[str, Any]:
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]


def tfx_pipeline(folder: Path) -> Any:
    from tfx import v1 as tfx

    examples = tfx.components.CsvExampleGen(input_base=str(folder))
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    baseline = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed")
    return tfx.dsl.Pipeline("my-taxi", str(folder / "root"), components=[examples, statistics, baseline])


def tfx_compiled(folder: Path, **settings: Any) -> dict[str, Any]:
    from tfx import v1 as tfx

    experimental = tfx.orchestration.experimental
    config = experimental.KubeflowV2DagRunnerConfig(default_image="registry.example/tfx:1", **settings)
    name = "pipeline.yaml" if settings else "pipeline.json"
    runner = experimental.KubeflowV2DagRunner(config=config, output_dir=str(folder), output_filename=name)
    runner.run(tfx_pipeline(folder))
    document: dict[str, Any] = yaml.safe_load((folder / name).read_text())
    return document


def test_what_tfx_compiles_by_default_is_refused(tmp_path: Path):
    job = tfx_compiled(tmp_path)
    assert ["got a PipelineJob around the pipeline spec" in str(problem) for problem in check(job, {})] == [True]
    (problem,) = check(job["pipelineSpec"], {})
    assert "schemaVersion: got '2.0.0'; expected '2.1.0'" in str(problem)


def test_what_tfx_compiles_for_schema_2_1_is_refused(tmp_path: Path):
    found = "\n".join(str(problem) for problem in check(tfx_compiled(tmp_path, use_pipeline_spec_2_1=True), {}))
    for said in (
        "tasks.latest_blessed-model-resolver: got 'latest_blessed-model-resolver'; expected letters, digits and dashes",
        "got resolver; expected a container or an importer",
        "CsvExampleGen_executor.container.lifecycle: got a lifecycle hook",
    ):
        assert said in found, found

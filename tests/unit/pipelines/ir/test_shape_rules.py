"""Rules on a compiled pipeline as a whole: parsing, names, size: for each, the smallest change that breaks it."""

from __future__ import annotations

import pytest

from pipelines.ir import container_rules, input_rules, shape_rules
from pipelines.ir.rules import RULES, SHAPE
from tests.factories.compiled_pipelines import Case, assert_only_that_rule_speaks, pod_of, rename, step, tasks

CASES = {
    "TFX's wrapper": Case(
        shape_rules.it_is_no_pipeline_job,
        lambda p, k: {"displayName": "taxi", "pipelineSpec": p},
        ("PipelineJob", "bare"),
    ),
    "unknown field": Case(
        shape_rules.both_documents_parse,
        lambda p, k: p["root"].update(executor="x"),
        ("pipeline spec", 'no field named "executor"'),
    ),
    "unknown field in an executor": Case(
        shape_rules.both_documents_parse,
        lambda p, k: step(p).update(cmd=["sh"]),
        ("deploymentSpec", 'no field named "cmd"'),
    ),
    "unknown field in a pod": Case(
        shape_rules.both_documents_parse,
        lambda p, k: pod_of(k).update(priorityClassName="high"),
        ("exec-train", 'no field named "priorityClassName"'),
    ),
    "unknown field in the platform": Case(
        shape_rules.both_documents_parse,
        lambda p, k: k.update(kubernetes={}),
        ("platform spec", 'no field named "kubernetes"'),
    ),
    "schema 2.0": Case(
        shape_rules.the_schema_version_is_the_one_that_is_read,
        lambda p, k: p.update(schemaVersion="2.0.0"),
        ("'2.0.0'", "'2.1.0'"),
    ),
    "underscore in the pipeline's name": Case(
        shape_rules.the_pipeline_has_a_dns_name,
        lambda p, k: p["pipelineInfo"].update(name="my_taxi"),
        ("'my_taxi'", "dashes"),
    ),
    "long pipeline name": Case(
        shape_rules.the_pipeline_has_a_dns_name, lambda p, k: p["pipelineInfo"].update(name="t" * 64), ("at most 63",)
    ),
    "nothing but an exit handler": Case(
        shape_rules.every_dag_has_a_task_that_is_no_exit_handler,
        lambda p, k: p["root"]["dag"]["tasks"].pop("pipeline"),
        ("root: got no task beside exit handlers",),
        also=(input_rules.producers_are_in_the_same_dag,),
    ),
    "no tasks at all": Case(
        shape_rules.every_dag_has_a_task_that_is_no_exit_handler,
        lambda p, k: p["root"].pop("dag"),
        ("root: got no dag",),
    ),
    "underscore in a task's name": Case(
        shape_rules.names_are_names_in_argo,
        lambda p, k: rename(p, "push", "push_model"),
        ("'push_model'", "letters, digits and dashes"),
    ),
    "digit first in a task's name": Case(
        shape_rules.names_are_names_in_argo, lambda p, k: rename(p, "push", "2push"), ("'2push'", "a letter first")
    ),
    "task name without room for its driver": Case(
        shape_rules.names_are_names_in_argo, lambda p, k: rename(p, "push", "p" * 122), ("at most 128",)
    ),
    "task that is called like a driver": Case(
        shape_rules.names_are_names_in_argo,
        lambda p, k: rename(p, "push", "train-driver"),
        ("a task train-driver beside it",),
    ),
    "component that is called like a template": Case(
        shape_rules.names_are_names_in_argo,
        lambda p, k: (
            p["components"].update({"system-dag-driver": p["components"].pop("comp-push")}),
            tasks(p)["push"]["componentRef"].update(name="system-dag-driver"),
        ),
        ("components.system-dag-driver", "no name of the backend's own"),
    ),
    "other name in taskInfo": Case(
        shape_rules.tasks_know_their_own_name,
        lambda p, k: tasks(p)["train"]["taskInfo"].update(name="Trainer"),
        ("'Trainer'", "'train'"),
    ),
    "no taskInfo": Case(
        shape_rules.tasks_know_their_own_name,
        lambda p, k: tasks(p)["train"].pop("taskInfo"),
        ("tasks.train.taskInfo.name: got None",),
    ),
    "component that is not there": Case(
        shape_rules.components_run_an_executor_or_tasks,
        lambda p, k: tasks(p)["push"]["componentRef"].update(name="comp-pusher"),
        ("'comp-pusher'", "a component of the pipeline"),
    ),
    "executor that is not there": Case(
        shape_rules.components_run_an_executor_or_tasks,
        lambda p, k: p["components"]["comp-push"].update(executorLabel="exec-pusher"),
        ("'exec-pusher'", "an executor of deploymentSpec"),
    ),
    "artifact without a type": Case(
        shape_rules.artifacts_have_a_type,
        lambda p, k: p["components"]["comp-load"]["outputDefinitions"]["artifacts"].update(data={"artifactType": {}}),
        ("comp-load.outputDefinitions.artifacts.data", "schemaTitle"),
    ),
    "artifact with an empty schema": Case(
        shape_rules.artifacts_have_a_type,
        lambda p, k: p["components"]["comp-push"]["inputDefinitions"]["artifacts"].update(
            model={"artifactType": {"instanceSchema": ""}}
        ),
        ("comp-push.inputDefinitions.artifacts.model", "schemaTitle"),
    ),
    "a megabyte": Case(
        shape_rules.the_workflow_fits_into_etcd,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["config"]["runtimeValue"].update(
            constant="x" * 1_000_000
        ),
        ("at most 1,000,000", "belong into a file"),
        also=(container_rules.inputs_fit_into_one_argument,),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_broken_pipeline_is_found_by_the_rule_that_it_breaks(case: Case):
    assert_only_that_rule_speaks(case)


def test_every_rule_has_a_case():
    own = {rule for rule in (*SHAPE, *RULES) if rule.__module__ == shape_rules.__name__}
    assert {case.rule for case in CASES.values()} == own

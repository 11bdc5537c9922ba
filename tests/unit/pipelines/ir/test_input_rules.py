"""Rules on a compiled pipeline on how tasks are wired: for each, the smallest change that breaks it."""

from __future__ import annotations

import pytest

from pipelines.ir import input_rules
from pipelines.ir.rules import RULES, SHAPE
from tests.factories.compiled_pipelines import Case, assert_only_that_rule_speaks, tasks

CASES = {
    "producer that is nowhere": Case(
        input_rules.producers_are_in_the_same_dag,
        lambda p, k: tasks(p)["push"]["inputs"]["parameters"]["go"]["taskOutputParameter"].update(
            producerTask="train_task"
        ),
        ("inputs.parameters.go", "'train_task'", "a task of components.comp-pipeline"),
    ),
    "dependency in another DAG": Case(
        input_rules.producers_are_in_the_same_dag,
        lambda p, k: tasks(p)["pipeline"].update(dependentTasks=["load"]),
        ("tasks.pipeline.dependentTasks", "'load'", "a task of root"),
    ),
    "waiting for an exit handler": Case(
        input_rules.producers_are_in_the_same_dag,
        lambda p, k: tasks(p)["pipeline"].update(dependentTasks=["notify"]),
        ("the exit handler 'notify'",),
        also=(input_rules.tasks_do_not_wait_for_each_other,),
    ),
    "cycle": Case(
        input_rules.tasks_do_not_wait_for_each_other,
        lambda p, k: tasks(p)["load"].update(dependentTasks=["push"]),
        ("a cycle among load, push, train",),
    ),
    "output parameter that is not there": Case(
        input_rules.outputs_that_are_read_exist,
        lambda p, k: tasks(p)["push"]["inputs"]["parameters"]["go"]["taskOutputParameter"].update(
            outputParameterKey="Go"
        ),
        ("got train.Go", "(go, score)"),
    ),
    "output artifact that is not there": Case(
        input_rules.outputs_that_are_read_exist,
        lambda p, k: tasks(p)["push"]["inputs"]["artifacts"]["model"]["taskOutputArtifact"].update(
            outputArtifactKey="weights"
        ),
        ("got train.weights", "(model)"),
    ),
    "input of the group that is not declared": Case(
        input_rules.inputs_of_a_group_are_declared,
        lambda p, k: tasks(p)["load"]["inputs"]["parameters"]["path"].update(componentInputParameter="path"),
        ("tasks.load.inputs.parameters.path: got 'path'", "an input of components.comp-pipeline"),
    ),
    "artifact of the group that is not declared": Case(
        input_rules.inputs_of_a_group_are_declared,
        lambda p, k: tasks(p)["push"]["inputs"]["artifacts"].update(model={"componentInputArtifact": "model"}),
        ("tasks.push.inputs.artifacts.model: got 'model'",),
    ),
    "parameter that is not given": Case(
        input_rules.inputs_are_all_given_and_all_declared,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"].pop("epochs"),
        ("tasks.train.inputs.parameters.epochs: got nothing",),
    ),
    "artifact that is not given": Case(
        input_rules.inputs_are_all_given_and_all_declared,
        lambda p, k: tasks(p)["train"]["inputs"].pop("artifacts"),
        ("tasks.train.inputs.artifacts.data: got nothing",),
    ),
    "parameter that is not declared": Case(
        input_rules.inputs_are_all_given_and_all_declared,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"].update(epoch={"runtimeValue": {"constant": 3}}),
        ("got 'epoch'", "an input of comp-train"),
    ),
    "text for a number": Case(
        input_rules.types_match,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["epochs"]["runtimeValue"].update(constant="3"),
        ("tasks.train.inputs.parameters.epochs: got STRING; expected NUMBER_INTEGER",),
    ),
    "boolean for a number": Case(
        input_rules.types_match,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["epochs"]["runtimeValue"].update(constant=True),
        ("got BOOLEAN; expected NUMBER_INTEGER",),
    ),
    "text output for a number": Case(
        input_rules.types_match,
        lambda p, k: tasks(p)["push"]["inputs"]["parameters"]["score"]["taskOutputParameter"].update(
            outputParameterKey="go"
        ),
        ("tasks.push.inputs.parameters.score: got STRING; expected NUMBER_DOUBLE",),
    ),
    "text of the group for a number": Case(
        input_rules.types_match,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"].update(
            epochs={"componentInputParameter": "pipelinechannel--path"}
        ),
        ("tasks.train.inputs.parameters.epochs: got STRING",),
    ),
    "final status for a number": Case(
        input_rules.types_match,
        lambda p, k: p["components"]["comp-notify"]["inputDefinitions"]["parameters"].update(
            status={"parameterType": "NUMBER_INTEGER"}
        ),
        ("tasks.notify.inputs.parameters.status: got STRUCT or TASK_FINAL_STATUS",),
    ),
    "parameter without a type": Case(
        input_rules.types_match,
        lambda p, k: p["components"]["comp-train"]["outputDefinitions"]["parameters"].update(go={}),
        ("comp-train.outputDefinitions.parameters.go.parameterType: got None",),
    ),
    "default of another type": Case(
        input_rules.types_match,
        lambda p, k: p["root"]["inputDefinitions"]["parameters"]["path"].update(defaultValue=7),
        ("components.root.inputDefinitions.parameters.path.defaultValue: got 7; expected a STRING",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_broken_pipeline_is_found_by_the_rule_that_it_breaks(case: Case):
    assert_only_that_rule_speaks(case)


def test_every_rule_has_a_case():
    own = {rule for rule in (*SHAPE, *RULES) if rule.__module__ == input_rules.__name__}
    assert {case.rule for case in CASES.values()} == own

"""Rules on a compiled pipeline on when a task runs: for each, the smallest change that breaks it."""

from __future__ import annotations

import copy

import pytest

from pipelines.ir import trigger_rules
from pipelines.ir.rules import RULES, SHAPE, check
from tests.factories.compiled_pipelines import ARTIFACT, TEXT, Case, assert_only_that_rule_speaks, good, tasks

CASES = {
    "condition on what is no input": Case(
        trigger_rules.conditions_read_only_own_inputs,
        lambda p, k: tasks(p)["push"]["triggerPolicy"].update(condition="inputs.parameter_values['push'] == 'true'"),
        ("'push'", "a parameter that the task is given (go, score)"),
    ),
    "condition on an artifact": Case(
        trigger_rules.conditions_read_only_own_inputs,
        lambda p, k: tasks(p)["push"]["triggerPolicy"].update(
            condition="inputs.artifacts['model'].artifacts[0].metadata['blessed'] == 1"
        ),
        ("inputs.artifacts['model']", "inputs.parameter_values['NAME']"),
    ),
    "condition that reads nothing": Case(
        trigger_rules.conditions_read_only_own_inputs,
        lambda p, k: tasks(p)["push"]["triggerPolicy"].update(condition="true"),
        ("got true",),
    ),
    "number compared with a text": Case(
        trigger_rules.conditions_read_only_own_inputs,
        lambda p, k: tasks(p)["push"]["triggerPolicy"].update(condition="inputs.parameter_values['score'] == '0.9'"),
        ("'score', a NUMBER_DOUBLE, compared with a text",),
    ),
    "condition on an importer": Case(
        trigger_rules.conditions_read_only_own_inputs,
        lambda p, k: p["deploymentSpec"]["executors"].update(
            {
                "exec-push": {
                    "importer": {"artifactUri": {"constant": "s3://b/m"}, "typeSchema": ARTIFACT["artifactType"]}
                }
            }
        ),
        ("a condition on an importer",),
    ),
    "two exit handlers on one group": Case(
        trigger_rules.exit_handlers_hang_on_one_task,
        lambda p, k: p["root"]["dag"]["tasks"].update(
            report={**copy.deepcopy(tasks(p)["notify"]), "taskInfo": {"name": "report"}}
        ),
        ("tasks.report.dependentTasks", "'pipeline', which 'notify' watches already"),
    ),
    "exit handler behind two tasks": Case(
        trigger_rules.exit_handlers_hang_on_one_task,
        lambda p, k: (
            p["root"]["dag"]["tasks"].update(
                other={**copy.deepcopy(tasks(p)["pipeline"]), "taskInfo": {"name": "other"}}
            ),
            tasks(p)["notify"].update(dependentTasks=["pipeline", "other"]),
        ),
        ("got other, pipeline, with what its inputs need",),
    ),
    "exit handler behind nothing": Case(
        trigger_rules.exit_handlers_hang_on_one_task,
        lambda p, k: (tasks(p)["notify"].pop("dependentTasks"), tasks(p)["notify"].pop("inputs")),
        ("got nothing, with what its inputs need",),
    ),
    "exit handler that reads an output": Case(
        trigger_rules.exit_handlers_hang_on_one_task,
        lambda p, k: tasks(p)["push"].update(
            dependentTasks=["train"],
            triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
        ),
        ("tasks.push.dependentTasks: got train", "no input that a task makes"),
    ),
    "exit handler behind a condition": Case(
        trigger_rules.exit_handlers_hang_on_one_task,
        lambda p, k: (
            tasks(p)["pipeline"]["inputs"]["parameters"].update(go={"componentInputParameter": "path"}),
            p["components"]["comp-pipeline"]["inputDefinitions"]["parameters"].update(go=TEXT),
            tasks(p)["pipeline"].update(triggerPolicy={"condition": "inputs.parameter_values['go'] == 'x'"}),
        ),
        ("'pipeline', which has a condition", "nothing runs behind what is skipped"),
    ),
    "final status without a strategy": Case(
        trigger_rules.final_statuses_are_of_what_is_waited_for,
        lambda p, k: tasks(p)["notify"].pop("triggerPolicy"),
        ("a task that is no exit handler",),
    ),
    "final status of another task": Case(
        trigger_rules.final_statuses_are_of_what_is_waited_for,
        lambda p, k: tasks(p)["notify"]["inputs"]["parameters"]["status"]["taskFinalStatus"].update(
            producerTask="push"
        ),
        ("got 'push'", "the first of its dependentTasks"),
    ),
    "cached push": Case(
        trigger_rules.what_has_an_effect_is_not_cached,
        lambda p, k: tasks(p)["push"].update(cachingOptions={"enableCache": True}),
        ("tasks.push.cachingOptions", "caching of Pusher"),
    ),
    "cached with the run's id": Case(
        trigger_rules.what_has_an_effect_is_not_cached,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["config"]["runtimeValue"].update(
            constant="{{$.pipeline_job_uuid}}"
        ),
        ("caching with config = {{$.pipeline_job_uuid}}",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_broken_pipeline_is_found_by_the_rule_that_it_breaks(case: Case):
    assert_only_that_rule_speaks(case)


def test_every_rule_has_a_case():
    own = {rule for rule in (*SHAPE, *RULES) if rule.__module__ == trigger_rules.__name__}
    assert {case.rule for case in CASES.values()} == own


@pytest.mark.parametrize(
    "condition",
    [
        "inputs.parameter_values['go'] != 'a {text}'",
        "int(inputs.parameter_values['score']) > 1 && (inputs.parameter_values['go'] == 'x' || false)",
        "!(inputs.parameter_values['score'] <= 0.5)",
    ],
)
def test_conditions_that_kfp_writes_are_taken(condition: str):
    pipeline, platform = good()
    tasks(pipeline)["push"]["triggerPolicy"]["condition"] = condition
    assert check(pipeline, platform) == []

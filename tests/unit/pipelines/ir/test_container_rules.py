"""Rules on containers and on the text that reaches them: for each, the smallest change that breaks it."""

from __future__ import annotations

import copy

import pytest

from pipelines.ir import container_rules
from pipelines.ir.rules import RULES, SHAPE, check
from tests.factories.compiled_pipelines import Case, assert_only_that_rule_speaks, good, step, tasks

CASES = {
    "resolver": Case(
        container_rules.executors_run_a_container,
        lambda p, k: p["deploymentSpec"]["executors"].update({"exec-push": {"resolver": {}}}),
        ("executors.exec-push: got resolver; expected a container or an importer",),
    ),
    "TFX's driver": Case(
        container_rules.executors_run_a_container,
        lambda p, k: step(p).update(lifecycle={"preCacheCheck": {"command": ["driver"]}}),
        ("exec-train.container.lifecycle", "the backend ignores it"),
    ),
    "no image": Case(
        container_rules.executors_run_a_container,
        lambda p, k: step(p).update(image=""),
        ("exec-train.container.image: got ''",),
    ),
    "image that stands for something else": Case(
        container_rules.executors_run_a_container,
        lambda p, k: step(p).update(image="argostub/createpvc"),
        ("argostub/createpvc",),
    ),
    "no command": Case(
        container_rules.executors_run_a_container,
        lambda p, k: (step(p).pop("command"), step(p).pop("args")),
        ("neither command nor args",),
    ),
    "two components in equal containers": Case(
        container_rules.equal_containers_have_equal_interfaces,
        lambda p, k: p["deploymentSpec"]["executors"].update({"exec-push": copy.deepcopy({"container": step(p)})}),
        ("components.comp-push", "the same container as components.comp-train"),
    ),
    "placeholder of an input that is not there": Case(
        container_rules.placeholders_are_known,
        lambda p, k: step(p)["args"].append("{{$.inputs.parameters['steps']}}"),
        ("{{$.inputs.parameters['steps']}}", "a placeholder of comp-train"),
    ),
    "placeholder that the launcher has not": Case(
        container_rules.placeholders_are_known,
        lambda p, k: step(p)["args"].append("--run={{$.pipeline_job_uuid}}"),
        ("pipeline_job_uuid",),
    ),
    "braces that are not closed": Case(
        container_rules.placeholders_are_known, lambda p, k: step(p)["args"].append("a {{ b"), ("got {{",)
    ),
    "dollar that Kubernetes expands": Case(
        container_rules.placeholders_are_known,
        lambda p, k: step(p)["args"].append("$(HOME)"),
        ("$(HOME)", "no $(NAME)"),
    ),
    "placeholder in the environment": Case(
        container_rules.placeholders_are_known,
        lambda p, k: step(p)["env"].append({"name": "RUN", "value": "{{$.pipeline_job_uuid}}"}),
        ("RUN={{$.pipeline_job_uuid}}", "resources.*.env"),
    ),
    "Argo's expression in a constant": Case(
        container_rules.constants_hold_no_template,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["config"]["runtimeValue"].update(
            constant='{"note": "{{=1+1}}"}'
        ),
        ("{{=1+1}}", "\\u007b"),
    ),
    "placeholder inside a constant": Case(
        container_rules.constants_hold_no_template,
        lambda p, k: tasks(p)["load"]["inputs"]["parameters"]["run"]["runtimeValue"].update(
            constant="run-{{$.pipeline_job_uuid}}"
        ),
        ("run-{{$.pipeline_job_uuid}}",),
    ),
    "dollars in a constant": Case(
        container_rules.constants_hold_no_template,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["config"]["runtimeValue"].update(
            constant='{"match": "^a$$"}'
        ),
        ("^a$$", "\\u0024"),
    ),
    "braces in a default": Case(
        container_rules.constants_hold_no_template,
        lambda p, k: p["root"]["inputDefinitions"]["parameters"]["path"].update(defaultValue="s3://b/{{item}}"),
        ("root.inputDefinitions.parameters.path", "{{item}}"),
    ),
    "input over 128 KiB": Case(
        container_rules.inputs_fit_into_one_argument,
        lambda p, k: tasks(p)["train"]["inputs"]["parameters"]["config"]["runtimeValue"].update(constant='"' * 20_000),
        ("tasks.train.inputs", "bytes as Argo passes them", "at most 131,072"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_broken_pipeline_is_found_by_the_rule_that_it_breaks(case: Case):
    assert_only_that_rule_speaks(case)


def test_every_rule_has_a_case():
    own = {rule for rule in (*SHAPE, *RULES) if rule.__module__ == container_rules.__name__}
    assert {case.rule for case in CASES.values()} == own


def test_a_constant_whose_braces_and_dollars_are_escaped_is_taken():
    pipeline, platform = good()
    constant = '{"note": "{\\u007bitem}} costs \\u0024\\u0024 or \\u0024(HOME)"}'
    tasks(pipeline)["train"]["inputs"]["parameters"]["config"]["runtimeValue"]["constant"] = constant
    assert check(pipeline, platform) == []

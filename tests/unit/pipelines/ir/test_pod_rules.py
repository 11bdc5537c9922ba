"""Rules on the pods of the steps: for each, the smallest change that breaks it."""

from __future__ import annotations

import pytest

from pipelines.ir import pod_rules
from pipelines.ir.rules import RULES, SHAPE
from tests.factories.compiled_pipelines import Case, assert_only_that_rule_speaks, pod_of, step, tasks

CASES = {
    "pod of an executor that is not there": Case(
        pod_rules.the_platform_document_names_executors,
        lambda p, k: k["platforms"]["kubernetes"]["deploymentSpec"]["executors"].update({"Trainer": {}}),
        ("'Trainer'", "exec-load, exec-train"),
    ),
    "another platform": Case(
        pod_rules.the_platform_document_names_executors,
        lambda p, k: k["platforms"].update(vertex={}),
        ("platforms.vertex",),
    ),
    "memory that is no quantity": Case(
        pod_rules.quantities_are_quantities,
        lambda p, k: step(p)["resources"].update(resourceMemoryRequest="2GB"),
        ("exec-train.container.resources.resourceMemoryRequest: got '2GB'",),
    ),
    "request over the limit": Case(
        pod_rules.quantities_are_quantities,
        lambda p, k: step(p)["resources"].update(resourceMemoryRequest="5Gi"),
        ("5Gi, over the limit; expected at most 4Gi",),
    ),
    "half a GPU": Case(
        pod_rules.quantities_are_quantities,
        lambda p, k: step(p)["resources"]["accelerator"].update(resourceCount="0.5"),
        ("exec-train.container.resources.accelerator", "a whole resourceCount from 1"),
    ),
    "label with a space": Case(
        pod_rules.labels_are_labels,
        lambda p, k: pod_of(k)["podMetadata"]["labels"].update(team="our team"),
        ("podMetadata.labels.team: got 'our team'",),
    ),
    "node selector with a bad key": Case(
        pod_rules.labels_are_labels,
        lambda p, k: pod_of(k)["nodeSelector"].update(labels={"cloud/google/gpu": "l4"}),
        ("nodeSelector.labels: got 'cloud/google/gpu'",),
    ),
    "unknown effect": Case(
        pod_rules.tolerations_and_pull_policies_are_known,
        lambda p, k: pod_of(k)["tolerations"][0].update(effect="NoScheduling"),
        ("'NoScheduling'", "'NoExecute'"),
    ),
    "value for Exists": Case(
        pod_rules.tolerations_and_pull_policies_are_known,
        lambda p, k: pod_of(k)["tolerations"][0].update(value="present"),
        ("no value, since Exists compares none",),
    ),
    "seconds without NoExecute": Case(
        pod_rules.tolerations_and_pull_policies_are_known,
        lambda p, k: pod_of(k)["tolerations"][0].update(tolerationSeconds="60"),
        ("tolerationSeconds with NoExecute only",),
    ),
    "unknown pull policy": Case(
        pod_rules.tolerations_and_pull_policies_are_known,
        lambda p, k: pod_of(k).update(imagePullPolicy="Sometimes"),
        ("imagePullPolicy: got 'Sometimes'",),
    ),
    "secret that is called like a claim": Case(
        pod_rules.volumes_do_not_collide,
        lambda p, k: pod_of(k)["secretAsVolume"][0].update(secretName="cache", secretNameParameter={}),
        ("secretAsVolume: got the volume 'cache'", "that is free"),
    ),
    "mount over the launcher's": Case(
        pod_rules.volumes_do_not_collide,
        lambda p, k: pod_of(k)["pvcMount"][0].update(mountPath="/minio/"),
        ("the mount path '/minio/'",),
    ),
    "two mounts at one path": Case(
        pod_rules.volumes_do_not_collide,
        lambda p, k: pod_of(k)["emptyDirMounts"][0].update(mountPath="/cache"),
        ("emptyDirMounts: got the mount path '/cache'",),
    ),
    "no time for retries": Case(
        pod_rules.retries_can_happen,
        lambda p, k: tasks(p)["train"]["retryPolicy"].pop("backoffMaxDuration"),
        ("got 60s and None", "whole seconds"),
    ),
    "retries over before the first attempt is": Case(
        pod_rules.retries_can_happen,
        lambda p, k: tasks(p)["train"]["retryPolicy"].update(backoffMaxDuration="3600s"),
        ("3600 s", "more than the step's timeout of 3600 s"),
    ),
    "half a factor": Case(
        pod_rules.retries_can_happen,
        lambda p, k: tasks(p)["train"]["retryPolicy"].update(backoffFactor=1.5),
        ("backoffFactor: got 1.5; expected a whole number",),
    ),
    "no retries in a retry policy": Case(
        pod_rules.retries_can_happen,
        lambda p, k: tasks(p)["train"]["retryPolicy"].pop("maxRetryCount"),
        ("maxRetryCount: got None",),
    ),
    "timeout of nothing": Case(
        pod_rules.timeouts_are_positive,
        lambda p, k: pod_of(k).update(activeDeadlineSeconds="0"),
        ("activeDeadlineSeconds: got 0",),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_broken_pipeline_is_found_by_the_rule_that_it_breaks(case: Case):
    assert_only_that_rule_speaks(case)


def test_every_rule_has_a_case():
    own = {rule for rule in (*SHAPE, *RULES) if rule.__module__ == pod_rules.__name__}
    assert {case.rule for case in CASES.values()} == own

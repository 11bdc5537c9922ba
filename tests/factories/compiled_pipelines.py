"""A compiled pipeline that keeps every rule of `pipelines.ir.rules`, and a way to break one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.ir.document import Document
from pipelines.ir.rules import Rule, check

TEXT = {"parameterType": "STRING"}
ARTIFACT = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}


def container(node: str) -> dict[str, Any]:
    return {
        "container": {
            "image": "registry.example/steps:1f3c",
            "command": ["python", "-m", "steps"],
            "args": ["--node", node, "--executor-input", "{{$}}"],
            "env": [{"name": "LEVEL", "value": "2"}],
            "resources": {
                "resourceCpuRequest": "500m",
                "resourceMemoryRequest": "2Gi",
                "resourceMemoryLimit": "4Gi",
                "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
            },
        }
    }


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    """A group of four tasks, one of them conditional, and an exit handler on the group."""
    group = {
        "load": {
            "componentRef": {"name": "comp-load"},
            "taskInfo": {"name": "load"},
            "cachingOptions": {},
            "inputs": {
                "parameters": {
                    "path": {"componentInputParameter": "pipelinechannel--path"},
                    "run": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}},
                }
            },
        },
        "train": {
            "componentRef": {"name": "comp-train"},
            "taskInfo": {"name": "train"},
            "cachingOptions": {"enableCache": True},
            "dependentTasks": ["load"],
            "inputs": {
                "parameters": {
                    "config": {"runtimeValue": {"constant": '{"layers": {"units": [8, 8]}}'}},
                    "epochs": {"runtimeValue": {"constant": 3}},
                    "rate": {"runtimeValue": {"constant": 0.1}},
                },
                "artifacts": {"data": {"taskOutputArtifact": {"producerTask": "load", "outputArtifactKey": "data"}}},
            },
            "retryPolicy": {
                "maxRetryCount": 2,
                "backoffDuration": "60s",
                "backoffFactor": 2.0,
                "backoffMaxDuration": "7200s",
            },
        },
        "push": {
            "componentRef": {"name": "comp-push"},
            "taskInfo": {"name": "push"},
            "cachingOptions": {},
            "dependentTasks": ["train"],
            "triggerPolicy": {"condition": "inputs.parameter_values['go'] == 'true'"},
            "inputs": {
                "parameters": {
                    "go": {"taskOutputParameter": {"producerTask": "train", "outputParameterKey": "go"}},
                    "score": {"taskOutputParameter": {"producerTask": "train", "outputParameterKey": "score"}},
                },
                "artifacts": {"model": {"taskOutputArtifact": {"producerTask": "train", "outputArtifactKey": "model"}}},
            },
        },
    }
    root = {
        "pipeline": {
            "componentRef": {"name": "comp-pipeline"},
            "taskInfo": {"name": "pipeline"},
            "inputs": {"parameters": {"pipelinechannel--path": {"componentInputParameter": "path"}}},
        },
        "notify": {
            "componentRef": {"name": "comp-notify"},
            "taskInfo": {"name": "notify"},
            "dependentTasks": ["pipeline"],
            "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            "inputs": {"parameters": {"status": {"taskFinalStatus": {"producerTask": "pipeline"}}}},
        },
    }
    components = {
        "comp-pipeline": {
            "dag": {"tasks": group},
            "inputDefinitions": {"parameters": {"pipelinechannel--path": TEXT}},
        },
        "comp-load": {
            "executorLabel": "exec-load",
            "inputDefinitions": {"parameters": {"path": TEXT, "run": TEXT}},
            "outputDefinitions": {"artifacts": {"data": ARTIFACT}},
        },
        "comp-train": {
            "executorLabel": "exec-train",
            "inputDefinitions": {
                "parameters": {
                    "config": TEXT,
                    "epochs": {"parameterType": "NUMBER_INTEGER"},
                    "rate": {"parameterType": "NUMBER_DOUBLE"},
                    "seed": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1, "isOptional": True},
                },
                "artifacts": {"data": ARTIFACT},
            },
            "outputDefinitions": {
                "artifacts": {"model": ARTIFACT},
                "parameters": {"go": TEXT, "score": {"parameterType": "NUMBER_DOUBLE"}},
            },
        },
        "comp-push": {
            "executorLabel": "exec-push",
            "inputDefinitions": {
                "parameters": {"go": TEXT, "score": {"parameterType": "NUMBER_DOUBLE"}},
                "artifacts": {"model": ARTIFACT},
            },
        },
        "comp-notify": {
            "executorLabel": "exec-notify",
            "inputDefinitions": {"parameters": {"status": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}}},
        },
    }
    nodes = {"load": "Resolve", "train": "Trainer", "push": "Pusher", "notify": "Notify"}
    pipeline = {
        "pipelineInfo": {"name": "taxi"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "sluice-1",
        "root": {
            "dag": {"tasks": root},
            "inputDefinitions": {"parameters": {"path": {**TEXT, "defaultValue": "s3://b/in", "isOptional": True}}},
        },
        "components": components,
        "deploymentSpec": {"executors": {f"exec-{name}": container(node) for name, node in nodes.items()}},
    }
    pod = {
        "nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-l4"}},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "podMetadata": {"labels": {"team": "ml"}, "annotations": {"example.com/note": "any text, even this"}},
        "imagePullPolicy": "IfNotPresent",
        "activeDeadlineSeconds": "3600",
        "pvcMount": [{"constant": "cache", "mountPath": "/cache"}],
        "secretAsVolume": [
            {"secretNameParameter": {"runtimeValue": {"constant": "token"}}, "mountPath": "/var/secrets/token"}
        ],
        "emptyDirMounts": [{"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory"}],
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-train": pod}}}}}
    return copy.deepcopy((pipeline, platform))


def tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    return {**pipeline["root"]["dag"]["tasks"], **pipeline["components"]["comp-pipeline"]["dag"]["tasks"]}


def step(pipeline: dict[str, Any], label: str = "exec-train") -> dict[str, Any]:
    return pipeline["deploymentSpec"]["executors"][label]["container"]


def pod_of(platform: dict[str, Any]) -> dict[str, Any]:
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]


def rename(pipeline: dict[str, Any], old: str, new: str) -> None:
    group = pipeline["components"]["comp-pipeline"]["dag"]["tasks"]
    group[new] = {**group.pop(old), "taskInfo": {"name": new}}


@dataclass(frozen=True)
class Case:
    """A change, the rule that it breaks, and what the problem says.

    Args:
        rule: the rule.
        change: edits the good pipeline in place, or returns another pipeline document.
        said: parts of the problem's text.
        also: rules that cannot but find something too.
    """

    rule: Rule
    change: Callable[[dict[str, Any], dict[str, Any]], Any]
    said: tuple[str, ...]
    also: tuple[Rule, ...] = ()


def assert_only_that_rule_speaks(case: Case) -> None:
    """Break the good pipeline: the rule finds one problem, says what it should, and `check` finds no other."""
    pipeline, platform = good()
    changed = case.change(pipeline, platform)
    if isinstance(changed, dict) and "pipelineSpec" in changed:
        pipeline = changed
    found = [str(problem) for problem in case.rule(Document(pipeline, platform))]
    assert len(found) == 1, found
    assert all(part in found[0] for part in case.said), found
    others = [problem for rule in case.also for problem in rule(Document(pipeline, platform))]
    assert sorted(str(problem) for problem in check(pipeline, platform)) == sorted([*found, *map(str, others)])

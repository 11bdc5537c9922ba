"""Rules on the pod of a step: resources, labels, volumes, retries and timeouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from components.errors import Problem
from pipelines.ir.document import Document
from pipelines.resources.quantity import amount

SCRATCH = ("/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config")
"""Where the backend mounts its own volumes in every step."""

PULL_POLICIES = ("", "Always", "Never", "IfNotPresent")
OPERATORS = ("", "Equal", "Exists")
EFFECTS = ("", "NoSchedule", "PreferNoSchedule", "NoExecute")

_RESOURCES = "Change what the step asks for in the spec's resources section."
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def the_platform_document_names_executors(document: Document) -> Iterator[Problem]:
    """What the platform document says of an executor that does not exist is applied to nothing, and nobody says so."""
    for platform in document.platform.get("platforms", {}):
        if platform != "kubernetes":
            yield Problem(f"platforms.{platform}", platform, "kubernetes, the only platform that is read", _RESOURCES)
    for label in document.executor_configs:
        if label not in document.executors:
            known = ", ".join(document.executors)
            yield Problem(_path(label), repr(label), f"an executor of the pipeline ({known})", _RESOURCES)


def quantities_are_quantities(document: Document) -> Iterator[Problem]:
    """The driver parses a quantity when the step's turn has come, and Kubernetes refuses a request over the limit."""
    for label, container in document.containers():
        where = f"deploymentSpec.executors.{label}.container.resources"
        resources = container.get("resources", {})
        amounts: dict[str, Decimal] = {}
        for key in ("resourceCpuRequest", "resourceCpuLimit", "resourceMemoryRequest", "resourceMemoryLimit"):
            if key in resources:
                yield from _quantity(f"{where}.{key}", resources[key], amounts)
        for kind in ("Cpu", "Memory"):
            asked, most = (amounts.get(f"{where}.resource{kind}{end}") for end in ("Request", "Limit"))
            if asked is not None and most is not None and asked > most:
                received = f"{resources[f'resource{kind}Request']}, over the limit"
                expected = f"at most {resources[f'resource{kind}Limit']}"
                yield Problem(f"{where}.resource{kind}Request", received, expected, _RESOURCES)
        accelerator = resources.get("accelerator", {})
        if accelerator and not (_key(accelerator.get("resourceType", "")) and _count(accelerator.get("resourceCount"))):
            expected = "a resourceType such as nvidia.com/gpu, and a whole resourceCount from 1"
            yield Problem(f"{where}.accelerator", str(accelerator), expected, _RESOURCES)


def labels_are_labels(document: Document) -> Iterator[Problem]:
    """Kubernetes refuses the pod for a label it does not like, and no machine ever has such a label."""
    for label, config in document.executor_configs.items():
        metadata = config.get("podMetadata", {})
        for what, labels in (
            ("nodeSelector.labels", config.get("nodeSelector", {}).get("labels", {})),
            ("podMetadata.labels", metadata.get("labels", {})),
            ("podMetadata.annotations", metadata.get("annotations", {})),
        ):
            for key, value in labels.items():
                if not _key(key):
                    yield Problem(
                        f"{_path(label)}.{what}", repr(key), "a name such as team or example.com/team", _RESOURCES
                    )
                if what != "podMetadata.annotations" and value and not _NAME.fullmatch(value):
                    expected = "at most 63 letters, digits, dashes, dots and underscores"
                    yield Problem(f"{_path(label)}.{what}.{key}", repr(value), expected, _RESOURCES)


def tolerations_and_pull_policies_are_known(document: Document) -> Iterator[Problem]:
    """The driver refuses an unknown pull policy; Kubernetes an unknown operator or effect, or a value for `Exists`."""
    for label, config in document.executor_configs.items():
        if (policy := config.get("imagePullPolicy", "")) not in PULL_POLICIES:
            yield Problem(f"{_path(label)}.imagePullPolicy", repr(policy), _one_of(PULL_POLICIES), _RESOURCES)
        for toleration in config.get("tolerations", ()):
            where = f"{_path(label)}.tolerations"
            operator, effect = toleration.get("operator", ""), toleration.get("effect", "")
            if operator not in OPERATORS or effect not in EFFECTS:
                expected = f"operator {_one_of(OPERATORS)}, effect {_one_of(EFFECTS)}"
                yield Problem(where, str(toleration), expected, _RESOURCES)
            if operator == "Exists" and toleration.get("value"):
                yield Problem(where, str(toleration), "no value, since Exists compares none", _RESOURCES)
            if "tolerationSeconds" in toleration and effect != "NoExecute":
                yield Problem(where, str(toleration), "tolerationSeconds with NoExecute only", _RESOURCES)


def volumes_do_not_collide(document: Document) -> Iterator[Problem]:
    """The driver names a volume after its claim, secret or config map; names and mount paths are unique in a pod.

    The launcher's own volumes are mounted in every step already.
    """
    for label, config in document.executor_configs.items():
        names: set[str] = set()
        paths = set(SCRATCH)
        for where, name, path in _volumes(config):
            if not _OBJECT.fullmatch(name) or name in names:
                yield Problem(f"{_path(label)}.{where}", f"the volume {name!r}", "a DNS name that is free", _RESOURCES)
            if path.rstrip("/") in paths or not path.startswith("/"):
                expected = "an absolute path at which nothing is mounted yet"
                yield Problem(f"{_path(label)}.{where}", f"the mount path {path!r}", expected, _RESOURCES)
            names.add(name)
            paths.add(path.rstrip("/"))


def retries_can_happen(document: Document) -> Iterator[Problem]:
    """What is missing in a retry policy becomes "0" in Argo, and with a `maxDuration` of 0 it never tries again.

    `backoffMaxDuration` is that `maxDuration`: it counts from the start of the first attempt, so it must outlast all
    that an attempt may take. Argo reads the factor as a whole number, and of durations only the seconds are passed.
    """
    for call in document.calls():
        policy = call.task.get("retryPolicy")
        if policy is None:
            continue
        where = f"{call.where}.retryPolicy"
        if not 1 <= policy.get("maxRetryCount", 0) <= 100:
            yield Problem(f"{where}.maxRetryCount", repr(policy.get("maxRetryCount")), "1 to 100", _RESOURCES)
        factor = policy.get("backoffFactor", 0)
        if factor < 1 or factor != int(factor):
            yield Problem(f"{where}.backoffFactor", repr(factor), "a whole number from 1", _RESOURCES)
        wait, longest = (_seconds(policy.get(key, "")) for key in ("backoffDuration", "backoffMaxDuration"))
        if wait is None or longest is None or longest <= wait:
            received = f"{policy.get('backoffDuration')} and {policy.get('backoffMaxDuration')}"
            yield Problem(where, received, "whole seconds, and a backoffMaxDuration over backoffDuration", _RESOURCES)
            continue
        config = document.executor_configs.get(call.component.get("executorLabel", ""), {})
        timeout = int(config.get("activeDeadlineSeconds", 0))
        if longest <= timeout:
            expected = f"more than the step's timeout of {timeout} s, or no second attempt follows a slow first one"
            yield Problem(f"{where}.backoffMaxDuration", f"{longest} s", expected, _RESOURCES)


def timeouts_are_positive(document: Document) -> Iterator[Problem]:
    """Kubernetes refuses a pod with a deadline of 0 or less."""
    for label, config in document.executor_configs.items():
        if "activeDeadlineSeconds" in config and int(config["activeDeadlineSeconds"]) < 1:
            received = str(config["activeDeadlineSeconds"])
            yield Problem(f"{_path(label)}.activeDeadlineSeconds", received, "1 or more seconds", _RESOURCES)


def _path(label: str) -> str:
    return f"platforms.kubernetes.deploymentSpec.executors.{label}"


def _quantity(where: str, written: str, amounts: dict[str, Decimal]) -> Iterator[Problem]:
    try:
        amounts[where] = amount(written)
    except ValueError as error:
        yield Problem(where, repr(written), "a Kubernetes quantity", f"{error}.")


def _key(key: str) -> bool:
    """Is it the key of a label: a name, or a DNS name and a name?"""
    prefix, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_PREFIX.fullmatch(prefix)))


def _count(written: Any) -> bool:
    return str(written).isdigit() and int(written) > 0


def _seconds(duration: str) -> int | None:
    match = re.fullmatch(r"(\d+)s", duration)
    return int(match[1]) if match else None


def _volumes(config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield where each volume is written, its name in the pod, and its mount path."""
    for kind, constant, parameter in (
        ("pvcMount", "constant", "pvcNameParameter"),
        ("secretAsVolume", "secretName", "secretNameParameter"),
        ("configMapAsVolume", "configMapName", "configMapNameParameter"),
        ("emptyDirMounts", "volumeName", ""),
        ("genericEphemeralVolume", "volumeName", ""),
    ):
        for mount in config.get(kind, ()):
            value = mount.get(parameter, {}).get("runtimeValue", {}).get("constant")
            yield kind, str(value or mount.get(constant, "")), str(mount.get("mountPath", ""))


def _one_of(known: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in known)

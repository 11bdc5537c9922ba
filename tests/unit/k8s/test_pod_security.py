"""Every pod, also those that operators make, keeps the rules of pod security "restricted" and a few of ours."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import JOBS, OVERLAYS, Manifest, PodTemplate, of_kind, pod_templates

ALL = [
    *(template for name in OVERLAYS for template in pod_templates(manifests.overlay(name))),
    *(template for name in JOBS for template in pod_templates(manifests.training(name))),
]
HARMLESS_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "KEY", "CREDENTIAL")


def broken_rules(template: PodTemplate) -> Iterator[str]:
    """Yield what pod security "restricted" (v1.31) forbids about a pod."""
    spec, pod = template.spec, template.spec.get("securityContext", {})
    yield from (f"{key} of the node" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    for volume in spec.get("volumes", []):
        if not HARMLESS_VOLUMES & volume.keys():
            yield f"volume {volume['name']}"
    for container in template.containers:
        own = container.get("securityContext", {})
        if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
            yield "may run as root"
        if own.get("runAsUser", pod.get("runAsUser")) == 0:
            yield "runs as root"
        if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in {"RuntimeDefault", "Localhost"}:
            yield "no seccomp profile"
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "may gain privileges"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            yield "keeps capabilities"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield "a port of the node"


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.owner)
def test_each_pod_is_admitted_as_restricted(template: PodTemplate) -> None:
    assert list(broken_rules(template)) == []


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("hostNetwork",), True, "hostNetwork of the node"),
        (("volumes", 0), {"name": "docker", "hostPath": {"path": "/run"}}, "volume docker"),
        (("securityContext", "runAsNonRoot"), False, None),  # the container says it again
        (("securityContext", "runAsUser"), 0, "runs as root"),
        (("securityContext", "seccompProfile", "type"), "Unconfined", "no seccomp profile"),
        (("containers", 0, "securityContext", "runAsNonRoot"), False, "may run as root"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "may gain privileges"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["NET_RAW"]}, "keeps capabilities"),
        (("containers", 0, "ports", 0, "hostPort"), 80, "a port of the node"),
    ],
)
def test_a_pod_that_breaks_a_rule_is_found(path: tuple[Any, ...], value: Any, rule: str | None) -> None:
    (template,) = pod_templates(of_kind(manifests.overlay("generic"), "Deployment"))
    spec = copy.deepcopy(template.spec)
    part: Any = spec
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    broken = list(broken_rules(PodTemplate(template.owner, {}, {}, spec)))
    assert broken == ([rule] if rule else [])


def test_the_namespace_enforces_it() -> None:
    for name in OVERLAYS:
        (namespace,) = of_kind(manifests.overlay(name), "Namespace")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.owner)
def test_each_pod_has_a_read_only_root_no_token_and_bounds(template: PodTemplate) -> None:
    assert template.spec["automountServiceAccountToken"] is False
    for container in template.containers:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        for amount in ("cpu", "memory"):
            assert amount in container["resources"]["requests"]
            assert amount in container["resources"]["limits"]
        writable = {mount["mountPath"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")}
        assert not writable or "/tmp" in writable
    for volume in template.spec.get("volumes", []):
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_secret_is_written_down(name: str) -> None:
    rendered = manifests.overlay(name)
    assert of_kind(rendered, "Secret") == []
    for template in pod_templates(rendered):
        for variable in (variable for container in template.containers for variable in container.get("env", [])):
            if any(word in variable["name"] for word in SECRET_WORDS):
                assert "value" not in variable, f"{template.owner}: {variable['name']}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_only_who_asks_the_api_has_a_token(name: str) -> None:
    """Accounts bound to no role get none, so that a stolen pod has nothing to show."""
    rendered: tuple[Manifest, ...] = manifests.overlay(name)
    with_token = {
        account["metadata"]["name"]
        for account in of_kind(rendered, "ServiceAccount")
        if account["automountServiceAccountToken"]
    }
    assert with_token <= {"pipeline-runner"}

"""checkov finds nothing in what the overlays render but the exceptions, each with its reason, of k8s/checkov.yaml."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import JOBS, OVERLAYS, Manifest

CONFIG = manifests.FOLDER / "checkov.yaml"
KNOWN = {"Deployment", "CronJob", "Job"}  # of the kinds that make pods


def checked(objects: list[Manifest], folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return (check, object) for each check that passed and each that failed, leaving out none."""
    file = folder / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    command = [manifests.tool("checkov"), "-f", str(file), "--framework", "kubernetes", "--skip-download", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    results = json.loads(done.stdout)["results"]
    assert results["parsing_errors"] == []
    return {
        outcome: [(check["check_id"], check["resource"]) for check in results[f"{outcome}_checks"]]
        for outcome in ("passed", "failed")
    }


def plain(rendered: tuple[Manifest, ...]) -> list[Manifest]:
    """Return the objects, and a Pod or Job for each pod template that checkov would not see in an operator's object."""
    pods: list[Manifest] = []
    for template in manifests.pod_templates(rendered):
        kind, name = template.owner.split(" ", 1)
        if kind not in KNOWN:
            meta = {"name": name.split("/")[-1], "namespace": "sluice", "labels": template.labels}
            spec: dict[str, Any] = json.loads(json.dumps(template.spec))
            for container in spec["containers"]:
                container.setdefault("image", "kserve/tensorflow:1")  # KServe chooses it
            if kind != "InferenceService":  # workers, which end by themselves
                spec["restartPolicy"] = "Never"
                job = {"template": {"metadata": {"labels": template.labels}, "spec": spec}}
                pods.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": job})
            else:
                pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    return [*rendered, *pods]


def exceptions() -> dict[str, str]:
    """Return the checks that are left out, each with the reason that stands beside it."""
    text = CONFIG.read_text(encoding="utf-8")
    reasons = dict(re.findall(r"^  - (CKV_\w+) # (.+)$", text, re.MULTILINE))
    assert list(reasons) == yaml.safe_load(text)["skip-check"], "an exception has no reason beside it"
    return reasons


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    objects = [item for name in OVERLAYS for item in plain(manifests.overlay(name))]
    objects += [item for name in JOBS for item in plain(manifests.training(name))]
    return checked([*objects, weaker()], tmp_path_factory.mktemp("policy"))


def weaker() -> Manifest:
    """Return a pod that breaks some rules, to see that they are looked at."""
    (pod,) = [item for item in plain(manifests.overlay("kserve")) if item["kind"] == "Pod"]
    pod["metadata"]["name"] = "weaker"
    pod["spec"]["containers"][0] |= {"securityContext": {"privileged": True}, "image": "server:latest"}
    return pod


def test_nothing_breaks_a_policy_without_a_reason(found: dict[str, list[tuple[str, str]]]) -> None:
    failed = {check for check, resource in found["failed"] if "weaker" not in resource}
    assert failed == exceptions().keys()  # neither one more, nor an exception that is no longer needed
    assert len({check for check, _ in found["passed"]}) > 60


def test_a_weaker_pod_is_found(found: dict[str, list[tuple[str, str]]]) -> None:
    failed = {check for check, resource in found["failed"] if "weaker" in resource}
    assert {"CKV_K8S_16", "CKV_K8S_14", "CKV_K8S_22"} <= failed  # privileged, no tag, root can be written

"""The quota holds what the overlays start, and the largest node that a step may ask for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import OVERLAYS, of_kind, pod_templates

UNITS = {"m": 1e-3, "": 1.0, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
POOLS = yaml.safe_load((manifests.FOLDER / "node_pools.yaml").read_text(encoding="utf-8"))["pools"]


def number(quantity: Any) -> float:
    """Return a Kubernetes quantity as a number."""
    text = str(quantity)
    digits = text.rstrip("mKMGTi")
    return float(digits) * UNITS[text[len(digits) :]]


def hard() -> dict[str, float]:
    """Return all limits of the namespace."""
    quotas = of_kind(manifests.overlay("generic"), "ResourceQuota")
    return {name: number(amount) for quota in quotas for name, amount in quota["spec"]["hard"].items()}


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_an_overlay_starts_fits(name: str) -> None:
    rendered = manifests.overlay(name)
    copies = {
        item["spec"]["scaleTargetRef"]["name"]: item["spec"]["maxReplicas"]
        for item in of_kind(rendered, "HorizontalPodAutoscaler")
    }
    needed = {"cpu": 0.0, "memory": 0.0}
    for template in pod_templates(rendered):
        times = copies.get(template.owner.split("/")[-1], template.spec.get("maxReplicas", 2))
        for container in template.containers:
            for resource in needed:
                needed[resource] += times * number(container["resources"]["requests"][resource])
    assert 0 < needed["cpu"] <= hard()["requests.cpu"]
    assert 0 < needed["memory"] <= hard()["requests.memory"]
    volumes = sum(
        number(item["spec"]["resources"]["requests"]["storage"]) for item in of_kind(rendered, "PersistentVolumeClaim")
    )
    assert volumes <= hard()["requests.storage"]


@pytest.mark.parametrize("pool", sorted(POOLS))
def test_a_step_may_take_a_whole_node_of_each_pool(pool: str) -> None:
    machine, accelerator = POOLS[pool]["machine"], POOLS[pool].get("accelerator")
    assert number(machine["cpu"]) <= hard()["requests.cpu"]
    assert number(machine["memory"]) <= hard()["limits.memory"]
    if accelerator:
        assert accelerator["count"] <= hard()[f"requests.{accelerator['resource']}"]


def test_a_pod_without_requests_of_its_own_gets_some() -> None:
    """Otherwise the quota would refuse Argo's helper containers."""
    (limits,) = of_kind(manifests.overlay("generic"), "LimitRange")
    (container,) = [item for item in limits["spec"]["limits"] if item["type"] == "Container"]
    counted = {
        name.split(".")[1]
        for name in hard()
        if name in {"requests.cpu", "requests.memory", "requests.ephemeral-storage"}
    }
    assert counted == container["defaultRequest"].keys()
    assert "memory" in container["default"]  # limits.memory is counted too

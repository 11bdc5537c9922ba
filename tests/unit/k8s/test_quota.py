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
    assert number(machine["memory"]) <= hard()["requests.memory"]
    if accelerator:
        assert accelerator["count"] <= hard()[f"requests.{accelerator['resource']}"]


@pytest.mark.parametrize(
    "asked",
    [
        {},  # Argo's helper containers
        {"requests": {"cpu": "1", "memory": "4Gi"}},  # a step; without a limit unless the spec sets one
        {"requests": {"cpu": "88", "memory": "600Gi"}, "limits": {"nvidia.com/gpu": "8"}},
        {"limits": {"cpu": "2", "memory": "1Gi"}},
    ],
)
def test_a_container_is_admitted(asked: dict[str, dict[str, str]]) -> None:
    assert refused(asked, of_kind(manifests.overlay("generic"), "LimitRange")[0]) == []


def test_a_default_limit_below_a_request_is_found() -> None:
    defaults = {"type": "Container", "defaultRequest": {"cpu": "1"}, "default": {"memory": "1Gi"}}
    assert refused({"requests": {"memory": "4Gi"}}, {"spec": {"limits": [defaults]}}) == [
        "it asks for more memory than its limit",
        "the quota counts requests.ephemeral-storage, and it asks for none",
    ]


def refused(asked: dict[str, dict[str, str]], limit_range: dict[str, Any]) -> list[str]:
    """Return why the API server would refuse a container, after it has filled in the defaults of the namespace."""
    (defaults,) = [item for item in limit_range["spec"]["limits"] if item["type"] == "Container"]
    limits = defaults.get("default", {}) | asked.get("limits", {})
    # a limit of its own is also its request, before the namespace's default is
    requests = defaults["defaultRequest"] | asked.get("limits", {}) | asked.get("requests", {})
    found = [
        f"it asks for more {name} than its limit"
        for name, amount in requests.items()
        if name in limits and number(amount) > number(limits[name])
    ]
    counted = [name for name in hard() if name.split(".")[0] in {"requests", "limits"} and "/" not in name]
    for name in counted:
        kind, resource = name.split(".", 1)
        if resource != "storage" and resource not in (requests if kind == "requests" else limits):
            found.append(f"the quota counts {name}, and it asks for none")
    return found

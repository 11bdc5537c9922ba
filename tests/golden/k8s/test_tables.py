"""What each account may do and whom each pod may talk to is what was committed, and never more than some bounds."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.golden.k8s import tables
from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import OVERLAYS, Manifest, of_kind

AGAIN = "If it is meant, write the tables again: python -m tests.golden.k8s.tables"
NEVER = {"bind", "escalate", "impersonate", "*", "deletecollection"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_account_may_do_what_the_table_says(name: str) -> None:
    committed = (tables.HERE / f"rights_{name}.txt").read_text(encoding="utf-8")
    assert tables.rights_table(manifests.overlay(name)) == committed, AGAIN


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_pod_has_the_network_flows_that_the_table_says(name: str) -> None:
    committed = (tables.HERE / f"flows_{name}.txt").read_text(encoding="utf-8")
    assert tables.flows_table(manifests.overlay(name)) == committed, AGAIN


@pytest.fixture(params=["everything", *OVERLAYS])
def rendered(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Manifest, ...]:
    if request.param != "everything":
        return manifests.overlay(request.param)
    in_gke = {"google_cloud", "kubeflow", "training_runtime", "prometheus"}
    return manifests.with_components("gke", [name for name in manifests.COMPONENTS if name not in in_gke], tmp_path)


def test_no_right_is_wider_than_it_must_be(rendered: tuple[Manifest, ...]) -> None:
    for role in of_kind(rendered, "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert not NEVER & {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}, role["metadata"]["name"]
            if "secrets" in rule["resources"]:
                assert rule["verbs"] == ["get"]
                assert rule["resourceNames"]
            assert not {"pods/exec", "pods/attach", "serviceaccounts/token", "nodes"} & {*rule["resources"]}
    for role in of_kind(rendered, "ClusterRole"):
        assert all(rule["verbs"] == ["get"] and rule["resourceNames"] for rule in role["rules"])
    assert not [item for item in of_kind(rendered, "ClusterRoleBinding") if item["roleRef"]["name"] == "cluster-admin"]


def test_without_a_policy_of_its_own_a_pod_reaches_dns_only(rendered: tuple[Manifest, ...]) -> None:
    (default,) = [item for item in of_kind(rendered, "NetworkPolicy") if item["metadata"]["name"] == "default-deny"]
    assert default["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    reached = tables.flows(rendered, tables.OURS, {})
    assert {ports for _, _, ports in reached} == {"UDP 53, TCP 53"}
    assert {direction for direction, _, _ in reached} == {"reaches"}


def test_each_policy_says_which_way_it_restricts(rendered: tuple[Manifest, ...]) -> None:
    for policy in of_kind(rendered, "NetworkPolicy"):
        spec = policy["spec"]
        if policy["metadata"]["name"] != "default-deny":
            assert [way.lower() for way in spec["policyTypes"]] == [way for way in ("ingress", "egress") if way in spec]
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule.get("from") or rule.get("to"), "a rule without a peer lets in everyone"


@pytest.mark.parametrize("labels", [tables.STEP, tables.PODS["training worker"]], ids=["step", "worker"])
def test_kubeflow_opens_the_doors_that_our_pods_go_to(labels: dict[str, str]) -> None:
    rendered = manifests.overlay("generic")
    doors = {
        "ml-pipeline": {"app": "ml-pipeline"},
        "seaweedfs": {"app": "seaweedfs"},
        "minio": {"app": "minio"},
        "metadata": {"component": "metadata-grpc-server"},
    }
    for name, door in doors.items():
        going = {
            port["port"]
            for policy in of_kind(rendered, "NetworkPolicy")
            if policy["metadata"]["namespace"] == "sluice" and tables.selects(policy["spec"]["podSelector"], labels)
            for rule in policy["spec"].get("egress", [])
            for peer in rule["to"]
            if peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name") == "kubeflow"
            and tables.selects(peer["podSelector"], door)
            for port in rule["ports"]
        }
        let_in = {
            port["port"]
            for policy in of_kind(rendered, "NetworkPolicy")
            if policy["metadata"]["namespace"] == "kubeflow" and tables.selects(policy["spec"]["podSelector"], door)
            for rule in policy["spec"]["ingress"]
            if any(tables.selects(peer["podSelector"], labels) for peer in rule["from"])
            for port in rule["ports"]
        }
        assert going == let_in, name


def test_a_right_that_is_added_shows_in_the_table() -> None:
    wider = [copy.deepcopy(item) for item in manifests.overlay("gke")]
    (role,) = [item for item in of_kind(wider, "Role") if item["metadata"]["name"] == "pipeline-runner"]
    role["rules"][0]["verbs"].append("delete")
    before, after = (set(tables.rights_table(item).splitlines()) for item in (manifests.overlay("gke"), wider))
    (line,) = after - before
    assert line.split() == [
        "pipeline-runner",
        "workflowtaskresults.argoproj.io",
        "in",
        "sluice",
        "create",
        "delete",
        "patch",
    ]


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
    ],
)
def test_selectors_match_as_kubernetes_says(selector: dict, labels: dict[str, str], expected: bool) -> None:
    assert tables.selects(selector, labels) is expected

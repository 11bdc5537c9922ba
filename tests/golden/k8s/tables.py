"""Two tables read off rendered manifests: what each account may do, and which network flows each pod has.

`python -m tests.golden.k8s.tables` writes the committed ones again; read the difference before you commit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import OVERLAYS, Manifest, of_kind

HERE = Path(__file__).parent
OURS = "sluice"
STEP = {"workflows.argoproj.io/workflow": "any"}
PODS = {
    "model server": {"app.kubernetes.io/component": "model-server"},
    "scheduled run": {"app.kubernetes.io/component": "scheduled-run"},
    "training worker": {"app.kubernetes.io/component": "training-worker"},
    "training launcher": {"sluice.dev/kubernetes-api": "true"},
    "step of a Kubeflow run": STEP,
    "any other pod": {},
}
"""The kinds of pod there are in the namespace, by the labels that policies know them by."""

Right = tuple[str, str, str]
Peer = dict[str, Any]


def rights(rendered: Iterable[Manifest]) -> list[Right]:
    """Return (account, resource, verbs) for each thing that an account, or a group of them, may do."""
    rendered = list(rendered)
    roles = {
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item["rules"]
        for item in of_kind(rendered, "Role", "ClusterRole")
    }
    found: dict[tuple[str, str], set[str]] = {}
    for binding in of_kind(rendered, "RoleBinding", "ClusterRoleBinding"):
        place, ref = binding["metadata"].get("namespace"), binding["roleRef"]
        where = f" in {place}" if place else " everywhere"
        for rule in roles[ref["kind"], place if ref["kind"] == "Role" else None, ref["name"]]:
            for subject in binding["subjects"]:
                for what in _resources(rule):
                    found.setdefault((_subject(subject), what + where), set()).update(rule["verbs"])
    return sorted((account, what, " ".join(sorted(verbs))) for (account, what), verbs in found.items())


def _resources(rule: dict[str, Any]) -> Iterator[str]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            only = f" {', '.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
            yield f"{resource}{'.' + group if group else ''}{only}"


def _subject(subject: dict[str, str]) -> str:
    return subject["name"] if subject["kind"] == "ServiceAccount" else f"{subject['kind']} {subject['name']}"


def rights_table(rendered: Iterable[Manifest]) -> str:
    """Return the rights as text, accounts that may do nothing included."""
    rendered = list(rendered)
    rows = rights(rendered)
    accounts = {item["metadata"]["name"] for item in of_kind(rendered, "ServiceAccount")}
    rows += [(name, "nothing", "") for name in accounts - {account for account, _, _ in rows}]
    return _aligned(("account", "may touch", "verbs"), sorted(rows))


def flows(rendered: Iterable[Manifest], namespace: str, labels: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return (direction, peer, ports) for each flow that the policies of a namespace allow pods with these labels."""
    found = set()
    for policy in of_kind(rendered, "NetworkPolicy"):
        if policy["metadata"]["namespace"] != namespace or not selects(policy["spec"]["podSelector"], labels):
            continue
        for direction, key, peers in (("reached by", "ingress", "from"), ("reaches", "egress", "to")):
            for rule in policy["spec"].get(key, []):
                for peer in rule.get(peers, [{}]):
                    found.add((direction, _peer(peer, namespace), _ports(rule)))
    return sorted(found)


def flows_table(rendered: Iterable[Manifest]) -> str:
    """Return the flows of each kind of pod as text."""
    rendered = list(rendered)
    rows = []
    for name, labels in PODS.items():
        rows += [(name, f"{direction} {peer}", ports) for direction, peer, ports in flows(rendered, OURS, labels)]
    return _aligned(("pod", "flow", "ports"), rows)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector matches; an empty one matches everything."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    for one in selector.get("matchExpressions", []):
        has = one["key"] in labels
        holds = {
            "Exists": has,
            "DoesNotExist": not has,
            "In": has and labels.get(one["key"]) in one.get("values", []),
            "NotIn": labels.get(one["key"]) not in one.get("values", []),
        }
        if not holds[one["operator"]]:
            return False
    return True


def _peer(peer: Peer, namespace: str) -> str:
    if not peer:
        return "anyone"
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return block["cidr"] + (f" except {' '.join(block['except'])}" if "except" in block else "")
    place = _words(peer["namespaceSelector"]) if "namespaceSelector" in peer else namespace
    return f"{place.removeprefix('kubernetes.io/metadata.name=')}: {_words(peer.get('podSelector', {})) or 'any pod'}"


def _words(selector: dict[str, Any]) -> str:
    words = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        words.append(
            f"{one['key']}={'|'.join(one['values'])}" if one.get("values") else f"{one['key']} {one['operator']}"
        )
    return ", ".join(words)


def _ports(rule: dict[str, Any]) -> str:
    return ", ".join(f"{port['protocol']} {port['port']}" for port in rule.get("ports", [])) or "all"


def _aligned(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    rows = [heads, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the committed tables again."""
    for name in OVERLAYS:
        (HERE / f"rights_{name}.txt").write_text(rights_table(manifests.overlay(name)), encoding="utf-8")
        (HERE / f"flows_{name}.txt").write_text(flows_table(manifests.overlay(name)), encoding="utf-8")


if __name__ == "__main__":
    main()

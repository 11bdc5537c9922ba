"""Holds a manifest against the schema of its kind: Kubernetes' own, or the one its operator installs."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema.protocols import Validator
from referencing import Registry, Resource

from tests.unit.k8s.manifests import TOOLS, Manifest, name_of

KUBERNETES_VERSIONS = ("1.31", "1.34", "1.37")
"""What the manifests are for: the version that pod security is pinned to, the newest with a schema, and one between."""


def problems(manifest: Manifest, kubernetes_versions: Sequence[str] = KUBERNETES_VERSIONS) -> list[str]:
    """Return what is wrong with a manifest, under these versions of Kubernetes and all there are of its operator."""
    if definitions := _definitions().get((manifest["apiVersion"], manifest["kind"])):
        return [line for version, schema in definitions for line in _against(schema, manifest, version)]
    own = [
        (version, _of_kubernetes(version, manifest["apiVersion"], manifest["kind"])) for version in kubernetes_versions
    ]
    return [line for version, schema in own for line in _against(schema, manifest, version)]


def _against(validator: Validator, manifest: Manifest, version: str) -> list[str]:
    errors = validator.iter_errors(manifest)
    return [f"{name_of(manifest)}: {'.'.join(map(str, error.path))}: {error.message} ({version})" for error in errors]


@functools.cache
def _of_kubernetes(version: str, api_version: str, kind: str) -> Validator:
    """Return the strict schema that kubernetes-validate has of a kind; read once, which it does not do itself."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    try:
        schema = _read(version, f"{kind.lower()}-{group}.json")
    except FileNotFoundError:
        pytest.fail(f"there is no schema for {api_version} {kind} in Kubernetes {version} nor of an operator")
    return jsonschema.Draft202012Validator(
        schema, registry=_shared(version).with_resource("", Resource.from_contents(schema))
    )


@functools.cache
def _shared(version: str) -> Registry:
    """Return what the schemas of a version refer to."""
    return Resource.from_contents(_read(version, "_definitions.json")) @ Registry()


def _read(version: str, name: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    return json.loads((folder / name).read_text(encoding="utf-8"))


@functools.cache
def _definitions() -> dict[tuple[str, str], list[tuple[str, Validator]]]:
    """Return the schemas of the operators' kinds, one per version of the operator, as the API server applies them."""
    crds = sorted((TOOLS / "crds").glob("*.yaml"))
    if not crds:
        pytest.fail(f"there are no schemas in {TOOLS / 'crds'}. What to do: call scripts/kubernetes_tools.")
    found: dict[tuple[str, str], list[tuple[str, Validator]]] = {}
    for file in crds:
        spec = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]  # noqa: S506 - a safe loader, in C
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            kind = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            validator = jsonschema.Draft202012Validator(_strict(schema))
            found.setdefault(kind, []).append((file.name.split("-")[0], validator))
    return found


def _strict(schema: Any) -> Any:
    """Refuse what the API server would silently drop: fields that the schema does not name."""
    if isinstance(schema, dict):
        for value in schema.values():
            _strict(value)
        open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        if schema.get("type") == "object" and not open_ended:
            schema["additionalProperties"] = False
    elif isinstance(schema, list):
        for value in schema:
            _strict(value)
    return schema

"""Holds a manifest against the schema of its kind: Kubernetes' own, or the one its operator installs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.unit.k8s.manifests import TOOLS, Manifest, name_of

KUBERNETES_VERSIONS = ("1.31", "1.34", "1.37")
"""What the manifests are for: the version that pod security is pinned to, the newest with a schema, and one between."""


def problems(manifest: Manifest, kubernetes_versions: Sequence[str] = KUBERNETES_VERSIONS) -> list[str]:
    """Return what is wrong with a manifest, under these versions of Kubernetes and all there are of its operator."""
    if definitions := _definitions().get((manifest["apiVersion"], manifest["kind"])):
        return [line for version, schema in definitions for line in _against(schema, manifest, version)]
    found = []
    for version in kubernetes_versions:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            found.append(f"{name_of(manifest)}: there is no schema for {manifest['apiVersion']} {manifest['kind']}")
        except kubernetes_validate.ValidationError as error:
            found.append(f"{name_of(manifest)}: {'.'.join(map(str, error.path))}: {error.message} ({version})")
    return found


def _against(schema: dict[str, Any], manifest: Manifest, version: str) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{name_of(manifest)}: {'.'.join(map(str, error.path))}: {error.message} ({version})" for error in errors]


@functools.cache
def _definitions() -> dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]:
    """Return the schemas of the operators' kinds, one per version of the operator, as the API server applies them."""
    files = sorted((TOOLS / "crds").glob("*.yaml"))
    if not files:
        pytest.fail(f"there are no schemas in {TOOLS / 'crds'}. What to do: call scripts/kubernetes_tools.")
    found: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for file in files:
        spec = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]  # noqa: S506 - a safe loader, in C
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            kind = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            found.setdefault(kind, []).append((file.name.split("-")[0], _strict(schema)))
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

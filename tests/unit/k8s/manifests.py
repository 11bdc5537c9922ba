"""Renders k8s/ as `kubectl apply -k` does, and finds its way about what comes out."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "k8s"
TOOLS = REPOSITORY / ".runtime" / "kubernetes"
OVERLAYS = ("local", "generic", "gke", "kserve")
JOBS = ("indexed_job", "train_job", "tf_job")
COMPONENTS = tuple(sorted(path.parent.name for path in FOLDER.glob("components/*/kustomization.yaml")))

Manifest = dict[str, Any]


@dataclass(frozen=True)
class PodTemplate:
    """What some object makes pods from.

    Args:
        owner: kind and name of that object.
        labels: of the pods.
        annotations: of the pods.
        spec: of the pods.
    """

    owner: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All containers, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def tool(name: str) -> str:
    """Return the path of a program, or fail the test with what to do."""
    found = shutil.which(name) or shutil.which(name, path=TOOLS / "bin")
    if found is None:
        pytest.fail(f"{name} is not on PATH and not in {TOOLS / 'bin'}. What to do: call scripts/kubernetes_tools.")
    return found


@functools.cache
def render(folder: Path) -> tuple[Manifest, ...]:
    """Return what `kubectl kustomize` makes of a folder."""
    done = subprocess.run([tool("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"kubectl kustomize {folder} failed:\n{done.stderr}")
    return tuple(yaml.safe_load_all(done.stdout))


def overlay(name: str) -> tuple[Manifest, ...]:
    """Return the objects of an overlay."""
    return render(FOLDER / "overlays" / name)


def training(name: str) -> tuple[Manifest, ...]:
    """Return the objects that start workers by hand."""
    return render(FOLDER / "training" / name)


def with_components(base: str, components: Iterable[str], folder: Path) -> tuple[Manifest, ...]:
    """Return the objects of an overlay to which someone adds components, as the README says to."""
    root = Path(os.path.relpath(FOLDER, folder.resolve()))
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(root / "overlays" / base)],
        "components": [str(root / "components" / name) for name in components],
        "images": [{"name": "sluice-step", "newName": "registry.example.com/sluice/step", "newTag": "0.1.0"}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    return render(folder)


def name_of(manifest: Manifest) -> str:
    """Return `Kind namespace/name`, or `Kind name` for what belongs to the cluster."""
    meta = manifest["metadata"]
    return f"{manifest['kind']} {meta['namespace'] + '/' if 'namespace' in meta else ''}{meta['name']}"


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Return the objects of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pod_templates(manifests: Iterable[Manifest]) -> list[PodTemplate]:
    """Return every pod template, however deep an operator's object holds it."""
    return [template for manifest in manifests for template in _templates(manifest)]


def _templates(manifest: Manifest) -> Iterator[PodTemplate]:
    owner = name_of(manifest)
    if manifest["kind"] == "InferenceService":  # KServe makes the pod from the predictor itself
        predictor = manifest["spec"]["predictor"]
        spec = {key: value for key, value in predictor.items() if key != "model"}
        spec["containers"] = [{"name": "model", **predictor["model"]}]
        yield PodTemplate(owner, predictor.get("labels", {}), predictor.get("annotations", {}), spec)
        return
    for node in _dictionaries(manifest):
        spec = node.get("spec")
        if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
            meta = node.get("metadata", {})
            yield PodTemplate(owner, meta.get("labels", {}), meta.get("annotations", {}), spec)


def _dictionaries(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _dictionaries(child)

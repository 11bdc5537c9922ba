"""The manifests render, are valid under the schemas of what they are for, and hang together."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines import spec as pipeline_spec
from tests.unit.k8s import manifests, schemas
from tests.unit.k8s.manifests import COMPONENTS, JOBS, OVERLAYS, Manifest, name_of, of_kind, pod_templates

EVERYTHING = [*(("overlays", name) for name in OVERLAYS), *(("training", name) for name in JOBS)]
MADE_BY_OTHERS = {
    "ServiceAccount sluice/default": "Kubernetes makes it with the namespace",
    "Secret sluice/mlpipeline-minio-artifact": "Kubeflow makes it in the namespace of a profile",
    "Secret sluice/sluice-artifact-store": "made by hand or by components/external_secret",
    "ConfigMap sluice/kfp-launcher": "Kubeflow makes it in the namespace of a profile",
}


@pytest.fixture(params=EVERYTHING, ids=lambda where: "/".join(where))
def rendered(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    return manifests.render(manifests.FOLDER.joinpath(*request.param))


def test_each_object_is_valid_under_the_schema_of_its_kind(rendered: tuple[Manifest, ...]) -> None:
    assert [problem for manifest in rendered for problem in schemas.problems(manifest)] == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_can_be_added_to_an_overlay(component: str, tmp_path: Path) -> None:
    base = next(name for name in OVERLAYS if component not in _components_of(name))
    with_it = manifests.with_components(base, [component], tmp_path)
    assert [problem for manifest in with_it for problem in schemas.problems(manifest, ["1.37"])] == []
    assert with_it != manifests.overlay(base)


def test_everything_at_once_is_valid(tmp_path: Path) -> None:
    rest = [name for name in COMPONENTS if name not in _components_of("generic")]
    with_all = manifests.with_components("generic", rest, tmp_path)
    assert [problem for manifest in with_all for problem in schemas.problems(manifest)] == []
    assert len({name_of(manifest) for manifest in with_all}) == len(with_all)
    assert dangling(with_all) == []


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (("overlays", "local"), "Deployment"),
        (("overlays", "local"), "CronJob"),
        (("overlays", "local"), "NetworkPolicy"),
        (("overlays", "gke"), "ClusterTrainingRuntime"),
        (("overlays", "gke"), "PodMonitor"),
        (("overlays", "kserve"), "InferenceService"),
        (("training", "tf_job"), "TFJob"),
        (("training", "train_job"), "TrainJob"),
    ],
)
def test_a_misspelt_field_is_found_at_any_depth(place: tuple[str, str], kind: str) -> None:
    manifest = of_kind(manifests.render(manifests.FOLDER.joinpath(*place)), kind)[0]
    for misspelt in _misspelt(manifest):
        assert any("mispelt" in problem for problem in schemas.problems(misspelt, ["1.37"]))


def test_each_object_says_where_it_lives(rendered: tuple[Manifest, ...]) -> None:
    cluster = {"Namespace", "PriorityClass", "ClusterTrainingRuntime", "ClusterRole", "ClusterRoleBinding"}
    for manifest in rendered:
        if manifest["kind"] in cluster:
            assert "namespace" not in manifest["metadata"]
            assert manifest["metadata"]["name"].startswith("sluice")  # what others share carries our name
        else:
            doors = manifest["kind"] == "NetworkPolicy" and manifest["metadata"]["name"].startswith("sluice-")
            assert manifest["metadata"]["namespace"] == ("kubeflow" if doors else "sluice"), name_of(manifest)


def test_each_image_has_a_version(rendered: tuple[Manifest, ...]) -> None:
    images = [box["image"] for template in pod_templates(rendered) for box in template.containers if "image" in box]
    for image in images:
        assert re.fullmatch(r"[\w./-]+(:[\w.-]+|@sha256:[0-9a-f]{64})", image), image
        assert not image.endswith(":latest")


@pytest.mark.parametrize("name", OVERLAYS)
def test_whatever_an_object_names_is_there(name: str) -> None:
    assert dangling(manifests.overlay(name)) == []


@pytest.mark.parametrize("name", JOBS)
def test_whatever_a_training_names_is_in_an_overlay(name: str) -> None:
    others = manifests.overlay("gke" if name == "train_job" else "generic")
    assert dangling((*others, *manifests.training(name))) == []


def test_a_dangling_name_is_found() -> None:
    rendered = [copy.deepcopy(item) for item in manifests.overlay("local") if item["kind"] != "PersistentVolumeClaim"]
    assert dangling(rendered) == [
        "CronJob sluice/taxi names PersistentVolumeClaim sluice/sluice-root",
        "Deployment sluice/model-server names PersistentVolumeClaim sluice/sluice-root",
    ]


def test_the_autoscaler_owns_the_number_of_servers(rendered: tuple[Manifest, ...]) -> None:
    scaled = {scaler["spec"]["scaleTargetRef"]["name"] for scaler in of_kind(rendered, "HorizontalPodAutoscaler")}
    for deployment in of_kind(rendered, "Deployment"):
        assert deployment["metadata"]["name"] in scaled
        assert "replicas" not in deployment["spec"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_selectors_find_pods(name: str) -> None:
    rendered = manifests.overlay(name)
    labels = [template.labels for template in pod_templates(rendered)]
    for manifest in of_kind(rendered, "Service", "PodDisruptionBudget", "PodMonitor", "Deployment"):
        selector = manifest["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= found.items() for found in labels), name_of(manifest)


def test_the_schedule_runs_a_spec_that_there_is() -> None:
    (cron,) = of_kind(manifests.overlay("local"), "CronJob")
    (run,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    program, command, name, option, root = run["command"]
    assert (program, command, option) == ("sluice", "run", "--root")
    loaded = pipeline_spec.load_spec(name)
    (server,) = of_kind(manifests.overlay("local"), "ConfigMap")
    assert f'base_path: "{root}/{loaded.spec.serving.push_to}"' in server["data"]["models.config"]


def dangling(rendered: Any) -> list[str]:
    """Return what is named and not there, in the words of whoever names it."""
    there = {name_of(manifest) for manifest in rendered} | MADE_BY_OTHERS.keys()
    named = {(name_of(manifest), other) for manifest in rendered for other in _named_by(manifest)}
    named |= {(template.owner, other) for template in pod_templates(rendered) for other in _named_by_pod(template)}
    return sorted(f"{owner} names {other}" for owner, other in named if other not in there)


def _named_by(manifest: Manifest) -> list[str]:
    kind, spec = manifest["kind"], manifest.get("spec", {})
    if kind == "HorizontalPodAutoscaler":
        return [f"{spec['scaleTargetRef']['kind']} sluice/{spec['scaleTargetRef']['name']}"]
    if kind == "TrainJob":
        return [f"{spec['runtimeRef']['kind']} {spec['runtimeRef']['name']}"]
    if kind in {"RoleBinding", "ClusterRoleBinding"}:
        role, subjects = manifest["roleRef"], manifest["subjects"]
        place = "" if role["kind"] == "ClusterRole" else "sluice/"
        accounts = [f"ServiceAccount {one['namespace']}/{one['name']}" for one in subjects if "namespace" in one]
        return [f"{role['kind']} {place}{role['name']}", *accounts]
    if kind in {"Role", "ClusterRole"}:
        kinds = {"secrets": "Secret", "configmaps": "ConfigMap"}
        return [
            f"{kinds[resource]} sluice/{name}"
            for rule in manifest["rules"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames", [])
            if resource in kinds
        ]
    return []


def _named_by_pod(template: manifests.PodTemplate) -> list[str]:
    spec = template.spec
    named = [f"ServiceAccount sluice/{spec['serviceAccountName']}", f"PriorityClass {spec['priorityClassName']}"]
    for volume in spec.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            named.append(f"PersistentVolumeClaim sluice/{volume['persistentVolumeClaim']['claimName']}")
        if "configMap" in volume:
            named.append(f"ConfigMap sluice/{volume['configMap']['name']}")
    for container in template.containers:
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= {volume["name"] for volume in spec.get("volumes", [])}, template.owner
        if str(container.get("storageUri", "")).startswith("pvc://"):
            named.append(f"PersistentVolumeClaim sluice/{container['storageUri'].split('/')[2]}")
    return named


def _components_of(name: str) -> set[str]:
    text = (manifests.FOLDER / "overlays" / name / "kustomization.yaml").read_text(encoding="utf-8")
    return set(re.findall(r"\.\./components/(\w+)", text))


def _misspelt(manifest: Manifest) -> list[Manifest]:
    """Return copies of an object, each with an unknown field in one more of its parts that have fields of their own."""
    found = []
    for path in _paths(manifest):
        if path and not {"metadata", "labels", "matchLabels", "annotations", "requests", "limits"} & set(path):
            changed = copy.deepcopy(manifest)
            part: Any = changed
            for step in path:
                part = part[step]
            part["mispelt"] = 1
            found.append(changed)
    return found


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    here = [path] if isinstance(node, dict) else []
    return here + [found for key, value in inner for found in _paths(value, (*path, key))]

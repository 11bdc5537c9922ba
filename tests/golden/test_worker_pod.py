"""What each worker of a training asks of the cluster, as its pod says it; the files are as those of `test_platform`.

After a change that is meant, `python tests/golden/test_worker_pod.py` writes the second documents again; read the diff.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from components.training.launch.manifests import Workers, objects_of
from pipelines.ir.worker_pod import worker_pod
from pipelines.resources import worker_resources
from pipelines.spec import load_spec

FILES = sorted((Path(__file__).parent / "worker_pod").glob("*.yaml"))
KUBERNETES = "1.31"
TRAINER = {
    "metadata": {"name": "trainer", "namespace": "ml", "uid": "1"},
    "spec": {
        "containers": [{"name": "main", "image": "step"}],
        "nodeSelector": {"pool": "of-the-trainers-own-pod"},
        "tolerations": [{"key": "of-the-trainers-own-pod", "operator": "Exists"}],
    },
}
"""The pod of the Trainer's step, as the API shows it."""

SPEC = {
    "name": "trips",
    "task": "binary_classification",
    "data": {"path": "data.csv", "label": {"big_tip": "tips > 0.2 * fare"}, "features": {"miles": "numeric"}},
    "model": {"family": "mlp", "hidden_units": [8]},
}


def read(file: Path) -> list[dict[str, Any]]:
    """Return the part of a spec, and the pod if the file has one."""
    return list(yaml.safe_load_all(file.read_text()))


def pod_for(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the part of the pod for a spec."""
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**SPEC, **given}))
    return worker_pod(worker_resources(load_spec(path)))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_what_is_written_for_a_worker_is_in_its_file(file, tmp_path):
    given, expected = read(file)
    assert pod_for(given, tmp_path) == expected


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_kubernetes_takes_the_job_that_the_trainer_makes_of_it(file):
    part = read(file)[1]
    job = next(made for _, made in objects_of("job", Workers("t", 2, "/x", TRAINER, part), {}) if made["kind"] == "Job")
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    pod, wanted = job["spec"]["template"]["spec"], part["spec"]
    (container,), (ours,) = pod["containers"], wanted["containers"]
    assert pod.get("nodeSelector") == wanted.get("nodeSelector")
    assert pod.get("tolerations") == wanted.get("tolerations")
    assert container["resources"] == ours["resources"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert paths(ours) <= paths(container)
    assert {each["name"] for each in ours.get("env", [])} <= {each["name"] for each in container["env"]}


def paths(container: dict[str, Any]) -> set[str]:
    """Return where a container has volumes."""
    return {each["mountPath"] for each in container.get("volumeMounts", [])}


def rewrite() -> None:
    """Write what is written now into every file, under the part of the spec as it stands."""
    for file in FILES:
        head = file.read_text().partition("\n---\n")[0].rstrip("\n")
        with tempfile.TemporaryDirectory() as folder:
            found = pod_for(read(file)[0], Path(folder))
        file.write_text(f"{head}\n---\n{yaml.safe_dump(found, sort_keys=True, width=120)}")


if __name__ == "__main__":
    rewrite()

"""The container of k8s/'s CronJob, started as its manifest says: no rights, read-only root, no network."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from components.engine.container_engine import run_command
from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import of_kind


def arguments(pod: dict[str, Any], volumes: Path) -> list[str]:
    """Return the options of `docker run` that give a container what its manifest gives it."""
    (container,) = pod["containers"]
    user, own = pod["securityContext"], container["securityContext"]
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    options = ["--read-only", "--security-opt", "no-new-privileges", "--network", "none"]
    options += ["--user", f"{user['runAsUser']}:{user['runAsGroup']}"]
    options += [option for name in own["capabilities"]["drop"] for option in ("--cap-drop", name)]
    options += [option for each in container["env"] for option in ("--env", f"{each['name']}={each['value']}")]
    places = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        if "emptyDir" in places[mount["name"]]:
            options += ["--tmpfs", f"{mount['mountPath']}:rw,mode=1777"]
        else:
            options += ["--volume", f"{volumes}:{mount['mountPath']}"]
    return options


def test_it_plans_the_whole_pipeline_on_an_empty_volume(engine: str, step_image: str, tmp_path: Path) -> None:
    (cron,) = of_kind(manifests.overlay("local"), "CronJob")
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, command, *rest = pod["containers"][0]["command"]
    assert (program, command) == ("sluice", "run")
    tmp_path.chmod(0o777)  # as fsGroup makes it
    done = subprocess.run(
        [*run_command(engine), "--rm", *arguments(pod, tmp_path), step_image, program, "plan", *rest],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for component in ("ExampleGen", "Transform", "Trainer", "Evaluator", "Pusher"):
        assert component in done.stdout

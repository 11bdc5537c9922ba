"""Who trains together: read from what Kubernetes, Kubeflow or the launcher put into a worker's environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from components.errors import ComponentError

PORT = 2222
TIMEOUT_SECONDS = 600.0

JOB = "SLUICE_JOB"
WORKERS = "SLUICE_WORKERS"
INDEX = "SLUICE_WORKER_INDEX"
COMPLETION_INDEX = "JOB_COMPLETION_INDEX"
HOSTS = "SLUICE_WORKER_HOSTS"
PORT_NAME = "SLUICE_WORKER_PORT"
TIMEOUT = "SLUICE_WORKER_TIMEOUT_SECONDS"


@dataclass(frozen=True)
class Cluster:
    """The workers of one training, and which of them this process is.

    Args:
        addresses: `host:port` of each worker, the same in every worker.
        index: which one this is, from 0; worker 0 is the chief, which alone writes.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes checkpoints and the model."""
        return self.index == 0

    def tf_config(self) -> str:
        """Return what TensorFlow reads from `TF_CONFIG`."""
        return json.dumps(
            {"cluster": {"worker": list(self.addresses)}, "task": {"type": "worker", "index": self.index}},
            sort_keys=True,
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Cluster:
        """Return the cluster that the environment describes.

        `TF_CONFIG`, which Kubeflow's TFJob sets, wins. Else there are `SLUICE_WORKERS`, `SLUICE_WORKER_HOSTS` with
        `{index}` in it, and the index that Kubernetes gives to each pod of an Indexed Job.

        Raises:
            ComponentError: something is missing or cannot be; says which variable.

        Example:
            >>> given = {"SLUICE_WORKERS": "2", "SLUICE_WORKER_HOSTS": "x-{index}.x", "JOB_COMPLETION_INDEX": "1"}
            >>> Cluster.from_environment(given)
            Cluster(addresses=('x-0.x:2222', 'x-1.x:2222'), index=1)
        """
        if environment.get("TF_CONFIG"):
            return cls._of_tf_config(environment["TF_CONFIG"])
        workers = _whole(environment, WORKERS, least=1)
        pattern = environment.get(HOSTS, "")
        if workers > 1 and "{index}" not in pattern:
            raise _wrong(HOSTS, pattern, "a host name with {index} in it, such as train-{index}.train")
        port = _whole(environment, PORT_NAME, least=1, default=PORT)
        index = _whole(environment, INDEX if environment.get(INDEX) else COMPLETION_INDEX, least=0)
        addresses = tuple(f"{pattern.replace('{index}', str(each))}:{port}" for each in range(workers))
        return cls._checked(addresses, index)

    @classmethod
    def _of_tf_config(cls, text: str) -> Cluster:
        expected = 'JSON like {"cluster": {"worker": ["host:port"]}, "task": {"type": "worker", "index": 0}}'
        try:
            content = json.loads(text)
            # A TFJob may call its first worker chief; it counts as worker 0 here too.
            named = content["cluster"]
            addresses = (*named.get("chief", ()), *named["worker"])
            kind, index = content["task"]["type"], int(content["task"]["index"])
            offset = len(named.get("chief", ())) if kind == "worker" else 0
        except (ValueError, KeyError, TypeError) as error:
            raise _wrong("TF_CONFIG", text, expected) from error
        if kind not in {"worker", "chief"}:
            raise _wrong("TF_CONFIG", f"task type {kind!r}", "task type worker or chief; there are no other kinds here")
        return cls._checked(addresses, offset + index)

    @classmethod
    def _checked(cls, addresses: tuple[str, ...], index: int) -> Cluster:
        if index >= len(addresses):
            raise ComponentError(
                f"This worker has index {index}, and there are {len(addresses)} workers.",
                remedy="Give the Job as many completions as SLUICE_WORKERS says.",
            )
        return cls(addresses, index)


def _whole(environment: Mapping[str, str], name: str, *, least: int, default: int | None = None) -> int:
    text = environment.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdigit() or int(text) < least:
        raise _wrong(name, text, f"a whole number from {least}")
    return int(text)


def _wrong(name: str, received: str, expected: str) -> ComponentError:
    return ComponentError(
        f"The environment variable {name} of this worker is {received!r}; expected {expected}.",
        remedy="It is set by whoever starts `python -m components.training.worker`: the Trainer, or your manifest.",
    )

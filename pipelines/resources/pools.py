"""Node pools: the machines of a cluster that a step may ask for by name; read from `k8s/node_pools.yaml`."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from components.config import Section
from components.errors import SpecError
from pipelines.resources.names import Form, LabelKey, LabelValue, PlainName
from pipelines.resources.quantity import Cpu, Memory, amount
from pipelines.spec_errors import problems_of
from pipelines.yaml_source import read_yaml

Strategy = Literal["auto", "none", "mirrored", "multi_worker", "tpu"]
"""What `training.strategy` may be on some pool."""

TPU = "google.com/tpu"

IN_CHECKOUT = Path(__file__).parents[2] / "k8s" / "node_pools.yaml"
"""Where a platform engineer looks for it."""

IN_WHEEL = Path(__file__).parent / "node_pools.yaml"
"""Where pyproject.toml puts a copy for those who have only the wheel, as the step image has."""


class Accelerator(Section):
    """The accelerators of one machine.

    Args:
        resource: name under which Kubernetes counts them, `nvidia.com/gpu` or `google.com/tpu`.
        count: of them in one machine.
        topology: of a TPU slice, `2x4`; its chips are all in this one machine, since a step is one pod.
    """

    resource: LabelKey
    count: int = Field(ge=1)
    topology: Annotated[str, Form(r"\d+(x\d+){1,2}", "chips along each axis, such as 2x4")] | None = None

    @model_validator(mode="after")
    def _whole_slice(self) -> Accelerator:
        if (self.resource == TPU) != (self.topology is not None):
            raise ValueError(
                f"{self.resource} {'needs its topology, such as 2x4' if self.is_tpu else 'has no topology'}"
            )
        if self.topology and math.prod(map(int, self.topology.split("x"))) != self.count:
            raise ValueError(
                f"topology {self.topology} is not {self.count} chips; a step is one pod, so a slice must be one machine"
            )
        return self

    @property
    def is_tpu(self) -> bool:
        """True for Google's TPUs, False for GPUs."""
        return self.resource == TPU


class Share(Section):
    """An amount of CPU and memory.

    Args:
        cpu: cores.
        memory: bytes with their unit.
    """

    cpu: Cpu
    memory: Memory


class Machine(Share):
    """What one machine has.

    Args:
        type: the cloud's name of it, for the reader.
    """

    type: str | None = None


class Toleration(Section):
    """A taint of the machines that a step's pod puts up with; Kubernetes' own words.

    Args:
        key: of the taint.
        operator: `Equal` compares the value, `Exists` does not.
        value: of the taint.
        effect: of the taint; None is any.
    """

    key: LabelKey
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class NodePool(Section):
    """Machines of one kind.

    Args:
        description: one line for `sluice list`.
        accelerator: what it has beside CPUs; None for nothing.
        machine: cores and memory of one of them.
        reserved: what of it is not for steps: kubelet, system and daemon pods.
        requests: what a step asks for when the spec does not say, with all accelerators of a machine; with fewer it
            asks for its share.
        node_selector: labels that the machines have; empty is any machine.
        tolerations: taints that they have.
        shared_memory: size of `/dev/shm`, which is part of the step's memory; None leaves Kubernetes' 64 MiB.
        queue: Kueue's LocalQueue that admits the pods.
        priority_class: Kueue's WorkloadPriorityClass; needs `queue`.
        spot: the machines can be taken away at any time; a step is tried again twice unless the spec says otherwise.
        strategies: the training strategies that make sense here.
    """

    description: str = ""
    accelerator: Accelerator | None = None
    machine: Machine
    reserved: Share = Share(cpu="1", memory="4Gi")
    requests: Share = Share(cpu="1", memory="4Gi")
    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: tuple[Toleration, ...] = ()
    shared_memory: Memory | None = None
    queue: LabelValue | None = None
    priority_class: LabelValue | None = None
    spot: bool = False
    strategies: tuple[Strategy, ...] = ("auto", "none", "multi_worker")

    @model_validator(mode="after")
    def _consistent(self) -> NodePool:
        if self.priority_class and not self.queue:
            raise ValueError(NO_PRIORITY)
        if amount(self.requests.cpu) > self.free_cpu or amount(self.requests.memory) > self.free_memory:
            raise ValueError("requests are more than machine minus reserved, so no such machine could take the step")
        return self

    @property
    def count(self) -> int:
        """Accelerators of one machine."""
        return self.accelerator.count if self.accelerator else 0

    @property
    def is_tpu(self) -> bool:
        """True when the accelerators are TPUs."""
        return self.accelerator is not None and self.accelerator.is_tpu

    @property
    def free_cpu(self) -> Decimal:
        """Cores that steps can have of one machine."""
        return amount(self.machine.cpu) - amount(self.reserved.cpu)

    @property
    def free_memory(self) -> Decimal:
        """Bytes that steps can have of one machine."""
        return amount(self.machine.memory) - amount(self.reserved.memory)

    def summary(self) -> str:
        """Return the pool on one line."""
        what = f"{self.accelerator.count} × {self.accelerator.resource}, " if self.accelerator else ""
        size = f"{what}{self.machine.cpu} CPU, {self.machine.memory}"
        return f"{size}: {self.description}" if self.description else size


NO_PRIORITY = (
    "priority_class needs queue: it is Kueue's WorkloadPriorityClass, since the platform spec of Kubeflow Pipelines "
    "has no field for a pod's priorityClassName"
)


class PoolsFile(Section):
    """A file of node pools.

    Args:
        pools: name to pool.
    """

    pools: dict[PlainName, NodePool]


def load_pools(own: Path | None = None) -> Mapping[str, NodePool]:
    """Return the pools that ship with Sluice, and those of the user's own file over them.

    Raises:
        SpecError: with every problem of the user's file, each with its line.
    """
    shipped = _shipped()
    return shipped if own is None else {**shipped, **_read(own)}


@functools.cache
def _shipped() -> Mapping[str, NodePool]:
    return _read(IN_WHEEL if IN_WHEEL.is_file() else IN_CHECKOUT)


def _read(path: Path) -> dict[str, NodePool]:
    source = read_yaml(path)
    try:
        return dict(PoolsFile.model_validate(source.content).pools)
    except ValidationError as error:
        raise SpecError(problems_of(error, PoolsFile, source)) from error

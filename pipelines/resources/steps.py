"""What each step gets: the spec's section and the node pools, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from components.errors import SpecError
from pipelines.resources.config import STEPS, ResourcesConfig, RetriesConfig, StepConfig
from pipelines.resources.pools import NodePool, load_pools
from pipelines.resources.quantity import amount, cores, mebibytes

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec

DEFAULT_POOL = "cpu"
SMALL_CPU, SMALL_MEMORY = "1", "4Gi"
"""What a step asks for on machines whose accelerators it does not take."""

GPU_STEPS = ("trainer", "evaluator")
"""They compute on GPUs; on a TPU only the Trainer does."""

_OF_THE_POOL = ("count", "cpu", "memory", "cpu_limit", "memory_limit", "shared_memory", "queue", "priority_class")
"""What is measured for a pool, and so not inherited by a step on another one."""

SPOT_RETRIES = 2

_MERGED = ("env", "secrets", "config_maps", "volumes", "labels", "annotations")


@dataclass(frozen=True)
class StepResources:
    """What one step asks of the cluster.

    Args:
        pool_name: of the node pool.
        pool: the machines.
        config: the spec's words for this step with `default` under them; what has a default of the pool is below.
        count: accelerators of one pod.
        workers: pods that train together.
        cpu, memory: what is set aside for one pod.
        shared_memory: size of `/dev/shm`; None leaves what Kubernetes gives.
        retries: None is none.
        queue, priority_class: of Kueue.
    """

    pool_name: str
    pool: NodePool
    config: StepConfig
    count: int
    workers: int
    cpu: str
    memory: str
    shared_memory: str | None
    retries: RetriesConfig | None
    queue: str | None
    priority_class: str | None


def step_resources(loaded: LoadedSpec, pools: Mapping[str, NodePool] | None = None) -> dict[str, StepResources]:
    """Return what each step asks of the cluster, by the name of its node (`Trainer`, `Resolve`, …).

    With several workers the Trainer's own pod only starts them and waits, so it is a small pod on the pool of
    `default`; `worker_resources` says what each of them gets.

    Args:
        loaded: the spec.
        pools: the node pools; those that ship with Sluice and the spec's own when None.

    Raises:
        SpecError: something does not fit, for instance `training.strategy: tpu` without a pool of TPUs.
    """
    found = _resolved(loaded, pools)
    trainer = found["trainer"]
    if trainer.workers > 1:
        found["trainer"] = _starter(trainer, loaded.spec.resources, _known_pools(loaded, pools))
    return {STEPS[key]: resources for key, resources in found.items()}


def worker_resources(loaded: LoadedSpec, pools: Mapping[str, NodePool] | None = None) -> StepResources | None:
    """Return what each pod of a training over several workers asks for; None when the Trainer trains alone.

    Raises:
        SpecError: something does not fit.
    """
    trainer = _resolved(loaded, pools)["trainer"]
    return trainer if trainer.workers > 1 else None


def resolve_step(key: str, resources: ResourcesConfig, pools: Mapping[str, NodePool]) -> StepResources:
    """Return what one step asks for, whether or not that fits.

    Args:
        key: of the section, `trainer`.
        resources: the section.
        pools: the node pools; they have every pool that the section names.

    Raises:
        ValidationError: what the step says clashes with what `default` says.
    """
    config = merged(key, resources)
    pool_name = config.pool or DEFAULT_POOL
    pool = pools[pool_name]
    own: StepConfig | None = getattr(resources, key)
    count = config.count
    if count is None or ((own is None or own.count is None) and not computes_on(key, pool)):
        count = pool.count if computes_on(key, pool) else 0
    cpu, memory = _requests(pool, count)
    return StepResources(
        pool_name,
        pool,
        config,
        count,
        config.workers or 1,
        config.cpu or cpu,
        config.memory or memory,
        config.shared_memory or (pool.shared_memory if count or not pool.count else None),
        config.retries or (RetriesConfig(count=SPOT_RETRIES) if pool.spot else None),
        config.queue or pool.queue,
        config.priority_class or pool.priority_class,
    )


def merged(key: str, resources: ResourcesConfig) -> StepConfig:
    """Return what the spec says about a step, with `default` under it.

    Raises:
        ValidationError: each is right alone, and both together clash.
    """
    default, own = resources.default or StepConfig(), getattr(resources, key) or StepConfig()
    under = default.model_dump(exclude_none=True)
    over = own.model_dump(exclude_none=True)
    pool = own.pool or default.pool or DEFAULT_POOL
    if pool != (default.pool or DEFAULT_POOL):
        under = {name: value for name, value in under.items() if name not in _OF_THE_POOL}
    both = {name: {**under[name], **over[name]} for name in _MERGED}
    secrets = tuple(dict.fromkeys((*default.image_pull_secrets, *own.image_pull_secrets)))
    return StepConfig.model_validate({**under, **over, **both, "image_pull_secrets": secrets, "pool": pool})


def computes_on(key: str, pool: NodePool) -> bool:
    """Say whether a step uses the accelerators of a pool."""
    return bool(pool.count) and (key == "trainer" if pool.is_tpu else key in GPU_STEPS)


def _requests(pool: NodePool, count: int) -> tuple[str, str]:
    """Return what a step asks for when the spec does not say: its share of what all accelerators come with."""
    if not pool.count or count == pool.count:
        return pool.requests.cpu, pool.requests.memory
    if count == 0:
        return SMALL_CPU, SMALL_MEMORY
    share = min(count, pool.count)
    return (
        cores(amount(pool.requests.cpu) * share / pool.count),
        mebibytes(amount(pool.requests.memory) * share / pool.count),
    )


def _starter(trainer: StepResources, resources: ResourcesConfig, pools: Mapping[str, NodePool]) -> StepResources:
    """Return the pod that starts the workers, follows them and takes their model."""
    place = resolve_step("default", resources.model_copy(update={"default": resources.default or StepConfig()}), pools)
    # volumes stay: the claim on which the pipeline's root lies is how the workers get their data from this pod
    mine = {"cpu_limit": None, "memory_limit": None, "scratch": None, "pool": place.pool_name}
    config = trainer.config.model_copy(update=mine)
    return replace(
        place,
        config=config,
        count=0,
        workers=trainer.workers,
        cpu=SMALL_CPU,
        memory=SMALL_MEMORY,
        shared_memory=None,
        retries=trainer.retries,
    )


def _resolved(loaded: LoadedSpec, pools: Mapping[str, NodePool] | None) -> dict[str, StepResources]:
    from pipelines.resources.checks import find_problems  # it needs what is defined here

    known = _known_pools(loaded, pools)
    if found := find_problems(loaded, known, on_cluster=True):
        raise SpecError(found)
    return {key: resolve_step(key, loaded.spec.resources, known) for key in STEPS}


def _known_pools(loaded: LoadedSpec, pools: Mapping[str, NodePool] | None) -> Mapping[str, NodePool]:
    own = loaded.spec.resources.pools
    return load_pools(loaded.base_dir / own if own else None) if pools is None else pools

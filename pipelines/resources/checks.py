"""What `resources` may not ask for: what no machine of the pool has, and what the training cannot use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from components import catalog
from components.errors import Problem, SpecError
from pipelines.resources.config import StepConfig
from pipelines.resources.pools import NO_PRIORITY, NodePool, load_pools
from pipelines.resources.quantity import amount, cores, mebibytes
from pipelines.resources.steps import GPU_STEPS, StepResources, computes_on, resolve_step

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec, PipelineSpec

Found = tuple[tuple[str, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""

NEEDS = {"decider": "retraining", "balancer": "balancing", "tuner": "tuning", "notify": "notify"}
"""Steps that a pipeline has only when its spec has that section."""


def resource_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Each step asks for what its node pool has, and for what the training can use."""
    own = loaded.spec.resources.pools
    if own and not (loaded.base_dir / own).is_file():
        return  # that the file is missing is another rule
    try:
        pools = load_pools(loaded.base_dir / own if own else None)
    except SpecError as error:
        yield from error.problems
        return
    yield from find_problems(loaded, pools)


def find_problems(loaded: LoadedSpec, pools: Mapping[str, NodePool], *, on_cluster: bool = False) -> list[Problem]:
    """Return every problem of the section.

    Args:
        loaded: the spec.
        pools: the node pools there are.
        on_cluster: also say that the training does not fit a pool that nobody named; a spec that never leaves this
            machine need not name one.
    """
    spec = loaded.spec
    found = list(_unknown(spec, pools))
    if not found:
        # steps that take accelerators are looked at even when only `default` says where they run
        keys = dict.fromkeys((*spec.resources.written(), *GPU_STEPS))
        found = list(dict.fromkeys(problem for key in keys for problem in _step(key, spec, pools)))
        found += _training(spec, pools, on_cluster)
    return [
        Problem(".".join(place), received, expected, remedy, loaded.source.file, loaded.source.line(place))
        for place, received, expected, remedy in found
    ]


def _unknown(spec: PipelineSpec, pools: Mapping[str, NodePool]) -> Iterator[Found]:
    """Pools and steps that there are not."""
    for key, config in spec.resources.written().items():
        at = ("resources", key)
        if config.pool is not None and config.pool not in pools:
            guess = catalog.nearest(config.pool, list(pools))
            remedy = f"Did you mean {guess!r}?" if guess else "Add it in a file of your own; see resources.pools."
            yield (*at, "pool"), repr(config.pool), f"one of {', '.join(pools)}", remedy
        section = NEEDS.get(key)
        if section and getattr(spec, section, None) is None:
            yield (
                at,
                f"a step that needs the section {section!r}",
                f"{section}: … in the spec",
                "Add it, or remove this.",
            )


def _step(key: str, spec: PipelineSpec, pools: Mapping[str, NodePool]) -> Iterator[Found]:
    at = ("resources", key if key in spec.resources.written() else "default")
    try:
        step = resolve_step(key, spec.resources, pools)
    except ValidationError as error:
        for entry in error.errors(include_url=False):
            message = str(entry["msg"]).removeprefix("Value error, ")
            place = (*at, *map(str, entry["loc"]))
            yield place, message, "no clash with resources.default", "Say it in one of the two."
        return
    own: StepConfig | None = getattr(spec.resources, key)
    unused = own is not None and own.pool is not None and own.count is None and key != "default"
    if unused and step.pool.count and not computes_on(key, step.pool):
        yield (
            (*at, "pool"),
            f"pool {step.pool_name!r} for a step that does not use its accelerators",
            "a pool without accelerators",
            "Take such a pool, or set count: 0 to share the machines of this one.",
        )
    for name, received, expected, remedy in (*_accelerators(key, step), *_amounts(step)):
        yield (*at, name), received, expected, remedy
    if own is not None and own.worker_kind is not None and step.workers < 2:
        yield (
            (*at, "worker_kind"),
            f"worker_kind: {own.worker_kind} without workers",
            "resources.trainer.workers: 2 or more",
            "Set it, or remove worker_kind.",
        )
    if own is not None and own.workers is not None and key != "trainer":
        yield (
            (*at, "workers"),
            f"workers: {own.workers}",
            "workers for the trainer only",
            "Move it to resources.trainer.",
        )


def _accelerators(key: str, step: StepResources) -> Iterator[tuple[str, str, str, str]]:
    pool, name = step.pool, step.pool_name
    if step.count > pool.count:
        has = f"{pool.accelerator.count} × {pool.accelerator.resource}" if pool.accelerator else "no accelerators"
        remedy = f"Set count to {pool.count} or less, or take another pool." if pool.count else "Remove it."
        yield (
            "count",
            f"count: {step.count} on pool {name!r}",
            f"at most {pool.count}: a machine of it has {has}",
            remedy,
        )
    elif pool.is_tpu and step.count not in (0, pool.count):
        topology = pool.accelerator.topology if pool.accelerator else None
        yield (
            "count",
            f"count: {step.count} on pool {name!r}",
            f"count: {pool.count}, all chips of topology {topology}",
            "Remove count: a slice is given to one pod as a whole.",
        )
    elif step.count and key != "default" and not computes_on(key, pool):
        users = "the trainer" if pool.is_tpu else "the trainer and the evaluator"
        yield "count", f"count: {step.count}", f"accelerators for {users} only: no other step uses them", "Remove it."


def _amounts(step: StepResources) -> Iterator[tuple[str, str, str, str]]:
    """Requests that no machine of the pool can meet, limits below requests, shared memory that does not fit."""
    pool, config = step.pool, step.config
    for name, asked, free, write in (
        ("cpu", step.cpu, pool.free_cpu, cores),
        ("memory", step.memory, pool.free_memory, mebibytes),
    ):
        if amount(asked) > free:
            machine, kept = getattr(pool.machine, name), getattr(pool.reserved, name)
            expected = f"at most {write(free)}: a machine has {machine}, and {kept} of it is reserved"
            yield name, f"{name}: {asked} on pool {step.pool_name!r}", expected, "Ask for less, or take another pool."
        limit = getattr(config, f"{name}_limit")
        if limit is not None and amount(limit) < amount(asked):
            yield (
                f"{name}_limit",
                f"{name}_limit: {limit}",
                f"at least the {asked} that is requested",
                f"Raise it, or set {name} to less.",
            )
    room = config.memory_limit or step.memory
    if step.shared_memory and amount(step.shared_memory) >= amount(room):
        yield (
            "shared_memory",
            f"shared_memory: {step.shared_memory} in a step with {room} of memory",
            "less than its memory, of which it is a part",
            "Ask for more memory, or for less shared memory.",
        )
    if step.priority_class and not step.queue:
        yield (
            "priority_class",
            f"priority_class: {step.priority_class}",
            "a queue too",
            f"{NO_PRIORITY[0].upper()}{NO_PRIORITY[1:]}.",
        )


def _training(spec: PipelineSpec, pools: Mapping[str, NodePool], on_cluster: bool) -> Iterator[Found]:
    """The training's strategy fits the Trainer's pool and workers, and the batch divides among its replicas."""
    resources, strategy = spec.resources, str(spec.training.strategy)
    try:
        step = resolve_step("trainer", resources, pools)
    except ValidationError:
        return  # said already, where the step itself is looked at
    if strategy == "multi_worker" and step.workers < 2:
        yield (
            ("training", "strategy"),
            "multi_worker with one worker",
            "resources.trainer.workers: 2 or more",
            "Set it, or training.strategy: auto.",
        )
    elif step.workers > 1 and strategy != "multi_worker":
        yield (
            ("resources", "trainer", "workers"),
            f"workers: {step.workers} with training.strategy {strategy}",
            "training.strategy: multi_worker",
            "Set it, or remove workers.",
        )
    key = next((key for key in ("trainer", "default") if (getattr(resources, key) or StepConfig()).pool), None)
    if key or on_cluster:
        at = ("resources", key) if key else ("training", "strategy")
        if strategy not in step.pool.strategies:
            yield at, *_unfit(strategy, step, pools)
        elif not step.count and strategy in ("mirrored", "tpu"):
            yield at, f"count: 0 with training.strategy {strategy}", "at least one accelerator", "Remove count."
    if step.count <= step.pool.count:
        yield from _batch(spec.training.batch_size, strategy, step)


def _batch(size: int, strategy: str, step: StepResources) -> Iterator[Found]:
    """Every copy of the model gets as many rows of a batch as any other."""
    copies = 1 if strategy == "none" else step.workers * max(step.count, 1)
    if size % copies:
        how = f"{step.workers} workers × {max(step.count, 1)} each" if step.workers > 1 else "one on each accelerator"
        lower = size - size % copies
        yield (
            ("training", "batch_size"),
            f"batch_size: {size} for {copies} copies of the model ({how})",
            f"a multiple of {copies}",
            f"Set it to {f'{lower} or ' if lower else ''}{lower + copies}, or change count or workers of the trainer.",
        )


def _unfit(strategy: str, step: StepResources, pools: Mapping[str, NodePool]) -> tuple[str, str, str]:
    """Return received, expected and remedy for a strategy that the pool cannot run."""
    pool = step.pool
    has = f"{pool.accelerator.count} × {pool.accelerator.resource}" if pool.accelerator else "no accelerators"
    fitting = [name for name, other in pools.items() if strategy in other.strategies]
    remedy = f"Set training.strategy to {pool.strategies[0]}"
    if fitting:
        remedy += f", or take a pool for it: {', '.join(fitting)}"
    received = f"pool {step.pool_name!r} ({has}) with training.strategy {strategy}"
    return received, f"a strategy that works there: {', '.join(pool.strategies)}", f"{remedy}."

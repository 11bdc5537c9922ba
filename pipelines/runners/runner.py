"""What a runner is: something that takes a planned job to its end, wherever it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.plan import Plan
from pipelines.spec import LoadedSpec
from pipelines.state import PipelineRoot


@dataclass(frozen=True)
class Job:
    """One run, decided and ready to start.

    Args:
        name: of the pipeline.
        run_id: of the run.
        run_dir: the run's folder.
        root: the pipeline's folder.
        plan: what to do with each component.
        runtime: what every component is told about where it runs.
        build: makes the TFX pipeline from the runtime; TFX is imported in it.
        loaded: the spec.
    """

    name: str
    run_id: str
    run_dir: Path
    root: PipelineRoot
    plan: Plan
    runtime: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], Any]
    loaded: LoadedSpec


@dataclass
class NodeResult:
    """How one component ended.

    Args:
        name, section: of the component.
        status: `waiting`, `running`, `done`, `cached`, `skipped` or `failed`.
        why: why it ran or did not.
        key: its cache key.
        seconds: wall time.
        peak_memory_mb: largest resident memory of the process while it ran, MB.
        outputs: output name to folder.
        summary: what the component says of its result.
    """

    name: str
    section: str
    status: str
    why: str
    key: str
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


class Watcher:
    """Is told how a run goes; this one ignores it."""

    def loading(self, what: str) -> None:
        """Something slow is being loaded before components can run."""

    def changed(self, results: list[NodeResult]) -> None:
        """A component began or ended."""

    def progress(self, component: str, text: str, done: float | None, total: float | None) -> None:
        """A running component says how far it is."""


class NodeFailedError(Exception):
    """A component raised.

    Args:
        name: of the component.
        cause: what it raised.
    """

    def __init__(self, name: str, cause: BaseException) -> None:
        self.name = name
        self.cause = cause
        super().__init__(f"{name}: {cause}")


class Runner(ABC):
    """Where a pipeline runs."""

    @abstractmethod
    def run(self, job: Job, watcher: Watcher, results: list[NodeResult]) -> None:
        """Run what the plan says, keeping `results` true at every moment.

        Raises:
            NodeFailedError: a component raised; nothing that had finished is lost.
        """

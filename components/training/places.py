"""Where a training runs, and where it writes besides its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.training.distribution import Distribution

if TYPE_CHECKING:
    from components.training.own_loop import OwnStep
    from components.training.user_callbacks import UserCallbacks


@dataclass(frozen=True)
class Places:
    """Where a training runs, and where it writes besides its result.

    Args:
        runtime: the component's runtime, for progress.
        checkpoint_folder: where an attempt that is cut off leaves what it has; None cannot resume.
        log_folder: where TensorBoard logs go; None writes none.
        keep: called with the folder after each checkpoint, to bring it to where it outlives this machine.
        distribution: where a worker that has joined others fits; None chooses by `training.strategy`.
        own: callbacks of the user's.
        step: training step of the user's.
    """

    runtime: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_folder: Path | None = None
    log_folder: Path | None = None
    keep: Callable[[Path], None] | None = None
    distribution: Distribution | None = None
    own: UserCallbacks | None = None
    step: OwnStep | None = None

"""The Trainer of a pipeline with section `ensemble`: the Trainer, which fits several models instead of one."""

from __future__ import annotations

from typing import Any

from components.ensemble.run_fn import run_fn
from components.training import component


def Trainer(config: dict[str, Any], runtime: dict[str, Any], **channels: Any) -> component.SluiceTrainer:  # noqa: N802
    """Return the component that fits the members and exports them as one model.

    Args:
        config: that of the Trainer of one model, and `ensemble`.
        runtime: where and how it runs.
        channels: those of the Trainer of one model.
    """
    return component.trainer(run_fn, config, runtime, **channels)

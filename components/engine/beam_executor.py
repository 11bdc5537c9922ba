"""The executor of components that may run on Apache Beam, without what Beam's local runner has no use for."""

from __future__ import annotations

import copy

from tfx.dsl.components.base import base_beam_executor

from components.engine.config import EngineConfig


class BeamExecutor(base_beam_executor.BaseBeamExecutor):
    """TFX's Beam executor, except that it packages TFX for remote workers only when there are remote workers.

    TFX builds that package, for one to three seconds, whenever an executor is made.

    Args:
        context: what TFX gives every executor.
    """

    def __init__(self, context: base_beam_executor.BaseBeamExecutor.Context | None = None) -> None:
        arguments = list(getattr(context, "beam_pipeline_args", None) or [])
        if EngineConfig(beam_pipeline_args=tuple(arguments)).has_own_beam_runner:
            super().__init__(context)
            return
        local = copy.copy(context)
        if local is not None:
            local.beam_pipeline_args = []
        super().__init__(local)
        self._beam_pipeline_args = arguments

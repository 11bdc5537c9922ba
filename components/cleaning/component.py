"""The component Cleaner: Examples in, Examples without the rows that the cleaning steps drop out."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.cleaning.executor import Executor
from components.engine.wiring import WiredSpec


class CleanerSpec(WiredSpec):
    """What Cleaner takes and gives."""

    # TFX wants other names for inputs than for outputs.
    INPUTS = {"raw_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class CleanerComponent(base_beam_component.BaseBeamComponent):
    """Drops rows, on Arrow in process or on Beam."""

    SPEC_CLASS = CleanerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def Cleaner(  # noqa: N802 - named as the node is
    config: dict[str, Any], runtime: dict[str, Any], *, examples: types.BaseChannel
) -> CleanerComponent:
    """Return the TFX component.

    Args:
        config: `{"cleaning": steps}`.
        runtime: where and how it runs.
        examples: channel of the Examples to clean.
    """
    return CleanerComponent(spec=CleanerSpec.wired(config, runtime, raw_examples=examples))

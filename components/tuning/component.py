"""The component Tuner: transformed Examples in, the best hyperparameters and the table of trials out."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.engine.wiring import WiredSpec
from components.tuning.executor import Executor


class TunerSpec(WiredSpec):
    """What Tuner takes and gives; the outputs are those of TFX's own Tuner."""

    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "tuner_results": component_spec.ChannelParameter(type=standard_artifacts.TunerResults),
        "best_hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters),
    }


class TunerComponent(base_component.BaseComponent):
    """Runs trials on a part of the train split."""

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def Tuner(  # noqa: N802 - named as the node is
    config: dict[str, Any],
    runtime: dict[str, Any],
    *,
    examples: types.BaseChannel,
    transform_graph: types.BaseChannel,
) -> TunerComponent:
    """Return the TFX component.

    Args:
        config: `tuning`, `written` (the sections that are tuned, as the spec has them), `columns`, `task`, `epochs`.
        runtime: where and how it runs.
        examples: channel of the examples that the Trainer learns from.
        transform_graph: channel of what made them.
    """
    return TunerComponent(spec=TunerSpec.wired(config, runtime, examples=examples, transform_graph=transform_graph))

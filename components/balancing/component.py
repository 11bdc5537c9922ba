"""The component Balancer: transformed Examples in, Examples with a resampled train split out."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.balancing.executor import Executor
from components.engine.wiring import WiredSpec


class BalancerSpec(WiredSpec):
    """What Balancer takes and gives."""

    INPUTS = {
        # TFX wants other names for inputs than for outputs.
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class BalancerComponent(base_component.BaseComponent):
    """Resamples the train split in process."""

    SPEC_CLASS = BalancerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def Balancer(  # noqa: N802 - named as the node is
    config: dict[str, Any],
    runtime: dict[str, Any],
    *,
    examples: types.BaseChannel,
    transform_graph: types.BaseChannel,
) -> BalancerComponent:
    """Return the TFX component.

    Args:
        config: `{"balancing": …}`.
        runtime: where and how it runs.
        examples: channel of the transformed Examples.
        transform_graph: channel of what made them.
    """
    spec = BalancerSpec.wired(config, runtime, transformed_examples=examples, transform_graph=transform_graph)
    return BalancerComponent(spec=spec)

"""The components of section `evaluation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_beam_component, base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.engine.wiring import WiredSpec
from components.evaluation import evaluator, latest_blessed


class LatestBlessedSpec(WiredSpec):
    """What LatestBlessed takes and makes."""

    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }


class LatestBlessedComponent(base_component.BaseComponent):
    """Hands out the newest blessed model and its statistics; empty artifacts when there is none."""

    SPEC_CLASS = LatestBlessedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(latest_blessed.Executor)


class EvaluatorSpec(WiredSpec):
    """What Evaluator takes and makes."""

    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "baseline_model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class EvaluatorComponent(base_beam_component.BaseBeamComponent):
    """Measures the exported model on the eval split and blesses it when every rule of the gate holds."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(evaluator.Executor)


def LatestBlessed(config: Mapping[str, Any], runtime: Mapping[str, Any]) -> LatestBlessedComponent:  # noqa: N802
    """Return the component that hands out the baseline."""
    return LatestBlessedComponent(spec=LatestBlessedSpec.wired(config, runtime))


def Evaluator(  # noqa: N802
    config: Mapping[str, Any],
    runtime: Mapping[str, Any],
    *,
    examples: channel.BaseChannel,
    model: channel.BaseChannel,
    baseline_model: channel.BaseChannel,
    schema: channel.BaseChannel,
) -> EvaluatorComponent:
    """Return the component that judges a model."""
    return EvaluatorComponent(
        spec=EvaluatorSpec.wired(
            config, runtime, examples=examples, model=model, baseline_model=baseline_model, schema=schema
        )
    )

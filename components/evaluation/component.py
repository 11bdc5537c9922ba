"""The components of section `evaluation`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_beam_component, base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.evaluation import evaluator, latest_blessed

_PARAMETERS = {
    "config": component_spec.ExecutionParameter(type=str),
    "runtime": component_spec.ExecutionParameter(type=str),
}


class LatestBlessedSpec(component_spec.ComponentSpec):
    """What LatestBlessed takes and makes."""

    PARAMETERS = _PARAMETERS
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }


class LatestBlessedComponent(base_component.BaseComponent):
    """Hands out the newest blessed model and its statistics; empty artifacts when there is none."""

    SPEC_CLASS = LatestBlessedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(latest_blessed.Executor)


class EvaluatorSpec(component_spec.ComponentSpec):
    """What Evaluator takes and makes."""

    PARAMETERS = _PARAMETERS
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
    spec = LatestBlessedSpec(
        config=json.dumps(dict(config)),
        runtime=json.dumps(dict(runtime)),
        model=_output(standard_artifacts.Model),
        statistics=_output(standard_artifacts.ExampleStatistics),
    )
    return LatestBlessedComponent(spec=spec)


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
    spec = EvaluatorSpec(
        config=json.dumps(dict(config)),
        runtime=json.dumps(dict(runtime)),
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        schema=schema,
        evaluation=_output(standard_artifacts.ModelEvaluation),
        blessing=_output(standard_artifacts.ModelBlessing),
    )
    return EvaluatorComponent(spec=spec)


def _output(artifact_type: type) -> channel.Channel:
    return channel.Channel(type=artifact_type)

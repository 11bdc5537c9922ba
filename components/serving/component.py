"""The component of section `serving`: publish a model that passed its gate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import path_utils

from components.engine.wiring import WiredSpec
from components.registry import shared_root
from components.serving.config import ServingConfig
from components.serving.push import Candidate, push, write_summary

BLESSED_FILE = "BLESSED"


class PusherExecutor(base_executor.BaseExecutor):
    """Publishes the model in TF Serving's layout and records it in the registry."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config, runtime = (json.loads(exec_properties[key]) for key in ("config", "runtime"))
        single = {name: artifact_utils.get_single_instance(found) for name, found in input_dict.items()}
        candidate = Candidate(
            saved_model=Path(path_utils.serving_model_path(single["model"].uri)),
            model_uri=single["model"].uri,
            evaluation_uri=single["evaluation"].uri,
            statistics_uri=single["statistics"].uri,
            trainer_key=runtime.get("trainer_key", ""),
            run_id=runtime.get("run_id", ""),
            blessed=_is_blessed(single["model_blessing"]),
        )
        serving = ServingConfig.model_validate(config["serving"])
        pushed = push(candidate, serving, shared_root(runtime), config.get("override_gate"), runtime["root"])
        artifact = artifact_utils.get_single_instance(output_dict["pushed_model"])
        write_summary(Path(artifact.uri), pushed)
        artifact.set_int_custom_property("pushed", int(pushed.pushed))
        artifact.set_string_custom_property("pushed_destination", pushed.destination)
        if pushed.version is not None:
            artifact.set_string_custom_property("pushed_version", str(pushed.version))


def _is_blessed(blessing: types.Artifact) -> bool:
    """Read the artifact's property; a runner that carries files alone, not properties, still brings the file."""
    if blessing.has_custom_property("blessed"):
        return bool(model_utils.is_model_blessed(blessing))
    return (Path(blessing.uri) / BLESSED_FILE).is_file()


class PusherSpec(WiredSpec):
    """What goes in and out of the Pusher."""

    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class PusherComponent(base_component.BaseComponent):
    """The TFX component; `Pusher` makes it."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PusherExecutor)


def Pusher(  # noqa: N802, PLR0913 (named as the node; one parameter per input)
    config: Mapping[str, Any],
    runtime: Mapping[str, Any],
    *,
    model: types.BaseChannel,
    model_blessing: types.BaseChannel,
    evaluation: types.BaseChannel,
    statistics: types.BaseChannel,
) -> base_component.BaseComponent:
    """Return the component that publishes the model if the gate blessed it.

    Args:
        config: `serving`, and `override_gate`: None or `{"reason": …, "by": …}`.
        runtime: `root`, `run_id` and `trainer_key` are used.
        model: the trained model.
        model_blessing: what the gate said.
        evaluation: what the gate looked at.
        statistics: statistics of the training data, kept for later runs to compare with.
    """
    return PusherComponent(
        PusherSpec.wired(
            config, runtime, model=model, model_blessing=model_blessing, evaluation=evaluation, statistics=statistics
        )
    )

"""The Trainer of the pipeline: TFX's own, which calls `run_fn`, with the raw examples as one more input."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tfx.components.trainer.component import Trainer as TfxTrainer
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, channel, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter

from components.training.run_fn import run_fn

RAW_EXAMPLES = "raw_examples"


class TrainerSpec(standard_component_specs.TrainerSpec):
    """TFX's, with the examples as they were before the transform: a sample of them checks the served model."""

    INPUTS = {
        **standard_component_specs.TrainerSpec.INPUTS,
        RAW_EXAMPLES: ChannelParameter(type=standard_artifacts.Examples),
    }


class TrainerExecutor(GenericExecutor):
    """TFX's, telling `run_fn` where the raw examples are."""

    def _GetFnArgs(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> Any:  # noqa: N802  TFX's name
        found = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        raw = artifact_utils.get_single_instance(input_dict[RAW_EXAMPLES])
        found.custom_config["raw_folder"] = artifact_utils.get_split_uri([raw], "eval")
        return found


class SluiceTrainer(TfxTrainer):
    """The component; `Trainer` makes one."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TrainerExecutor)

    def __init__(self, spec: TrainerSpec) -> None:
        # Not the parent's: it would make the spec without our input.
        base_component.BaseComponent.__init__(self, spec=spec)


def Trainer(  # noqa: N802, PLR0913  named like the component, one parameter per input
    config: dict[str, Any],
    runtime: dict[str, Any],
    *,
    examples: channel.BaseChannel,
    transform_graph: channel.BaseChannel,
    schema: channel.BaseChannel,
    raw_examples: channel.BaseChannel,
    hyperparameters: channel.BaseChannel | None = None,
) -> SluiceTrainer:
    """Return the component that fits and exports the model.

    Args:
        config: `model`, `module_source`, `training`, `columns` and `task` of the spec.
        runtime: where and how it runs.
        examples: transformed examples with splits `train` and `eval`.
        transform_graph: what made them.
        schema: of the raw examples.
        raw_examples: what they were made of.
        hyperparameters: what the Tuner found best; None trains as the spec says.
    """
    channels = {
        "examples": examples,
        "transform_graph": transform_graph,
        "schema": schema,
        "raw_examples": raw_examples,
        **({} if hyperparameters is None else {"hyperparameters": hyperparameters}),
    }
    return trainer(run_fn, config, runtime, **channels)


def trainer(
    function: Callable[[Any], None], config: dict[str, Any], runtime: dict[str, Any], **channels: channel.BaseChannel
) -> SluiceTrainer:
    """Return the component that calls a function with TFX's `FnArgs`; see `Trainer` for the rest."""
    spec = TrainerSpec(
        **channels,
        # Epochs and batches are in config; TFX's numbers of steps stay unused.
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        run_fn=f"{function.__module__}.{function.__qualname__}",
        custom_config=json.dumps({"config": json.dumps(config), "runtime": json.dumps(runtime)}),
        model=channel.Channel(type=standard_artifacts.Model),
        model_run=channel.Channel(type=standard_artifacts.ModelRun),
    )
    return SluiceTrainer(spec)

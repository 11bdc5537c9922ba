"""Nodes that are in the pipeline only when the spec has their section."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from components.tuning.placing import written_sections
from pipelines.node import Node, Output
from pipelines.node_config import augmentation_of, callbacks_of, modules_of
from pipelines.spec import LoadedSpec, PipelineSpec


def tuner_nodes(loaded: LoadedSpec, examples: Output, transform: Node, columns: Mapping[str, Any]) -> tuple[Node, ...]:
    """Return the node that tries values of the spec's keys, when it has section `tuning`."""
    spec = loaded.spec
    if spec.tuning is None:
        return ()
    tuner = Node(
        "Tuner",
        "tuning",
        config={
            "tuning": spec.tuning.model_dump(mode="json"),
            "written": written_sections(loaded.source.content),
            "epochs": spec.training.epochs,
            "module_source": loaded.model_source(),
            "columns": columns,
            "task": spec.task,
            **{
                key: value
                for key, value in (augmentation_of(loaded) | callbacks_of(loaded)).items()
                if key in {"augmentation_files", "augmentation_models", "loop_source"}
            },
        },
        inputs={"examples": examples, "transform_graph": transform["transform_graph"]},
        outputs={"tuner_results": "TunerResults", "best_hyperparameters": "HyperParameters"},
        plugins=modules_of([*filter(None, [spec.model.family]), *spec.augmentation.steps]),
    )
    return (tuner,)


def balancer_nodes(spec: PipelineSpec, transform: Node) -> tuple[Node, ...]:
    """Return the node that resamples the train split, when the spec has section `balancing`."""
    if spec.balancing is None:
        return ()
    balancer = Node(
        "Balancer",
        "balancing",
        config={"balancing": spec.balancing.model_dump(mode="json")},
        inputs={"examples": transform["transformed_examples"], "transform_graph": transform["transform_graph"]},
        outputs={"examples": "Examples"},
        plugins=modules_of(spec.balancing.steps),
    )
    return (balancer,)


def decider_nodes(spec: PipelineSpec, nodes: Mapping[str, Node]) -> tuple[Node, ...]:
    """Return the node that decides whether to train, when the spec has section `retraining`."""
    if spec.retraining is None:
        return ()
    # a model that would be made in another way is wanted, whatever became of the data
    settings = {name: _digest(node.config) for name, node in nodes.items() if name not in _NOT_IN_THE_MODEL}
    decider = Node(
        "Decider",
        "retraining",
        config={
            "retraining": spec.retraining.model_dump(mode="json"),
            "columns": sorted({*spec.data.features, *spec.data.label.columns}),
            "settings": settings,
        },
        inputs={
            "statistics": nodes["StatisticsGen"]["statistics"],
            "baseline_statistics": nodes["LatestBlessed"]["statistics"],
        },
        after=("ExampleValidator",),
        outputs={"decision": "Config"},
        cached=False,
    )
    return (decider,)


_NOT_IN_THE_MODEL = ("LatestBlessed", "ExampleValidator", "Pusher")


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]

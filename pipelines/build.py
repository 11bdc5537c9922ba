"""Spec to pipeline: the DAG, read from top to bottom. Light: TFX is imported only when the pipeline is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from components.augmentation.model_folders import digest_of
from components.balancing.config import BalancingConfig
from components.config import Plugin
from components.tuning.placing import written_sections
from pipelines.metadata_store import connection_config
from pipelines.node import Node, Output
from pipelines.spec import LoadedSpec, PipelineSpec


def pipeline_nodes(loaded: LoadedSpec, override_gate: Mapping[str, str] | None = None) -> tuple[Node, ...]:
    """Return the nodes of the pipeline in the order in which they can run.

    Args:
        loaded: the spec with its file.
        override_gate: `{"reason": …, "by": …}` pushes whatever the gate says; it is recorded with the model.
    """
    spec = loaded.spec
    dump = spec.model_dump(mode="json")
    data = dump["data"]
    columns = {key: data[key] for key in ("features", "label", "weight")}

    example_gen = Node(
        "ExampleGen",
        "data",
        config=spec.data.ingest.model_dump(mode="json"),
        outputs={"examples": "Examples"},
        reads="data",
    )
    cleaner = Node(
        "Cleaner",
        "cleaning",
        config={"cleaning": dump["cleaning"]},
        inputs={"examples": example_gen["examples"]},
        outputs={"examples": "Examples"},
        plugins=_modules(spec.cleaning.steps),
    )
    statistics_gen = Node(
        "StatisticsGen",
        "data",
        config={"images": list(spec.data.image_columns)} if spec.data.image_columns else {},
        inputs={"examples": cleaner["examples"]},
        outputs={"statistics": "ExampleStatistics"},
    )
    schema_gen = Node(
        "SchemaGen",
        "data",
        config={"schema": loaded.schema_source()},
        inputs={"statistics": statistics_gen["statistics"]},
        outputs={"schema": "Schema"},
    )
    latest_blessed = Node(
        "LatestBlessed",
        "evaluation",
        config={},
        outputs={"model": "Model", "statistics": "ExampleStatistics"},
        reads="baseline",
    )
    example_validator = Node(
        "ExampleValidator",
        "data",
        config={key: data[key] for key in ("anomalies", "drift", "skew", "features", "label")},
        inputs={
            "statistics": statistics_gen["statistics"],
            "schema": schema_gen["schema"],
            "baseline_statistics": latest_blessed["statistics"],
        },
        outputs={"anomalies": "ExampleAnomalies"},
    )
    transform = Node(
        "Transform",
        "transform",
        config={"columns": columns, "transform": dump["transform"], "task": spec.task},
        inputs={"examples": cleaner["examples"], "schema": schema_gen["schema"]},
        after=(example_validator.name, *(() if spec.retraining is None else ("Decider",))),
        outputs={"transform_graph": "TransformGraph", "transformed_examples": "Examples"},
        plugins=_modules(step for chain in spec.transform.chains.values() for step in chain),
    )
    balancer = () if spec.balancing is None else (_balancer(spec.balancing, transform),)
    examples = balancer[0]["examples"] if balancer else transform["transformed_examples"]
    tuner = _tuner(loaded, examples, transform, columns)
    trainer = Node(
        "Trainer",
        "training" if spec.ensemble is None else "ensemble",
        config={
            "model": dump["model"],
            "module_source": loaded.model_source(),
            "training": dump["training"],
            "columns": columns,
            "task": spec.task,
            **_augmentation(loaded),
            **_callbacks(loaded),
            **_ensemble(spec),
        },
        inputs={
            "examples": examples,
            "transform_graph": transform["transform_graph"],
            "schema": schema_gen["schema"],
            "raw_examples": cleaner["examples"],
            **({"hyperparameters": tuner[0]["best_hyperparameters"]} if tuner else {}),
        },
        outputs={"model": "Model", "model_run": "ModelRun"},
        plugins=_modules([*filter(None, [spec.model.family]), *spec.augmentation.steps]) + _members(spec),
    )
    evaluator = Node(
        "Evaluator",
        "evaluation",
        config={"evaluation": dump["evaluation"], "columns": columns, "task": spec.task},
        inputs={
            "examples": cleaner["examples"],
            "model": trainer["model"],
            "baseline_model": latest_blessed["model"],
            "schema": schema_gen["schema"],
        },
        outputs={"evaluation": "ModelEvaluation", "blessing": "ModelBlessing"},
    )
    pusher = Node(
        "Pusher",
        "serving",
        config={"serving": dump["serving"], "override_gate": dict(override_gate) if override_gate else None},
        inputs={
            "model": trainer["model"],
            "model_blessing": evaluator["blessing"],
            "evaluation": evaluator["evaluation"],
            "statistics": statistics_gen["statistics"],
        },
        outputs={"pushed_model": "PushedModel"},
    )
    before = (example_gen, cleaner, statistics_gen, schema_gen, latest_blessed, example_validator)
    after = (transform, *balancer, *tuner, trainer, evaluator, pusher)
    return before + _decider(spec, {node.name: node for node in before + after}) + after


def _tuner(loaded: LoadedSpec, examples: Output, transform: Node, columns: Mapping[str, Any]) -> tuple[Node, ...]:
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
                for key, value in (_augmentation(loaded) | _callbacks(loaded)).items()
                if key in {"augmentation_files", "augmentation_models", "loop_source"}
            },
        },
        inputs={"examples": examples, "transform_graph": transform["transform_graph"]},
        outputs={"tuner_results": "TunerResults", "best_hyperparameters": "HyperParameters"},
        plugins=_modules([*filter(None, [spec.model.family]), *spec.augmentation.steps]),
    )
    return (tuner,)


def _balancer(balancing: BalancingConfig, transform: Node) -> Node:
    """Return the node that resamples the train split, for a spec with section `balancing`."""
    return Node(
        "Balancer",
        "balancing",
        config={"balancing": balancing.model_dump(mode="json")},
        inputs={"examples": transform["transformed_examples"], "transform_graph": transform["transform_graph"]},
        outputs={"examples": "Examples"},
        plugins=_modules(balancing.steps),
    )


def _decider(spec: PipelineSpec, nodes: Mapping[str, Node]) -> tuple[Node, ...]:
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


def build_pipeline(nodes: tuple[Node, ...], spec: PipelineSpec, runtime: Mapping[str, Any]) -> Any:
    """Return the TFX pipeline (`tfx.orchestration.pipeline.Pipeline`).

    Args:
        nodes: what `pipeline_nodes` returned.
        spec: the whole declaration.
        runtime: where and how components run; `root` is the folder of artifacts and of ML Metadata.
    """
    from tfx.orchestration import pipeline

    made: dict[str, Any] = {}
    for node in nodes:
        channels = {name: made[source.node].outputs[source.key] for name, source in node.inputs.items()}
        made[node.name] = node.component(runtime, channels)
        for name in node.after:
            made[node.name].add_upstream_node(made[name])
    return pipeline.Pipeline(
        pipeline_name=spec.name,
        pipeline_root=f"{runtime['root']}/artifacts",
        components=list(made.values()),
        enable_cache=False,
        metadata_connection_config=connection_config(
            spec.metadata, f"{runtime['root']}/metadata.sqlite", with_password=False
        ),
        beam_pipeline_args=list(spec.engine.beam_pipeline_args),
    )


def _augmentation(loaded: LoadedSpec) -> dict[str, Any]:
    """Return what the Trainer is told of augmentation; nothing without it, so that other trainings keep their keys."""
    steps = loaded.spec.augmentation.model_dump(mode="json")
    told = {
        "augmentation": steps,
        "augmentation_files": loaded.augmentation_files(),
        # only for the key: what these models say changes what is learned
        "augmentation_models": {each: digest_of(loaded.base_dir / each) for each in loaded.spec.augmentation.folders},
    }
    return {name: value for name, value in told.items() if value}


def _callbacks(loaded: LoadedSpec) -> dict[str, Any]:
    """Return the user's callbacks and training step as text: what the Trainer does depends on it."""
    sources = {"callbacks_source": loaded.callbacks_source(), "loop_source": loaded.loop_source()}
    return {name: source for name, source in sources.items() if source is not None}


def _ensemble(spec: PipelineSpec) -> dict[str, Any]:
    """Return what the Trainer is told of the ensemble; nothing without one, as with augmentation."""
    return {} if spec.ensemble is None else {"ensemble": spec.ensemble.model_dump(mode="json")}


def _members(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the files that say what an ensemble is made of."""
    if spec.ensemble is None:
        return ()
    families = [model.family for model in spec.ensemble.models if model.family is not None]
    return (*_modules(families), f"components.ensemble.kinds.{spec.ensemble.kind}")


def _modules(plugins: Iterable[Plugin]) -> tuple[str, ...]:
    """Return the files that define plug-ins, since the code of a component includes theirs."""
    return tuple(sorted({type(plugin).__module__ for plugin in plugins}))

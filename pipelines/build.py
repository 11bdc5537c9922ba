"""Spec to pipeline: the DAG, read from top to bottom. Light: TFX is imported only when the pipeline is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.metadata_store import connection_config
from pipelines.node import Node
from pipelines.node_config import augmentation_of, callbacks_of, ensemble_of, modules_of, modules_of_members
from pipelines.optional_nodes import balancer_nodes, decider_nodes, tuner_nodes
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
        plugins=modules_of(spec.cleaning.steps),
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
        plugins=modules_of(step for chain in spec.transform.chains.values() for step in chain),
    )
    balancer = balancer_nodes(spec, transform)
    examples = balancer[0]["examples"] if balancer else transform["transformed_examples"]
    tuner = tuner_nodes(loaded, examples, transform, columns)
    trainer = Node(
        "Trainer",
        "training" if spec.ensemble is None else "ensemble",
        config={
            "model": dump["model"],
            "module_source": loaded.model_source(),
            "training": dump["training"],
            "columns": columns,
            "task": spec.task,
            **augmentation_of(loaded),
            **callbacks_of(loaded),
            **ensemble_of(spec),
        },
        inputs={
            "examples": examples,
            "transform_graph": transform["transform_graph"],
            "schema": schema_gen["schema"],
            "raw_examples": cleaner["examples"],
            **({"hyperparameters": tuner[0]["best_hyperparameters"]} if tuner else {}),
        },
        outputs={"model": "Model", "model_run": "ModelRun"},
        plugins=modules_of([*filter(None, [spec.model.family]), *spec.augmentation.steps]) + modules_of_members(spec),
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
    return before + decider_nodes(spec, {node.name: node for node in before + after}) + after


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

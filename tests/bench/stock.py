"""The stock TFX chain: its own components with their defaults, LocalDagRunner; prints one line of JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def main(data: Path, root: Path, steps: int, epochs: int, batch_size: int, eval_rows: int) -> None:
    """Run the chain once and print seconds per component."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.proto import config_pb2
    from tfx import v1 as tfx
    from tfx.orchestration.portable import launcher

    imported = time.perf_counter() - STARTED
    del tfma
    # module files are packed with every .py file beside them, so this one gets a folder of its own
    module = root / "module" / "taxi_module.py"
    module.parent.mkdir(parents=True)
    module.write_text((Path(__file__).parent / "stock_module.py").read_text())

    example_gen = tfx.components.CsvExampleGen(input_base=str(data.parent))
    statistics = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=False)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"], schema=schema.outputs["schema"], module_file=str(module)
    )
    trainer = tfx.components.Trainer(
        module_file=str(module),
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=steps),
        eval_args=tfx.proto.EvalArgs(num_steps=max(1, eval_rows // batch_size)),
        custom_config={"batch_size": batch_size, "epochs": epochs},
    )
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed")
    bound = config_pb2.MetricThreshold(value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": 0.6}))
    metrics = [
        config_pb2.MetricConfig(class_name="ExampleCount"),
        config_pb2.MetricConfig(class_name="BinaryAccuracy", threshold=bound),
        config_pb2.MetricConfig(class_name="AUC"),
    ]
    slices = [[], ["trip_start_hour"], ["payment_type"]]
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=config_pb2.EvalConfig(
            model_specs=[
                config_pb2.ModelSpec(
                    signature_name="serving_default",
                    label_key="tips_xf",
                    preprocessing_function_names=["transform_features"],
                )
            ],
            metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
            slicing_specs=[config_pb2.SlicingSpec(feature_keys=keys) for keys in slices],
        ),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(root / "serving"))
        ),
    )
    seconds: dict[str, float] = {"imports": imported}
    original = launcher.Launcher.launch

    def timed(self):
        began = time.perf_counter()
        result = original(self)
        seconds[self._pipeline_node.node_info.id] = time.perf_counter() - began
        return result

    launcher.Launcher.launch = timed
    components = [example_gen, statistics, schema, validator, transform, trainer, resolver, evaluator, pusher]
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="stock",
            pipeline_root=str(root / "root"),
            components=components,
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(root / "metadata.db")
            ),
        )
    )
    print("RESULT " + json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:7]))

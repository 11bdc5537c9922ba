"""Fails unless all that a step needs is in the image; the last thing that its build does.

TFMA swallows failed imports and lacks functions instead, and writing TFRecord fails only when it is tried: both are.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import components
import pipelines


def modules() -> list[str]:
    """Return every module of Sluice that can run in a step; submitting a pipeline needs packages of its own."""
    found = []
    for package in (components, pipelines):
        top = Path(package.__path__[0])
        names = [".".join((top.name, *file.relative_to(top).with_suffix("").parts)) for file in top.rglob("*.py")]
        found += [name for name in names if not name.endswith(("__init__", "__main__"))]
    outside = ("pipelines.tfx_runner", "pipelines.kubeflow.", "pipelines.runners.", "pipelines.ir.compile")
    return sorted(name for name in found if not name.startswith(outside))


def check_imports() -> None:
    for name in modules():
        importlib.import_module(name)
    import tensorflow_model_analysis
    import tensorflow_transform

    if not hasattr(tensorflow_model_analysis, "default_eval_shared_model"):
        raise ImportError(
            "tensorflow_model_analysis was imported by half: import its .evaluators to see which package is missing"
        )
    importlib.import_module(tensorflow_transform.__name__ + ".beam")


def check_writing() -> None:
    import apache_beam as beam
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline() as pipeline:
            rows = pipeline | beam.Create([b"one", b"two"])
            rows | beam.io.WriteToTFRecord(f"{folder}/rows", file_name_suffix=".gz")
        read = sorted(tf.data.TFRecordDataset(tf.io.gfile.glob(f"{folder}/rows*"), "GZIP").as_numpy_iterator())
    if read != [b"one", b"two"]:
        raise ValueError(f"wrote two records as TFRecord and read {read}")


if __name__ == "__main__":
    check_imports()
    check_writing()
    print(f"{len(modules())} modules, Python {sys.version.split()[0]}: all that a step needs is here")  # noqa: T201

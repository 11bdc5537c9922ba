"""Real tumours as transformed examples, and a small model that is fitted to them in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn import datasets

from components.engine.examples import ExampleWriter, encode_examples
from components.features import LABEL, WEIGHT, ModelInput
from components.model.families.mlp import Mlp
from components.training.config import TrainingConfig
from components.training.fit import FitResult, fit
from components.training.input_fn import Split, open_split
from components.training.places import Places

NAMES = [f"measurement_{index}" for index in range(30)]
INPUTS = (*(ModelInput(name, "float32") for name in NAMES), ModelInput("size", "int64", cardinality=10))


def write(folder: Path, columns: dict[str, Any]) -> str:
    with ExampleWriter(folder) as writer:
        writer.write(encode_examples(pa.RecordBatch.from_pydict(columns)))
    return str(folder)


def tumours(root: Path) -> dict[str, str]:
    """Write the tumour data as transformed examples, two thirds for training; return the folder of each split."""
    data, target = datasets.load_breast_cancer(return_X_y=True)
    scaled = ((data - data.mean(0)) / data.std(0)).astype("float32")
    size = np.digitize(scaled[:, 0], np.quantile(scaled[:, 0], np.linspace(0, 1, 11)[1:-1]))
    found = {}
    for split, rows in (("train", slice(0, 400)), ("eval", slice(400, None))):
        columns: dict[str, Any] = {name: scaled[rows, index] for index, name in enumerate(NAMES)}
        columns |= {"size": size[rows], LABEL: target[rows], WEIGHT: (1 + 99 * target[rows]).astype("float32")}
        found[split] = write(root / f"Split-{split}", columns)
    return found


def splits(folders: dict[str, str], **options: Any) -> tuple[Split, Split]:
    train, evaluation = (
        open_split(folders[name], INPUTS, "binary_classification", 2, **options) for name in ("train", "eval")
    )
    return train, evaluation


def build():
    return Mlp(hidden_units=(16,), dropout=0.2).build(INPUTS, "binary_classification", 2)


def train(folders: dict[str, str], places: Places | None = None, weighted: bool = False, **options: Any) -> FitResult:
    given = {"epochs": 3, "batch_size": 64, "tensorboard": False, "optimizer": {"adam": {"learning_rate": 0.01}}}
    config = TrainingConfig.model_validate({**given, **options})
    data = splits(folders, cache=config.cache, weighted=weighted)
    return fit(build, config, "binary_classification", *data, places)


def weights(result: FitResult) -> list[np.ndarray]:
    return result.model.get_weights()


def same(one: FitResult, other: FitResult) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))

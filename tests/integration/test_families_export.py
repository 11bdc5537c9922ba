"""Each family, exported with a transform graph: what is served is what the model in memory says."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from components import catalog
from components.engine.examples import encode_examples
from components.features import ModelInput
from components.model.config import FAMILIES
from components.model.family import ModelFamily
from components.training.export import Predictor, Served, save
from components.transform.outputs import model_inputs
from tests.factories import transforms
from tests.factories.small_families import LEARNERS

FEATURES = {"shop": "categorical", "price_lag_1": "numeric", "price_lag_2": "numeric", "text": "text", "photo": "image"}
CHAINS: dict[str, Any] = {
    "shop": [{"vocabulary": 10}],
    "price_lag_1": [{"fill_missing": "median"}, "z_score"],
    "price_lag_2": [{"fill_missing": "median"}, "z_score"],
    "text": ["normalize_text", "tokenize", {"token_ids": {"length": 5, "top_k": 20}}],
    "photo": [{"decode_image": 8}, "rescale"],
}


def photo(random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def rows() -> pa.RecordBatch:
    random = np.random.default_rng(0)
    words = ["red", "green", "blue", "grey"]
    return pa.RecordBatch.from_pydict(
        {
            "shop": pa.array([random.choice([b"a", b"b"]) for _ in range(40)]),
            "price_lag_1": pa.array(random.normal(size=40).astype("float32")),
            "price_lag_2": pa.array(random.normal(size=40).astype("float32")),
            "text": pa.array([" ".join(random.choice(words, at % 7)).encode() for at in range(40)]),
            "photo": pa.array([photo(random) for _ in range(40)]),
            "target": pa.array(random.normal(size=40).astype("float32")),
        }
    )


@pytest.fixture(scope="module")
def made(rows: pa.RecordBatch, tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    config = transforms.config_of(FEATURES, CHAINS)
    return transforms.run_in_process(tmp_path_factory.mktemp("families"), config, {"train": rows})


@pytest.mark.parametrize("name", catalog.names(FAMILIES))
def test_what_is_served_is_what_the_model_in_memory_says(
    name: str, made: transforms.Made, rows: pa.RecordBatch, tmp_path: Path
):
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs: list[ModelInput] = model_inputs(made.graph)
    family = catalog.load(FAMILIES, name, ModelFamily).model_validate(LEARNERS.get(name, {}))
    model = family.build(inputs, "regression", 1)
    values = made.values()
    data = {each.name: values[each.name].reshape(-1, *each.shape) for each in inputs}
    for weights in model.trainable_weights:  # a linear model says 0 of ids before it has learned
        weights.assign(weights + 0.1 * keras.random.normal(weights.shape))
    names = tuple(each.name for each in inputs)
    save(Predictor(model, Served(str(made.graph), tuple(FEATURES), (), names, "regression")), str(tmp_path / "model"))
    records = encode_examples(rows.select(list(FEATURES))).to_pylist()
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"](examples=tf.constant(records))
    expected = np.asarray(model(data, training=False))[:, 0]
    np.testing.assert_allclose(served["prediction"].numpy(), expected, rtol=1e-4, atol=1e-6)
    assert len(np.unique(expected)) > 30

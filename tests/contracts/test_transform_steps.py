"""Laws that every transform step found in the folder keeps."""

from __future__ import annotations

import doctest
import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import ValidationError
from ruamel.yaml import YAML

from components import catalog
from components.features import FeatureKind
from components.transform.config import STEPS, TransformConfig
from components.transform.step import TransformStep
from tests.factories import transforms

NAMES = catalog.names(STEPS)
WRITTEN = {
    "bag_of_words": "color: [tokenize: characters, bag_of_words: 5]",
    "bucketize": "amount: [bucketize: 3]",
    "clip_outliers": "amount: [clip_outliers: iqr]",
    "column": "made: [column: picture, decode_image: 6, rescale]",
    "compute": "made: [compute: log1p(abs(amount)) + (color == 'red')]",
    "cross": "both: [cross: [amount, color], hash: 50]",
    "date_parts": "made: [date_parts: {column: amount, parts: [day, hour], cyclic: [weekday], since: 1970-01-02}]",
    "decode_image": "picture: [decode_image: {size: [4, 6], channels: 1}]",
    "fill_knn": "amount: [fill_knn: {columns: [size], k: 2}]",
    "fill_missing": "amount: [fill_missing: median]",
    "geo_distance": "made: [geo_distance: {origin: [amount, amount], destination: [41.88, -87.63]}]",
    "grayscale": "picture: [decode_image: 6, grayscale]",
    "hash": "color: [hash: 20]",
    "hog": "picture: [decode_image: 12, hog: {cell: 3, orientations: 4}]",
    "log1p": "amount: [log1p]",
    "min_max": "amount: [min_max]",
    "missing_indicator": "made: [missing_indicator: color]",
    "multi_hot": "color: [tokenize: characters, multi_hot: {top_k: 4, oov_buckets: 2}]",
    "ngrams": "color: [tokenize: characters, ngrams: [2, 3], bag_of_words: {buckets: 30}]",
    "normalize_text": "color: [normalize_text: {strip_accents: true, digits: mask}, hash: 20]",
    "one_hot": "color: [one_hot: 2]",
    "ordinal": "color: [ordinal: [blue, red, green]]",
    "pca": "made: [pca: {columns: [amount, size], components: 2}]",
    "quantile_normal": "amount: [quantile_normal: 5]",
    "rescale": "picture: [decode_image: 3, rescale: {min: -1}]",
    "resize": "picture: [decode_image: 8, resize: {size: [3, 5], fit: crop}]",
    "robust_scale": "amount: [robust_scale]",
    "sobel": "picture: [decode_image: 4, sobel: gradients]",
    "tf_idf": "color: [tokenize: characters, tf_idf: {top_k: 6, min_frequency: 2}]",
    "token_ids": "color: [tokenize: characters, token_ids: {top_k: 6, length: 4, oov_buckets: 2}]",
    "tokenize": "color: [tokenize: spaces, token_ids: {top_k: 3, length: 2}]",
    "target_encode": "color: [target_encode: 2]",
    "vocabulary": "color: [vocabulary: {top_k: 2, oov_buckets: 3}]",
    "word_pieces": "color: [tokenize: words, word_pieces: 12, bag_of_words: 12]",
    "yeo_johnson": "amount: [yeo_johnson]",
    "z_score": "amount: [z_score]",
    "z_score_channels": "picture: [decode_image: {size: 6, fit: pad}, z_score_channels]",
}
FEATURES = {"amount": "numeric", "size": "numeric", "color": "categorical", "code": "categorical", "picture": "image"}
AMOUNTS = [1.0, None, 3.0, float("nan"), -5.0, 1e6, 2.0, 2.5, 2.0, 4.0, 0.5, float("inf")]
COLORS = ["red", "blue", None, "red", "", "żółty", "red", "blue", "green", "red", "blue", "☃"]


def picture(seed: int, format: str = "PNG") -> bytes:
    """Return the file of a small picture in colour, each of another size."""
    pixels = np.random.default_rng(seed).integers(0, 256, (9 + seed, 16 - seed, 3), np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), format)
    return file.getvalue()


PICTURES = [picture(1), None, picture(2, "JPEG"), b"no picture", b"", *(picture(seed) for seed in range(3, 10))]
ROWS = pa.record_batch(
    {
        "amount": pa.array(AMOUNTS, pa.float32()),
        "size": pa.array([0.0, 1.0, 4.0, 9.0, None, 25.0, 36.0, 49.0, 64.0, 81.0, 100.0, 121.0], pa.float32()),
        "color": pa.array(COLORS, pa.string()),
        "code": pa.array([7, 8, None, 7, 0, -1, 7, 8, 9, 7, 8, 2**53], pa.int64()),
        "picture": pa.array(PICTURES, pa.binary()),
        "target": pa.array(np.arange(12, dtype=np.float32)),
    }
)


def chain_of(name: str) -> tuple[str, list[Any]]:
    assert name in WRITTEN, f"write a line for {name} into WRITTEN, so that the laws are tried on it"
    ((chain, steps),) = YAML(typ="safe").load(WRITTEN[name]).items()
    return chain, steps


def step_of(name: str) -> TransformStep:
    chain, steps = chain_of(name)
    parsed = TransformConfig.model_validate({chain: steps}).chains[chain]
    return next(step for step in parsed if step.plugin_name() == name)


def assert_same(values: np.ndarray, expected: np.ndarray) -> None:
    """Ids to the last one; of numbers, TensorFlow's logarithm of one and of eight at a time differ in the last bits."""
    np.testing.assert_allclose(values, expected, rtol=0 if expected.dtype == np.int64 else 5e-7)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, transforms.Made]:
    """What each step's chain makes of ROWS, each alone as in a spec of one feature."""
    found = {}
    for name in NAMES:
        chain, steps = chain_of(name)
        config = transforms.config_of(FEATURES, {chain: steps})
        found[name] = transforms.run_in_process(tmp_path_factory.mktemp(name), config, {"train": ROWS, "eval": ROWS})
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_step_comes_back_from_its_own_dump(name: str) -> None:
    chain, steps = chain_of(name)
    parsed = TransformConfig.model_validate({chain: steps})
    assert TransformConfig.model_validate(parsed.model_dump(mode="json")) == parsed


@pytest.mark.parametrize("name", NAMES)
def test_a_step_refuses_an_unknown_parameter(name: str) -> None:
    parameters = step_of(name).model_dump(mode="json")[name]
    with pytest.raises(ValidationError):
        type(step_of(name)).model_validate({**parameters, "no_such_parameter": 1})


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_a_steps_docstring_is_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"{STEPS}.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_takes_another_kind_of_column_is_refused_before_the_run(name: str) -> None:
    chain, steps = chain_of(name)
    wrong = "amount" if chain == "color" else "color"
    config = TransformConfig.model_validate({wrong: [{"hash": 3}, *steps] if name == "fill_missing" else steps})
    features = {"amount": FeatureKind.NUMERIC, "color": FeatureKind.CATEGORICAL}
    assert bool(config.problems(features)) is (chain in FEATURES)


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_what_the_summary_and_the_schema_declare(made: dict[str, transforms.Made], name: str) -> None:
    from components.transform.outputs import model_inputs

    chain, _ = chain_of(name)
    (declared,) = model_inputs(made[name].graph)
    values = made[name].values()[chain]
    assert (declared.name, declared.dtype, declared.width) == (chain, values.dtype.name, values.shape[1])
    assert np.isfinite(values).all()
    if declared.cardinality is not None:
        assert values.min() >= 0
        assert values.max() < declared.cardinality
    assert made[name].summary["chains"][chain]["output"]["width"] == declared.width


@pytest.mark.parametrize("name", NAMES)
def test_a_step_tells_rows_apart(made: dict[str, transforms.Made], name: str) -> None:
    chain, _ = chain_of(name)
    assert len(np.unique(made[name].values()[chain], axis=0)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_served_row_gets_the_value_that_training_gave_it(made: dict[str, transforms.Made], name: str) -> None:
    chain, _ = chain_of(name)
    requests = [{key: value for key, value in row.items() if key != "target"} for row in ROWS.to_pylist()]
    served = [each[chain][0].ravel() for each in made[name].served(requests)]
    assert_same(np.stack(served), made[name].values()[chain])
    np.testing.assert_array_equal(made[name].values("eval")[chain], made[name].values()[chain])


@pytest.mark.parametrize("name", NAMES)
def test_a_category_never_seen_before_is_served_within_the_declared_range(
    made: dict[str, transforms.Made], name: str
) -> None:
    from components.transform.outputs import model_inputs

    chain, _ = chain_of(name)
    row = {"amount": -1e30, "size": 4.0, "color": "never seen", "code": 123, "picture": b"?"}
    (request,) = made[name].served([row])
    (declared,) = model_inputs(made[name].graph)
    assert np.isfinite(request[chain]).all()
    assert declared.cardinality is None or 0 <= request[chain].max() < declared.cardinality


@pytest.mark.parametrize("name", NAMES)
def test_a_step_learns_the_same_twice(made: dict[str, transforms.Made], name: str, tmp_path: Path) -> None:
    chain, steps = chain_of(name)
    config = transforms.config_of(FEATURES, {chain: steps})
    again = transforms.run_in_process(tmp_path, config, {"train": ROWS, "eval": ROWS})
    assert again.summary == made[name].summary
    np.testing.assert_array_equal(again.values()[chain], made[name].values()[chain])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_learns_from_the_train_split_alone(made: dict[str, transforms.Made], name: str, tmp_path: Path) -> None:
    chain, steps = chain_of(name)
    config = transforms.config_of(FEATURES, {chain: steps})
    different = ROWS.slice(5, 3)
    other = transforms.run_in_process(tmp_path, config, {"train": ROWS, "eval": different})
    assert other.summary["chains"] == made[name].summary["chains"]
    assert_same(other.values("eval")[chain], made[name].values()[chain][5:8])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_columns_without_any_value(name: str, tmp_path: Path) -> None:
    nothing = [pa.nulls(4, kind) for kind in (pa.float32(), pa.float32(), pa.string(), pa.int64(), pa.binary())]
    rows = pa.record_batch([*nothing, pa.array([1.0, 2.0, 3.0, 4.0], pa.float32())], schema=ROWS.schema)
    chain, steps = chain_of(name)
    made = transforms.run_in_process(tmp_path, transforms.config_of(FEATURES, {chain: steps}), {"train": rows})
    assert len(np.unique(made.values()[chain], axis=0)) == 1
    assert np.isfinite(made.values()[chain]).all()

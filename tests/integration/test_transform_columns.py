"""Several chains of one column, several values in one cell, categories with an order: against Python."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from components.errors import ComponentError, SpecError
from components.features import FeatureKind
from components.transform.column import Column as RawColumn
from components.transform.config import TransformConfig
from components.transform.steps.tokenize import Tokenize
from pipelines.spec import load_spec
from tests.factories import transforms

FEATURES = {"story": "text", "price": "numeric", "tags": "categorical", "size": "categorical"}
STORIES = ["oil is up", "oil is down", None, "gold is up", "no news of oil", "oil oil oil"]
PRICES = [1.0, 5.0, 9.0, None, 20.0, 2.0]
TAGS = ["red|blue", " red | green||", None, "blue|blue|red", "|", "black"]
SIZES = ["low", "high", "middle", None, "huge", "low"]
KNOWN_TAGS = ["red", "blue"]
CHAINS: dict[str, Any] = {
    "story": ["tokenize", {"bag_of_words": 3}],
    "letters": [{"column": "story"}, {"tokenize": "characters"}, {"token_ids": {"length": 20, "top_k": 50}}],
    "price": [{"fill_missing": "median"}, "z_score"],
    "price_range": [{"column": "price"}, {"bucketize": 2}, "one_hot"],
    "tags": [{"tokenize": {"separator": "|"}}, {"multi_hot": 2}],
    "all_tags": [{"column": "tags"}, {"tokenize": {"separator": "|"}}, {"multi_hot": {"top_k": 2, "oov_buckets": 3}}],
    "frequent_tags": [
        {"column": "tags"},
        {"tokenize": {"separator": "|"}},
        {"multi_hot": {"top_k": 9, "min_frequency": 3}},
    ],
    "size": [{"ordinal": ["low", "middle", "high"]}, {"fill_missing": {"constant": -1}}],
}
ROWS = pa.record_batch(
    {
        "story": pa.array(STORIES),
        "price": pa.array(PRICES, pa.float32()),
        "tags": pa.array(TAGS),
        "size": pa.array(SIZES),
        "target": pa.array(np.zeros(6, np.float32)),
    }
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    config = transforms.config_of(FEATURES, CHAINS)
    return transforms.run_in_process(tmp_path_factory.mktemp("columns"), config, {"train": ROWS})


@pytest.fixture(scope="module")
def values(made: transforms.Made) -> dict[str, np.ndarray]:
    return made.values()


def vocabulary(made: transforms.Made, chain: str) -> list[str]:
    import tensorflow_transform as tft

    return [term.decode() for term in tft.TFTransformOutput(str(made.graph)).vocabulary_by_name(chain)]


def test_one_text_gives_the_counts_of_its_words_and_the_ids_of_its_characters(
    made: transforms.Made, values: dict[str, np.ndarray]
) -> None:
    words, letters = vocabulary(made, "story"), vocabulary(made, "letters")
    assert words[0] == "oil"
    for story, counts, ids in zip(STORIES, values["story"], values["letters"], strict=True):
        seen = collections.Counter((story or "").split())
        assert counts.tolist() == [seen[word] for word in words]
        assert "".join(letters[number - 1] for number in ids if number) == (story or "")


def test_one_number_is_scaled_and_cut_into_ranges(values: dict[str, np.ndarray]) -> None:
    price = np.array([5.0 if each is None else each for each in PRICES])
    np.testing.assert_allclose(values["price"][:, 0], (price - price.mean()) / price.std(), rtol=1e-5)
    assert [row.tolist() for row in values["price_range"]] == [[1, 0], [0, 1], [0, 1], [0, 0], [0, 1], [1, 0]]


def test_every_chain_of_a_column_is_served_as_it_was_trained(
    made: transforms.Made, values: dict[str, np.ndarray]
) -> None:
    requests = [{key: value for key, value in row.items() if key != "target"} for row in ROWS.to_pylist()]
    for number, row in enumerate(made.served(requests)):
        for chain in CHAINS:
            np.testing.assert_allclose(row[chain][0].ravel(), values[chain][number], rtol=1e-6, err_msg=chain)


def test_a_chain_of_a_column_counts_as_a_reader_and_an_image_may_have_two(tmp_path: Path) -> None:
    chains: dict[str, Any] = {
        "story": None,
        "words": [{"column": "story"}, "tokenize", {"tf_idf": 10}],
        "picture": [{"decode_image": 8}, "rescale"],
        "edges": [{"column": "picture"}, {"decode_image": 8}, "sobel"],
    }
    (tmp_path / "rows.csv").write_text("story,picture,y\na,b,1\n")
    spec = {
        "name": "stories",
        "task": "regression",
        "data": {"path": "rows.csv", "label": "y", "features": {"story": "text", "picture": "image"}},
        "transform": chains,
        "model": {"family": "mlp"},
    }
    with (file := tmp_path / "stories.yaml").open("w") as stream:
        YAML().dump(spec, stream)
    transform = load_spec(file).spec.transform
    expected = transform.expected_inputs({"story": FeatureKind.TEXT, "picture": FeatureKind.IMAGE})
    assert {each.name: each.shape for each in expected} == {
        "words": (10,),
        "picture": (8, 8, 3),
        "edges": (8, 8, 3),
    }


def test_another_chain_leaves_the_chain_of_the_feature_as_it_is() -> None:
    config = TransformConfig.model_validate({"ranges": [{"column": "price"}, {"bucketize": 3}]})
    chains = config.with_defaults({"price": FeatureKind.NUMERIC}).chains
    assert [step.plugin_name() for step in chains["price"]] == ["fill_missing", "z_score"]
    assert [step.plugin_name() for step in chains["ranges"]] == ["column", "bucketize"]


@pytest.mark.parametrize(
    ("chain", "received", "remedy"),
    [
        (["z_score"], "z_score on categories (text)", "If 'size' holds numbers, declare it: data.features.size"),
        ([], "a chain that ends in text", "Add vocabulary: 1000 to it."),
        (["vocabulary", {"column": "size"}], "column as step 3", "Give it a chain of its own"),
        ([{"target_encode": 2}, "log1p"], "log1p", "Remove the steps after it"),
    ],
)
def test_a_chain_of_a_column_that_cannot_be_is_refused_before_the_run(
    chain: list[Any], received: str, remedy: str
) -> None:
    config = TransformConfig.model_validate({"made": [{"column": "size"}, *chain]})
    (problem,) = config.problems({"size": FeatureKind.CATEGORICAL})
    assert (problem.received, problem.remedy[: len(remedy)]) == (received, remedy)


def test_an_undeclared_column_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("price,y\n1,1\n")
    (file := tmp_path / "prices.yaml").write_text(
        "name: prices\ntask: regression\n"
        "data: {path: rows.csv, label: y, features: {price: numeric}}\n"
        "transform:\n  ranges: [column: prize, bucketize: 3]\n"
        "model: {family: mlp}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    (problem,) = caught.value.problems
    assert (problem.where, problem.line, problem.received) == ("transform.ranges", 5, "column 'prize'")
    assert problem.expected == "one of price"


def test_several_values_of_a_cell_are_ones_in_their_places(
    made: transforms.Made, values: dict[str, np.ndarray]
) -> None:
    terms = vocabulary(made, "tags")
    assert sorted(terms) == sorted(KNOWN_TAGS)
    for cell, row, wide in zip(TAGS, values["tags"], values["all_tags"], strict=True):
        tags = {tag.strip() for tag in (cell or "").split("|")} - {""}
        assert row.tolist() == [float(term in tags) for term in terms]
        assert wide[:2].tolist() == row.tolist()
        assert wide[2:].sum() == len(tags - set(terms))
    assert vocabulary(made, "frequent_tags") == ["red", "blue"]
    assert values["frequent_tags"].shape[1] == 9
    assert not values["frequent_tags"][:, 2:].any()


def test_a_tag_first_seen_at_serving_has_a_bucket_or_no_place(made: transforms.Made) -> None:
    row: dict[str, Any] = {"story": "", "price": 1.0, "size": "low", "tags": "violet|red"}
    (served,) = made.served([row])
    assert served["tags"].sum() == 1
    assert served["all_tags"][0, :2].sum() == 1
    assert served["all_tags"][0, 2:].sum() == 1


def test_an_ordinal_is_the_place_in_the_order_and_what_is_off_the_list_is_missing(
    made: transforms.Made, values: dict[str, np.ndarray]
) -> None:
    assert values["size"][:, 0].tolist() == [0, 2, 1, -1, -1, 0]
    assert made.summary["chains"]["size"]["learned"]["unknown_rows"] == 1


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_category_off_the_list_stops_the_run_on_request(tmp_path: Path, engine: str) -> None:
    chains = {"size": [{"ordinal": {"order": ["low", "middle", "high"], "on_unknown": "error"}}]}
    config = transforms.config_of({"size": "categorical"}, chains)
    with pytest.raises(ComponentError) as caught:
        transforms.run_executor(tmp_path, config, {"train": ROWS}, engine)
    assert "1 training rows hold categories that ordinal does not list: 'huge' (1)" in str(caught.value)
    assert "the list has low, middle, high" in str(caught.value)
    assert "on_unknown: missing" in str(caught.value)


def test_numbers_that_name_an_order_are_written_as_numbers(tmp_path: Path) -> None:
    rows = pa.record_batch(
        {"grade": pa.array([3, 1, 2, None], pa.int64()), "target": pa.array([0.0] * 4, pa.float32())}
    )
    config = transforms.config_of({"grade": "categorical"}, {"grade": [{"ordinal": [1, 2, 3]}]})
    assert transforms.run_in_process(tmp_path, config, {"train": rows}).values()["grade"][:, 0].tolist() == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"ordinal": ["low", "high", "low"]}, "each category once, got 'low' more than once"),
        ({"ordinal": ["low"]}, "at least 2 items"),
        ({"ordinal": {"order": ["low", "high"], "on_unknown": "zero"}}, "'missing' or 'error'"),
        ({"tokenize": {"unit": "words", "separator": "|"}}, "either unit or separator, got unit: words and separator"),
        ({"tokenize": {"separator": ""}}, "at least 1 character"),
        ({"multi_hot": {"oov_buckets": -1}}, "greater than or equal to 0"),
        ({"column": []}, "valid string"),
    ],
)
def test_impossible_parameters_are_refused(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformConfig.model_validate({"size": [step]})


def test_a_separator_leaves_spaces_within_a_value_alone() -> None:
    import tensorflow as tf

    texts = tf.constant([["science fiction | drama||"], ["drama"], [""]])
    column = RawColumn("tags", "text", texts, tf.not_equal(texts, ""))
    found = Tokenize(separator="|").apply(column).values
    assert tf.sparse.to_dense(found).numpy().tolist() == [[b"science fiction", b"drama"], [b"drama", b""], [b"", b""]]

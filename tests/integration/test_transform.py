"""Transform as TFX runs it: both engines on the same odd data, and what stops the run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.errors import ComponentError
from tests.factories import transforms

FEATURES = {
    "amount": "numeric",
    "count": "numeric",
    "nothing": "numeric",
    "color": "categorical",
    "code": "categorical",
    "rare": "categorical",
}
CHAINS: dict[str, Any] = {
    "amount": [{"fill_missing": "median"}, {"clip_outliers": "iqr"}, "z_score"],
    "count": [{"fill_missing": "mean"}, "log1p", "min_max"],
    "nothing": [{"fill_missing": "mode"}, "z_score"],
    "color": [{"fill_missing": "mode"}, {"vocabulary": {"top_k": 5, "oov_buckets": 3}}, "one_hot"],
    "code": [{"vocabulary": {"top_k": 100, "min_frequency": 3}}],
    "rare": [{"fill_missing": {"constant": "none"}}, {"one_hot": 4}],
    "color_and_amount": [{"cross": ["color", "amount"]}, {"hash": 20}],
}


def odd_rows(rows: int, seed: int) -> pa.RecordBatch:
    """Missing values in every column, ties, text that a line of a file cannot hold, huge and tiny numbers."""
    random = np.random.default_rng(seed)
    amounts = np.float32(random.lognormal(0, 3, rows)) * random.choice(np.float32([-1, 1]), rows)
    amounts[random.random(rows) < 0.05] = np.nan
    colors = ["red", "blue", "żółty", "", "two\nlines", " spaced ", "☃", "tie a", "tie b", None]
    return pa.record_batch(
        {
            "amount": pa.array(amounts, mask=random.random(rows) < 0.1),
            "count": pa.array(random.integers(0, 10**9, rows), mask=random.random(rows) < 0.1),
            "nothing": pa.nulls(rows, pa.float32()),
            "color": pa.array([colors[pick] for pick in random.integers(0, len(colors), rows)], pa.string()),
            "code": pa.array(random.geometric(0.05, rows) - 5, mask=random.random(rows) < 0.1),
            "rare": pa.array([f"value {pick}" for pick in random.integers(0, rows, rows)]),
            "target": pa.array(["yes" if pick else "no" for pick in random.integers(0, 2, rows)]),
            "weighing": pa.array(np.float32(random.random(rows))),
        }
    )


SPLITS = {"train": odd_rows(700, seed=1), "eval": odd_rows(300, seed=2)}


def config() -> dict[str, Any]:
    return transforms.config_of(FEATURES, CHAINS, "multiclass_classification", "weighing")


@pytest.fixture(scope="module")
def by_arrow(tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    return transforms.run_executor(tmp_path_factory.mktemp("arrow"), config(), SPLITS)


@pytest.fixture(scope="module")
def by_beam(tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    return transforms.run_executor(tmp_path_factory.mktemp("beam"), config(), SPLITS, "beam")


def test_both_engines_write_the_same_vocabularies_schemas_and_asset_map(
    by_arrow: transforms.Made, by_beam: transforms.Made
) -> None:
    names = [f"transform_fn/assets/{name}" for name in ("color", "code", "rare", "label_vocabulary")]
    names += ["transformed_metadata/schema.pbtxt", "transformed_metadata/asset_map", "metadata/schema.pbtxt"]
    for name in names:
        assert (by_arrow.graph / name).read_bytes() == (by_beam.graph / name).read_bytes(), name
    assets = [
        sorted(path.name for path in (made.graph / "transform_fn/assets").iterdir()) for made in (by_arrow, by_beam)
    ]
    assert assets[0] == assets[1] == ["code", "color", "label_vocabulary", "rare"]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_both_engines_write_the_same_examples(by_arrow: transforms.Made, by_beam: transforms.Made, split: str) -> None:
    ours, theirs = by_arrow.values(split), by_beam.values(split)
    assert list(ours) == list(theirs) == sorted([*CHAINS, "label", "weight"])
    assert len(ours["label"]) == SPLITS[split].num_rows
    for name, values in ours.items():
        assert values.dtype == theirs[name].dtype
        # Beam may write rows in another order
        order, other = (np.lexsort([*made["weight"].T]) for made in (ours, theirs))
        atol = 0 if values.dtype == np.int64 else 1e-5
        np.testing.assert_allclose(values[order], theirs[name][other], rtol=0, atol=atol, err_msg=name)


def test_both_engines_learn_the_same_numbers(by_arrow: transforms.Made, by_beam: transforms.Made) -> None:
    ours, theirs = by_arrow.summary, by_beam.summary
    assert ours["text"] == theirs["text"] == "7 inputs, 17 columns wide"
    for name, chain in ours["chains"].items():
        other = theirs["chains"][name]["learned"]
        assert chain["learned"].keys() == other.keys()
        for key, value in chain["learned"].items():
            assert value == (pytest.approx(other[key], rel=1e-5) if isinstance(value, float) else other[key])


def test_the_learned_numbers_are_those_of_the_train_split(by_arrow: transforms.Made) -> None:
    learned = {name: chain["learned"] for name, chain in by_arrow.summary["chains"].items()}
    amounts = SPLITS["train"]["amount"].drop_null().to_numpy()
    amounts = amounts[np.isfinite(amounts)]
    low, median, high = np.quantile(amounts, [0.25, 0.5, 0.75])
    assert learned["amount"]["fill_value"] == pytest.approx(median, abs=0.05)
    assert learned["count"]["fill_value"] == pytest.approx(SPLITS["train"]["count"].drop_null().to_numpy().mean())
    assert low - 2 * (high - low) < learned["amount"]["low_fence"] < low < high < learned["amount"]["high_fence"]
    colors = [color for color in SPLITS["train"]["color"].to_pylist() if color]
    assert colors.count(learned["color"]["fill_value"]) == max(map(colors.count, colors))


def test_what_this_process_cannot_analyse_goes_to_beam_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from components.transform import arrow_analysis

    monkeypatch.delitem(arrow_analysis._OPERATIONS, "VocabularyPrune")
    chains = {"color": [{"vocabulary": 3}]}
    features = {"color": "categorical"}
    with caplog.at_level(logging.WARNING):
        made = transforms.run_executor(tmp_path, transforms.config_of(features, chains, expression="weighing"), SPLITS)
    assert "cannot analyse the operation VocabularyPrune; going on with Beam" in caplog.text
    assert made.summary["chains"]["color"]["learned"]["vocabulary_size"] == 3
    assert "rows" not in made.summary
    assert not (made.graph / ".arrow_analysis").exists()


@pytest.mark.parametrize(
    "option",
    [
        {"store_frequency": True},
        {"reserved_tokens": ["[UNK]"]},
        {"weights": True},
        {"coverage_top_k": 1, "key_fn": len},
    ],
)
def test_options_of_a_vocabulary_that_would_change_it_are_refused(tmp_path: Path, option: dict[str, Any]) -> None:
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.transform.arrow_analysis import UnsupportedAnalysisError, analyze

    def weighted(inputs: Any) -> Any:
        options = {**option, "weights": inputs["weight"]} if "weights" in option else option
        file = tft.vocabulary(inputs["text"], top_k=2, **options)
        return {"ids": tft.apply_vocabulary(inputs["text"], file)}

    specs = {"text": tf.TensorSpec([None], tf.string), "weight": tf.TensorSpec([None], tf.float32)}
    batch = {"text": tf.constant(["a", "b"]), "weight": tf.constant([1.0, 2.0])}
    with pytest.raises(UnsupportedAnalysisError):
        analyze(weighted, specs, [batch], tmp_path)


def test_a_step_may_analyse_what_a_vocabulary_gave(tmp_path: Path) -> None:
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.transform.arrow_analysis import analyze

    def centered(inputs: Any) -> Any:
        ids = tft.compute_and_apply_vocabulary(inputs["text"])
        return {"centered": tf.cast(ids, tf.float32) - tft.mean(ids)}

    batch = {"text": tf.constant(["a", "b", "b", "c"])}
    analyze(centered, {"text": tf.TensorSpec([None], tf.string)}, [batch], tmp_path)
    output = tft.TFTransformOutput(str(tmp_path))
    np.testing.assert_allclose(output.transform_raw_features(batch)["centered"], [1.25, -0.75, -0.75, 0.25])


def rows_of(**columns: pa.Array) -> dict[str, pa.RecordBatch]:
    target = pa.array(np.arange(len(next(iter(columns.values()))), dtype=np.float32))
    return {"train": pa.record_batch({**columns, "target": target})}


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_row_without_a_label_stops_either_engine(tmp_path: Path, engine: str) -> None:
    splits = rows_of(amount=pa.array([1.0, 2.0, None], pa.float32()))
    wrong = transforms.config_of({"amount": "numeric"}, {"amount": ["z_score"]}, expression="target / amount")
    with pytest.raises(ComponentError, match="In 1 rows of the split train the label 'target / amount'") as caught:
        transforms.run_executor(tmp_path, wrong, splits, engine)
    assert caught.value.spec_path == "data.label"


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_text_in_a_numeric_column_stops_either_engine_and_names_the_feature(tmp_path: Path, engine: str) -> None:
    splits = rows_of(amount=pa.array(["1", "2", "three"]))
    wrong = transforms.config_of({"amount": "numeric"}, {"amount": ["z_score"]})
    with pytest.raises(ComponentError, match="'amount' is declared numeric, but the data hold text") as caught:
        transforms.run_executor(tmp_path, wrong, splits, engine)
    assert caught.value.spec_path == "data.features.amount"


def test_a_column_that_the_schema_lacks_is_named(tmp_path: Path) -> None:
    splits = rows_of(amount=pa.array([1.0, 2.0], pa.float32()))
    wrong = transforms.config_of({"size": "numeric"}, {"size": ["z_score"]})
    with pytest.raises(ComponentError, match="no column 'size'") as caught:
        transforms.run_executor(tmp_path, wrong, splits)
    assert "amount, target" in str(caught.value.remedy)


def test_rows_with_several_values_are_refused(tmp_path: Path) -> None:
    splits = rows_of(amount=pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32())))
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.transform.arrow_engine import RawTensors

    schema = text_format.Parse('feature { name: "amount" type: FLOAT }', schema_pb2.Schema())
    with pytest.raises(ComponentError, match="'amount' has rows with more than one value") as caught:
        RawTensors(schema, ["amount"]).of(splits["train"])
    assert caught.value.spec_path == "data.features.amount"


def test_no_training_row_at_all_is_said_plainly(tmp_path: Path) -> None:
    splits = {"train": SPLITS["train"].slice(0, 0), "eval": SPLITS["eval"]}
    with pytest.raises(ComponentError, match="The train split has no rows") as caught:
        transforms.run_executor(tmp_path, config(), splits, "arrow")
    assert caught.value.spec_path == "data.split"

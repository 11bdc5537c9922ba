"""Both engines of Transform, as TFX runs the component: the same graph, the same rows."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.errors import ComponentError
from tests.factories import examples_artifacts, transforms

FEATURES = {
    "row": "numeric",
    "trip_miles": "numeric",
    "fare": "numeric",
    "dropoff_latitude": "numeric",
    "trip_seconds": "numeric",
    "company": "categorical",
    "payment_type": "categorical",
    "dropoff_community_area": "categorical",
    "trip_start_hour": "categorical",
    "pickup_census_tract": "categorical",
}
CHAINS: dict[str, Any] = {
    "row": [],
    "trip_miles": [{"fill_missing": "median"}, {"clip_outliers": "iqr"}, "z_score"],
    "fare": ["log1p", "min_max"],
    "dropoff_latitude": [{"fill_missing": "mode"}, {"bucketize": 10}],
    "trip_seconds": [{"fill_missing": "mean"}],
    "company": [{"fill_missing": "mode"}, {"vocabulary": {"top_k": 8, "oov_buckets": 3, "min_frequency": 5}}],
    "payment_type": [{"one_hot": 3}],
    "dropoff_community_area": [{"vocabulary": 1000}, "one_hot"],
    "trip_start_hour": [{"hash": 10}],
    # a column without any value
    "pickup_census_tract": [{"fill_missing": "mode"}, {"vocabulary": 10}],
    "where_and_when": [{"cross": ["dropoff_latitude", "trip_start_hour"]}, {"hash": 100}],
}


def taxi() -> dict[str, pa.RecordBatch]:
    rows = examples_artifacts.taxi_rows().slice(0, 3000)
    rows = rows.append_column("row", pa.array(np.arange(3000), pa.int64()))
    rows = rows.append_column("importance", pa.array(np.linspace(0, 2, 3000, dtype=np.float32)))
    index = rows.schema.get_field_index("pickup_census_tract")
    rows = rows.set_column(index, "pickup_census_tract", pa.nulls(3000, pa.int64()))
    return {"train": rows.slice(0, 2000), "eval": rows.slice(2000)}


@pytest.fixture(scope="module", params=["payment_type", "tips > 0.2 * fare"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, transforms.Made]:
    # Beam takes time per analyzer: all chains once, a few beside the classes
    classes = request.param == "payment_type"
    chosen = {"row", "fare", "company"} if classes else {*FEATURES, *CHAINS}
    task = "multiclass_classification" if classes else "binary_classification"
    features = {name: kind for name, kind in FEATURES.items() if name in chosen}
    chains = {name: chain for name, chain in CHAINS.items() if name in chosen}
    config = transforms.config_of(features, chains, task, "importance", expression=request.param)
    folder = tmp_path_factory.mktemp("engines")
    made = {}
    for engine in ("arrow", "beam"):
        (folder / engine).mkdir()
        made[engine] = transforms.run_executor(folder / engine, config, taxi(), engine)
    return made


def ordered(made: transforms.Made, split: str) -> dict[str, np.ndarray]:
    """Beam writes rows in an order of its own."""
    values = made.values(split)
    order = np.argsort(values["row"][:, 0])
    return {name: column[order] for name, column in values.items()}


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_rows_are_the_same(both: dict[str, transforms.Made], split: str) -> None:
    arrow, beam = ordered(both["arrow"], split), ordered(both["beam"], split)
    assert list(arrow) == list(beam)
    for name, values in arrow.items():
        assert values.dtype == beam[name].dtype
        # another order of summation
        tolerance = 0 if values.dtype == np.int64 else 2e-5
        np.testing.assert_allclose(values, beam[name], atol=tolerance, rtol=tolerance, err_msg=name)


def test_the_graphs_declare_the_same(both: dict[str, transforms.Made]) -> None:
    for file in ("transformed_metadata/schema.pbtxt", "transformed_metadata/asset_map", "metadata/schema.pbtxt"):
        arrow, beam = ((both[engine].graph / file).read_text() for engine in ("arrow", "beam"))
        assert arrow == beam, file


def test_the_vocabularies_are_the_same_to_the_byte(both: dict[str, transforms.Made]) -> None:
    files = {
        engine: {file.name: file.read_bytes() for file in (made.graph / "transform_fn" / "assets").iterdir()}
        for engine, made in both.items()
    }
    assert files["arrow"] == files["beam"]
    assert "company" in files["arrow"]


def test_the_report_is_told_the_same(both: dict[str, transforms.Made]) -> None:
    arrow, beam = (both[engine].summary for engine in ("arrow", "beam"))
    assert arrow["rows"] == {"train": 2000, "eval": 1000}
    for name, chain in arrow["chains"].items():
        other = beam["chains"][name]
        assert (chain["steps"], chain["output"]) == (other["steps"], other["output"])
        assert chain["learned"].keys() == other["learned"].keys()
        for key, value in chain["learned"].items():
            if isinstance(value, float) or key == "edges":
                assert value == pytest.approx(other["learned"][key], rel=1e-5)
            else:
                assert value == other["learned"][key]


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_graph_serves_without_the_label_and_the_weight(both: dict[str, transforms.Made], engine: str) -> None:
    row = taxi()["eval"].slice(0, 1).to_pylist()[0]
    chains = set(both[engine].summary["chains"])
    asked = {name: value for name, value in row.items() if name in chains and name in FEATURES}
    (answer,) = both[engine].served([asked])
    assert set(answer) == chains
    expected = ordered(both[engine], "eval")
    for name, value in answer.items():
        np.testing.assert_allclose(value[0], expected[name][0], rtol=3e-7, err_msg=name)


@pytest.mark.parametrize("engine", ["arrow", "beam"])
@pytest.mark.parametrize(
    ("features", "chains", "spec_path", "message"),
    [
        ({"company": "numeric"}, {"company": ["z_score"]}, "data.features.company", "declared numeric, but"),
        ({"no_such": "numeric"}, {"no_such": ["z_score"]}, "data.features.no_such", "has no column 'no_such'"),
    ],
)
def test_what_the_data_do_not_fit_is_told_by_its_place_in_the_spec(
    tmp_path: Path, engine: str, features: Any, chains: Any, spec_path: str, message: str
) -> None:
    config = transforms.config_of(features, chains, "binary_classification", expression="tips > 1")
    with pytest.raises(ComponentError, match=message) as caught:
        transforms.run_executor(tmp_path, config, taxi(), engine)
    assert caught.value.spec_path == spec_path
    assert caught.value.remedy


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_row_without_a_label_stops_the_run(tmp_path: Path, engine: str) -> None:
    rows = taxi()
    tips = rows["eval"].column("tips").to_pylist()
    tips[7] = None
    rows["eval"] = examples_artifacts.replaced(rows["eval"], "tips", pa.array(tips, pa.float32()))
    config = transforms.config_of({"fare": "numeric"}, {"fare": ["z_score"]}, "regression", expression="tips")
    with pytest.raises(ComponentError, match="In 1 rows of the split eval the label 'tips' cannot be computed"):
        transforms.run_executor(tmp_path, config, rows, engine)


def test_rows_with_two_values_of_a_feature_are_refused(tmp_path: Path) -> None:
    rows = pa.record_batch({"tags": pa.array([[b"a"], [b"b", b"c"]]), "target": pa.array([0.0, 1.0], pa.float32())})
    config = transforms.config_of({"tags": "categorical"}, {"tags": [{"hash": 5}]})
    with pytest.raises(ComponentError, match="'tags' has rows with more than one value") as caught:
        transforms.run_executor(tmp_path, config, {"train": rows}, "arrow")
    assert caught.value.spec_path == "data.features.tags"


def test_the_component_names_the_function_by_where_it_is() -> None:
    from tfx import types
    from tfx.types import standard_artifacts

    from components.transform.component import Transform
    from components.transform.preprocessing_fn import preprocessing_fn

    made = Transform(
        {"transform": {}},
        {"root": "x"},
        examples=types.Channel(type=standard_artifacts.Examples),
        schema=types.Channel(type=standard_artifacts.Schema),
    )
    module, _, name = made.exec_properties["preprocessing_fn"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is preprocessing_fn
    assert set(made.outputs) == {"transform_graph", "transformed_examples"}
    assert made.exec_properties["module_file"] is None

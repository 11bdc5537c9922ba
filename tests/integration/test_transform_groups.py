"""Steps that learn one value per group: right against pandas, the same in both engines, and served the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_iris

from components.features import FeatureKind
from components.transform.combiners import GroupMedians, GroupMoments
from components.transform.config import TransformConfig
from tests.factories import transforms

FEATURES = {"length": "numeric", "width": "numeric", "species": "categorical"}


def irises() -> tuple[pd.DataFrame, np.ndarray]:
    """Return iris with a third of the petal lengths gone, and what they were."""
    data = load_iris(as_frame=True)
    frame = data.frame.set_axis(["sepal", "depth", "length", "width", "target"], axis=1).astype(np.float32)
    frame["species"] = data.target_names[data.target]
    truth = frame["length"].to_numpy(copy=True)
    random = np.random.default_rng(3)
    frame.loc[random.random(150) < 1 / 3, "length"] = np.nan
    frame.loc[random.random(150) < 0.1, "species"] = None
    return frame, truth


def rows_of(frame: pd.DataFrame) -> pa.RecordBatch:
    columns = frame[["length", "width", "species", "target"]]
    return pa.RecordBatch.from_pandas(columns, preserve_index=False).replace_schema_metadata(None)


def test_the_mean_of_a_group_is_nearer_to_the_truth_than_the_mean_of_all(tmp_path: Path) -> None:
    frame, truth = irises()
    gone = frame["length"].isna().to_numpy()
    errors = {}
    for name, step in {"all": "mean", "groups": {"strategy": "mean", "by": "species"}}.items():
        (tmp_path / name).mkdir()
        config = transforms.config_of(FEATURES, {"length": [{"fill_missing": step}]})
        made = transforms.run_in_process(tmp_path / name, config, {"train": rows_of(frame)})
        filled = made.values()["length"][:, 0]
        np.testing.assert_array_equal(filled[~gone], truth[~gone])
        errors[name] = float(np.sqrt(np.mean((filled[gone] - truth[gone]) ** 2)))
    # a tenth of the species is missing too
    assert errors["groups"] < 0.5 * errors["all"], errors


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_groups_are_filled_with_what_pandas_finds(tmp_path: Path, strategy: str) -> None:
    frame, _ = irises()
    config = transforms.config_of(FEATURES, {"length": [{"fill_missing": {"strategy": strategy, "by": "species"}}]})
    made = transforms.run_in_process(tmp_path, config, {"train": rows_of(frame)})
    how = "mean" if strategy == "mean" else lambda values: values.quantile(interpolation="lower")
    expected = frame.groupby("species")["length"].transform(how)
    overall = frame["length"].mean() if strategy == "mean" else frame["length"].quantile(interpolation="lower")
    expected = frame["length"].fillna(expected).fillna(overall)
    np.testing.assert_allclose(made.values()["length"][:, 0], expected, rtol=1e-6)
    assert made.summary["chains"]["length"]["learned"] == {"fill_value": pytest.approx(overall), "groups": 3}
    names: list[Any] = ["setosa", "never seen", None]
    requests = [{"length": None, "species": name} for name in names]
    served = [each["length"][0, 0] for each in made.served(requests)]
    setosa = frame[frame["species"] == "setosa"]["length"]
    of_setosa = setosa.mean() if strategy == "mean" else setosa.quantile(interpolation="lower")
    np.testing.assert_allclose(served, [of_setosa, overall, overall], rtol=1e-6)


def test_each_group_is_standardised_by_its_own_mean_and_deviation(tmp_path: Path) -> None:
    frame, _ = irises()
    config = transforms.config_of(FEATURES, {"width": [{"z_score": {"by": "species"}}]})
    made = transforms.run_in_process(tmp_path, config, {"train": rows_of(frame)})
    values = made.values()["width"][:, 0]
    for _, members in frame.groupby("species").groups.items():
        assert np.mean(values[members]) == pytest.approx(0, abs=1e-5)
        assert np.std(values[members]) == pytest.approx(1, abs=1e-5)
    without = frame["species"].isna()
    overall = (frame["width"] - frame["width"].mean()) / frame["width"].std(ddof=0)
    np.testing.assert_allclose(values[without], overall[without], rtol=1e-5, atol=1e-6)
    # the species alone no longer tells the width
    assert np.var(pd.Series(values).groupby(frame["species"]).mean()) < 1e-9


def test_only_the_most_frequent_groups_have_a_value_of_their_own(tmp_path: Path) -> None:
    rows = pa.record_batch(
        {
            "length": pa.array([1.0, 3.0, 10.0, 20.0, 60.0, None, None, None], pa.float32()),
            "species": pa.array(["a", "a", "b", "b", "c", "a", "b", "c"]),
            "target": pa.array(np.arange(8, dtype=np.float32)),
        }
    )
    features = {"length": "numeric", "species": "categorical"}
    step = {"strategy": "mean", "by": "species", "max_groups": 2}
    config = transforms.config_of(features, {"length": [{"fill_missing": step}]})
    made = transforms.run_in_process(tmp_path, config, {"train": rows})
    np.testing.assert_allclose(made.values()["length"][5:, 0], [2.0, 15.0, 18.8], rtol=1e-6)


def test_both_engines_learn_the_same_groups(tmp_path: Path) -> None:
    frame, _ = irises()
    rows = rows_of(frame)
    chains = {
        "length": [{"fill_missing": {"strategy": "median", "by": "species"}}],
        "width": [{"z_score": {"by": "species"}}],
    }
    config = transforms.config_of(FEATURES, chains)
    made = {}
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        found = transforms.run_executor(tmp_path / engine, config, {"train": rows}, engine).values()
        # Beam writes rows in an order of its own
        made[engine] = np.sort(np.concatenate([found["length"], found["width"], found["label"]], axis=1), axis=0)
    np.testing.assert_allclose(made["arrow"], made["beam"], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("combiner", [GroupMoments(5), GroupMedians(5)])
def test_what_is_learned_does_not_depend_on_the_batches(combiner: Any) -> None:
    random = np.random.default_rng(0)
    keys, values = random.integers(0, 9, 1000), random.normal(1e4, 1, 1000).astype(np.float32)
    whole = combiner.add_input(combiner.create_accumulator(), (keys, values))
    parts = [combiner.add_input(combiner.create_accumulator(), (keys[i::7], values[i::7])) for i in range(7)]
    merged = combiner.merge_accumulators([combiner.create_accumulator(), *parts])
    for one, other in zip(combiner.extract_output(whole), combiner.extract_output(merged), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert len(combiner.extract_output(whole)[0]) == 5


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"fill_missing": {"strategy": "mode", "by": "species"}}, "mean or median together with by: species"),
        ({"fill_missing": {"strategy": {"constant": 1}, "by": "species"}}, "mean or median together with by"),
        ({"fill_missing": {"strategy": "mean", "max_groups": 5}}, "max_groups together with by: COLUMN"),
        ({"z_score": {"max_groups": 5}}, "max_groups together with by: COLUMN"),
        ({"z_score": {"by": "species", "max_groups": 0}}, "greater than or equal to 1"),
    ],
)
def test_parameters_that_make_no_sense_together_are_refused(step: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformConfig.model_validate({"length": [step]})


@pytest.mark.parametrize(
    ("by", "received", "remedy"),
    [
        ("width", "reads 'width', which holds numbers", "data.features.width: categorical"),
        ("length", "reads 'length'", "Remove the name"),
    ],
)
def test_a_column_that_cannot_name_groups_is_refused(by: str, received: str, remedy: str) -> None:
    config = TransformConfig.model_validate({"length": ["log1p", {"z_score": {"by": by}}]})
    (problem,) = config.problems({name: FeatureKind(kind) for name, kind in FEATURES.items()})
    assert problem.location == ("transform", "length", 1)
    assert received in problem.received
    assert problem.expected
    assert remedy in problem.remedy


def test_a_column_that_is_no_feature_is_refused_with_its_line(tmp_path: Path) -> None:
    from components.errors import SpecError
    from pipelines.spec import load_spec

    (tmp_path / "data.csv").write_text("length,species,label\n1,a,0\n")
    file = tmp_path / "spec.yaml"
    file.write_text(
        "name: groups\ntask: regression\n"
        "data: {path: data.csv, label: label, features: {length: numeric, species: categorical}}\n"
        "transform:\n  length:\n    - z_score: {by: specis}\n"
        "model: {family: wide_and_deep}\n"
    )
    with pytest.raises(SpecError, match="z_score that reads 'specis', which data.features does not declare") as caught:
        load_spec(file)
    (problem,) = caught.value.problems
    assert problem.line == 6
    assert problem.remedy == "Did you mean 'species'?"

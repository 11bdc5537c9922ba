"""`sluice init` writes a spec that is right for the file it saw."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.datasets

from components.errors import SpecError
from components.features import FeatureKind
from pipelines.spec import load_spec
from pipelines.starter import write_starter


def write(path, name):
    """Write a data set of scikit-learn as CSV."""
    loaded = getattr(sklearn.datasets, f"load_{name}")()
    header = [f"f{index}" for index in range(loaded.data.shape[1])] + ["target"]
    np.savetxt(
        path,
        np.column_stack([loaded.data, loaded.target]),
        delimiter=",",
        header=",".join(header),
        comments="",
        fmt="%g",
    )
    return path


@pytest.mark.parametrize(
    ("name", "task", "metric"),
    [
        ("breast_cancer", "binary_classification", "auc"),
        ("wine", "multiclass_classification", "accuracy"),
        ("diabetes", "regression", "r_squared"),
    ],
)
def test_the_task_follows_from_the_label(tmp_path, name, task, metric):
    started = write_starter(tmp_path / "p", write(tmp_path / f"{name}.csv", name))
    spec = load_spec(started.path).spec
    assert spec.task == task
    assert spec.name == name
    assert spec.evaluation.gate[0].metric == metric
    assert spec.data.label.columns == ("target",)
    assert "a guess" in started.notes[0]
    assert "target" not in spec.data.features


def test_columns_are_told_apart(tmp_path):
    rows = ["row_id,when,city,rooms,price,note,nothing,sold"]
    cities = ("Oslo", "Bergen", "Trondheim")
    for index in range(60):
        price = "" if index % 7 == 0 else f"{100 + index * 1.5}"
        sold = "yes" if index % 5 == 0 else "no"
        day = f"2024-01-{index % 28 + 1:02}"
        rows.append(f"{index},{day},{cities[index % 3]},{index % 4},{price},free {index},x,{sold}")
    (tmp_path / "House Prices.csv").write_text("\n".join(rows) + "\n")
    started = write_starter(tmp_path / "p", tmp_path / "House Prices.csv", "sold")
    spec = load_spec(started.path).spec
    assert spec.data.features == {
        "city": FeatureKind.CATEGORICAL,
        "rooms": FeatureKind.CATEGORICAL,
        "price": FeatureKind.NUMERIC,
    }
    assert spec.data.label.expression == "sold == 'yes'"
    assert spec.name == "house_prices"
    notes = "\n".join(started.notes)
    for column in ("row_id", "when", "note", "nothing"):
        assert f"left out {column}" in notes


def test_gaps_in_the_label_are_dropped(tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n" + "".join(f"{i}.5,{i % 2 if i % 3 else ''}\n" for i in range(40)))
    spec = load_spec(write_starter(tmp_path / "p", tmp_path / "d.csv", "y").path).spec
    assert [step.model_dump() for step in spec.cleaning.steps] == [{"drop_missing": {"columns": ("y",)}}]


def test_a_label_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "d.csv").write_text("price,sold\n1,0\n2,1\n")
    with pytest.raises(SpecError, match="Did you mean 'sold'"):
        write_starter(tmp_path / "p", tmp_path / "d.csv", "solt")


def test_a_spec_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "d.csv").write_text("price,sold\n1.5,0\n2.5,1\n")
    write_starter(tmp_path, tmp_path / "d.csv", "sold")
    with pytest.raises(SpecError, match="there already"):
        write_starter(tmp_path, tmp_path / "d.csv", "sold")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "d.csv").write_bytes(b"\x00\x01")
    with pytest.raises(SpecError):
        write_starter(tmp_path / "p", tmp_path / "d.csv")

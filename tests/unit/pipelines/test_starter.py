"""`sluice init` writes a spec that is right for the file it saw."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


TALES = "the old ship left harbour at dawn and nobody ever heard of its crew again until spring"


def test_free_text_becomes_a_text_feature_and_what_names_the_row_stays_out(tmp_path):
    draw = np.random.default_rng(1)
    rows = ["ticket,customer_name,home_address,code,story,mood"]
    for index in range(60):
        story = " ".join(draw.permutation(TALES.split())[:9])
        address = f"House of the Green River number {index}"
        rows.append(
            f"a{index} b{index},Ann Bea Cee Dee Eff the {index}th,{address},1 2 3 4 5 6 {index},{story},{index % 2}"
        )
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n")
    started = write_starter(tmp_path / "p", tmp_path / "d.csv", "mood")
    spec = load_spec(started.path).spec
    assert spec.data.features == {"story": FeatureKind.TEXT}
    (chain,) = spec.transform.chains.values()
    assert [type(step).__name__ for step in chain] == ["NormalizeText", "Tokenize", "TfIdf"]
    assert "story: free text, about 9 words a row" in started.notes
    for column in ("ticket", "customer_name", "home_address", "code"):
        assert f"left out {column}: it is free text or names the row" in "\n".join(started.notes)


def test_a_column_of_text_or_of_one_value_is_not_guessed_as_the_label(tmp_path):
    rows = [f"{'good' if index % 2 else 'bad'},{TALES[index % 5 :]} {'x' * index},same" for index in range(30)]
    (tmp_path / "d.csv").write_text("verdict,story,source\n" + "\n".join(rows) + "\n")
    spec = load_spec(write_starter(tmp_path / "p", tmp_path / "d.csv").path).spec
    assert spec.data.label.columns == ("verdict",)


def test_bytes_in_a_parquet_column_are_no_text(tmp_path):
    contents = [b"many words that are some bytes of a file " + bytes([index]) for index in range(40)]
    table = pa.table({"content": contents, "size": [float(i) for i in range(40)], "kept": [i % 2 for i in range(40)]})
    pq.write_table(table, tmp_path / "d.parquet")
    spec = load_spec(write_starter(tmp_path / "p", tmp_path / "d.parquet", "kept").path).spec
    assert spec.data.features == {"size": FeatureKind.NUMERIC}

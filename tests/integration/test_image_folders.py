"""Images as raw data: a folder per class, or paths in a table; what is written, refused, set aside and described."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn import datasets

from components.cleaning.config import CleaningConfig
from components.data import preflight
from components.data.config import DataConfig, IngestConfig
from components.data.ingest import ingest
from components.data.raw_files import raw_files
from components.data.source import fingerprint, list_files
from components.engine.examples import read_batches, split_directory
from components.errors import ComponentError, SpecError

IMAGES_PER_DIGIT = 6


def png(pixels: np.ndarray) -> bytes:
    Image.fromarray(pixels).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def digit_files() -> dict[str, bytes]:
    """The first images of each of scikit-learn's digits, `CLASS/FILE` to content."""
    images, targets = datasets.load_digits(return_X_y=True)
    counted: Counter[int] = Counter()
    found = {}
    for row, target in zip(images, targets, strict=True):
        if counted[target] < IMAGES_PER_DIGIT:
            found[f"{target}/{counted[target]}.png"] = png((row.reshape(8, 8) * 15).astype(np.uint8))
            counted[target] += 1
    return found


FILES = digit_files()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "digits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "digits"


def rows_of(target: Path) -> list[dict[str, Any]]:
    batches = [batch for split in ("train", "eval") for batch in read_batches(split_directory(target, split))]
    return [row for batch in batches for row in batch.to_pylist()]


def run(data_path: Path | str, target: Path, **config: Any) -> dict[str, Any]:
    return ingest(IngestConfig.model_validate(config), str(data_path), target, {})


def test_each_image_becomes_a_row_of_its_bytes_its_folder_and_its_path(folder: Path, tmp_path: Path) -> None:
    (folder / "0" / ".DS_Store").write_bytes(b"not for us")
    (folder / ".git").mkdir()
    (folder / ".git" / "0.png").write_bytes(b"not for us")
    (folder / "README.md").write_text("digits")
    summary = run(folder, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert {row["path"].decode(): row["image"] for row in rows} == FILES
    assert all(row["path"].startswith(row["label"] + b"/") for row in rows)
    assert summary["rows"] == len(FILES)
    assert min(summary["splits"].values()) > 10
    assert summary["columns"] == {"label": "bytes", "path": "bytes", "image": "bytes"}
    assert summary["files"] == [str(folder / str(digit)) for digit in range(10)]


def test_a_glob_and_the_declared_format_find_the_same_images(folder: Path) -> None:
    expected = [file.path for file in list_files(str(folder))]
    assert len(expected) == len(FILES)
    assert [file.path for file in list_files(f"{folder}/*/*.png")] == expected
    assert [file.path for file in list_files(str(folder), "images")] == expected


def test_a_url_of_a_folder_stands_for_the_images_in_its_folders(folder: Path, tmp_path: Path) -> None:
    (folder / "0" / ".hidden").write_bytes(b"")
    summary = run(f"file://{folder}", tmp_path / "out")
    assert {row["path"].decode(): row["image"] for row in rows_of(tmp_path / "out")} == FILES
    assert summary["files"][0].endswith("/digits/0")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("3/torn.png", FILES["3/0.png"][:90], "Invalid PNG data"),
        ("3/notes.txt", b"see page 4", "Unknown image file format"),
        ("3/empty.png", b"", "Input is empty"),
    ],
    ids=["torn", "text", "empty"],
)
def test_a_file_that_is_no_image_ends_the_run_by_name_or_is_set_aside(
    folder: Path, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ComponentError, match=rf"(?s){folder / name}: no image.*{reason}") as error:
        run(folder, tmp_path / "out")
    assert error.value.spec_path == "data.path"
    assert "quarantine" in error.value.remedy
    allowed = {"on_bad_row": "quarantine", "quarantine": {"max_fraction": 0.1}}
    summary = run(folder, tmp_path / "aside", **allowed)
    assert (summary["rows"], summary["quarantined"]) == (len(FILES), 1)
    assert str(folder / name) in Path(summary["quarantine_file"]).read_text()
    assert {row["path"].decode(): row["image"] for row in rows_of(tmp_path / "aside")} == FILES
    with pytest.raises(ComponentError, match=r"1 of 61 rows are bad \(1.64%\), more than 1.00%"):
        run(folder, tmp_path / "limit", on_bad_row="quarantine")


def test_images_without_a_folder_per_class_are_refused(folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    shutil.copytree(folder / "0", flat)
    with pytest.raises(SpecError, match="holds images themselves; expected a folder per class"):
        list_files(str(flat))


def data(path: Path, **more: Any) -> DataConfig:
    written = {"path": str(path), "label": "label", "features": {"image": "image"}, **more}
    return DataConfig.model_validate(written)


def check(config: DataConfig, path: Path) -> preflight.Preflight:
    return preflight.check(config, str(path), CleaningConfig(), {}, [], "multiclass_classification")


def test_the_look_before_the_run_counts_images_and_knows_their_columns(folder: Path) -> None:
    found = check(data(folder), folder)
    assert found.problems == []
    assert found.rows == len(FILES)
    (problem,) = check(data(folder, features={"photo": "image"}), folder).problems
    assert "column 'photo', which the data do not have" in problem.received


def test_a_split_by_the_order_of_files_would_split_by_class_and_is_refused(folder: Path) -> None:
    (problem,) = check(data(folder, split={"by": "ratio"}), folder).problems
    assert problem.where == "data.split.by"
    assert "whose order is that of the classes" in problem.received


def test_the_fingerprint_follows_contents_and_classes(folder: Path, tmp_path: Path) -> None:
    seen = [fingerprint(raw_files(data(folder), str(folder)))]
    assert fingerprint(raw_files(data(folder), str(folder), tmp_path / "memo.json")) == seen[0]
    assert len(raw_files(data(folder), str(folder))) == 10
    content = (folder / "1" / "0.png").read_bytes()
    (folder / "1" / "0.png").write_bytes(FILES["2/0.png"])
    seen.append(fingerprint(raw_files(data(folder), str(folder))))
    (folder / "1" / "0.png").write_bytes(content)
    (folder / "1" / "0.png").rename(folder / "2" / "moved.png")
    seen.append(fingerprint(raw_files(data(folder), str(folder))))
    assert len(set(seen)) == 3


def write_table(folder: Path, kind: str, **cells: Any) -> Path:
    """Write a table beside the folders of images that names some of them."""
    names = list(FILES)
    table = pa.table(
        {
            "number": pa.array(range(len(names))),
            "photo": pa.array([cells.get(f"row_{row}", name) for row, name in enumerate(names)], pa.string()),
            "label": pa.array([name.split("/")[0] for name in names]),
        }
    )
    if kind == "parquet":
        pq.write_table(table, folder / "table.parquet")
        return folder / "table.parquet"
    lines = [f"{row['number']},{row['photo'] or ''},{row['label']}" for row in table.to_pylist()]
    (folder / "table.csv").write_text("\n".join(["number,photo,label", *lines]) + "\n")
    return folder / "table.csv"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_paths_in_a_table_become_the_bytes_of_the_images(folder: Path, tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(FILES["9/1.png"])
    table = write_table(folder, kind, row_0=None, row_1=str(elsewhere), row_2=f"file://{elsewhere}")
    run(table, tmp_path / "out", images=["photo"])
    rows = {row["number"]: row["photo"] for row in rows_of(tmp_path / "out")}
    assert len(rows) == len(FILES)
    assert rows[0] is None
    assert rows[1] == rows[2] == FILES["9/1.png"]
    assert all(rows[number] == FILES[name] for number, name in list(enumerate(FILES))[3:])


def test_bytes_in_a_parquet_column_are_the_image_itself(tmp_path: Path) -> None:
    contents = [*FILES.values(), b"nothing"]
    labels = [*(name[0] for name in FILES), "0"]
    pq.write_table(pa.table({"photo": pa.array(contents, pa.binary()), "label": labels}), tmp_path / "t.parquet")
    with pytest.raises(ComponentError, match="an image, which row 61 of column 'photo' names: no image"):
        run(tmp_path / "t.parquet", tmp_path / "out", images=["photo"])
    aside = {"on_bad_row": "quarantine", "quarantine": {"max_fraction": 0.1}}
    assert run(tmp_path / "t.parquet", tmp_path / "aside", images=["photo"], **aside)["quarantined"] == 1
    assert {row["photo"] for row in rows_of(tmp_path / "aside")} == set(FILES.values())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_names_a_missing_image_says_which_row(folder: Path, tmp_path: Path, kind: str) -> None:
    table = write_table(folder, kind, row_7="7/none.png")
    with pytest.raises(ComponentError, match="7/none.png, which row 8 of column 'photo' names: not there") as error:
        run(table, tmp_path / "out", images=["photo"])
    assert error.value.spec_path == "data.features.photo"
    aside = {"on_bad_row": "quarantine", "quarantine": {"max_fraction": 0.1}, "images": ["photo"]}
    by_time = {"split": {"by": "time", "columns": ["number"], "train": 1, "eval": 1}}
    summary = run(table, tmp_path / "aside", **aside, **by_time)
    assert summary["rows"] == len(FILES) - 1
    train = [row for batch in read_batches(split_directory(tmp_path / "aside", "train")) for row in batch.to_pylist()]
    assert sorted(row["number"] for row in train) == [n for n in range(31) if n != 7]


def test_the_images_that_a_table_names_count_in_its_fingerprint(folder: Path) -> None:
    table = write_table(folder, "csv")
    config = data(table, features={"photo": "image"})
    before = fingerprint(raw_files(config, str(table)))
    (folder / "5" / "5.png").write_bytes(FILES["2/0.png"])
    assert fingerprint(raw_files(config, str(table))) != before


def test_tables_in_several_folders_leave_open_what_a_path_means(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    write_table(folder, "csv")
    write_table(tmp_path / "other", "csv")
    with pytest.raises(SpecError, match="tables with paths of images in 2 folders"):
        run(f"{tmp_path}/*/table.csv", tmp_path / "out", images=["photo"])


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_statistics_hold_no_image_and_still_say_how_many_there_are(folder: Path, tmp_path: Path, engine: str) -> None:
    import tensorflow_data_validation as tfdv
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import artifact_utils, standard_artifacts

    from components.data.statistics_gen import Executor

    run(folder, tmp_path / "out")
    examples, statistics = standard_artifacts.Examples(), standard_artifacts.ExampleStatistics()
    examples.uri, statistics.uri = str(tmp_path / "out"), str(tmp_path / "statistics")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    Executor(context).Do(
        {"examples": [examples]},
        {"statistics": [statistics]},
        {"config": json.dumps({"images": ["image"]}), "runtime": json.dumps({"engine": {"name": engine}})},
    )
    file = tmp_path / "statistics" / "Split-train" / "FeatureStats.pb"
    described = tfdv.load_stats_binary(str(file))
    features = {feature.path.step[0]: feature for feature in described.datasets[0].features}
    assert features["image"].WhichOneof("stats") == "bytes_stats"
    assert features["image"].bytes_stats.common_stats.num_non_missing == described.datasets[0].num_examples
    assert features["label"].string_stats.unique == 10
    assert b"PNG" not in file.read_bytes()
    schema = tfdv.infer_schema(described, infer_feature_shape=False)
    assert not tfdv.validate_statistics(described, schema).anomaly_info

"""From a folder of images to a served network that reads digits, without a table anywhere."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.factories.sluice_command import Sluice, output

FOLDER = Path(__file__).parents[2] / "data" / "digits"
FEWER = ("training.epochs=5", "evaluation.bootstrap_samples=0")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Sluice:
    """The example spec as it is, with half of its epochs; its gate asks for an accuracy of 0.95."""
    assert FOLDER.is_dir(), "make data makes it"
    folder = tmp_path_factory.mktemp("digits")
    sluice = Sluice(folder / "root", folder)
    sluice("run", "digits", *FEWER)
    return sluice


def answers(sluice: Sluice, *rows: str) -> list[dict]:
    done = sluice("predict", "digits", *rows)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_network_reads_digits_that_it_never_saw(digits: Sluice) -> None:
    run = digits.latest()
    assert run["status"] == "pushed"
    assert run["verdict"]["servability"]["ok"]
    assert {step for entry in run["spec"]["augmentation"] for step in entry} == {"random_shift", "random_rotation"}
    metrics = json.loads((output(run, "Evaluator", "evaluation") / "metrics.json").read_text())
    assert metrics["overall"]["accuracy"]["value"] >= 0.95
    assert len(run["data"]["files"]) == 10
    report = (digits.root / "runs" / run["run_id"] / "report.html").read_text()
    assert "image" in report
    assert "PNG\\r" not in report


def test_the_served_model_takes_the_bytes_of_files_and_survives_what_is_no_image(digits: Sluice) -> None:
    loaded = tf.saved_model.load(str(digits.root / "serving" / str(digits.versions()[-1])))
    files = sorted(FOLDER.glob("7/*.png"))[:50]
    contents = [file.read_bytes() for file in files]
    raw = loaded.signatures["raw"](image=tf.constant([*contents, b"", b"no image"]))
    named = [name.decode() for name in raw["class"].numpy()]
    assert named[:50].count("7") >= 48
    np.testing.assert_array_equal(raw["probabilities"][50], raw["probabilities"][51])
    alone = loaded.signatures["raw"](image=tf.constant(contents[:1]))
    np.testing.assert_allclose(alone["probabilities"][0], raw["probabilities"][0], atol=1e-6)
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append(contents[0])
    served = loaded.signatures["serving_default"](tf.constant([example.SerializeToString()]))
    np.testing.assert_allclose(served["probabilities"][0], raw["probabilities"][0], atol=1e-6)


def test_prediction_takes_a_folder_paths_in_a_table_and_base64(digits: Sluice, tmp_path: Path) -> None:
    file = sorted(FOLDER.glob("3/*.png"))[0]
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown" / "a.png").write_bytes(file.read_bytes())
    Image.open(file).convert("RGB").resize((40, 40)).save(larger := io.BytesIO(), "JPEG", quality=95)
    (tmp_path / "unknown" / "b.jpg").write_bytes(larger.getvalue())
    (tmp_path / "rows.csv").write_text(f"image,note\nunknown/a.png,same\n{file},whole path\n,none\n")
    of_folder = answers(digits, str(tmp_path / "unknown"))
    of_table = answers(digits, str(tmp_path / "rows.csv"))
    encoded = json.dumps({"image": {"b64": base64.b64encode(file.read_bytes()).decode()}})
    (of_json,) = answers(digits, "--json", encoded)
    assert [each["class"] for each in of_folder] == ["3", "3"]
    for same in (of_table[0], of_table[1], of_folder[0]):
        np.testing.assert_allclose(same["probabilities"], of_json["probabilities"], atol=1e-6)
    assert np.abs(np.subtract(of_table[2]["probabilities"], of_json["probabilities"])).max() > 0.1
    (tmp_path / "rows.csv").write_text("image\nnowhere.png\n")
    refused = digits("predict", "digits", str(tmp_path / "rows.csv"), check=2)
    assert "image, row 1" in refused.stderr
    assert "nowhere.png" in "".join(refused.stderr.split())  # a long path is wrapped


def test_a_copy_of_the_images_is_the_same_data_and_an_image_more_is_not(digits: Sluice, tmp_path: Path) -> None:
    copy = tmp_path / "digits"
    shutil.copytree(FOLDER, copy)
    changed = (*FEWER, f"data.path={copy}")
    assert "nothing to do" in digits("run", "digits", *changed).stdout
    (copy / "5" / "copy.png").write_bytes(next(copy.glob("6/*.png")).read_bytes())
    assert "5,001 rows" in digits("plan", "digits", *changed).stdout

"""From a folder of images to a served network that reads digits, without a table anywhere."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn import datasets

from tests.factories.sluice_command import Sluice, output

SPEC = Path(__file__).parents[2] / "pipelines" / "specs" / "digits.yaml"
SMALLER = {
    "size: 28": "size: 8",
    "epochs: 10": "epochs: 6",
    "batch_size: 64": "batch_size: 32",
    "- accuracy >= 0.95": "- accuracy >= 0.93",
    "  gate:": "  bootstrap_samples: 0\n  gate:",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits of scikit-learn, 8 x 8, as PNG files; the specs' own come from `make data`."""
    folder = tmp_path_factory.mktemp("images")
    images, targets = datasets.load_digits(return_X_y=True)
    for number, (row, target) in enumerate(zip(images, targets, strict=True)):
        (folder / str(target)).mkdir(exist_ok=True)
        Image.fromarray((row.reshape(8, 8) * 15.9).astype(np.uint8)).save(folder / str(target) / f"{number:04}.png")
    return folder


@pytest.fixture(scope="module")
def spec(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example spec on these images."""
    text = SPEC.read_text().replace("../../data/digits", str(folder))
    for ours, smaller in SMALLER.items():
        assert text.count(ours) == 1
        text = text.replace(ours, smaller)
    home = tmp_path_factory.mktemp("spec")
    (home / "pipeline.yaml").write_text(text)
    return str(home)


@pytest.fixture(scope="module")
def digits(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Sluice:
    folder = tmp_path_factory.mktemp("digits")
    sluice = Sluice(folder / "root", folder)
    sluice("run", spec)
    return sluice


def answers(sluice: Sluice, spec: str, *rows: str) -> list[dict]:
    done = sluice("predict", spec, *rows)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_network_reads_digits_that_it_never_saw(digits: Sluice) -> None:
    run = digits.latest()
    assert run["status"] == "pushed"
    assert run["verdict"]["servability"]["ok"]
    metrics = json.loads((output(run, "Evaluator", "evaluation") / "metrics.json").read_text())
    assert metrics["overall"]["accuracy"]["value"] > 0.93
    assert len(run["data"]["files"]) == 10
    report = (digits.root / "runs" / run["run_id"] / "report.html").read_text()
    assert "image" in report
    assert "PNG\\r" not in report


def test_the_served_model_takes_the_bytes_of_files_and_survives_what_is_no_image(digits: Sluice, folder: Path) -> None:
    loaded = tf.saved_model.load(str(digits.root / "serving" / str(digits.versions()[-1])))
    files = sorted(folder.glob("7/*.png"))[:50]
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


def test_prediction_takes_a_folder_paths_in_a_table_and_base64(
    digits: Sluice, spec: str, folder: Path, tmp_path: Path
) -> None:
    file = sorted(folder.glob("3/*.png"))[0]
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown" / "a.png").write_bytes(file.read_bytes())
    Image.open(file).convert("RGB").resize((40, 40)).save(larger := io.BytesIO(), "JPEG", quality=95)
    (tmp_path / "unknown" / "b.jpg").write_bytes(larger.getvalue())
    (tmp_path / "rows.csv").write_text(f"image,note\nunknown/a.png,same\n{file},whole path\n,none\n")
    of_folder = answers(digits, spec, str(tmp_path / "unknown"))
    of_table = answers(digits, spec, str(tmp_path / "rows.csv"))
    encoded = json.dumps({"image": {"b64": base64.b64encode(file.read_bytes()).decode()}})
    (of_json,) = answers(digits, spec, "--json", encoded)
    assert [each["class"] for each in of_folder] == ["3", "3"]
    for same in (of_table[0], of_table[1], of_folder[0]):
        np.testing.assert_allclose(same["probabilities"], of_json["probabilities"], atol=1e-6)
    assert np.abs(np.subtract(of_table[2]["probabilities"], of_json["probabilities"])).max() > 0.1
    (tmp_path / "rows.csv").write_text("image\nnowhere.png\n")
    refused = digits("predict", spec, str(tmp_path / "rows.csv"), check=2)
    assert "image, row 1" in refused.stderr
    assert "nowhere.png" in refused.stderr


def test_an_image_more_is_noticed(digits: Sluice, spec: str, folder: Path) -> None:
    assert "nothing to do" in digits("run", spec).stdout
    copy = folder / "5" / "copy.png"
    copy.write_bytes(next(folder.glob("6/*.png")).read_bytes())
    try:
        assert "1,798 rows" in digits("plan", spec).stdout
    finally:
        copy.unlink()

"""Back-translation inside the Trainer, on texts with the ids that transform gave their words."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.augmentation.config import AugmentationConfig
from components.engine.examples import ExampleWriter, encode_examples, read_records
from components.errors import ComponentError
from components.training.job import Job
from components.training.run_fn import run_job
from tests.factories import trainer_artifacts
from tests.factories.trainer_artifacts import Artifacts, job_arguments

PARTS = (
    ("film", "plot", "music", "cast"),
    ("was", "seems"),
    ("very", "so", "rather"),
    ("good", "great", "bad", "poor"),
)
TEXTS = [" ".join(words) for words in itertools.product(*PARTS)]
TRANSLATOR = """
from pathlib import Path

def translate(texts):
    with Path({file!r}).open("a") as file:
        file.writelines(text + chr(10) for text in texts)
    return [text.replace("good", "great").replace("bad", "poor") for text in texts]
"""
MODEL = {"family": "text_cnn"}
TRAINING = {"epochs": 1, "batch_size": 64, "tensorboard": False}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    root = tmp_path_factory.mktemp("reviews")
    columns = {"features": {"text": "text"}, "label": {"name": "target", "expression": "liked > 0"}, "weight": None}
    schema = root / "schema" / "schema.pbtxt"
    made = Artifacts(root, root / "raw", root / "transformed", root / "graph", schema, columns, "binary_classification")
    liked = np.array([text.endswith(("good", "great")) for text in TEXTS], "float32")
    for split, times in (("train", 3), ("eval", 1)):
        with ExampleWriter(made.raw / f"Split-{split}") as writer:
            writer.write(encode_examples(pa.record_batch({"text": TEXTS * times, "liked": np.tile(liked, times)})))
    trainer_artifacts._transform(made)
    return made


def trained(artifacts: Artifacts, output: Path, source: str) -> None:
    given = job_arguments(artifacts, output, MODEL, TRAINING)
    steps = [{"back_translation": "mine.py"}]
    given["config"]["augmentation"] = AugmentationConfig.model_validate(steps).model_dump(mode="json")
    given["config"]["augmentation_files"] = {"mine.py": source}
    run_job(Job(**given))


def test_a_training_translates_each_text_once_and_serves_a_model_without_the_translator(
    reviews: Artifacts, tmp_path: Path
):
    asked = tmp_path / "asked.txt"
    trained(reviews, tmp_path, TRANSLATOR.format(file=str(asked)))
    assert sorted(asked.read_text().splitlines()) == sorted(TEXTS)
    served = tf.saved_model.load(str(tmp_path / "model" / "Format-Serving")).signatures["serving_default"]
    records = tf.constant(next(iter(read_records(reviews.raw / "Split-eval"))).to_pylist())
    assert np.isfinite(served(examples=records)["probability"].numpy()).all()
    assert sorted(asked.read_text().splitlines()) == sorted(TEXTS)


def test_a_translator_that_fails_stops_the_trainer_with_its_line(reviews: Artifacts, tmp_path: Path):
    with pytest.raises(ComponentError, match=r"translate in mine\.py failed: mine\.py:2: AttributeError") as caught:
        trained(reviews, tmp_path, "def translate(texts):\n    return texts[0].translated\n")
    assert (caught.value.spec_path, caught.value.remedy) == ("augmentation.0", "Correct mine.py:2.")

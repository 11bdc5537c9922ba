"""Back-translation with translators of the user's and with real models of CTranslate2."""

from __future__ import annotations

import doctest
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import tensorflow as tf

from components.augmentation import translator
from components.augmentation.augmenter import Augmenter
from components.augmentation.config import AugmentationConfig
from components.augmentation.model_folders import ModelFolders, digest_of
from components.augmentation.step import Facts
from components.augmentation.translation_models import load
from components.augmentation.translations import Translations
from components.errors import ComponentError
from components.features import LABEL, ModelInput
from components.training.augmentation import check_augmentation, prepare_augmentation
from components.training.columns import Columns
from components.training.input_fn import EpochOrder, Split, evaluation_dataset, training_dataset
from tests.factories.tiny_translator import write_translator

TEXTS = ["a big cat", "the small dog", "a big dog", "the red mat"]
WORDS = [None, "a", "the", "big", "small", "large", "little", "cat", "dog", "red", "mat", None]
TEXT = ModelInput("text", "int64", (5,), len(WORDS))
ROWS = 400
SYNONYMS = """
CALLS = []

def translate(texts):
    CALLS.append(texts)
    return [text.replace("big", "Large,").replace("small", "little old") for text in texts]
"""


def ids_of(text: str) -> list[int]:
    return ([WORDS.index(word) for word in text.split()] + [0] * 5)[:5]


def read(ids: Any) -> list[str]:
    return [" ".join(WORDS[each] or "?" for each in row if each) for row in np.asarray(ids)]


IDS = np.int64([ids_of(text) for text in TEXTS * (ROWS // 4)])
COLUMNS = Columns((TEXT,), np.zeros((ROWS, 0), "float32"), IDS, np.arange(ROWS, dtype="float32")[:, None])


def split_of(source: str = SYNONYMS, *, seed: int = 0, base_dir: str | None = None, **parameters: Any) -> Split:
    config = AugmentationConfig.model_validate([{"back_translation": {"translator": "mine.py", **parameters}}])
    facts = Facts((TEXT,), "regression", 1, lambda name: WORDS, {"mine.py": source}, base_dir)
    return Split("", ROWS, (TEXT,), "regression", False, COLUMNS, Augmenter(config, facts, seed))


def prepared(source: str = SYNONYMS, **parameters: Any) -> Split:
    split = split_of(source, **parameters)
    prepare_augmentation(split, {})
    check_augmentation(split)
    return split


def epoch(split: Split, number: int = 0) -> list[tuple[float, str]]:
    """Return label and text of each row of an epoch, by label."""
    order = EpochOrder(1)
    order.epoch = number
    batches = list(training_dataset(split, 64, order))
    labels = np.concatenate([label.numpy()[:, 0] for _, label in batches])
    return sorted(zip(labels.tolist(), read(np.concatenate([each["text"] for each, _ in batches])), strict=True))


def test_half_of_the_texts_become_their_translation_and_labels_stay_with_them():
    found = epoch(prepared())
    translations = ["a large cat", "the little dog", "a large dog", "the red mat"]
    changed = 0
    for row, (label, text) in enumerate(found):
        assert label == row
        assert text in (TEXTS[row % 4], translations[row % 4])
        changed += text != TEXTS[row % 4]
    assert changed / (ROWS * 3 / 4) == pytest.approx(0.5, abs=0.1)


def test_each_row_may_get_its_translation_in_one_epoch_and_not_in_the_next():
    split = prepared()
    assert epoch(split, 0) != epoch(split, 1)
    assert epoch(split, 0) == epoch(prepared(), 0)
    assert epoch(split, 0) != epoch(prepared(seed=1), 0)


def test_all_texts_are_translated_with_fraction_1_and_evaluation_reads_them_as_they_are():
    split = prepared(fraction=1)
    assert {text for _, text in epoch(split)} == {"a large cat", "the little dog", "a large dog", "the red mat"}
    batches = [read(features["text"]) for features, _ in evaluation_dataset(split, ROWS)]
    assert batches[0] == TEXTS * (ROWS // 4)


def test_each_distinct_text_is_translated_once(tmp_path: Path):
    kept = tmp_path / "asked.txt"
    source = f"""
from pathlib import Path

def translate(texts):
    with Path({str(kept)!r}).open("a") as file:
        file.writelines(text + chr(10) for text in texts)
    return [text.replace("big", "large") for text in texts]
"""
    split = prepared(source)
    epoch(split), epoch(split, 1)
    assert sorted(kept.read_text().splitlines()) == sorted(TEXTS)


def test_progress_is_told_while_texts_are_translated(tmp_path: Path):
    split = split_of()
    prepare_augmentation(split, {"progress": str(tmp_path / "progress.jsonl")})
    told = (tmp_path / "progress.jsonl").read_text()
    assert '"text": "preparing augmentation", "done": 0, "total": 4' in told
    assert '"done": 4, "total": 4' in told


def test_a_split_that_stays_in_its_files_is_translated_too(tmp_path: Path):
    record = lambda row: {  # noqa: E731
        "text": tf.train.Feature(int64_list=tf.train.Int64List(value=IDS[row])),
        LABEL: tf.train.Feature(float_list=tf.train.FloatList(value=[float(row)])),
    }
    with tf.io.TFRecordWriter(str(tmp_path / "rows.tfrecord.gz"), "GZIP") as writer:
        for row in range(ROWS):
            writer.write(tf.train.Example(features=tf.train.Features(feature=record(row))).SerializeToString())
    split = replace(split_of(), folder=str(tmp_path), columns=None)
    prepare_augmentation(split, {})
    texts = {text for _, text in epoch(split)}
    assert texts == {*TEXTS, "a large cat", "the little dog", "a large dog"}


def test_a_text_that_was_never_seen_and_words_without_an_id_stay():
    table = Translations.of(np.int64([[1, 2, 0], [3, 0, 0]]), np.int64([[4, 4, 4], [5, 0, 0]]))
    found = table.other(tf.constant([[3, 0, 0], [3, 3, 0], [1, 2, 0], [0, 0, 0]], tf.int64))
    assert found.numpy().tolist() == [[5, 0, 0], [3, 3, 0], [4, 4, 4], [0, 0, 0]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def translate(texts):\n    return texts[1:]\n", r"in mine\.py returned 3 texts for 4; expected one"),
        ("def translate(texts):\n    return 'x'\n", r"in mine\.py returned str 'x'; expected a list of texts"),
        ("def translate(texts):\n    return [1] * 4\n", r"returned list '\[1, 1, 1, 1\]'; expected a list of texts"),
        ("def translate(texts):\n    return [1 / 0]\n", r"mine\.py:2: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", r"mine\.py cannot be loaded: mine\.py:1: ModuleNotFoundError"),
        ("def other(texts): pass\n", r"mine\.py defines no function 'translate'; it defines other"),
        ("def translate(texts):\n    return texts\n", "changed none of the 4 texts of 'text' in words of its list"),
    ],
)
def test_a_translator_that_cannot_be_used_is_refused_with_its_line(source: str, message: str):
    with pytest.raises(ComponentError, match=message) as caught:
        prepare_augmentation(split_of(source), {})
    assert caught.value.spec_path == "augmentation.0"
    assert caught.value.remedy


def test_the_example_of_a_refusal_is_true():
    assert doctest.testmod(translator) == (0, 2)


# -- models of CTranslate2: a user brings real ones; these know a few words -------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    german = {"a": "eine", "the": "die", "big": "grosse", "small": "kleine", "cat": "katze", "dog": "hund"}
    back = {"eine": "a", "die": "the", "grosse": "large", "kleine": "little", "katze": "cat", "hund": "dog"}
    write_translator(folder / "there", german)
    write_translator(folder / "back", back)
    return folder


def test_two_models_translate_there_and_back_as_the_library_does_by_itself(models: Path):
    there, back = (ctranslate2.Translator(str(models / each)) for each in ("there", "back"))
    middle = [each.hypotheses[0] for each in there.translate_batch([text.split() for text in TEXTS[:3]])]
    assert middle == [["eine", "grosse", "katze"], ["die", "kleine", "hund"], ["eine", "grosse", "hund"]]
    expected = [" ".join(each.hypotheses[0]) for each in back.translate_batch(middle)]
    found = load(ModelFolders(forward="there", backward="back"), str(models))(TEXTS)
    assert found == [*expected, "the red mat"]
    assert expected[0] == "a large cat"


def test_a_training_uses_the_models(models: Path):
    folders = {"forward": "there", "backward": str(models / "back")}
    split = prepared(translator={"ctranslate2": folders}, fraction=1, base_dir=str(models))
    assert {text for _, text in epoch(split)} == {"a large cat", "the little dog", "a large dog", "the red mat"}


def test_models_that_are_not_there_or_no_models_are_refused(models: Path, tmp_path: Path):
    with pytest.raises(ComponentError, match="no translation model in 'missing' where the Trainer runs") as caught:
        load(ModelFolders(forward="missing", backward="back"), str(models))
    assert caught.value.remedy == "Name a folder with model.bin that one of CTranslate2's converters wrote."
    with pytest.raises(ComponentError, match="no translation model in 'there'") as caught:
        load(ModelFolders(forward="there", backward="back"), None)
    assert caught.value.remedy.startswith("Mount a volume with the models in the Trainer's container")
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(ComponentError, match=r"CTranslate2 cannot read the model in '.*'"):
        load(ModelFolders(forward=str(tmp_path), backward="back"), str(models))


def test_without_the_library_its_extra_is_named(models: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ComponentError, match=r"ctranslate2 is not installed.*pip install 'sluice\[back-translation\]'"):
        load(ModelFolders(forward="there", backward="back"), str(models))


def test_a_digest_follows_the_content_of_a_model(models: Path, tmp_path: Path):
    assert digest_of(models / "there") == digest_of(models / "there") != digest_of(models / "back")
    for each in (models / "there").iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    assert digest_of(tmp_path) == digest_of(models / "there")
    (tmp_path / "config.json").write_text("{}")
    assert digest_of(tmp_path) != digest_of(models / "there")

"""Pieces of words, learned from Reuters newswire stories and cut in the graph, against plain Python."""

from __future__ import annotations

import collections
import doctest
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
from pydantic import ValidationError

from components.transform import word_pieces
from components.transform.config import TransformConfig
from components.transform.word_pieces import CONTINUED, WordPieces, cut, pieces_of
from tests.factories import transforms

DATA = Path(__file__).parents[2] / "data" / "reuters.csv"
SIZE, TRAIN = 600, 800
CHAIN: list[Any] = ["tokenize", {"word_pieces": SIZE}, {"token_ids": {"length": 80, "top_k": SIZE}}]
UNKNOWN = "[UNK]"


def reference(word: str, pieces: set[str], max_word_length: int = 100) -> list[str]:
    """Cut a word letter by letter."""
    if len(word) > max_word_length:
        return [UNKNOWN]
    found, at = [], 0
    while at < len(word):
        prefix = CONTINUED if at else ""
        fitting = [end for end in range(len(word), at, -1) if prefix + word[at:end] in pieces]
        if not fitting:
            return [UNKNOWN]
        found.append(prefix + word[at : fitting[0]])
        at = fitting[0]
    return found


@pytest.fixture(scope="module")
def stories() -> list[str]:
    assert DATA.is_file(), "make data makes it"
    return list(pd.read_csv(DATA).text)


@pytest.fixture(scope="module")
def made(stories: list[str], tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    texts = stories[: TRAIN + 200]
    rows = pa.record_batch({"story": pa.array(texts), "target": pa.array(np.zeros(len(texts), np.float32))})
    config = transforms.config_of({"story": "text"}, {"story": CHAIN})
    splits = {"train": rows.slice(0, TRAIN), "eval": rows.slice(TRAIN)}
    return transforms.run_in_process(tmp_path_factory.mktemp("pieces"), config, splits)


def test_what_the_spec_says_of_long_words_and_of_unknown_ones_is_obeyed(tmp_path: Path) -> None:
    texts = ["low lower low", "new lower new", "low new slow"]
    rows = pa.record_batch({"story": pa.array(texts), "target": pa.array([0.0, 1.0, 2.0], pa.float32())})
    options = {"size": 30, "max_word_length": 4, "unknown": "?"}
    chain = ["tokenize", {"word_pieces": options}, {"token_ids": {"length": 6, "top_k": 30}}]
    config = transforms.config_of({"story": "text"}, {"story": chain})
    found = set(vocabulary(transforms.run_in_process(tmp_path, config, {"train": rows})))
    assert "?" in found  # lower, which has five letters
    assert UNKNOWN not in found
    assert {"low", "new"} <= found


def words_of(texts: list[str]) -> collections.Counter[str]:
    return collections.Counter(word for text in texts for word in re.findall(r"(?u)\w+", text))


@pytest.fixture(scope="module")
def pieces(stories: list[str]) -> set[str]:
    return {UNKNOWN, *pieces_of(words_of(stories[:TRAIN]), SIZE - 1)}


def vocabulary(made: transforms.Made) -> list[str]:
    import tensorflow_transform as tft

    return [term.decode() for term in tft.TFTransformOutput(str(made.graph)).vocabulary_by_name("story")]


def test_every_story_is_cut_as_plain_python_cuts_it(
    made: transforms.Made, stories: list[str], pieces: set[str]
) -> None:
    terms = vocabulary(made)
    assert made.summary["chains"]["story"]["learned"]["pieces"] == SIZE
    rows = np.concatenate([made.values("train")["story"], made.values("eval")["story"]])
    for story, row in zip(stories, rows, strict=False):
        expected = [piece for word in re.findall(r"(?u)\w+", story) for piece in reference(word, pieces)][:80]
        # a piece that no train story needs has no id of its own
        ids = [terms.index(piece) + 1 if piece in terms else len(terms) + 1 for piece in expected]
        assert row.tolist() == [*ids, *[0] * (80 - len(ids))]
    assert len(terms) > 0.9 * SIZE


def test_a_request_with_unseen_words_is_cut_into_known_pieces(made: transforms.Made, pieces: set[str]) -> None:
    terms, word = vocabulary(made), "reoilification"
    (served,) = made.served([{"story": f"{word} oil"}])
    found = [terms[number - 1] for number in served["story"][0] if number]
    assert found == [*reference(word, pieces), *reference("oil", pieces)]
    assert UNKNOWN not in found
    assert "".join(piece.removeprefix(CONTINUED) for piece in found) == f"{word}oil"


def test_a_request_of_any_text_is_served(made: transforms.Made) -> None:
    for text in (None, "", "☃", b"\xff\xfe oil \xc3", "oil " * 10_000, "x" * 5000):
        (served,) = made.served([{"story": text}])
        assert served["story"].shape == (1, 80)
        assert served["story"].any() == bool(text and text != "☃")


def test_common_words_stay_whole_and_rare_ones_do_not(stories: list[str], pieces: set[str]) -> None:
    words = words_of(stories[:TRAIN])
    common = [word for word, _ in words.most_common(30)]
    assert sum(len(reference(word, pieces)) == 1 for word in common) >= 27
    rare = [word for word, count in words.items() if count == 1 and len(word) > 8]
    assert np.mean([len(reference(word, pieces)) for word in rare]) > 2


LETTERS = "aáł日ß☃\U0001f600é"


def test_words_of_any_alphabet_are_cut_as_plain_python_cuts_them() -> None:
    random = np.random.default_rng(5)
    words = ["".join(random.choice(list(LETTERS), random.integers(1, 9))) for _ in range(500)]
    learned = WordPieces(60, UNKNOWN)
    counted = learned.add_input(learned.create_accumulator(), [np.array([each.encode() for each in words[:300]])])
    texts, hashes, longest = learned.extract_output(counted)
    from components.transform.word_pieces import Pieces

    tried = [*words, "##a", "x", "aax", "a" * 12]
    found = cut(tf.constant(tried), Pieces(tf.constant(texts), tf.constant(hashes), tf.constant(longest)), UNKNOWN, 11)
    known = {each.decode() for each in texts}
    expected = [reference(word, known, 11) for word in tried]
    assert [[piece.decode() for piece in row] for row in found.to_list()] == expected
    assert expected[-3:] == [[UNKNOWN]] * 3
    assert max(map(len, expected)) > 2


def test_the_pair_that_raises_the_likelihood_most_is_joined_first() -> None:
    words = {"ab": 10, "cb": 1, "ad": 1, "xy": 6, "xz": 30, "wy": 33, "aaaa": 1}
    first = pieces_of(words, 100)
    letters = {letter if not at else CONTINUED + letter for word in words for at, letter in enumerate(word)}
    assert set(first[: len(letters)]) == letters

    def likelihood(joined: str | None) -> float:
        cut_words = {word: [joined] if word == joined else reference(word, letters) for word in words}
        counts = collections.Counter()
        for word, parts in cut_words.items():
            for part in parts:
                counts[part] += words[word]
        total = sum(counts.values())
        return sum(count * np.log(count / total) for count in counts.values())

    gains = {word: likelihood(word) - likelihood(None) for word in words if len(word) == 2}
    assert first[len(letters)] == max(gains, key=lambda word: gains[word])


def test_repeated_letters_are_joined_two_by_two() -> None:
    assert pieces_of({"aaaaa": 9}, 3) == ["##a", "a", "##aa"]


def test_the_example_is_true() -> None:
    found = doctest.testmod(word_pieces)
    assert (found.attempted, found.failed) == (1, 0)


def test_of_more_characters_than_pieces_the_most_frequent_are_kept() -> None:
    assert pieces_of({"a": 3, "b": 2, "c": 1}, 2) == ["a", "b"]
    assert pieces_of({}, 5) == []


def test_thirty_thousand_words_are_learned_in_seconds() -> None:
    random = np.random.default_rng(1)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ing", "ion")]
    words = {"".join(random.choice(syllables, random.integers(1, 6))): int(random.zipf(1.5)) for _ in range(33_000)}
    assert len(words) > 25_000
    start = time.perf_counter()
    assert len(pieces_of({word: min(count, 10_000) for word, count in words.items()}, 8000)) == 8000
    assert time.perf_counter() - start < 60


def test_both_engines_cut_alike(stories: list[str], tmp_path: Path) -> None:
    rows = pa.record_batch(
        {"story": pa.array([None, *stories[:150]]), "target": pa.array(np.arange(151.0), pa.float32())}
    )
    config = transforms.config_of({"story": "text"}, {"story": CHAIN})
    found = []
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        values = transforms.run_executor(tmp_path / engine, config, {"train": rows}, engine).values()
        found.append(values["story"][np.argsort(values["label"][:, 0])])
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1}, "greater than or equal to 2"),
        ({"max_word_length": 0}, "greater than or equal to 1"),
        ({"unknown": ""}, "at least 1 character"),
    ],
)
def test_impossible_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformConfig.model_validate({"story": ["tokenize", {"word_pieces": options}]})

"""What the steps for text compute of Reuters newswire stories, against Python and scikit-learn."""

from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer, strip_accents_unicode
from sklearn.linear_model import LogisticRegression

from components.features import FeatureKind
from components.transform.config import TransformConfig
from tests.factories import transforms

DATA = Path(__file__).parents[2] / "data" / "reuters.csv"
WORD = r"(?u)\w+"
WORDS: list[Any] = [{"tokenize": "words"}]
CHAINS: dict[str, list[Any]] = {
    "weights": [*WORDS, {"tf_idf": 300}],
    "shares": [*WORDS, {"tf_idf": {"top_k": 300, "norm": "none"}}],
    "frequent": [*WORDS, {"tf_idf": {"top_k": 5000, "min_frequency": 50}}],
    "counts": [*WORDS, {"bag_of_words": 300}],
    "occurs": [*WORDS, {"bag_of_words": {"top_k": 300, "values": "binary"}}],
    "hashed": [*WORDS, {"bag_of_words": {"buckets": 64}}],
    "pairs": [*WORDS, {"ngrams": [1, 2]}, {"tf_idf": 500}],
    "letters": [{"tokenize": "characters"}, {"ngrams": {"sizes": [3, 3], "separator": ""}}, {"bag_of_words": 200}],
    "ids": [*WORDS, {"token_ids": {"top_k": 1000, "length": 60, "oov_buckets": 3}}],
}
TRAIN, EVAL = 2000, 500


@pytest.fixture(scope="module")
def stories() -> pd.DataFrame:
    assert DATA.is_file(), "make data makes it"
    found = pd.read_csv(DATA)
    return pd.concat([found.iloc[:TRAIN], found[found.part == "test"].iloc[:EVAL]], ignore_index=True)


@pytest.fixture(scope="module")
def made(stories: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    texts = pa.array(stories.text)
    rows = pa.record_batch({**dict.fromkeys(CHAINS, texts), "target": pa.array(np.zeros(len(texts), np.float32))})
    config = transforms.config_of(dict.fromkeys(CHAINS, "text"), CHAINS)
    splits = {"train": rows.slice(0, TRAIN), "eval": rows.slice(TRAIN)}
    return transforms.run_in_process(tmp_path_factory.mktemp("reuters"), config, splits)


@pytest.fixture(scope="module")
def values(made: transforms.Made) -> dict[str, np.ndarray]:
    train, evaluation = made.values("train"), made.values("eval")
    return {name: np.concatenate([train[name], evaluation[name]]) for name in train}


def vocabulary(made: transforms.Made, chain: str) -> list[str]:
    import tensorflow_transform as tft

    return [term.decode() for term in tft.TFTransformOutput(str(made.graph)).vocabulary_by_name(chain)]


def most_frequent(stories: pd.DataFrame, top_k: int) -> list[str]:
    counts = collections.Counter(word for text in stories.text[:TRAIN] for word in re.findall(WORD, text))
    return sorted(counts, key=lambda word: (counts[word], word.encode()), reverse=True)[:top_k]


def test_the_vocabulary_is_the_most_frequent_words_of_the_train_split(
    made: transforms.Made, stories: pd.DataFrame
) -> None:
    assert vocabulary(made, "weights") == most_frequent(stories, 300)
    assert made.summary["chains"]["weights"]["output"] == {"kind": "vector", "width": 300}


@pytest.mark.parametrize(("chain", "sizes"), [("weights", (1, 1)), ("pairs", (1, 2))])
def test_tf_idf_is_scikit_learns_for_the_same_vocabulary(
    made: transforms.Made, values: dict[str, np.ndarray], stories: pd.DataFrame, chain: str, sizes: tuple[int, int]
) -> None:
    reference = TfidfVectorizer(vocabulary=vocabulary(made, chain), token_pattern=WORD, ngram_range=sizes)
    expected = reference.fit(stories.text[:TRAIN]).transform(stories.text).toarray()
    np.testing.assert_allclose(values[chain], expected, atol=2e-6)
    assert any(" " in term for term in vocabulary(made, chain)) == (sizes == (1, 2))


def test_without_a_norm_a_weight_is_the_share_of_the_known_words_times_idf(
    made: transforms.Made, values: dict[str, np.ndarray], stories: pd.DataFrame
) -> None:
    counts = CountVectorizer(vocabulary=vocabulary(made, "shares"), token_pattern=WORD).transform(stories.text)
    counts = counts.toarray()
    idf = 1 + np.log((1 + TRAIN) / (1 + (counts[:TRAIN] > 0).sum(0)))
    expected = counts / np.maximum(counts.sum(1, keepdims=True), 1) * idf
    np.testing.assert_allclose(values["shares"], expected, rtol=1e-5, atol=1e-7)


def test_rare_words_have_no_place_and_the_places_left_over_are_zeros(
    made: transforms.Made, values: dict[str, np.ndarray], stories: pd.DataFrame
) -> None:
    counts = collections.Counter(word for text in stories.text[:TRAIN] for word in re.findall(WORD, text))
    kept = vocabulary(made, "frequent")
    assert set(kept) == {word for word, count in counts.items() if count >= 50}
    assert values["frequent"].shape[1] == 5000
    assert values["frequent"][:, : len(kept)].any(0).all()
    assert not values["frequent"][:, len(kept) :].any()


def test_bags_of_words_are_counts(made: transforms.Made, values: dict[str, np.ndarray], stories: pd.DataFrame) -> None:
    expected = CountVectorizer(vocabulary=vocabulary(made, "counts"), token_pattern=WORD).transform(stories.text)
    np.testing.assert_array_equal(values["counts"], expected.toarray())
    np.testing.assert_array_equal(values["occurs"], expected.toarray() > 0)
    trigrams = CountVectorizer(vocabulary=vocabulary(made, "letters"), analyzer="char", ngram_range=(3, 3))
    np.testing.assert_array_equal(values["letters"], trigrams.transform(stories.text).toarray())


def test_a_hashed_bag_counts_every_word(values: dict[str, np.ndarray], stories: pd.DataFrame) -> None:
    words = [len(re.findall(WORD, text)) for text in stories.text]
    np.testing.assert_array_equal(values["hashed"].sum(1), words)
    assert (values["hashed"].sum(0) > 0).all()


def test_token_ids_are_the_words_in_their_order_cut_and_padded(
    made: transforms.Made, values: dict[str, np.ndarray], stories: pd.DataFrame
) -> None:
    ids = {word: position + 1 for position, word in enumerate(vocabulary(made, "ids"))}
    assert len(ids) == 1000
    for text, row in zip(stories.text, values["ids"], strict=True):
        words = re.findall(WORD, text)[:60]
        known = [ids.get(word, 0) for word in words]
        assert (row[len(words) :] == 0).all()
        for got, expected in zip(row, known, strict=False):
            assert got == expected if expected else got in (1001, 1002, 1003)
    assert made.summary["chains"]["ids"]["output"] == {"kind": "sequence", "width": 60, "cardinality": 1004}


def test_the_topic_of_a_story_is_found_by_its_weights(values: dict[str, np.ndarray], stories: pd.DataFrame) -> None:
    topic = stories.category
    model = LogisticRegression(C=10, max_iter=2000).fit(values["pairs"][:TRAIN], topic[:TRAIN])
    assert (topic[TRAIN:] == topic[:TRAIN].mode()[0]).mean() < 0.6
    assert model.score(values["pairs"][TRAIN:], topic[TRAIN:]) > 0.9


TYPED = [
    "  New\u00a0 YORK\t",
    "Café, Łódź!",
    "Ünïted 1987 – ٣",
    "...",
    None,
    "",
    "ΑΘΗΝΑ άλφα",
    "e\u0301te\u0301",
    "日本 語",
]


def typed(tmp_path: Path, chain: list[Any], texts: list[Any] = TYPED, kind: str = "categorical") -> transforms.Made:
    """Run a chain on texts; each has to occur in train to have a place of its own."""
    rows = pa.record_batch({"text": pa.array(texts, pa.string()), "target": pa.array([0.0] * len(texts), pa.float32())})
    return transforms.run_in_process(tmp_path, transforms.config_of({"text": kind}, {"text": chain}), {"train": rows})


def normalized(tmp_path: Path, **options: Any) -> list[str]:
    made = typed(tmp_path, [{"normalize_text": options}, {"vocabulary": 20}])
    terms = vocabulary(made, "text")
    return [terms[i] if i < len(terms) else "missing" for i in made.values()["text"][:, 0]]


def test_text_is_normalized_as_python_does(tmp_path: Path) -> None:
    for number, (accents, punctuation, digits) in enumerate(
        [(False, "keep", "keep"), (True, "remove", "mask"), (True, "keep", "remove")]
    ):
        (folder := tmp_path / str(number)).mkdir()
        found = normalized(folder, strip_accents=accents, punctuation=punctuation, digits=digits)
        for text, got in zip(TYPED, found, strict=True):
            expected = (strip_accents_unicode(text or "") if accents else text or "").lower()
            if punctuation == "remove":
                expected = re.sub(r"[^\w\s]", " ", expected)
            if digits != "keep":
                expected = re.sub(r"\d", "0" if digits == "mask" else " ", expected)
            # the vocabulary's out-of-vocabulary id is never met here, so what is no term is missing
            assert got == (" ".join(expected.split()) or "missing")


def test_the_case_stays_on_request(tmp_path: Path) -> None:
    assert normalized(tmp_path, lower_case=False)[:2] == ["New YORK", "Café, Łódź!"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("words", ["don", "t", "stop", "日本", "語", "é", "a_b"]),
        ("spaces", ["don't", "stop!", "日本", "語", "é", "a_b"]),
        ("characters", list("don't stop! 日本\u3000語 é a_b")),
    ],
)
def test_tokens_of_any_alphabet_are_found(tmp_path: Path, unit: str, expected: list[str]) -> None:
    made = typed(tmp_path, [{"tokenize": unit}, {"token_ids": 30}], ["don't stop! 日本\u3000語 é a_b", None])
    terms = vocabulary(made, "text")
    row, missing = made.values()["text"]
    assert [terms[i - 1] for i in row if i] == expected
    assert not missing.any()


@pytest.mark.parametrize("chain", list(CHAINS))
def test_a_request_of_any_text_is_served(made: transforms.Made, chain: str) -> None:
    """Nothing, no known word, another alphabet, bytes that are no UTF-8, and a book."""
    texts: list[Any] = [None, "", "zzzyzx", "日本語 ☃", b"\xff\xfe oil \xc3", "oil prices " * 100_000]
    rows = made.served([{chain: text} for text in texts])
    width = made.summary["chains"][chain]["output"]["width"]
    for row in rows:
        assert row[chain].shape == (1, width)
        assert np.isfinite(row[chain]).all()
    assert not rows[0][chain].any()
    assert not rows[1][chain].any()
    assert rows[-1][chain].any()


def test_both_engines_make_the_same_of_text(stories: pd.DataFrame, tmp_path: Path) -> None:
    rows = pa.record_batch(
        {
            **{name: pa.array([None, *stories.text[:400]]) for name in ("pairs", "ids")},
            "row": pa.array(np.arange(401, dtype=np.float32)),
            "target": pa.array(np.zeros(401, np.float32)),
        }
    )
    chains = {"pairs": CHAINS["pairs"], "ids": CHAINS["ids"], "row": []}
    config = transforms.config_of({"pairs": "text", "ids": "text", "row": "numeric"}, chains)
    found = []
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        values = transforms.run_executor(tmp_path / engine, config, {"train": rows}, engine).values()
        found.append({name: column[np.argsort(values["row"][:, 0])] for name, column in values.items()})
    np.testing.assert_array_equal(found[0]["ids"], found[1]["ids"])
    np.testing.assert_allclose(found[0]["pairs"], found[1]["pairs"], atol=1e-6)


def problems(chain: list[Any], kind: FeatureKind = FeatureKind.TEXT) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in TransformConfig.model_validate({"text": chain}).problems({"text": kind})]


@pytest.mark.parametrize(
    ("chain", "received", "remedy"),
    [
        ([{"tf_idf": 10}], "tf_idf on categories (text)", "Put tokenize before tf_idf."),
        (["normalize_text"], "a chain that ends in text", "Add tokenize, tf_idf: 1000 to it."),
        (["tokenize"], "a chain that ends in tokens", "Add tf_idf: 1000 to it."),
        (["tokenize", {"vocabulary": 10}], "vocabulary on tokens (the words of a text)", "Put vocabulary before"),
        (["tokenize", "token_ids", "one_hot"], "one_hot on a sequence of ids", "Put one_hot before"),
    ],
)
def test_a_chain_of_text_that_cannot_work_is_refused_with_a_remedy(
    chain: list[Any], received: str, remedy: str
) -> None:
    ((_, was, expected, advice),) = problems(chain)
    assert was == received
    assert expected
    assert advice.startswith(remedy)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"ngrams": [2, 1]}, r"the fewest and the most tokens, 1 to 10, such as \[1, 2\]; got \[2, 1\]"),
        ({"ngrams": [1, 11]}, r"got \[1, 11\]"),
        ({"bag_of_words": {"top_k": 5, "buckets": 5}}, "either top_k or buckets, got top_k: 5 and buckets: 5"),
        ({"tokenize": "wordpiece"}, "'words', 'spaces' or 'characters'"),
        ({"token_ids": {"length": 1}}, "greater than or equal to 2"),
    ],
)
def test_impossible_parameters_are_refused(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformConfig.model_validate({"text": ["tokenize", step]})


def test_a_text_gets_tf_idf_by_default_and_the_model_knows_its_width() -> None:
    config = TransformConfig.model_validate({}).with_defaults({"text": FeatureKind.TEXT})
    assert [step.plugin_name() for step in config.chains["text"]] == ["normalize_text", "tokenize", "tf_idf"]
    (given,) = config.expected_inputs({"text": FeatureKind.TEXT})
    assert (given.dtype, given.shape) == ("float32", (1000,))
    config = TransformConfig.model_validate({"text": ["tokenize", {"token_ids": 50}]})
    (given,) = config.expected_inputs({"text": FeatureKind.TEXT})
    assert (given.dtype, given.shape, given.is_ids) == ("int64", (50,), True)

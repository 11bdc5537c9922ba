"""The spec refuses chains that cannot work, and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from components.features import FeatureKind
from components.transform.config import TransformConfig

FEATURES = {"fare": FeatureKind.NUMERIC, "company": FeatureKind.CATEGORICAL}


def problems(chain: list[Any], name: str = "fare", weight: str | None = None) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in TransformConfig.model_validate({name: chain}).problems(FEATURES, weight)]


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("fare", [{"fill_missing": "median"}, {"clip_outliers": "iqr"}, "log1p", "z_score"]),
        ("fare", []),
        ("fare", [{"bucketize": 4}, "one_hot"]),
        ("company", [{"fill_missing": {"constant": "unknown"}}, {"vocabulary": 10}]),
        ("company", [{"fill_missing": {"constant": 0}}, {"hash": 10}, "one_hot"]),
        ("both", [{"cross": ["fare", "company"]}, {"hash": 10}]),
    ],
)
def test_a_chain_whose_steps_fit_is_accepted(name: str, chain: list[Any]) -> None:
    assert problems(chain, name) == []


@pytest.mark.parametrize(
    ("name", "chain", "location", "received", "remedy"),
    [
        ("company", ["z_score"], 0, "z_score on categories (text)", "data.features.company: numeric"),
        ("fare", [{"vocabulary": 10}], 0, "vocabulary on numbers", "data.features.fare: categorical"),
        ("fare", [{"bucketize": 3}, "z_score"], 1, "z_score on ids", "Put z_score before"),
        ("fare", [{"bucketize": 3}, {"fill_missing": "mode"}], 1, "fill_missing on ids", "Put it before the step"),
        ("company", [{"one_hot": 3}, "one_hot"], 1, "one_hot on a vector", "leave it out"),
        ("company", ["one_hot"], 0, "one_hot without parameters", "Write one_hot: 10"),
        ("fare", [{"bucketize": 3}, {"one_hot": 3}], 1, "one_hot top_k: 3", "Remove top_k"),
        ("company", [{"fill_missing": "mean"}, {"hash": 3}], 0, "fill_missing strategy: mean", "fill_missing: mode"),
        ("fare", [{"fill_missing": {"constant": "a"}}], 0, "fill_missing", "as a number, without quotes"),
        ("fare", [{"fill_missing": "mean"}, {"fill_missing": "mode"}], 1, "fill_missing a second time", "Remove it"),
        ("fare", ["log1p", {"cross": ["fare", "company"]}], 1, "cross as step 2", "a chain of its own"),
        ("company", [{"fill_missing": "mode"}], None, "a chain that ends in text", "Add vocabulary: 1000"),
        ("both", [{"cross": ["fare", "company"]}], None, "a chain that ends in text", "Add vocabulary: 1000"),
    ],
)
def test_an_impossible_chain_is_located_and_remedied(
    name: str, chain: list[Any], location: int | None, received: str, remedy: str
) -> None:
    ((at, was, expected, advice),) = problems(chain, name)
    assert at == (("transform", name) if location is None else ("transform", name, location))
    assert was.startswith(received)
    assert expected
    assert remedy in advice


def test_a_chain_may_not_be_called_as_the_label_or_the_weight_is() -> None:
    chain = [{"cross": ["fare", "company"]}, {"hash": 10}]
    assert problems(chain, "label")[0][1] == "a chain named 'label'"
    assert problems(chain, "weight", weight="fare")[0][1] == "a chain named 'weight'"
    assert problems(chain, "weight") == []


def test_a_feature_without_a_chain_gets_the_one_of_its_kind() -> None:
    config = TransformConfig.model_validate({"fare": ["log1p"]}).with_defaults(FEATURES)
    written = {name: [next(iter(step.model_dump())) for step in steps] for name, steps in config.chains.items()}
    assert written == {"company": ["fill_missing", "vocabulary"], "fare": ["log1p"]}

"""What the steps on numbers, dates and places refuse in a spec, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.features import FeatureKind
from components.transform.config import TransformConfig

FEATURES = {
    "miles": FeatureKind.NUMERIC,
    "seconds": FeatureKind.NUMERIC,
    "company": FeatureKind.CATEGORICAL,
    "started": FeatureKind.CATEGORICAL,
}


def parse(*steps: Any) -> TransformConfig:
    return TransformConfig.model_validate({"made": list(steps)})


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"robust_scale": {"low": 0.8}}, "low below high, got low 0.8 and high 0.75"),
        ({"quantile_normal": 1}, "greater than or equal to 2"),
        (
            {"clip_outliers": {"method": "z_score", "fences": 2}},
            "deviations with method: z_score, got fences, which method: iqr takes",
        ),
        (
            {"clip_outliers": {"quantiles": [0.1, 0.9]}},
            "fences with method: iqr, got quantiles, which method: quantile takes",
        ),
        (
            {"clip_outliers": {"method": "quantile", "quantiles": [0.9, 0.1]}},
            r"quantiles in ascending order, got \[0.9, 0.1\]",
        ),
        ({"clip_outliers": "lof"}, "'iqr', 'z_score' or 'quantile'"),
        ({"compute": "1 + 2"}, "an expression that names a feature, got '1 \\+ 2'"),
        ({"compute": "miles ** 2"}, r"'miles \*\* 2' in 'miles \*\* 2' is not allowed; it may use columns, numbers"),
        ({"pca": {"columns": ["miles"], "components": 1}}, "at least 2 items"),
        ({"pca": {"columns": ["miles", "miles"]}}, "each column once"),
        (
            {"pca": {"columns": ["miles", "seconds"], "components": 3}},
            "at most as many components as columns, got 3 of 2 columns",
        ),
        (
            {"geo_distance": {"origin": [0, 0], "destination": [1, 1]}},
            "at least one place of two features, got two fixed places",
        ),
        (
            {"geo_distance": {"origin": ["miles", "seconds"], "destination": [-87.63, 241.88]}},
            r"latitude within ±90 and longitude within ±180 degrees, got \[-87.63, 241.88\]",
        ),
        ({"date_parts": {"column": "started", "parts": ["day", "day"]}}, "each of parts once, got day, day"),
        ({"date_parts": {"column": "started", "cyclic": ["year"]}}, "'month', 'day', 'weekday'"),
        ({"date_parts": {"column": "started", "utc_offset_hours": 60}}, "less than or equal to 14"),
    ],
)
def test_wrong_parameters_are_refused_with_what_is_right(step: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(step)


@pytest.mark.parametrize(
    ("step", "received", "expected"),
    [
        (
            {"compute": "miles / company"},
            "compute of 'company', which holds categories (text)",
            "a column of numbers",
        ),
        (
            {"compute": "miles == 'far'"},
            "compute of 'miles', which holds numbers",
            "a column of categories (text)",
        ),
        (
            {"pca": {"columns": ["miles", "company"]}},
            "pca of 'company', which holds categories (text)",
            "a column of numbers",
        ),
        (
            {"geo_distance": {"origin": ["miles", "started"], "destination": [0, 0]}},
            "geo_distance of 'started', which holds categories (text)",
            "a column of numbers",
        ),
    ],
)
def test_a_source_of_the_wrong_kind_is_refused_before_the_run(step: Any, received: str, expected: str) -> None:
    (problem,) = parse(step).problems(FEATURES)
    assert problem.location == ("transform", "made", 0)
    assert (problem.received, problem.expected) == (received, expected)
    wanted = "categorical or text" if "text" in expected else "numeric"
    assert f": {wanted}. Else name another." in problem.remedy


@pytest.mark.parametrize(
    "steps",
    [
        [{"missing_indicator": "miles"}],
        [{"missing_indicator": "company"}],
        [{"date_parts": "miles"}],
        [{"date_parts": {"column": "started", "since": "2013-01-01"}}, "z_score"],
        [{"date_parts": {"column": "started", "parts": ["hour"]}}, {"bucketize": {"edges": [6, 12]}}],
        [{"compute": "miles / seconds"}, {"fill_missing": "median"}, "yeo_johnson", "z_score"],
        [{"compute": "miles * (company == 'Flash Cab')"}],
    ],
)
def test_a_source_starts_a_chain_of_what_it_makes(steps: list[Any]) -> None:
    assert parse(*steps).problems(FEATURES) == []


def test_several_date_parts_are_a_vector_that_nothing_scales() -> None:
    (problem,) = parse({"date_parts": "started"}, "z_score").problems(FEATURES)
    assert problem.received == "z_score on a vector"


def test_what_clip_outliers_takes_away_may_be_filled_in_again() -> None:
    def problems(action: str) -> int:
        chain = [{"fill_missing": "mean"}, {"clip_outliers": {"action": action}}, {"fill_missing": "median"}]
        return len(TransformConfig.model_validate({"miles": chain}).problems(FEATURES))

    assert problems("missing") == 0
    assert problems("clip") == 1


def test_every_method_of_clip_outliers_has_a_limit_of_its_own() -> None:
    def limits(method: str) -> dict[str, Any]:
        (step,) = parse({"clip_outliers": method}).chains["made"]
        return dict(step.model_dump(mode="json", exclude_none=True)["clip_outliers"])

    assert limits("iqr") == {"method": "iqr", "fences": 1.5, "action": "clip"}
    assert limits("z_score") == {"method": "z_score", "deviations": 3.0, "action": "clip"}
    assert limits("quantile") == {"method": "quantile", "quantiles": [0.01, 0.99], "action": "clip"}

"""Every metric against scikit-learn's, on slices, with weights and ties; and what is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluation.config import METRICS
from components.evaluation.measures import Scored, SlicedMetrics

ROWS, SLICES = 3000, 5


@pytest.fixture
def random():
    return np.random.default_rng(0)


def binary(random, rows=ROWS, decimals=2) -> Scored:
    label = (random.random(rows) < 0.3).astype(float)
    score = np.round(1 / (1 + np.exp(-random.normal(size=rows) - label + 1)), decimals).astype(np.float32)
    return Scored("binary_classification", label, score, random.uniform(0.1, 3, rows))


def assert_equal_on_slices(scored, codes, expected):
    found = SlicedMetrics(scored, codes).values
    assert set(expected) == set(METRICS[scored.task])
    for name, compute in expected.items():
        for index in range(codes.max() + 1):
            rows = scored.take(np.flatnonzero(codes == index))
            assert found[name][index] == pytest.approx(compute(rows.label, rows.prediction, rows.weight), rel=1e-9), (
                name
            )


@pytest.mark.parametrize("decimals", [1, 2, 7])
def test_binary_metrics_equal_scikit_learns(random, decimals):
    codes = random.integers(0, SLICES, ROWS)
    expected = {
        "auc": lambda y, p, w: sklearn.roc_auc_score(y, p, sample_weight=w),
        "auc_pr": lambda y, p, w: sklearn.average_precision_score(y, p, sample_weight=w),
        "accuracy": lambda y, p, w: sklearn.accuracy_score(y, p > 0.5, sample_weight=w),
        "precision": lambda y, p, w: sklearn.precision_score(y, p > 0.5, sample_weight=w),
        "recall": lambda y, p, w: sklearn.recall_score(y, p > 0.5, sample_weight=w),
        "log_loss": lambda y, p, w: sklearn.log_loss(y, np.clip(p.astype(float), 1e-7, 1 - 1e-7), sample_weight=w),
        "calibration": lambda y, p, w: (w * p.astype(float)).sum() / (w * y).sum(),
    }
    assert_equal_on_slices(binary(random, decimals=decimals), codes, expected)


def test_multiclass_metrics_equal_scikit_learns(random):
    probabilities = random.dirichlet(np.ones(4), ROWS)
    scored = Scored(
        "multiclass_classification", random.integers(0, 4, ROWS), probabilities, random.uniform(0.1, 3, ROWS)
    )
    expected = {
        "accuracy": lambda y, p, w: sklearn.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
        "log_loss": lambda y, p, w: sklearn.log_loss(y, p, sample_weight=w, labels=range(4)),
    }
    assert_equal_on_slices(scored, random.integers(0, SLICES, ROWS), expected)


def test_regression_metrics_equal_scikit_learns(random):
    # A large mean, so that a variance computed from uncentred sums would be wrong.
    label = 1e6 + random.normal(size=ROWS)
    scored = Scored("regression", label, label + random.normal(size=ROWS) / 2, random.uniform(0.1, 3, ROWS))
    expected = {
        "rmse": lambda y, p, w: sklearn.root_mean_squared_error(y, p, sample_weight=w),
        "mae": lambda y, p, w: sklearn.mean_absolute_error(y, p, sample_weight=w),
        "mse": lambda y, p, w: sklearn.mean_squared_error(y, p, sample_weight=w),
        "r_squared": lambda y, p, w: sklearn.r2_score(y, p, sample_weight=w),
    }
    assert_equal_on_slices(scored, random.integers(0, SLICES, ROWS), expected)


def test_counting_a_row_twice_is_weighing_it_twice(random):
    scored, codes = binary(random), random.integers(0, SLICES, ROWS)
    counts = random.integers(0, 3, ROWS)
    resampled = SlicedMetrics(scored, codes).resampled(counts[None, :])
    repeated = np.repeat(np.arange(ROWS), counts)
    expected = SlicedMetrics(scored.take(repeated), codes[repeated]).values
    for name, values in resampled.items():
        np.testing.assert_allclose(values[0], expected[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("labels", "undefined"), [([0, 0, 0], {"auc", "auc_pr", "recall", "calibration"}), ([1, 1, 1], {"auc"})]
)
def test_with_one_class_ranking_metrics_are_undefined_beside_a_slice_where_they_are_defined(labels, undefined):
    scores = np.array([0.2, 0.6, 0.9, 0.3, 0.8], np.float32)
    scored = Scored("binary_classification", np.array([*labels, 0, 1]), scores, np.array([0.1, 0.7, 0.3, 0.9, 0.4]))
    values = SlicedMetrics(scored, np.array([0, 0, 0, 1, 1])).values
    assert {name for name, found in values.items() if np.isnan(found[0])} == undefined
    assert not any(np.isnan(found[1]) for found in values.values())


def test_precision_is_undefined_when_nothing_is_called_positive():
    scored = Scored("binary_classification", np.array([0, 1]), np.array([0.1, 0.2]), np.ones(2))
    assert np.isnan(SlicedMetrics(scored).values["precision"][0])


def test_r_squared_is_undefined_for_a_constant_label():
    scored = Scored("regression", np.full(10, 3.7), np.arange(10.0), np.ones(10))
    assert np.isnan(SlicedMetrics(scored).values["r_squared"][0])


def test_certain_and_wrong_has_a_finite_log_loss():
    scored = Scored("binary_classification", np.array([0, 1]), np.array([1.0, 0.0]), np.ones(2))
    assert SlicedMetrics(scored).values["log_loss"][0] == pytest.approx(-np.log(1e-7), rel=1e-6)

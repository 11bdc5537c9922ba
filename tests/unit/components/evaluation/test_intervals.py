"""Bootstrap intervals cover, repeat under a seed, and keep their width when only part of the rows is resampled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.evaluation import intervals
from components.evaluation.intervals import resample
from components.evaluation.measures import Scored, SlicedMetrics

TRUE_AUC = stats.norm.cdf(1 / np.sqrt(2))
"""Of scores N(0, 1) for negatives and N(1, 1) for positives."""


def scored(random, rows, noise=0.0) -> Scored:
    label = (random.random(rows) < 0.5).astype(float)
    logit = random.normal(size=rows) + label + noise * random.normal(size=rows)
    return Scored("binary_classification", label, 1 / (1 + np.exp(-logit)), np.ones(rows))


def width(interval) -> float:
    return interval[1] - interval[0]


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_ninety_percent_intervals_cover_the_true_auc_about_ninety_times_in_a_hundred(random):
    covered = 0
    for trial in range(200):
        low, high = resample(SlicedMetrics(scored(random, 300)), samples=200, seed=(trial,)).interval("auc", 0, 0.9)
        covered += low <= TRUE_AUC <= high
    # 200 trials of 0.9: outside 165 … 195 less than once in 10,000.
    assert 165 <= covered <= 195


def test_accuracys_interval_is_as_wide_as_the_binomial_distribution_says(random):
    rows = scored(random, 2000)
    metrics = SlicedMetrics(rows)
    accuracy = metrics.values["accuracy"][0]
    low, high = resample(metrics, samples=2000, seed=(0,)).interval("accuracy", 0, 0.95)
    expected = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 2000)
    assert high - low == pytest.approx(expected, rel=0.1)
    assert low < accuracy < high


def test_a_change_on_the_same_rows_is_known_better_than_either_value(random):
    candidate = scored(random, 2000)
    near = Scored(candidate.task, candidate.label, np.clip(candidate.prediction + 0.01, 0, 1), candidate.weight)
    found = resample(SlicedMetrics(candidate), SlicedMetrics(near), samples=200, seed=(0,))
    assert width(found.interval("log_loss", 0, 0.95, change=True)) < width(found.interval("log_loss", 0, 0.95)) / 5


def test_a_model_against_itself_does_not_change_at_all(random):
    metrics = SlicedMetrics(scored(random, 500))
    assert resample(metrics, metrics, samples=50, seed=(0,)).interval("auc", 0, 0.95, change=True) == (0, 0)


def test_part_of_the_rows_gives_about_the_interval_of_all(random, monkeypatch):
    rows, codes = scored(random, 20_000), random.integers(0, 2, 20_000)
    metrics = SlicedMetrics(rows, codes)
    whole = resample(metrics, samples=1000, seed=(0,))
    monkeypatch.setattr(intervals, "MAX_ROWS", 5_000)
    part = resample(metrics, samples=1000, seed=(0,))
    for index in (0, 1):
        low, high = part.interval("auc", index, 0.95)
        assert low < metrics.values["auc"][index] < high
        assert high - low == pytest.approx(width(whole.interval("auc", index, 0.95)), rel=0.15)


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not(random):
    metrics = SlicedMetrics(scored(random, 300))
    first, again, other = (
        resample(metrics, samples=50, seed=seed).interval("auc", 0, 0.9) for seed in ((1, 0), (1, 0), (2, 0))
    )
    assert first == again != other


def test_a_slice_with_one_lone_positive_has_no_interval():
    label = np.zeros(200)
    label[0] = 1
    metrics = SlicedMetrics(Scored("binary_classification", label, np.linspace(0, 1, 200), np.ones(200)))
    assert np.isfinite(metrics.values["auc"][0])
    # A third of the resamples do not draw the positive.
    assert resample(metrics, samples=200, seed=(0,)).interval("auc", 0, 0.95) is None


def test_no_resamples_no_interval(random):
    assert resample(SlicedMetrics(scored(random, 30)), samples=0, seed=(0,)).interval("auc", 0, 0.95) is None


def test_draws_are_poisson():
    counts = np.bincount(intervals._POISSON, minlength=6)[:6] / len(intervals._POISSON)
    np.testing.assert_allclose(counts, stats.poisson(1).pmf(np.arange(6)), atol=2e-5)

"""Exact quantiles and powers, however the rows are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PROBABILITIES = (0.0, 0.01, 0.25, 0.5, 0.9, 1.0)


def quantiles(values: np.ndarray, cuts: list[int]) -> np.ndarray:
    from components.transform.value_counts import Quantiles

    return result(Quantiles(PROBABILITIES), values, cuts)


def result(combiner: object, values: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = [combiner.add_input(combiner.create_accumulator(), [part]) for part in np.split(values, cuts)]  # type: ignore[attr-defined]
    (found,) = combiner.extract_output(combiner.merge_accumulators(parts))  # type: ignore[attr-defined]
    return np.asarray(found)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30), st.integers(0, 30))
def test_quantiles_are_numpys(numbers: list[float], cut: int) -> None:
    values = np.array(numbers, np.float32)
    expected = np.quantile(values.astype(np.float64), PROBABILITIES)
    np.testing.assert_allclose(quantiles(values, [min(cut, len(values))]), expected, rtol=1e-6, atol=1e-30)


def test_of_no_value_there_is_no_quantile() -> None:
    assert np.isnan(quantiles(np.array([], np.float32), [])).all()


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_more_different_values_than_bins_are_counted_with_their_neighbours(scale: float) -> None:
    from components.transform.value_counts import MOST_BINS, Quantiles

    values = (np.random.default_rng(0).lognormal(size=200_000) * scale).astype(np.float32)
    values[::2] *= -1
    found = quantiles(values, list(range(0, 200_000, 7_001)))
    np.testing.assert_array_equal(found, quantiles(values, [5, 100_000]))
    np.testing.assert_allclose(found, np.quantile(values, PROBABILITIES), rtol=1e-3)
    combiner = Quantiles(PROBABILITIES)
    counted = combiner.add_input(combiner.create_accumulator(), [values])
    assert MOST_BINS / 4 < len(counted.keys) <= MOST_BINS
    assert counted.counts.sum() == 200_000
    assert (np.diff(counted.means) > 0).all()


@pytest.mark.parametrize("values", [[], [3.0], [3.0] * 9, [0.0, 1.0] * 5, [1e38, -1e38]])
def test_values_that_no_power_makes_normal_stay_as_they_are_or_finite(values: list[float]) -> None:
    from components.transform.value_counts import YeoJohnsonPower, yeo_johnson

    power = float(result(YeoJohnsonPower(), np.array(values, np.float32), []))
    assert np.isfinite(power)
    assert np.isfinite(yeo_johnson(np.array(values), power)).all()
    assert power == 1 or len(set(values)) > 1


def test_the_power_of_many_different_values_is_scikit_learns() -> None:
    from sklearn.preprocessing import PowerTransformer

    from components.transform.value_counts import YeoJohnsonPower

    values = np.random.default_rng(1).gamma(2.0, 3.0, 200_000).astype(np.float32)
    expected = PowerTransformer().fit(values.astype(np.float64)[:, None]).lambdas_[0]
    assert float(result(YeoJohnsonPower(), values, [70_000])) == pytest.approx(expected, abs=1e-4)

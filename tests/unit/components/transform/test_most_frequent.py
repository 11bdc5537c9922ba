"""The most frequent value, however the rows are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def found(values: np.ndarray, cuts: list[int], dtype: str) -> np.ndarray:
    from components.transform.most_frequent import MostFrequent

    combiner = MostFrequent(dtype)
    parts = [combiner.add_input(combiner.create_accumulator(), [part]) for part in np.split(values, cuts)]
    (value,) = combiner.extract_output(combiner.merge_accumulators(parts))
    return value


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 30))
def test_it_is_the_most_frequent_number_and_of_equals_the_largest(numbers: list[int], cut: int) -> None:
    values = np.array(numbers, np.float32)
    counts = {number: numbers.count(number) for number in numbers}
    expected = max(number for number, count in counts.items() if count == max(counts.values()))
    assert found(values, [min(cut, len(values))], "float32") == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([b"a", b"b", b"b"], b"b"),
        ([b"a", b"b"], b"b"),
        ([b"Z", b"a", "ż".encode(), "ż".encode()], "ż".encode()),
        ([], b""),
    ],
)
def test_it_is_the_most_frequent_text_and_of_equals_the_last(texts: list[bytes], expected: bytes) -> None:
    assert found(np.array(texts, object), [len(texts) // 2], "string").item() == expected


def test_of_no_number_at_all_it_is_zero() -> None:
    value = found(np.array([], np.float32), [], "float32")
    assert (value.dtype, value.item()) == (np.float32, 0.0)

"""Numbers as people read them."""

from __future__ import annotations

import doctest

import pytest

from components.report import formats


def test_the_examples_of_every_format_are_true():
    outcome = doctest.testmod(formats)
    assert outcome.attempted >= 8
    assert outcome.failed == 0


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("style", formats.FORMATS)
def test_what_is_no_number_is_shown_as_a_dash(value: float | None, style: str):
    assert formats.shown(value, style) == formats.MISSING


@pytest.mark.parametrize("style", formats.FORMATS)
@pytest.mark.parametrize("value", [0, 1, 0.5, 4320, 99999.9, 1e12])
def test_every_style_shows_every_size(value: float, style: str):
    assert formats.shown(value, style).strip()


def test_a_time_that_cannot_be_read_is_shown_as_it_is():
    assert formats.when("yesterday") == "yesterday"
    assert formats.when("2026-11-24T04:09:12+00:00") == "24 November 2026, 04:09 UTC"

from __future__ import annotations

import math

import pytest

from anon_tune.report.wording import duration, percent, plain, shorten, text


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0.4217, "42.2%"), (0.0, "0.0%"), (-1e-5, "0.0%"), (None, "—"), (math.nan, "—"), (math.inf, "—")],
)
def test_fractions_become_percent(fraction, words):
    assert percent(fraction) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (3599.6, "1 h 0 min"), (7300, "2 h 1 min")],
)
def test_durations_have_two_units(seconds, words):
    assert duration(seconds) == words


def test_text_is_safe_in_elements_and_in_attributes():
    assert text("<a href=\"x\" title='y'>&") == "&lt;a href=&quot;x&quot; title=&#x27;y&#x27;&gt;&amp;"
    assert plain("<b>") == "&lt;b&gt;"


def test_params_are_written_in_few_digits():
    assert [plain(v) for v in (0.123456, 3, True, 1e-5)] == ["0.1235", "3", "True", "1e-05"]


def test_long_categories_are_cut():
    assert (shorten("pixels"), shorten("abcdefgh", 6)) == ("pixels", "abc…gh")

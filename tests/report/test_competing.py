"""Conditions, groups and augmentation as they are shown: figure, page and terminal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffregimes.common.readable import count
from diffregimes.report.figures.given import given_figure, plot_given
from diffregimes.report.figures.style import svg_bytes
from diffregimes.report.page.analysis import draw_figures, write_report
from diffregimes.report.terminal.analysis import print_plan, print_summary
from diffregimes.report.words import condition_row, moved_in_words, told_conditions
from diffregimes.results import Augment, Condition, Given, Grouped, TransitionTime
from sample_analysis import digits, make_analysis

NONE = TransitionTime("collapse", "bounded-free-energy", None, warnings=("with <one> rival",))


def at(t):
    return TransitionTime("collapse", "bounded-free-energy", t, 0.9 * t, 1.1 * t)


def given(count=3, alone=(4, 9)):
    """Conditions of many points, and one entry for those of two."""
    some = [Condition(f"a <rather> long caption {k}", 1, 50 + k, at(0.2 + 0.01 * k))
            for k in range(count)]  # fmt: skip
    some.append(Condition("of 2 points", 7, 14, NONE))
    zeros = np.zeros(60)
    return Given(
        count + 9, alone, at(0.3), at(0.2), tuple(some), zeros, zeros, np.array([0.2, np.nan])
    )


def shown(**more):
    return replace(make_analysis(), **more)


def test_the_figure_has_a_row_for_each_of_a_few():
    ax = plot_given(shown(given=given()))
    labels = [x.get_text() for x in ax.get_yticklabels()]
    assert len(labels) == 3
    assert labels[0].startswith("a <rather> long")
    left, right = ax.get_xlim()
    assert left > 0.3 > right
    texts = {x.get_text() for x in ax.texts}
    assert {"given", "$t_C$"} <= texts


@pytest.mark.parametrize("number", [0, 1, 13, 400])
def test_figures_of_few_and_many_conditions(number):
    found = shown(given=given(number))
    svg = svg_bytes(given_figure(found))
    assert svg == svg_bytes(given_figure(found))
    if number == 400:
        assert plot_given(found).get_yscale() == "log"


def test_what_is_told_of_many():
    told = told_conditions(given(30), 6)
    assert len(told) == 7
    assert told[3] is None
    assert told[0].name == "of 2 points"  # has no time: copied throughout
    assert told[1].time.t > told[2].time.t > told[-1].time.t
    name, points, t, span = condition_row(told[0])
    assert (name, points, t, span) == ("7 of 2 points", "14", "none", "")


def moved(t=0.2):
    zeros = np.zeros(3)
    time = NONE if t is None else at(t)
    parts = (None, None, None) if t is None else (-0.05, -0.06, -0.04)
    return Augment(
        ("mirror", "shift:2"), 50, 90000, time, at(0.25), *parts, zeros, zeros, zeros, zeros, zeros
    )


def test_how_far_augmentation_moves_it_is_said():
    said = moved_in_words(moved())
    assert f"{count(90000)} different images" in said
    assert "moved by −0.05 (−0.06 to −0.04)" in said
    assert "none in place of" in moved_in_words(moved(None))


def test_the_page_shows_them(tmp_path):
    zeros = np.zeros(60)
    found = shown(given=given(), augment=moved(), grouped=Grouped(12, 5, *[zeros] * 4))
    write_report(found, None, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "When is a point copied, given its condition?" in page
    assert "a &lt;rather&gt; long" in page
    assert "#4, #9" in page
    assert "squares are those of few points together" in page
    assert "the most exposed groups" in page
    assert "With augmentation" in page
    assert "given" in draw_figures(found)
    write_report(make_analysis(), None, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "given its condition" not in page
    assert "the most exposed points" in page
    one = replace(given(), conditions=1)
    assert "given" not in draw_figures(shown(given=one))


def test_the_terminal_tells_the_first_and_the_last(capsys, tmp_path):
    print_summary(shown(given=given(30)), tmp_path)
    said = capsys.readouterr().out
    assert "copied given the condition" in said
    assert "with no other point" in said
    assert "7 of 2 points" in said
    print_summary(make_analysis(), tmp_path)
    assert "copied given" not in capsys.readouterr().out


def test_the_plan_counts_them(capsys, tmp_path):
    data = digits(0, 1)
    conditions = np.append(np.zeros(data.n - 2, dtype=int), [1, 2])
    print_plan(replace(data, groups=np.arange(data.n) // 2, given=conditions), tmp_path, 256, 0.1)
    said = capsys.readouterr().out
    assert "180 groups" in said
    assert "3 conditions, 2 of one point" in said

"""advice.html: what it says, that it needs nothing else, and the figures behind it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html import unescape

import numpy as np
import pytest

import diffregimes as dr
from command import without_drawing
from diffregimes.advising.pilot import Pilot
from diffregimes.common.checks import InputError
from diffregimes.report.figures.advice import FIGURES, drawable
from diffregimes.report.page.advice import render_advice, write_advice
from pages import Loads, visible


def points(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    cloud = 0.4 * rng.standard_normal((n, 8)) + np.where(labels, 0.8, -0.8)[:, None]
    return dr.from_arrays(cloud.astype(np.float32), labels)


@cache
def advised():
    """All questions answered."""
    step = np.arange(100.0, 3001, 100)
    gap = 0.02 + 4e-4 * np.maximum(step - 1000, 0)
    pilot = Pilot("a pilot", 60, step, np.full(30, 0.2), 0.2 * np.exp(gap))
    analysis = dr.analyze(points(240, 0), draws=512)
    return analysis.advise(dataset=points(240, 0), held_out=points(80, 1), pilot=pilot)


@cache
def page():
    return render_advice(advised())


def test_it_is_whole_and_needs_nothing_else():
    loads = Loads()
    loads.feed(page())
    assert all(x.startswith(("data:", "#")) for x in loads.sources)
    assert not {"script", "iframe", "object", "embed", "base"} & set(loads.tags)
    assert "http://" not in page()
    assert "https://" not in page()
    assert re.findall(r"url\((?!#)", page()) == []
    assert len(loads.ids) == len(set(loads.ids))
    assert not {"nan", "inf", "undefined"} & set(re.findall("[a-z]+", visible(page()).lower()))


def words(html):
    return " ".join(unescape(visible(html)).split())


def test_every_item_has_its_question_answer_and_origin():
    text = words(page())
    for item in advised().items:
        assert item.answered
        for said in (item.question, item.answer, item.formula, item.assumes, item.unknown):
            assert said.replace("t_S", "tS").replace("t_C", "tC") in text, item.name
        for one in item.settings:
            if one.at is not None and one.at.step is not None:
                assert str(one.at.step) in text


def test_every_figure_stands_with_its_item():
    assert set(drawable(advised())) == set(FIGURES)
    for panel in FIGURES.values():
        assert f'aria-label="{panel.caption[:20]}' in page()
    assert page().count("<figure") == len(FIGURES)


def test_the_lines_can_be_copied():
    """As they stand in the advice, one for one."""
    (lines,) = re.findall(r'<pre class="lines"><code>(.*?)</code></pre>', page(), re.DOTALL)
    assert unescape(lines) == advised().code


def test_advice_of_before_has_the_figures_it_can_have():
    items = tuple(replace(x, lists={}) if x.name != "steps" else x for x in advised().items)
    older = replace(advised(), items=items)
    assert drawable(older) == []
    assert "<figure" not in render_advice(older)


def test_what_is_not_answered_is_told_apart():
    bare = dr.analyze(points(80, 2).points, draws=256).advise()
    text = visible(render_advice(bare))
    assert "What these data do not answer" in text
    for name in ("guidance", "danger zone", "training length"):
        assert bare[name].question in text
        assert not bare[name].answered


def test_the_folder(monkeypatch, tmp_path):
    without_drawing(monkeypatch)
    write_advice(advised(), tmp_path, figures=True)
    made = {x.name for x in tmp_path.iterdir()}
    assert made == {"advice.html", "advice.json", "figures"}
    assert {x.stem for x in (tmp_path / "figures").iterdir()} == set(FIGURES)
    assert advised().report(tmp_path).name == "advice.html"
    with pytest.raises(InputError, match="no points"):
        advised().report(tmp_path / "x.html", points(10, 0))


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_what_the_advice_holds(name):
    """The curves, at the values of the lists."""
    ax = FIGURES[name](advised())
    item = advised()[name]
    key = {"guidance": "gained_low", "strength": "image", "late start": "kl_low",
           "training noise": "density", "validation": "gap", "points": "low",
           "danger zone": "within", "training length": "gap"}[name]  # fmt: skip
    values = np.array(item.lists[key])
    drawn = [np.asarray(x.get_ydata(), dtype=float) for x in ax.get_lines()]
    if name in ("guidance", "late start", "points"):  # a band, and its middle
        other = {"gained_low": "gained_high", "kl_low": "kl_high", "low": "high"}[key]
        values = (values + np.array(item.lists[other])) / 2
    clipped = [np.maximum(values, x.min()) if len(x) == len(values) else values for x in drawn]
    assert any(
        len(x) == len(y) and np.allclose(x, y) for x, y in zip(drawn, clipped, strict=True)
    ), name


def test_the_zone_is_shaded_where_both_are_large():
    item = advised()["danger zone"]
    weight, within = (np.array(item.lists[x]) for x in ("weight", "within"))
    both = (weight >= 0.8) & (within >= 0.5)
    spans = [x for x in FIGURES["danger zone"](advised()).patches if x.get_alpha() == 0.12]
    assert len(spans) == int(both.any())

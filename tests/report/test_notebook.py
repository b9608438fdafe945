"""What a notebook shows of a result, its main figure, its page and its folder."""

from __future__ import annotations

import dataclasses
import json
import re
from functools import cache

import numpy as np
import pytest
from matplotlib.figure import Figure

import diffregimes as dr
from command import without_drawing
from diffregimes.common.checks import InputError
from diffregimes.common.readable import interval_text
from diffregimes.report.figures.audit import FIGURES
from diffregimes.report.folder import LAST
from pages import Loads, visible
from sample_analysis import digits, make_analysis, with_theory
from sample_audit import make_audit, make_clones

pytestmark = pytest.mark.usefixtures("few_forward_draws")


@cache
def _advice():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    points = 0.4 * rng.standard_normal((120, 6)) + np.where(labels, 0.8, -0.8)[:, None]
    return dr.analyze(points.astype(np.float32), labels, draws=256).advise()


RESULTS = {
    "analysis": lambda: with_theory(make_analysis()),
    "no times": lambda: make_analysis(t_s=None, t_c=None),
    "audit": lambda: make_audit(),
    "outcome": lambda: make_clones(2, 0.9),
    "curves": lambda: make_analysis().curves,
    "advice": lambda: _advice(),
}
FILES = {
    "analysis": {"results.json", "curves.csv", "report.html"},
    "audit": {"results.json", "samples.csv", "report.html"},
    "outcome": {"results.json", "clones.csv", "clones.png", "clones.svg", "report.html"},
    "curves": {"curves.csv", "curves.png", "curves.svg", "report.html"},
    "advice": {"advice.json", "advice.html"},
}


@pytest.mark.parametrize("name", RESULTS)
def test_two_results_share_a_page_and_load_nothing(name):
    result = RESULTS[name]()
    html = result._repr_html_()
    assert len(html) < 150_000
    reader = Loads()
    reader.feed(html + result._repr_html_())
    assert len(reader.ids) == len(set(reader.ids)) > 0
    assert all(x.startswith("#") and x[1:] in reader.ids for x in reader.sources)
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "http" not in html
    # styles reach nothing else on the page: every rule begins with the class of the fragment
    css = re.search("<style>(.*?)</style>", html, re.S)[1]
    for rule in re.findall(r"([^{}]+)\{", css):
        assert all(x.strip().startswith((".diffregimes", "@container")) for x in rule.split(", "))


@pytest.mark.parametrize("name", RESULTS)
def test_a_short_repr(name):
    assert len(repr(RESULTS[name]())) < 400


def test_the_page_says_verdict_and_times():
    analysis = make_analysis()
    text = visible(analysis._repr_html_())
    assert analysis.verdict.headline in text
    for transition in ("speciation", "collapse"):
        x = analysis.time(transition)
        value, span = interval_text(x.t, x.low, x.high)
        assert f"= {value}" in text
        assert f"{span} (95 %) · by {x.method}" in text
    assert visible(make_analysis(t_s=None)._repr_html_()).count("none") == 1


def test_an_outcome_says_its_times_and_z():
    outcome = make_clones(2, 0.9)
    text = visible(outcome._repr_html_()).replace("−", "-")
    for name, z in outcome.z.items():
        for k, value in enumerate(z):
            assert f"{outcome.forward[name][k]:.3f}{value:z.1f}" in text


def test_names_are_text_and_never_markup():
    analysis = make_analysis()
    facts = dataclasses.replace(analysis.dataset, name="<script>alert(1)</script>")
    assert "<script" not in dataclasses.replace(analysis, dataset=facts)._repr_html_()


@pytest.mark.parametrize("name", RESULTS)
def test_plot_draws_on_what_is_given(name):
    ax = Figure().add_subplot()
    assert RESULTS[name]().plot(ax) is ax
    assert ax.has_data()


def test_plot_without_axes_is_a_figure_of_pyplot():
    from matplotlib import pyplot

    with pyplot.rc_context({"backend": "agg"}):
        ax = make_analysis().plot()
        assert pyplot.gcf() is ax.figure
        pyplot.close(ax.figure)


@pytest.mark.parametrize("name", FILES)
def test_save_writes_all_or_nothing(name, tmp_path, monkeypatch):
    if name in ("analysis", "audit", "advice"):  # drawn in tests of their pages
        without_drawing(monkeypatch)
    result = RESULTS[name]()
    assert result.save(tmp_path / "out") == tmp_path / "out"
    written = {str(x.relative_to(tmp_path / "out")) for x in (tmp_path / "out").rglob("*.*")}
    assert FILES[name] <= written
    assert not any(x.startswith("figures") for x in written)
    if LAST in written:
        json.loads((tmp_path / "out" / LAST).read_text())
    monkeypatch.setattr("diffregimes.report.notebook.write_page", lambda *_: 1 / 0)
    monkeypatch.setattr("diffregimes.report.page.analysis.render_html", lambda *_: 1 / 0)
    monkeypatch.setattr("diffregimes.report.page.audit.render_audit", lambda *_: 1 / 0)
    monkeypatch.setattr("diffregimes.report.page.advice.render_advice", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result.save(tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize(("name", "file"), [("analysis", "regimes"), ("audit", "ratios")])
def test_figures_as_files_are_asked_for_or_there(name, file, tmp_path, monkeypatch):
    without_drawing(monkeypatch)
    result = RESULTS[name]()
    plain, asked = result.save(tmp_path / "plain"), result.save(tmp_path / "asked", figures=True)
    names = {x.name for x in (asked / "figures").iterdir()}
    assert {f"{file}.svg", f"{file}.png"} <= names
    assert {x.name for x in asked.iterdir()} == {x.name for x in plain.iterdir()} | {"figures"}
    (asked / "figures" / f"{file}.svg").write_text("of before")
    result.save(asked)  # would stay beside newer numbers
    assert (asked / "figures" / f"{file}.svg").read_text() != "of before"
    assert {x.name for x in (asked / "figures").iterdir()} == names


@pytest.mark.parametrize("name", ["analysis", "audit"])
def test_a_report_shows_pictures_where_the_dataset_is_given(name, tmp_path, monkeypatch):
    without_drawing(monkeypatch)
    result = RESULTS[name]()
    plain = result.report(tmp_path / "plain.html").read_text()
    whole = result.report(tmp_path / "whole.html", digits(0, 1)).read_text()
    assert "<img" not in plain
    assert "<img" in whole
    assert result.verdict.headline in visible(plain)
    assert result.report(tmp_path) == tmp_path / "report.html"
    with pytest.raises(InputError, match="fingerprint"):
        result.report(tmp_path / "x.html", digits(0, 2))
    assert not (tmp_path / "x.html").exists()


def test_curves_have_no_points_to_show(tmp_path):
    with pytest.raises(InputError, match="leave the dataset away"):
        make_analysis().curves.report(tmp_path / "x.html", digits(0, 1))


def test_a_figure_that_is_not_placed_is_an_error(monkeypatch, tmp_path):
    without_drawing(monkeypatch)
    monkeypatch.setitem(FIGURES, "new", FIGURES["ratios"])
    with pytest.raises(RuntimeError, match=r"audit\.html\.j2 places no figure new"):
        make_audit().report(tmp_path / "never.html")


def test_curves_to_xarray():
    curves = make_analysis().curves
    data = curves.to_xarray()
    assert data.attrs["draws"] == curves.draws
    np.testing.assert_array_equal(data["t"], curves.t)
    assert set(data.data_vars) == {*curves.values, *(f"{k}_se" for k in curves.values)}
    for name, value in curves.values.items():
        assert data[name].dims == ("t",)
        np.testing.assert_array_equal(data[name], value)
        np.testing.assert_array_equal(data[f"{name}_se"], curves.se[name])
    near = float(data["mmse"].sel(t=0.35, method="nearest"))
    assert near == curves["mmse"][np.abs(curves.t - 0.35).argmin()]

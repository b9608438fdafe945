"""The figures: axes in, axes out, time from noise to data, no trace in the user's matplotlib."""

from __future__ import annotations

import dataclasses
import io
import math
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from diffregimes import process
from diffregimes.backward.tracking import Tracked
from diffregimes.report.figures import analysis as plotting
from diffregimes.report.figures import logsnr, style, timeaxis
from diffregimes.report.figures.backward import plot_last_changes
from diffregimes.report.page import pictures
from diffregimes.transitions.criteria import blind_level, clone_level
from diffregimes.transitions.regimes import REGIMES, regime
from sample_analysis import digits, make_analysis, plain_points, with_theory

ON_TIME = sorted(set(plotting.FIGURES) - {"regimes", "spectrum"})
CASES = {
    "both": lambda: make_analysis(),
    "collapse first": lambda: make_analysis(t_s=0.9, t_c=1.3),
    "no speciation": lambda: make_analysis(t_s=None),
    "no collapse": lambda: make_analysis(t_c=None),
    "neither": lambda: dataclasses.replace(
        make_analysis(t_s=None, t_c=None), point_times=np.full(3, np.nan)
    ),
    "plain points": lambda: make_analysis(plain_points()),
    "ten classes": lambda: make_analysis(digits()),
    "theory": lambda: with_theory(make_analysis()),
    "theory, nothing judged": lambda: with_theory(make_analysis(t_s=None, t_c=None), z=None),
}


@pytest.mark.parametrize("times", [(0.0, 0.0), (5.0, 5.0), (0.0, 3.0), (1e-6, 2e-6)])
def test_last_changes_at_the_very_end(times):
    """Of a network that blurs until its last step, or never changes its mind: all at one time."""
    n = 6
    point_time = np.linspace(*times, n)
    found = Tracked(
        np.arange(n), np.full(n, 0.9), np.ones(n), point_time, point_time, np.arange(n) % 2,
        np.zeros((n, 4)), 0.0,
    )  # fmt: skip
    ax = plot_last_changes(found, {"class": 1.0})
    for bars in ax.patches:
        assert bars.get_data().values.sum() == pytest.approx(100)
        assert (np.diff(bars.get_data().edges) > 0).all()


# turned into a file as well, which takes most of the time: what a case or a figure alone has
TO_FILES = (
    {("both", name) for name in plotting.FIGURES}
    | {(case, "regimes") for case in CASES}
    | {
        ("neither", "point_times"),
        ("theory", "entropy"),
        ("theory, nothing judged", "probabilities"),
    }
)


@pytest.mark.parametrize("name", plotting.FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_figure_draws_every_analysis(name, case):
    ax = plotting.FIGURES[name](CASES[case]())
    assert ax.get_xlabel()
    if (case, name) in TO_FILES:
        assert len(style.svg_bytes(ax.figure)) > 1000


@pytest.mark.parametrize("name", plotting.FIGURES)
def test_a_given_axes_is_drawn_on_and_returned(name):
    ax = Figure().add_subplot()
    assert plotting.FIGURES[name](make_analysis(), ax=ax) is ax
    assert ax.has_data()


@pytest.mark.parametrize("name", ON_TIME)
def test_time_falls_from_noise_on_the_left_to_data_on_the_right(name):
    ax = plotting.FIGURES[name](make_analysis())
    left, right = ax.get_xlim()
    assert left > right > 0
    assert ax.get_xscale() == "log-snr"
    assert "noise → data" in ax.get_xlabel()
    ticks = ax.get_xticks()
    assert 4 <= len(ticks) <= 12
    assert all(right <= t <= left for t in ticks)


def test_the_axis_is_even_in_log_snr():
    t = np.array([1e-3, 0.1, 0.5, 2.0, 6.0])
    np.testing.assert_allclose(logsnr.position(t), -np.log(process.snr(t)), rtol=1e-12)
    np.testing.assert_allclose(logsnr.time_at(logsnr.position(t)), t, rtol=1e-12)


def test_the_window_holds_every_time_of_the_analysis():
    analysis = make_analysis()
    low, high = timeaxis.time_window(analysis)
    assert low < min(x.low for x in analysis.times)
    assert high > max(x.high for x in analysis.times)
    assert low >= analysis.curves.t[0]
    assert high <= analysis.curves.t[-1]


def test_the_threshold_is_the_papers_for_two_balanced_classes():
    assert blind_level([100, 100]) == pytest.approx(0.5)
    assert clone_level([100, 100]) == pytest.approx(0.775)
    assert blind_level([30, 10]) == pytest.approx(0.625)


def test_curves_show_what_the_analysis_holds():
    analysis = make_analysis()
    lines = {x.get_label(): x for x in plotting.plot_probabilities(analysis).get_lines()}
    drawn = lines["same class, new data"]
    np.testing.assert_array_equal(drawn.get_xdata(), analysis.curves.t)
    np.testing.assert_array_equal(drawn.get_ydata(), analysis.curves["same_class_probability_loo"])


def test_the_free_energy_is_cut_at_minus_one():
    assert plotting.plot_entropy(make_analysis()).get_ylim()[0] == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("I: wandering", "noise"),
        ("II: generalizing", "generalizing"),
        ("III: memorizing", "memorizing"),
    ],
)
def test_regimes_are_known_by_their_names(name, kind):
    """The names stand in every results.json of this format: they stay."""
    assert regime(name).kind == kind
    assert len(REGIMES) == 3


def test_a_regime_of_another_name_is_an_error():
    with pytest.raises(ValueError, match="no regime is called 'IV: sleeping'; there are: 'I: wand"):
        regime("IV: sleeping")


@pytest.mark.parametrize("t_s, t_c", [(0.96, 0.35), (0.4, 0.38), (0.9, 1.3), (2.4, 0.01)])  # noqa: PT006
@pytest.mark.parametrize("width", [10.4, 4.6])
def test_the_texts_of_the_marks_do_not_overlap(t_s, t_c, width):
    figure = Figure(figsize=(width, 3), layout="constrained")
    ax = plotting.plot_regimes(make_analysis(t_s=t_s, t_c=t_c), ax=figure.add_subplot())
    figure.canvas.draw()
    one, other = (x.get_window_extent() for x in ax.texts if "=" in x.get_text())
    assert not one.overlaps(other)
    # nor does the line of one mark run through the text of the other
    marks = [x for x in ax.get_lines() if len(set(x.get_xdata())) == 1 and x.get_linewidth() == 1.6]
    assert len(marks) == 2
    for line in marks:
        box = line.get_window_extent()
        assert not any(box.x0 > x.x0 and box.x1 < x.x1 and box.y1 > x.y1 for x in (one, other))


def test_the_clocks_of_the_time_line_follow_its_limits():
    ax = plotting.plot_regimes(make_analysis())
    ax.set_xlim(0.4, 0.1)
    ax.set_xlim(1.2, 0.02)
    ticks = [(x.get_position()[0], x.get_text()) for x in ax.texts if x.get_va() == "top"]
    assert len(ticks) > 12
    assert len(set(ticks)) == len(ticks), "those of other limits are gone"
    assert all(0.02 <= t <= 1.2 for t, _ in ticks)
    # DDPM step 100, noise level 0.5, log-SNR 2: each where the process has it
    steps = process.linear_schedule().times
    two = process.time_from_snr(math.exp(2))
    for text, t in (("100", steps[99]), ("0.5", 0.5 * math.log(1.25)), ("2", two)):
        assert any(x == text and at == pytest.approx(float(t)) for at, x in ticks), text


def test_settings_and_backend_of_the_user_stay_as_they_are():
    before = dict(matplotlib.rcParams)
    style.png_bytes(plotting.plot_entropy(make_analysis()).figure)
    assert dict(matplotlib.rcParams) == before
    code = "import sys, diffregimes.report.page.analysis; print('matplotlib.pyplot' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["regimes", "entropy", "information", "point_times"])
def test_the_same_figure_is_the_same_bytes(name):
    one, two = (plotting.FIGURES[name](make_analysis()).figure for _ in range(2))
    assert style.svg_bytes(one) == style.svg_bytes(two)
    if name == "entropy":  # by the same backend for all
        assert style.png_bytes(one) == style.png_bytes(two)


def test_an_inline_figure_takes_its_colours_from_the_page_and_shares_no_ids():
    svg = style.svg_bytes(plotting.plot_entropy(make_analysis()).figure)
    one, two = (str(pictures.inline_svg(svg, x, "a <title>")) for x in ("one", "two"))
    assert one.startswith("<svg viewBox=")
    assert 'aria-label="a &lt;title&gt;"' in one
    assert "currentColor" in one
    assert "var(--point)" in one
    assert style.INK not in one
    assert not any(colour in one for colour in style.COLOURS.values())
    for stray in ("http", "<style", "xmlns", "<metadata", "<?xml"):
        assert stray not in one
    assert one.replace("one-", "two-") == two


THEORY = {
    "probabilities": {"exact theory": 1, "exact bound": 1},
    "entropy": {"exact theory": 1, "exact bound": 1},
    "information": {"exact theory": 1},
    "mmse": {"exact theory": 1},
}


@pytest.mark.parametrize("name", plotting.FIGURES)
def test_theory_is_drawn_where_it_is_known(name):
    """In ink and grey, which every page can show, with one entry in the legend for each kind."""
    plain = plotting.FIGURES[name](make_analysis())
    ax = plotting.FIGURES[name](with_theory(make_analysis()))

    def entries(drawn):
        legend = drawn.get_legend()
        return [x.get_text() for x in legend.get_texts()] if legend else []

    new = [x for x in entries(ax) if x not in entries(plain)]
    assert sorted(new) == sorted(THEORY.get(name, {}))
    lines = [x for x in ax.get_lines() if x.get_color() == style.INK]
    assert bool(lines) == (name in THEORY)
    assert not [x for x in plain.get_lines() if x.get_color() == style.INK]
    assert "--" not in {x.get_linestyle() for x in lines if x.get_label() == plotting.BOUND}


def test_theory_is_a_line_where_it_has_one_value_and_a_band_where_it_has_two():
    analysis = with_theory(make_analysis())
    theory = analysis.theory
    lines = {x.get_label(): x for x in plotting.plot_entropy(analysis).get_lines()}
    low, high = (x["excess_entropy_over_alpha"] for x in (theory.low, theory.high))
    wide = high - low > 0.01 * np.ptp(high)
    assert 0 < wide.sum() < len(wide)
    drawn = lines["exact theory"].get_ydata()
    np.testing.assert_array_equal(np.isnan(drawn), wide)
    np.testing.assert_array_equal(drawn[~wide], (low + high)[~wide] / 2)
    bound = lines["exact bound"]
    assert bound.get_linestyle() == ":"
    np.testing.assert_array_equal(bound.get_ydata(), theory.high["loo_free_energy_over_log_n"])
    # in nats in the figure of what is undecided
    total = next(
        x
        for x in plotting.plot_information(analysis).get_lines()
        if x.get_label() == "exact theory"
    )
    nats = np.log(analysis.dataset.n)
    np.testing.assert_allclose(total.get_ydata()[~wide], nats * drawn[~wide])
    one = next(x for x in plotting.plot_mmse(analysis).get_lines() if x.get_color() == style.INK)
    np.testing.assert_array_equal(one.get_ydata(), theory.low["mmse"])


def test_one_eigenvalue_that_dwarfs_all_leaves_room_for_the_edge(recwarn):
    """A point 10^5 times as far out as the others: no eigenvalue but one is drawn."""
    analysis = make_analysis()
    alone = dataclasses.replace(
        analysis.spectrum, eigenvalues=np.array([1e9, 10.0]), largest=1e9, noise_edge=5e6
    )
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    ax = figure.subplots()
    plotting.plot_spectrum(dataclasses.replace(analysis, spectrum=alone), ax=ax)
    figure.savefig(io.BytesIO(), format="svg")
    assert ax.get_ylim()[0] < 5e6
    assert not recwarn.list

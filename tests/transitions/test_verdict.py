"""The verdict: which regimes, in which order, how sure, and how many points are missing."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import diffregimes as dr
from diffregimes.common.readable import power_of_ten
from diffregimes.populations.mixture import two_gaussians
from diffregimes.results import Curves, PointsNeeded, Spectrum, TransitionTime
from diffregimes.theory import TwoGaussians, information
from diffregimes.transitions.collapse import EntropyLine
from diffregimes.transitions.needed import from_curves
from diffregimes.transitions.regimes import regime, verdict


def when(transition, t, half=0.05, step=None, warnings=()):
    method = {"speciation": "clone-loo", "collapse": "free-energy"}[transition]
    ends = (None, None) if t is None or half is None else (t - half, t + half)
    return TransitionTime(transition, method, t, *ends, step, warnings=warnings)


def needed(log_n, low=None, high=None):
    low, high = low or log_n - 0.1, high or log_n + 0.1
    return PointsNeeded(1.0, log_n, low, high, "the method")


def said(t_s, t_c, points=None, n=700, **options):
    return verdict(when("speciation", t_s, **options), when("collapse", t_c, **options), points, n)


def kinds(found):
    return [(regime(name).kind, a, b) for name, a, b in found.regimes]


def test_collapse_after_speciation_leaves_a_generalizing_regime():
    found = said(2.0, 1.0)
    assert found.generalizes is True
    assert kinds(found) == [
        ("noise", None, 2.0), ("generalizing", 2.0, 1.0), ("memorizing", 1.0, 0.0)
    ]  # fmt: skip
    assert "there is a generalizing regime" in found.headline
    assert "decided at t = 2.00, copying starts at t = 1.00" in found.headline
    assert "t_S = 2.000 by clone-loo, t_C = 1.000 by free-energy: after" in found.sentences[0]


def test_collapse_before_speciation_leaves_none():
    found = said(1.0, 2.0)
    assert found.generalizes is False
    assert kinds(found) == [("noise", None, 2.0), ("memorizing", 2.0, 0.0)]
    assert "no generalizing regime for this n = 700" in found.headline
    assert "(t = 2.00) comes before speciation (t = 1.00)" in found.headline
    assert ": before the class is decided" in found.sentences[0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("apart", "open_"), [(0.0999, True), (0.1001, False)])
def test_intervals_that_overlap_leave_the_order_open(sign, apart, open_):
    """Each reaches 0.05 to either side."""
    found = said(1.0 + sign * apart, 1.0)
    assert (found.generalizes is None) == open_
    assert ("about the same time" in found.headline) == open_
    assert ("the order of the two is open" in found.sentences[0]) == open_


@pytest.mark.parametrize("gone", ["speciation", "collapse"])
def test_without_an_interval_the_times_count_as_they_are(gone):
    times = {"speciation": when("speciation", 1.02), "collapse": when("collapse", 1.0)}
    times[gone] = when(gone, times[gone].t, half=None)
    assert verdict(times["speciation"], times["collapse"], None, 9).generalizes is True


def test_no_collapse_in_the_range():
    found = said(2.0, None)
    assert found.generalizes is None
    assert kinds(found) == [("noise", None, 2.0), ("generalizing", 2.0, 0.0)]
    assert said(None, None).regimes == ()


def test_no_speciation_time_says_why_and_when_copying_starts():
    lost = when("speciation", None, warnings=("phi stays flat",))
    found = verdict(lost, when("collapse", 1.5, step=321), None, 9)
    assert found.generalizes is None
    assert kinds(found) == [("noise", None, 1.5), ("memorizing", 1.5, 0.0)]
    assert found.headline == (
        "No speciation time by clone-loo. Copying starts at t = 1.50 (DDPM step 321)."
    )
    assert found.sentences[0] == "Phi stays flat."


# --- how many points ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "spoken"), [(19, False), (21, True)])
def test_fewer_than_twenty_points_are_no_window_to_close(n, spoken):
    text = " ".join(said(2.0, 1.0, needed(math.log(n))).sentences)
    assert ("this window would close" in text) == spoken
    if spoken:
        assert "fewer than about 21 points" in text
        assert "(you have 700)" in text


def test_the_number_of_points_is_said_as_it_is():
    found = said(1.0, 2.0, needed(math.log(12_345), math.log(9_000), math.log(4e7)))
    text = " ".join(found.sentences)
    assert "About 12 000 training points would open a generalizing regime" in text
    assert "(9 000 to 4e+07, the upper end" in text
    assert "you have 700. Method: the method." in text
    assert "training points would" not in " ".join(said(1.0, 2.0).sentences)
    unbounded = PointsNeeded(1.0, math.log(12_345), math.log(9_000), None, "the method")
    text = " ".join(said(1.0, 2.0, unbounded).sentences)
    assert "(9 000 or more, for nothing here bounds t_S from below)" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (21, "21"), (99.4, "99"), (456, "460"), (12_345, "12 000"), (994_000, "990 000")],
)
def test_two_digits_of_a_number(value, text):
    assert power_of_ten(math.log(value)) == text


def test_large_numbers_are_powers():
    assert power_of_ten(math.log(3.2e7)) == "3e+07"
    assert power_of_ten(math.log(1e6)) == "1e+06"
    assert power_of_ten(41.2 * math.log(10)) == "10^41"


def curves_at(t, n, same_point, entropy, free, se=0.0):
    """Curves that hold these values at t: all are straight lines in time."""
    times = np.array([t - 0.5, t + 0.5])
    slope = np.array([-0.5, 0.5])
    values = {
        "same_point_probability": same_point - 0.02 * slope,
        "information": math.log(n) - entropy - slope,
        "loo_free_energy_over_log_n": free / math.log(n) + slope,
    }
    return Curves(times, values, {k: np.full(2, se) for k in values}, 1000)


def test_points_needed_are_read_halfway_between_the_ends():
    """log n - E[H] and log(n - 1) - F, widened by two standard errors."""
    n, spectrum = 5000, Spectrum(2.0, None, 1.0, np.array([2.0, 1.0]))
    line = EntropyLine(np.full(5, 0.9), np.full(5, -0.8))
    curves = curves_at(1.0, n, 0.05, entropy=2.5, free=1.9, se=0.01)
    found = from_curves(1.0, line, curves, spectrum, n)
    low, high = math.log(n) - 2.5, math.log(n - 1) - 1.9
    assert found.method == "information measured at t"
    assert found.t == 1.0
    assert found.log_n == pytest.approx((low + high) / 2, abs=1e-9)
    assert found.low == pytest.approx(low - 0.0196, abs=1e-9)
    assert found.high == pytest.approx(high + 0.0196, abs=1e-9)


@pytest.mark.parametrize(("same_point", "read"), [(0.095, True), (0.105, False)])
def test_beyond_the_collapse_the_line_is_carried_on(same_point, read):
    """phi_C = 0.1 parts the two."""
    n, t = 5000, 0.5
    spectrum = Spectrum(2.0, None, 1.0, np.array([2.0, 1.0, 0.5]))
    intercepts = np.concatenate([[0.9], np.linspace(0.8, 1, 401)])
    line = EntropyLine(intercepts, np.full(402, -0.8))
    curves = curves_at(t, n, same_point, entropy=2.5, free=1.9)
    found = from_curves(t, line, curves, spectrum, n)
    assert (found.method == "information measured at t") == read
    if read:
        return
    gamma = 1 / math.expm1(2 * t)
    bound = 0.5 * np.log1p(gamma * spectrum.eigenvalues).sum()
    # f = 0.9 - 0.8 G/log n and I = log n (1 - f)
    assert found.log_n == pytest.approx(0.1 * math.log(n) + 0.8 * bound, abs=1e-9)
    # the middle 95 % of the resamples; where the bound lies above them, it is the upper end
    assert found.low == pytest.approx(0.005 * math.log(n) + 0.8 * bound, abs=1e-9)
    assert found.high == pytest.approx(0.195 * math.log(n) + 0.8 * bound, abs=1e-9)
    line = EntropyLine(np.ones(3), np.full(3, -0.2))
    sure = from_curves(t, line, curves, spectrum, n)
    assert sure.high == pytest.approx(bound, abs=1e-9)
    assert sure.low == sure.log_n < bound


def test_the_sentence_holds_for_a_known_law():
    """From points to the number in the verdict, against exp I(a; x_t) at t_S."""
    d, n, sigma = 64, 300, 3.5
    points, labels = two_gaussians(d, sigma=sigma).sample(n, seed=4, stratified=True)
    result = dr.analyze(points.float().numpy(), labels.numpy(), draws=2048)
    t_s = result.time("speciation", "clone-loo").t
    exact = math.exp(float(information(TwoGaussians(d, sigma=sigma), t_s)))
    sentence = next(x for x in result.verdict.sentences if "points" in x and "you have" in x)
    number = re.search(r"about ([\d ]+) (?:training )?points", sentence, re.IGNORECASE)
    assert number, sentence
    assert exact / 2 < float(number[1].replace(" ", "")) < 2 * exact
    assert f"you have {n}" in sentence

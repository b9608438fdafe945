"""Finite-size scaling: where the phi curves of several d cross, and that they fall on one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

from diffregimes.common.checks import InputError
from diffregimes.common.rng import numpy_generator
from diffregimes.theory import TwoGaussians, phi
from diffregimes.theory.gaussian_mixture import phi_of_separation
from diffregimes.transitions.scaling import ScaledCurve, crossing

DIMENSIONS = 256, 1024, 4096, 16384
EVEN = np.array([0.5, 0.5])
AT_ONE = float(phi_of_separation(1.0, EVEN))  # phi at u = 1


def curves(error, rng=None, points=25):
    """Exact phi over t/t_S from 0.6 to 1.5, with normal errors if `rng` is given."""
    x = np.linspace(0.6, 1.5, points)
    out = []
    for d in DIMENSIONS:
        values = phi(TwoGaussians(d), x * 0.5 * math.log(d))
        if rng is not None:
            values = values + error * rng.standard_normal(points)
        out.append(ScaledCurve(d, x, values, np.full(points, error)))
    return out


def test_exact_curves_cross_where_u_is_one():
    """For sigma = 1, Gamma = 1 and u = 1 at t = (1/2) log d for every d."""
    assert pytest.approx(0.7752, abs=5e-5) == AT_ONE
    found = crossing(curves(1e-6), numpy_generator(0, "test"))
    assert found.x == pytest.approx(1, abs=1e-3)
    assert found.phi == pytest.approx(AT_ONE, abs=1e-3)
    assert found.x_low < found.x < found.x_high
    assert found.x_high - found.x_low < 1e-3
    again = crossing(curves(1e-6), numpy_generator(0, "test"))
    assert again == found


def test_the_intervals_shrink_with_the_errors():
    widths = []
    for error in (2e-3, 5e-4):
        found = crossing(curves(error, numpy_generator(1, "noise")), numpy_generator(0, "test"))
        widths.append(found.x_high - found.x_low)
    assert 2.5 < widths[0] / widths[1] < 6.5  # proportional, up to the noise of the intervals


def test_the_intervals_cover(monkeypatch):
    """95 % intervals of x and phi hold the truth in 95 % of 60 repetitions: |z| < 3, and mean z^2
    of the estimates in the middle 99.9 % of chi^2_60/60."""
    monkeypatch.setattr("diffregimes.transitions.scaling.RESAMPLES", 80)
    repetitions, hits, squares = 60, np.zeros(2), np.zeros(2)
    for k in range(repetitions):
        noisy = curves(1.7e-3, numpy_generator(k, "noise"), points=17)
        found = crossing(noisy, numpy_generator(k, "resamples"))
        hits += found.x_low <= 1 <= found.x_high, found.phi_low <= AT_ONE <= found.phi_high
        widths = found.x_high - found.x_low, found.phi_high - found.phi_low
        squares += (2 * 1.96 * np.array([found.x - 1, found.phi - AT_ONE]) / widths) ** 2
    z = (hits - 0.95 * repetitions) / math.sqrt(repetitions * 0.95 * 0.05)
    assert (np.abs(z) < 3).all(), hits
    low, high = chi2.ppf([5e-4, 1 - 5e-4], repetitions) / repetitions
    assert (squares / repetitions > low).all(), squares
    assert (squares / repetitions < high).all(), squares


def test_curves_that_cannot_cross():
    rng = numpy_generator(0, "test")
    two = curves(1e-3)[:2]
    with pytest.raises(InputError, match=r"1 curve\(s\) came; expected two or more"):
        crossing(two[:1], rng)
    with pytest.raises(InputError, match=r"0 curve\(s\)"):
        crossing([], rng)
    apart = ScaledCurve(64, two[0].x + 5, two[0].phi, two[0].se)
    with pytest.raises(InputError, match="share no range"):
        crossing([two[0], apart], rng)
    decided = [ScaledCurve(c.d, c.x, np.full(len(c.x), 0.999), c.se) for c in two]
    with pytest.raises(InputError, match=r"between 0\.6 and 0\.95"):
        crossing(decided, rng)


@pytest.mark.parametrize("mu", [0.5, 1.0, 2.0])
def test_the_curves_of_all_d_fall_on_one(mu):
    """phi depends on t - (1/2) log(d mu^2) alone where Gamma = 1."""
    shift = np.linspace(-1.5, 3, 19)
    expected = phi_of_separation(np.exp(-shift), EVEN)
    for d in DIMENSIONS:
        t = shift + 0.5 * math.log(d * mu**2)
        np.testing.assert_allclose(phi(TwoGaussians(d, mu), t), expected, atol=1e-12)


def test_they_fall_on_one_for_other_sigma_as_d_grows():
    """Gamma - 1 = (sigma^2 - 1) e^{-2t} = O(1/d) at t_S: so is the distance to the one curve."""
    shift = np.linspace(-1, 2, 13)
    expected = phi_of_separation(np.exp(-shift), EVEN)
    apart = []
    for d in DIMENSIONS:
        found = phi(TwoGaussians(d, sigma=2.0), shift + 0.5 * math.log(d))
        apart.append(np.abs(found - expected).max())
    ratios = np.array(apart[:-1]) / np.array(apart[1:])
    np.testing.assert_allclose(ratios, 4, rtol=0.1)

"""The entropy from the norm of a score: the integral, and what Stein's identity takes off it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffregimes.auditing.entropy import model_entropy
from diffregimes.backward.tracking import Tracked
from diffregimes.process import snr, time_from_snr
from diffregimes.results import Curves

D, N, DRAWS = 10, 100, 400
GRID = np.asarray(time_from_snr(np.exp(np.linspace(-8, 0, 81))))  # decreasing


def entropy(lack, stein):
    """Of trajectories with d - |e|^2 = `lack` and e.x/sqrt(Delta) = d + `stein`, (DRAWS, T)."""
    none = np.zeros(DRAWS)
    tracked = Tracked(*[none] * 6, np.zeros((DRAWS, D)), 0.0, D - lack, D + stein)
    t = GRID[[-2, 40, 0]]  # increasing
    name = "excess_entropy_over_alpha"
    exact = Curves(t, {name: np.zeros(3)}, {name: np.zeros(3)}, 1)
    return t, model_entropy(tracked, GRID, exact, N)


def test_noise_that_stein_explains_is_taken_off():
    """lack = gamma + 3 stein: the first part is left, without an error, and its integral is gamma.

    d f = log n - (1/2) int (d - E|e|^2) d log gamma.
    """
    stein = np.random.default_rng(0).standard_normal((DRAWS, len(GRID) - 1))
    t, found = entropy(snr(GRID[:-1]) + 3 * stein, stein)
    # trapezoids of width 0.1 know the integral of an exponential to 0.1^2/12
    np.testing.assert_allclose(1 - found.value, snr(t) / (2 * math.log(N)), rtol=2e-3)
    assert found.se.max() < 1e-12
    spread = stein[:, [-1, 40, 0]]
    np.testing.assert_allclose(found.stein, -spread.mean(axis=0) / D)
    np.testing.assert_allclose(found.stein_se, spread.std(axis=0, ddof=1) / math.sqrt(DRAWS) / D)


def test_noise_of_its_own_stays_and_its_error_is_told():
    rng = np.random.default_rng(1)
    shape = DRAWS, len(GRID) - 1
    own = np.ones(shape) * rng.standard_normal((DRAWS, 1))  # the same at every time
    t, found = entropy(snr(GRID[:-1]) + own, rng.standard_normal(shape))
    # from gamma = e^-8, where the first time stands for all before it, to gamma
    length = 1 + np.log(snr(t)) + 8
    expected = length / (2 * math.log(N) * math.sqrt(DRAWS))
    np.testing.assert_allclose(found.se, expected, rtol=0.15)
    z = (1 - found.value - snr(t) / (2 * math.log(N))) / found.se
    assert np.abs(z).max() < 4
    assert found.se[0] == pytest.approx(9 * found.se[-1], rel=0.25)

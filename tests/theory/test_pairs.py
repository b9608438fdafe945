"""When two Gaussian classes part: against sampled log-odds, limits, and the slope in log d."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from diffregimes.common.checks import InputError
from diffregimes.process import signal, variance
from diffregimes.theory import TwoGaussians
from diffregimes.theory.gaussian_mixture import separation
from diffregimes.theory.pairs import (
    FourClasses,
    GaussianPair,
    fluctuation,
    log_odds,
    pair_times,
)


def some_covariance(rng, d):
    root = rng.standard_normal((d, d)) / math.sqrt(d)
    return root @ root.T + 0.1 * np.eye(d)


@pytest.mark.parametrize("t", [0.1, 0.5, 1.5])
def test_mean_and_fluctuation_are_those_of_sampled_log_odds(t):
    """By scipy's densities, of classes whose covariances do not commute; and E[e^-D] = 1."""
    rng = np.random.default_rng(0)
    d, draws = 4, 40_000
    one, other = some_covariance(rng, d), some_covariance(rng, d)
    mean = rng.standard_normal((2, d))
    shrink, noise = float(signal(t)), float(variance(t))
    laws = [
        multivariate_normal(shrink * m, shrink**2 * c + noise * np.eye(d))
        for m, c in zip(mean, (one, other), strict=True)
    ]
    pair = GaussianPair(mean[0] - mean[1], one, other)
    for k, (own, rival) in enumerate((laws, laws[::-1])):
        x = own.rvs(draws, random_state=rng)
        odds = own.logpdf(x) - rival.logpdf(x)
        mean_z = (odds.mean() - log_odds(pair, t)[k]) / (odds.std() / math.sqrt(draws))
        square = (odds - odds.mean()) ** 2
        exact = fluctuation(pair, t)[k] ** 2
        square_z = (square.mean() - exact) / (square.std() / math.sqrt(draws))
        assert abs(mean_z) < 3.5
        assert abs(square_z) < 3.5


def test_the_three_forms_of_a_covariance_agree():
    rng = np.random.default_rng(1)
    apart, one, other = rng.standard_normal(5), rng.uniform(0, 2, 5), rng.uniform(0, 2, 5)
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    diagonal = GaussianPair(apart, one, other)
    full = GaussianPair(turn @ apart, turn * one @ turn.T, turn * other @ turn.T)
    t = np.array([0.05, 0.3, 1.0, 3.0])
    np.testing.assert_allclose(log_odds(full, t), log_odds(diagonal, t), rtol=1e-10)
    np.testing.assert_allclose(fluctuation(full, t), fluctuation(diagonal, t), rtol=1e-10)
    assert pair_times(full) == pytest.approx(pair_times(diagonal), abs=1e-9)
    mixed = GaussianPair(apart, np.diag(np.full(5, 0.7)), 1.3), GaussianPair(apart, 0.7, 1.3)
    assert pair_times(mixed[0]) == pytest.approx(pair_times(mixed[1]), abs=1e-9)


def test_equal_isotropic_classes_part_at_u_1():
    for d, mu, sigma in ((64, 0.5, 1.0), (256, 1.0, 0.3), (16, 2.0, 3.0)):
        pair = GaussianPair(np.full(d, 2 * mu), sigma**2, sigma**2)
        times = pair_times(pair)
        assert len({round(x, 10) for x in times.values()}) == 1
        assert separation(TwoGaussians(d, mu, sigma), times["balance"]) == pytest.approx(1)
        assert log_odds(pair, times["one"]) == pytest.approx(2)
        assert fluctuation(pair, times["one"]) == pytest.approx(2)


@pytest.mark.parametrize("sizes", [(1.0, 1.5), (2.0, 6.0)])
def test_equal_means_part_at_a_quarter_of_log_d(sizes):
    """Slope and offset fitted from d = 64 to 4096; the corrections fall with e^-2t ~ d^-1/2."""
    d = 2 ** np.arange(6, 13)
    pairs = [GaussianPair(np.zeros(k), *sizes) for k in d]
    offset = 0.5 * math.log(abs(sizes[1] - sizes[0]) / (2 * math.sqrt(2)))
    for kind in ("one", "other", "balance"):
        t = np.array([pair_times(x)[kind] for x in pairs])
        terms = np.stack([np.log(d), np.ones(len(d)), d**-0.5, 1 / d], axis=1)
        slope, constant = np.linalg.lstsq(terms, t, rcond=None)[0][:2]
        assert slope == pytest.approx(0.25, abs=0.001)
        assert constant == pytest.approx(offset, abs=0.01)
        gap = t - 0.25 * np.log(d) - offset  # it is a limit
        assert abs(gap[-1]) < 0.2 * abs(gap[0]) + 1e-3


def test_laws_that_never_part_have_no_time():
    same = GaussianPair(np.zeros(8), 1.0, 1.0)
    assert set(pair_times(same).values()) == {None}
    equal = np.diag(np.ones(8))
    assert set(pair_times(GaussianPair(np.zeros(8), equal, equal)).values()) == {None}
    # one direction, sigma = 1: M stays below |apart|^2/2
    assert pair_times(GaussianPair(np.array([0.5]), 1.0, 1.0))["balance"] is None


def test_four_classes_part_in_two_steps():
    law = FourClasses(100, 1.0, 0.5, 0.3, 0.7)
    means = law.means()
    assert means.shape == (4, 100)
    for k, (a, b) in enumerate((((0, 2), (1, 3)), ((0, 1), (2, 3)))):
        for i, j in (a, b):
            pair = GaussianPair(means[i] - means[j], 0.49, 0.49)
            assert pair_times(pair)["balance"] == pytest.approx(law.times()[k])
    for t, share, mu in zip(law.times(), (0.3, 0.7), (1.0, 0.5), strict=True):
        gamma = float(variance(t)) + 0.49 * float(signal(t)) ** 2
        assert share * 100 * mu**2 * float(signal(t)) ** 2 / gamma == pytest.approx(1)
    assert FourClasses(4, 0.1, 5.0).times()[0] is None
    assert law.times("pair-clone")[0] == pytest.approx(law.times()[0], abs=1e-3)
    assert law.times("pair-clone")[0] > law.times()[0]


@pytest.mark.parametrize(
    "given",
    [
        (np.zeros(3), np.eye(2), 1.0),
        (np.zeros(3), -1.0, 1.0),
        (np.zeros(2), 1.0, np.array([[1.0, 2], [2, 1]])),
        (np.array([np.nan, 1]), 1.0, 1.0),
        (np.zeros((2, 2)), 1.0, 1.0),
    ],
)
def test_what_is_no_pair_of_laws(given):
    with pytest.raises(InputError):
        GaussianPair(*given)

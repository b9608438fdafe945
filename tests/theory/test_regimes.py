"""The backward equations of two Gaussian classes, judged in full dimension and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, norm

from clouds import z_score
from diffregimes.common.checks import InputError
from diffregimes.common.rng import numpy_generator
from diffregimes.theory import TwoGaussians, phi
from diffregimes.theory.regimes import (
    committed_fraction,
    conditional_law,
    potential,
    potential_slope,
    sample_q,
    simulate,
)

LAWS = [
    TwoGaussians(64, 0.5),
    TwoGaussians(64, 0.5, 0.4, 0.3),
    TwoGaussians(100, 2.0, 0.0),
    TwoGaussians(400, 1.0, 2.0, 0.9),
]


def total(law, t):
    """Gamma_t, written out again."""
    return 1 - np.exp(-2 * t) + law.sigma**2 * np.exp(-2 * t)


def marginal(law, t):
    """(centre, width) of q within the class +m: |m|^2 e^{-t}/sqrt(d) and mu sqrt(Gamma)."""
    return np.sqrt(law.d) * law.mu**2 * np.exp(-t), law.mu * np.sqrt(total(law, t))


def judge_marginal(law, q, t):
    """z-scores of the mean and mean square of q, and the p-value of Kolmogorov and Smirnov."""
    u, width = marginal(law, t)

    def cdf(x):
        return law.weight * norm.cdf(x, u, width) + (1 - law.weight) * norm.cdf(x, -u, width)

    mean = z_score(q - (2 * law.weight - 1) * u)
    return mean, z_score(q**2 - u**2 - width**2), kstest(q, cdf).pvalue


@pytest.mark.parametrize("law", LAWS)
def test_slope_is_the_derivative_of_the_potential(law):
    q = np.linspace(-30, 30, 121) * law.mu
    for t in (0.05, 0.8, 2.0, 5.0):
        h = 1e-5 * law.mu * min(1.0, np.exp(t) * total(law, t) / np.sqrt(law.d * law.mu**2))
        slope = (potential(law, q + h, t) - potential(law, q - h, t)) / (2 * h)
        scale = np.abs(slope).max()
        np.testing.assert_allclose(potential_slope(law, q, t), slope, atol=1e-6 * scale)
        assert potential(law, 0.0, t) == pytest.approx(0, abs=1e-12)


def test_published_potential():
    """sigma = 1: V = q^2/2 - 2 mu^2 log cosh(q e^{-t} sqrt(d)); and overflow is far away."""
    law, q, t = TwoGaussians(50, 0.7), np.linspace(-3, 3, 31), 0.9
    printed = 0.5 * q**2 - 2 * 0.49 * np.log(np.cosh(q * np.exp(-t) * np.sqrt(50)))
    np.testing.assert_allclose(potential(law, q, t), printed, rtol=1e-12, atol=1e-12)
    with np.errstate(all="raise", under="ignore"):
        far = potential(TwoGaussians(10**8, 1.0, 0.01), np.array([-1e4, 1e4]), 1e-3)
    assert np.isfinite(far).all()


def log_density(law, m, t, x):
    """Of the noised law at x (N, d), all coordinates, up to a constant."""
    width = total(law, t)
    plus, minus = (-np.sum((x - s * m * np.exp(-t)) ** 2, axis=-1) for s in (1, -1))
    return np.logaddexp(
        np.log(law.weight) + plus / (2 * width), np.log(1 - law.weight) + minus / (2 * width)
    )


@pytest.mark.parametrize("law", [TwoGaussians(6, 0.8, 0.5, 0.3), TwoGaussians(6, 1.5, 2.0)])
@pytest.mark.parametrize("t", [0.1, 0.7, 2.0])
def test_drift_is_that_of_all_coordinates(law, t):
    """m.(x + 2 score)/sqrt(d) at random x, the score from differences of log P."""
    rng = np.random.default_rng(4)
    m = rng.standard_normal(6)
    m *= law.mu * np.sqrt(6) / np.linalg.norm(m)
    x = 1.5 * rng.standard_normal((50, 6))
    steps = 1e-5 * np.eye(6)[:, None]
    score = (log_density(law, m, t, x + steps) - log_density(law, m, t, x - steps)).T / 2e-5
    drift = (x + 2 * score) @ m / np.sqrt(6)
    got = -potential_slope(law, x @ m / np.sqrt(6), t)
    np.testing.assert_allclose(got, drift, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_sampled_q(law):
    q = sample_q(law, 1.3, 20_000, numpy_generator(0, "q"))
    mean, square, p = judge_marginal(law, q, 1.3)
    assert abs(mean) < 4
    assert abs(square) < 4
    assert p > 1e-3


def test_q_of_whole_vectors():
    law, t, rng = TwoGaussians(40, 0.6, 0.7, 0.3), 0.8, np.random.default_rng(0)
    m = 0.6 * np.where(np.arange(40) % 2, 1.0, -1.0)
    side = np.where(rng.random(20_000) < 0.3, 1.0, -1.0)
    a = side[:, None] * m + 0.7 * rng.standard_normal((20_000, 40))
    x = np.exp(-t) * a + np.sqrt(-np.expm1(-2 * t)) * rng.standard_normal(a.shape)
    mean, square, p = judge_marginal(law, x @ m / np.sqrt(40), t)
    assert abs(mean) < 4
    assert abs(square) < 4
    assert p > 1e-3


@pytest.mark.parametrize("law", LAWS)
def test_langevin_keeps_the_marginal_law(law):
    """From noise, t = 5, to where the classes are apart: mean, variance and the whole law."""
    stop = 0.5 * np.log(law.d * law.mu**2) - 0.7
    rng = numpy_generator(1, "langevin")
    q = simulate(law, sample_q(law, 5.0, 10_000, rng), np.linspace(5, stop, 1501), rng)
    mean, square, p = judge_marginal(law, q, stop)
    assert abs(mean) < 4
    assert abs(square) < 4
    assert p > 1e-3


def test_noise_has_the_variance_two_mu_squared():
    """With variance 2 (that of x, not of q) the law at mu = 1/2 is missed by far."""
    law, times, rng = TwoGaussians(64, 0.5), np.linspace(3, 0.7, 801), np.random.default_rng(2)
    ends = []
    for strength in (2 * 0.25, 2.0):
        q = sample_q(law, 3.0, 10_000, rng)
        for t, step in zip(times[:-1], -np.diff(times), strict=True):
            noise = np.sqrt(strength * step) * rng.standard_normal(q.shape)
            q += noise - potential_slope(law, q, t) * step
        ends.append(judge_marginal(law, q, 0.7))
    assert abs(ends[0][1]) < 4
    assert ends[1][1] > 30
    assert ends[1][2] < 1e-100


def test_weak_order_one():
    """The error of E q^2 falls as the step: a slope of -1 over its logarithms."""
    law, rng = TwoGaussians(16, 1.0, 2.0), np.random.default_rng(3)
    steps, errors, noise = np.array([20, 40, 80, 160]), [], []
    u, width = marginal(law, 1.0)
    for count in steps:
        q = sample_q(law, 4.0, 200_000, rng)
        q = simulate(law, q, np.linspace(4, 1, count + 1), rng)
        errors.append(u**2 + width**2 - np.mean(q**2))
        noise.append(np.std(q**2) / np.sqrt(len(q)))
    relative = np.array(noise) / errors
    fit, cov = np.polyfit(np.log(steps), np.log(errors), 1, w=1 / relative, cov="unscaled")
    assert abs(fit[0] + 1) < 3 * np.sqrt(cov[0, 0]) + 1 / steps[0]  # the next order is 1/steps


@pytest.mark.parametrize(
    ("law", "t"),
    [
        (TwoGaussians(16), 1.2),
        (TwoGaussians(256, 1.0, 0.5), 2.8),
        (TwoGaussians(256, 1.0, 0.5, 0.2), 2.6),
        (TwoGaussians(64, 0.5, 0.0), 1.0),
        (TwoGaussians(10**4, 0.3, 2.0, 0.7), 3.6),
        (TwoGaussians(4, 0.5, 1.0), 0.3),  # never decided: stops at the data
    ],
)
def test_committed_fraction_is_phi(law, t):
    rng = numpy_generator(5, "committed")
    got, error = committed_fraction(law, t, 20_000, 600, rng)
    assert 0 < error < 0.005
    assert abs(got - phi(law, t)) < 4 * error


def test_committed_fraction_improves_with_the_steps():
    law, t = TwoGaussians(256, 1.0, 0.5, 0.2), 2.2
    bias = []
    for steps in (8, 64):
        got, error = committed_fraction(law, t, 200_000, steps, numpy_generator(6, "committed"))
        bias.append(abs(got - phi(law, t)) / error)
    assert bias[0] > 10
    assert bias[1] < bias[0] / 2.5


# --- regime II -------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [*LAWS, TwoGaussians(9, 0.0, 0.6)])
def test_conditional_law_composes(law):
    t, r, s, x = 1.9, 1.1, 0.2, np.array([-3.0, 0.0, 7.0])
    direct_mean, direct_variance = conditional_law(law, x, t, s)
    halfway, spread = conditional_law(law, x, t, r)
    mean, rest = conditional_law(law, halfway, r, s)
    slope = np.diff(conditional_law(law, np.array([0.0, 1.0]), r, s)[0])[0]
    np.testing.assert_allclose(mean, direct_mean, rtol=1e-12)
    assert rest + slope**2 * spread == pytest.approx(direct_variance, rel=1e-12, abs=1e-15)
    # the law of x_t is carried into the law of x_s
    start = np.sqrt(law.d) * law.mu * np.exp(-t)
    mean, variance = conditional_law(law, np.array([start, start + 1]), t, s)
    assert mean[0] == pytest.approx(np.sqrt(law.d) * law.mu * np.exp(-s), abs=1e-12)
    carried = variance + np.diff(mean)[0] ** 2 * total(law, t)
    assert carried == pytest.approx(total(law, s), rel=1e-12)


def test_conditional_law_of_forward_pairs():
    """x_s and x_t of one forward path: what is left of x_s knows nothing of x_t."""
    law, t, s, rng = TwoGaussians(9, 0.7, 1.6), 1.2, 0.4, np.random.default_rng(7)
    a = 2.1 + 1.6 * rng.standard_normal(40_000)
    early = np.exp(-s) * a + np.sqrt(-np.expm1(-2 * s)) * rng.standard_normal(a.shape)
    late = np.exp(s - t) * early + np.sqrt(-np.expm1(-2 * (t - s))) * rng.standard_normal(a.shape)
    mean, variance = conditional_law(law, late, t, s)
    left = early - mean
    assert abs(z_score(left)) < 4
    assert abs(z_score(left * late)) < 4
    assert abs(z_score(left**2 - variance)) < 4


def test_conditional_law_ends_at_the_data():
    assert conditional_law(TwoGaussians(9, 0.7, 0.0), 5.0, 1.0, 0.0) == (pytest.approx(2.1), 0.0)
    mean, variance = conditional_law(TwoGaussians(9, 0.0, 0.6), 5.0, 1.0, 0.0)
    assert mean == pytest.approx(5 * np.exp(-1) * 0.36 / (1 - 0.64 * np.exp(-2)))
    assert variance == pytest.approx(0.36 * (1 - np.exp(-2)) / (1 - 0.64 * np.exp(-2)))


@pytest.mark.parametrize(("own", "score"), [(1, 2), (1, 1), (0, 1)])
def test_backward_drift_has_twice_the_score(own, score):
    """x + 2 score lands on the conditional law; x + score and the printed score alone do not."""
    law, t, s, x = TwoGaussians(64, 0.5, 0.6), 1.5, 0.3, 2.5
    rng, times = np.random.default_rng(8), np.linspace(1.5, 0.3, 3001)
    now = np.full(10_000, x)
    for time, step in zip(times[:-1], -np.diff(times), strict=True):
        drift = own * now - score * (now - 4 * np.exp(-time)) / total(law, time)
        now += step * drift + np.sqrt(2 * step) * rng.standard_normal(now.shape)
    mean, variance = conditional_law(law, x, t, s)
    z = np.abs([z_score(now - mean), z_score((now - mean) ** 2 - variance)])
    p = kstest(now, norm(mean, np.sqrt(variance)).cdf).pvalue
    if (own, score) == (1, 2):
        assert z.max() < 4
        assert p > 1e-3
    else:
        assert z.min() > 30
        assert p < 1e-100


LAW = TwoGaussians(16)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("t", lambda: potential(LAW, 1.0, 0.0)),
        ("t", lambda: potential_slope(LAW, 1.0, np.nan)),
        ("t", lambda: sample_q(LAW, -1.0, 3, np.random.default_rng(0))),
        ("times", lambda: simulate(LAW, np.zeros(3), np.array([1.0, 2.0]), None)),
        ("times", lambda: simulate(LAW, np.zeros(3), np.array([2.0, 1.0, 1.0]), None)),
        ("times", lambda: simulate(LAW, np.zeros(3), np.array([1.0]), None)),
        ("times", lambda: simulate(LAW, np.zeros(3), np.array([1.0, 0.0]), None)),
        ("t", lambda: committed_fraction(LAW, 0.0, 10, 10, np.random.default_rng(0))),
        ("s", lambda: conditional_law(LAW, 0.0, 1.0, 1.0)),
        ("s", lambda: conditional_law(LAW, 0.0, 1.0, 2.0)),
        ("s", lambda: conditional_law(LAW, 0.0, 1.0, -0.1)),
        ("s", lambda: conditional_law(LAW, 0.0, np.nan, 0.5)),
    ],
)
def test_errors_name_what_is_wrong(name, call):
    with pytest.raises(InputError, match=rf"^{name} (is|must)\b"):
        call()

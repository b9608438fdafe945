"""The closed forms of two Gaussian classes, judged by quadrature, by sampling and by clouds."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, combinations_with_replacement, pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import entr, expit
from scipy.stats import norm

import mixture_reference as mixture
from clouds import z_score
from diffregimes.common.checks import InputError
from diffregimes.data.cloud import prepare
from diffregimes.posterior.sweep import sweep
from diffregimes.theory import (
    TwoGaussians,
    class_channel,
    class_entropy,
    class_information,
    collapse_time,
    excess_entropy,
    information,
    phase_diagram,
    phi,
    points_needed,
    speciation_times,
)
from diffregimes.theory.gaussian_mixture import noised_variance, separation
from diffregimes.theory.regimes import potential


def quadrature(positions, weights):
    """E[p_j p_k] and E[H(p)] from the densities, cut where one class gives way to another."""
    positions, weights = np.asarray(positions, float), np.asarray(weights, float)
    cuts = {c + 12 * side for c in positions for side in (-1, 0, 1)}
    for (a, v), (b, w) in combinations(zip(positions, weights, strict=True), 2):
        if a != b:
            even = 0.5 * (a + b) + np.log(w / v) / (a - b)
            cuts |= {even + step / abs(a - b) for step in (-40, -8, -2, 0, 2, 8, 40)}
    near = [x for x in pairwise(sorted(cuts)) if np.abs(np.mean(x) - positions).min() < 12]

    def average(function):  # of function(log posterior)
        def integrand(y):
            joint = np.log(weights) + norm.logpdf(y, positions)
            total = np.logaddexp.reduce(joint)
            return np.exp(total) * function(joint - total)

        return sum(quad(integrand, *x, epsabs=1e-14, epsrel=1e-12, limit=200)[0] for x in near)

    overlap = np.empty((len(weights), len(weights)))
    for j, k in combinations_with_replacement(range(len(weights)), 2):
        overlap[j, k] = overlap[k, j] = average(lambda p, j=j, k=k: np.exp(p[j] + p[k]))
    return overlap, average(lambda p: -np.sum(np.exp(p) * p))


CHANNELS = [
    ([0, 0], [0.5, 0.5]),
    ([1, -1], [0.5, 0.5]),
    ([5.4, -5.4], [0.5, 0.5]),  # where the trapezoid rule is at its worst
    ([3, -3], [1e-4, 1 - 1e-4]),
    ([5e3, -5e3], [0.1, 0.9]),
    ([-5, 0, 5], [0.1, 0.8, 0.1]),
    ([0.3, -1, 2], [1e-4, 0.5, 0.4999]),
    pytest.param([-5, -1, 0, 1, 5], [1e-4, 0.3, 0.4, 0.2, 0.0999], marks=pytest.mark.slow),
    ([0, 1, 10, 1e3, 1e4], [0.5, 0.1, 1e-4, 0.3, 0.0999]),
]


@pytest.mark.parametrize(("positions", "weights"), CHANNELS)
def test_channel_against_adaptive_quadrature(positions, weights):
    overlap, entropy = quadrature(positions, weights)
    positions, weights = np.array(positions, float), np.array(weights)
    np.testing.assert_allclose(class_channel.overlap(positions, weights), overlap, atol=2e-13)
    assert class_channel.entropy(positions, weights) == pytest.approx(entropy, abs=2e-13)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_channel_rules(k):
    """E[p_j] = pi_j, order and origin play no part, and the further apart the more is known."""
    rng = np.random.default_rng(k)
    weights = rng.dirichlet(np.full(k, 0.5))
    shape = rng.standard_normal(k)
    positions = np.geomspace(1e-3, 1e4, 40)[:, None] * shape
    with np.errstate(all="raise", under="ignore"):
        overlap = class_channel.overlap(positions, weights)
        entropy = class_channel.entropy(positions, weights)
    np.testing.assert_allclose(overlap.sum(axis=-1), np.tile(weights, (40, 1)), atol=1e-14)
    np.testing.assert_allclose(overlap, np.swapaxes(overlap, 1, 2), rtol=1e-14)
    order = rng.permutation(k)
    again = class_channel.overlap(3.0 - positions[20, order], weights[order])
    np.testing.assert_allclose(again, overlap[20][np.ix_(order, order)], atol=1e-13)
    np.testing.assert_allclose(class_channel.overlap(positions[7], weights), overlap[7], atol=1e-15)
    assert np.all(np.diff(np.trace(overlap, axis1=1, axis2=2)) >= -1e-14)
    assert np.all(np.diff(entropy) <= 1e-14)
    assert entropy[0] == pytest.approx(entr(weights).sum(), abs=1e-4)
    assert entropy[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("d", [2, 256, 10**6])
@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0, 2.0])
def test_curves_against_the_reference(d, sigma):
    times = np.array([1e-6, 0.3, 0.5 * np.log(d), 0.5 * np.log(d) + 0.7, 50.0])
    law = TwoGaussians(d, 1.0, sigma)
    with np.errstate(all="raise", under="ignore"):
        got = phi(law, times), class_information(law, times), information(law, times)
    same, known = (
        np.array([f(t, d, 1.0, sigma) for t in times])
        for f in (mixture.phi, mixture.class_information)
    )
    np.testing.assert_allclose(got[0], same, atol=1e-11)
    np.testing.assert_allclose(got[1], known, atol=1e-11)
    within = 0.5 * d * np.log1p(sigma**2 / np.expm1(2 * times))
    np.testing.assert_allclose(got[2], within + known, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("weight", [0.1, 0.9999])
@pytest.mark.parametrize("t", [1e-3, 0.5 * np.log(16), 0.5 * np.log(16) + 1])
def test_unequal_classes_against_quadrature(weight, t):
    law = TwoGaussians(64, 0.5, 0.7, weight)
    u = 4 * np.exp(-t) / np.sqrt(1 - np.exp(-2 * t) + 0.49 * np.exp(-2 * t))
    overlap, entropy = quadrature([u, -u], [weight, 1 - weight])
    assert separation(law, t) == pytest.approx(u, rel=1e-12)
    assert phi(law, t) == pytest.approx(np.trace(overlap), abs=1e-12)
    assert class_entropy(law, t) == pytest.approx(entropy, abs=1e-12)
    prior = entr(weight) + entr(1 - weight)
    assert class_information(law, t) == pytest.approx(prior - entropy, abs=1e-12)


def whole_vectors(law, t, size, seed=0):
    """(P(+ | x), E[a | x], a, x) of sampled vectors in all d dimensions, m = mu (1, ..., 1)."""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(size) < law.weight, 1.0, -1.0)
    shrink, width = np.exp(-t), -np.expm1(-2 * t)
    a = law.mu * side[:, None] + law.sigma * rng.standard_normal((size, int(law.d)))
    x = shrink * a + np.sqrt(width) * rng.standard_normal(a.shape)
    total = width + (law.sigma * shrink) ** 2
    far, near = (np.sum((x + s * law.mu * shrink) ** 2, axis=1) for s in (1, -1))
    p = expit((far - near) / (2 * total) + np.log(law.weight / (1 - law.weight)))
    mean = law.mu * (2 * p - 1)[:, None]
    return p, mean + law.sigma**2 * shrink / total * (x - shrink * mean), a, x


FULL = [
    (TwoGaussians(2, 0.5, 0.3), 0.4, 20_000),
    (TwoGaussians(2, 1.0, 0.0, 0.1), 0.5, 20_000),
    (TwoGaussians(64, 1.0, 2.0), 1.8, 10_000),
    (TwoGaussians(64, 1.0, 1.0, 0.8), 2.2, 10_000),
    (TwoGaussians(4096, 1.0, 0.3, 0.1), 4.5, 1000),
    (TwoGaussians(4096, 0.02, 0.3), 0.1, 1000),
    (TwoGaussians(10**5, 1.0, 1.0), 6.0, 100),
    pytest.param(TwoGaussians(10**6, 0.5, 2.0), 6.5, 30, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("law", "t", "size"), FULL)
def test_curves_against_sampled_vectors(law, t, size):
    p = whole_vectors(law, t, size)[0]
    assert abs(z_score(p**2 + (1 - p) ** 2 - phi(law, t))) < 4
    assert abs(z_score(p - law.weight)) < 4
    assert abs(z_score(entr(p) + entr(1 - p) - class_entropy(law, t))) < 4
    assert class_information(law, t) > 0.01


def test_curves_of_all_dimensions_fall_on_one():
    tau = np.linspace(-2, 3, 41)

    def curve(d, mu, sigma):
        return phi(TwoGaussians(d, mu, sigma), tau + 0.5 * np.log(d * mu**2))

    one = curve(1000, 1.0, 1.0)
    for d, mu in [(400, 0.5), (10**4, 1.0), (10**6, 3.0), (10**6, 0.02)]:
        np.testing.assert_allclose(curve(d, mu, 1.0), one, atol=1e-12)
    d = np.geomspace(1e3, 1e6, 7)
    for sigma in (0.0, 0.5, 2.0):
        far = [np.abs(curve(x, 1.0, sigma) - one).max() for x in d]
        slopes = np.diff(np.log(far)) / np.diff(np.log(d))
        assert slopes[-1] == pytest.approx(-1, abs=0.003)


# --- speciation ------------------------------------------------------------------------------


def test_leading_and_spectral_times():
    law = TwoGaussians(6, 1.3, 0.7, 0.2)
    times = speciation_times(law)
    assert separation(replace(law, sigma=1.0), times["leading"]) == pytest.approx(1, rel=1e-12)
    m = np.array([2.0, -1.0, 0.5, 0.3, 1.0, 1.0])
    m *= np.sqrt(law.d) * law.mu / np.linalg.norm(m)
    mean = (2 * law.weight - 1) * m
    dense = np.outer(m, m) - np.outer(mean, mean) + law.sigma**2 * np.eye(6)
    top = np.linalg.eigvalsh(dense)[-1]
    assert top * np.exp(-2 * times["spectral"]) == pytest.approx(1, rel=1e-12)
    t = times["spectral-exact"]
    assert top * np.exp(-2 * t) == pytest.approx(1 - np.exp(-2 * t), rel=1e-12)


@pytest.mark.parametrize(("d", "mu"), [(10, 1.0), (400, 0.3), (10**6, 2.0)])
def test_curvature_of_the_potential(d, mu):
    def bend(t, sigma=1.0):
        h = 1e-3 * mu * min(1.0, np.exp(t) / np.sqrt(d * mu**2))
        v = potential(TwoGaussians(d, mu, sigma), np.array([-h, 0.0, h]), t)
        return (v[0] - 2 * v[1] + v[2]) / h**2

    t = speciation_times(TwoGaussians(d, mu))["curvature"]
    assert brentq(bend, t - 0.3, t + 0.3) == pytest.approx(t, abs=1e-5)
    # Gamma is not 1 at finite d: e^{-2t} (sigma^2 - 1) is of order 1/d
    assert brentq(bend, 0.7 * t, 1.3 * t, args=(0.5,)) == pytest.approx(t, abs=1.5 / (d * mu**2))


def tilted_excess(law, log_gamma, m):
    """gamma times the largest eigenvalue of the tilted covariance, minus 1, on a grid of points."""
    axis = np.linspace(-12, 12, 4001 if len(m) == 1 else 301)
    a = np.stack(np.meshgrid(*[axis] * len(m)), axis=-1).reshape(-1, len(m))
    gamma = np.exp(log_gamma)
    plus, minus = (np.exp(-np.sum((a - s * m) ** 2, 1) / (2 * law.sigma**2)) for s in (1, -1))
    w = law.weight * plus + (1 - law.weight) * minus
    w *= np.exp(-0.5 * gamma * np.sum((a - (2 * law.weight - 1) * m) ** 2, 1))
    return gamma * np.linalg.eigvalsh(np.cov(a.T, aweights=w, ddof=0).reshape(len(m), -1))[-1] - 1


@pytest.mark.parametrize(
    ("weight", "sigma", "m"),
    [
        (0.5, 0.8, [2.0]),
        (0.4, 0.5, [2.5]),
        (0.64, 0.5, [3.0]),
        (0.66, 0.5, [3.0]),
        (0.9, 0.3, [3.0]),
        (0.5, 1.5, [1.4]),
        (0.45, 0.7, [1.5, -2.0]),
    ],
)
def test_landau_time_against_the_tilted_covariance(weight, sigma, m):
    m = np.array(m)
    law = TwoGaussians(len(m), float(np.sqrt(m @ m / len(m))), sigma, weight)
    got = speciation_times(law)["landau"]
    scan = np.linspace(-4, 4, 33 if len(m) == 2 else 161)
    above = np.flatnonzero([tilted_excess(law, x, m) > 0 for x in scan])
    if not len(above):
        assert got is None
        return
    cell = scan[above[0] - 1], scan[above[0]]
    root = brentq(lambda x: tilted_excess(law, x, m), *cell, xtol=1e-9)
    assert got == pytest.approx(0.5 * np.log1p(np.exp(-root)), abs=1e-6)


def test_landau_time_is_continuous_at_equal_weights():
    for tilt in (1e-16, 1e-13, 1e-9, 1e-7):
        for mu in np.linspace(1, 2, 9):
            law = TwoGaussians(7, mu, 0.9)
            balanced = speciation_times(law)["landau"]
            near = speciation_times(replace(law, weight=0.5 + tilt))["landau"]
            assert near == pytest.approx(balanced, abs=1e-10)


@pytest.mark.parametrize(
    "law", [TwoGaussians(256), TwoGaussians(3, 2.0, 0.0), TwoGaussians(9, 1, 2)]
)
def test_clone_time_of_equal_classes(law):
    expected = mixture.speciation_time(law.d, law.mu, law.sigma)
    assert speciation_times(law)["clone"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("weight", [0.2, 0.999, 1e-4, 1e-9])
def test_clone_time_of_unequal_classes(weight):
    """1 - (phi - phi_inf)/(1 - phi_inf) = E[p_other | own]/pi_other: here own is the smaller."""
    law = TwoGaussians(50, 1.0, 0.6, weight)
    small = min(weight, 1 - weight)

    def gap(u):
        def other(xi):
            return norm.pdf(xi) * expit(np.log1p(-small) - np.log(small) - 2 * u * (u + xi))

        return quad(other, -12, 12, epsabs=1e-13, limit=200)[0] / (1 - small) - 0.45

    t = speciation_times(law)["clone"]
    assert separation(law, t) == pytest.approx(brentq(gap, 0.5, 20, xtol=1e-12), abs=2e-9)


def test_times_that_do_not_exist():
    none = speciation_times(TwoGaussians(100, 0.0, 1.0))
    assert [k for k, v in none.items() if v is not None] == ["spectral-exact"]
    wide = TwoGaussians(4, 1.0, 3.0)  # |m| < sigma: never two groups, even at t = 0
    assert phi(wide, 1e-9) < 0.775
    assert speciation_times(wide)["clone"] is speciation_times(wide)["landau"] is None
    small = speciation_times(TwoGaussians(1, 0.9, 0.1))
    assert small["leading"] is small["spectral"] is None
    assert small["curvature"] == pytest.approx(0.5 * np.log(1.62))


# --- excess entropy and collapse -------------------------------------------------------------


@pytest.mark.parametrize(("d", "sigma", "n"), [(1, 0.5, 3), (256, 1.0, 20_000), (4096, 2.0, 100)])
def test_excess_entropy_against_the_reference(d, sigma, n):
    law, times = TwoGaussians(d, 1.0, sigma), np.array([0.01, 0.5, 1.7, 3.0, 6.0])
    expected = np.array([mixture.excess_entropy(t, n, d, 1.0, sigma) for t in times])
    leading = np.array([mixture.leading_excess_entropy(t, n, d, sigma) for t in times])
    got = excess_entropy(law, times, np.log(n))
    np.testing.assert_allclose(d * got, expected, rtol=1e-11, atol=1e-10)
    got = excess_entropy(law, times, np.log(n), "leading")
    np.testing.assert_allclose(d * got, leading, rtol=1e-11, atol=1e-10)


def test_class_term_is_of_order_one_over_d():
    """leading - exact = I(class)/d, with I(class) = log 2 once the classes are resolved."""
    d = np.geomspace(1e3, 1e6, 7)
    exact, leading = (
        np.array([excess_entropy(TwoGaussians(x), 0.3, 9.0, order) for x in d])
        for order in ("exact", "leading")
    )
    np.testing.assert_allclose(d * (exact - leading), -np.log(2), rtol=1e-9)
    slope = np.polyfit(np.log(d), np.log(leading - exact), 1)[0]
    assert slope == pytest.approx(-1, abs=1e-9)


IDENTITIES = [
    (TwoGaussians(2, 1.0, 0.5), 0.4),
    (TwoGaussians(16, 0.5, 1.0, 0.2), 1.0),
    (TwoGaussians(16, 1.0, 0.0), 1.5),
    (TwoGaussians(64, 0.4, 1.5, 0.7), 0.8),
]


@pytest.mark.parametrize(("law", "t"), IDENTITIES)
def test_information_grows_at_half_the_squared_error(law, t):
    """I-MMSE: dI/dgamma = mmse/2, the error of the exact denoiser on whole vectors."""
    _, denoised, a, _ = whole_vectors(law, t, 20_000, seed=1)
    gamma = 1 / np.expm1(2 * t)
    step = 1e-4 * gamma
    times = 0.5 * np.log1p(1 / np.array([gamma - step, gamma + step]))
    slope = np.diff(information(law, times))[0] / (2 * step)
    assert abs(z_score(0.5 * np.sum((a - denoised) ** 2, axis=1) - slope)) < 4


@pytest.mark.parametrize(("law", "t"), IDENTITIES)
def test_entropy_grows_with_the_score(law, t):
    """de Bruijn: dS/dt = E|score|^2 - d, S = I + (d/2) log(2 pi e Delta)."""

    def entropy(time):
        return information(law, time) + 0.5 * law.d * np.log(-np.expm1(-2 * time))

    _, denoised, _, x = whole_vectors(law, t, 20_000, seed=2)
    score = (np.exp(-t) * denoised - x) / -np.expm1(-2 * t)
    slope = (entropy(t + 1e-4) - entropy(t - 1e-4)) / 2e-4
    assert abs(z_score(np.sum(score**2, axis=1) - law.d - slope)) < 4


@pytest.mark.parametrize("d", [1, 2, 30, 1000, 10**6])
@pytest.mark.parametrize("log_n", [0.7, 5.0, 9.9, 690.8])
@pytest.mark.parametrize(("sigma", "weight"), [(0.1, 0.5), (1.0, 0.5), (4.0, 0.05)])
def test_collapse_time_is_the_zero_of_the_excess_entropy(d, log_n, sigma, weight):
    """Up to n = 10^300; sigma far below and above 1."""
    law = TwoGaussians(d, 1.0, sigma, weight)
    for order in ("exact", "leading"):
        t = collapse_time(law, log_n, order)
        if 2 * log_n / d > 740:  # sigma^2 n^{-2/d} is below the smallest float
            assert t == 0
            continue
        low = 1e-307 if log_n / d > 20 else 1e-20

        def f(log_t, order=order):
            return d * float(excess_entropy(law, np.exp(log_t), log_n, order))

        assert abs(f(np.log(t))) < 1e-11 * log_n
        assert np.log(t) == pytest.approx(brentq(f, np.log(low), 3.5, xtol=1e-13), abs=1e-9)
    if 2 * log_n / d < 700:
        closed = 0.5 * np.log1p(sigma**2 / np.expm1(2 * log_n / d))
        assert t == pytest.approx(closed, rel=1e-12)
        assert points_needed(law, t) >= log_n * (1 - 1e-12)  # the class adds to the leading order


def test_resolved_classes_halve_the_points():
    law, log_n = TwoGaussians(4096), np.log(20_000)
    t = collapse_time(law, log_n)
    assert class_entropy(law, t) < 1e-4
    assert t == pytest.approx(collapse_time(law, log_n - np.log(2), "leading"), abs=1e-5)
    assert collapse_time(law, log_n, "leading") < t - 0.01


def test_no_collapse_of_coinciding_points():
    for order in ("exact", "leading"):
        assert collapse_time(TwoGaussians(10, 1.0, 0.0), 5.0, order) is None


def judge_clouds(d, n, clouds, draws):
    """The engine on sampled clouds against f (tight bracket) or inside the bracket (else).

    The standard error is that between clouds or that of the draws, whichever is larger.
    """
    law, log_n = TwoGaussians(d), np.log(n)
    times = collapse_time(law, log_n) + np.array([0.02, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2])
    lower, rng = d * excess_entropy(law, times, log_n), np.random.default_rng(d)
    bracket = [mixture.finite_cloud_excess(t, n, d, 1.0, 1.0, 500, rng) for t in times]
    gap, gap_error = np.transpose(bracket)
    means, errors = [], []
    for seed in range(clouds):
        labels = (rng.random(n) < 0.5).astype(np.int64)
        points = (2.0 * labels - 1)[:, None] + rng.standard_normal((n, d))
        curves = sweep(prepare(points.astype(np.float32), labels), times, draws=draws, seed=seed)
        name = "excess_entropy_over_alpha"
        means.append(log_n * curves.curves()[name])
        errors.append(log_n * curves.curves().se[name])
    within = np.sqrt(np.mean(np.square(errors), axis=0))
    error = np.maximum(np.std(means, axis=0, ddof=1), within) / np.sqrt(clouds)
    z = (np.mean(means, axis=0) - lower) / error
    tight = gap < error / 2
    assert tight.sum() >= 1
    assert np.all(np.abs(z[tight]) < 3)
    room = 3 * np.hypot(error, gap_error)
    assert np.all((z > -3) & (z * error < gap + room))
    # the leading order, which leaves the class out, is off by up to log 2
    off = d * excess_entropy(law, times, log_n, "leading") - lower
    assert np.max(off[tight] / error[tight]) > 10
    return z, gap / error


@pytest.mark.parametrize(("d", "n", "clouds"), [(256, 2000, 6), (1024, 2000, 4), (4096, 600, 3)])
def test_clouds_lie_in_the_bracket(d, n, clouds):
    judge_clouds(d, n, clouds, 512)


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n"), [(256, 20_000), (1024, 20_000), (4096, 5000)])
def test_large_clouds_lie_in_the_bracket(d, n):
    judge_clouds(d, n, 6, 2048)


# --- phase diagram ---------------------------------------------------------------------------


def test_phase_diagram():
    law = TwoGaussians(1, 1.0, 0.8)
    d, log_n = np.array([0.5, 1, 2]) * 100, np.array([0.7, 3.0, 50.0])
    found = phase_diagram(law, d, log_n)
    for i, dimension in enumerate(d):
        here = replace(law, d=dimension)
        assert found.speciation[i] == speciation_times(here)["clone"]
        t = collapse_time(here, found.boundary[i])
        assert t == pytest.approx(found.speciation[i], abs=1e-9)
        assert found.collapse[i] == pytest.approx([collapse_time(here, x) for x in log_n])
        np.testing.assert_array_equal(found.collapse[i] > t, log_n < found.boundary[i])


@pytest.mark.parametrize("weight", [0.5, 0.1])
def test_boundary_at_large_d(weight):
    """gamma d sigma^2/2 + I(class; u) at gamma = u^2/(d mu^2), the u at which phi has its level."""
    law = TwoGaussians(1, 0.5, 0.8, weight)
    d = np.array([1e4, 1e6, 1e8])
    found = phase_diagram(law, d, np.array([1.0]))
    u = separation(replace(law, d=1e8), found.speciation[-1])
    _, entropy = quadrature([u, -u], law.weights)
    limit = 0.64 * u**2 / (2 * 0.25) + entr(law.weights).sum() - entropy
    rest = d * (found.boundary - limit)  # the next order is 1/d
    np.testing.assert_allclose(rest, rest[-1], rtol=1e-3)
    assert 0 < rest[-1] < 5


def test_phase_diagram_without_transitions():
    found = phase_diagram(TwoGaussians(1, 1.0, 5.0), np.array([4.0, 400.0]), np.array([2.0]))
    assert np.isnan(found.speciation[0])
    assert np.isnan(found.boundary[0])
    assert np.isfinite(found.collapse).all()
    assert np.isfinite(found.boundary[1])
    points = phase_diagram(TwoGaussians(1, 1.0, 0.0), np.array([9.0]), np.array([2.0]))
    assert np.isnan(points.collapse).all()


# --- what cannot be asked --------------------------------------------------------------------

LAW = TwoGaussians(16)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("d", lambda: TwoGaussians(0.5)),
        ("d", lambda: TwoGaussians(np.nan)),
        ("mu", lambda: TwoGaussians(4, -1.0)),
        ("sigma", lambda: TwoGaussians(4, 1.0, -0.1)),
        ("sigma", lambda: TwoGaussians(4, 1.0, np.inf)),
        ("weight", lambda: TwoGaussians(4, weight=0.0)),
        ("weight", lambda: TwoGaussians(4, weight=1.0)),
        ("weight", lambda: TwoGaussians(4, weight=np.nan)),
        *(
            ("t", lambda f=f, t=t: f(LAW, t))
            for f in (phi, class_entropy, class_information, information, noised_variance)
            for t in (0.0, -1.0, np.nan, np.inf, np.array([1.0, np.nan]))
        ),
        ("t", lambda: excess_entropy(LAW, 0.0, 3.0, "leading")),
        ("log_n", lambda: excess_entropy(LAW, 1.0, 0.0)),
        ("log_n", lambda: collapse_time(LAW, -1.0)),
        ("log_n", lambda: collapse_time(LAW, np.nan)),
        ("order", lambda: excess_entropy(LAW, 1.0, 3.0, "first")),
        ("order", lambda: collapse_time(LAW, 3.0, "first")),
        ("d", lambda: phase_diagram(LAW, np.array([4.0, 0.0]), np.array([2.0]))),
        ("log_n", lambda: phase_diagram(LAW, np.array([4.0]), np.array([0.0]))),
    ],
)
def test_errors_name_what_is_wrong(name, call):
    with pytest.raises(InputError, match=rf"^{name} is .*expected"):
        call()

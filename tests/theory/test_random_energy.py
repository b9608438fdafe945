"""The Random Energy Model: a Legendre pair, its limits, and the levels themselves, sampled."""

from __future__ import annotations

import importlib.util
import math
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import kstest, ncx2

from diffregimes.common.checks import InputError
from diffregimes.theory import TwoGaussians, collapse_time
from diffregimes.theory import random_energy as rem

ROOT = Path(__file__).parents[2]
ALPHA = 0.1
CASES = [
    (t, sigma, mu)
    for t in (0.05, 0.4, 1.0, 3.0)
    for sigma, mu in ((1.0, None), (0.3, None), (2.0, 1.0), (0.7, 0.2))
]
GLASS = [(0.4, None), (0.6, 1.0)]  # (t, mu) at alpha = 0.1, sigma = 1
LIQUID = [(1.0, None), (1.5, 1.0)]


def load_example(name):
    """An example as a module; dataclasses ask for it in sys.modules."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corrections():
    """The sampler of the levels lives in the example that shows its results."""
    return load_example("corrections")


@pytest.fixture(params=CASES, ids=str)
def of(request):
    return rem.levels(*request.param)


def tilts():
    return np.array([-0.2, 0.0, 0.1, 0.5, 1.0, 2.0, 10.0])


def inside(of):
    lam = tilts()
    return lam[lam > -0.5 * of.noise / of.spread]


def test_levels_of_the_model():
    """Delta, s^2, Gamma and M from their definitions."""
    of = rem.levels(0.7, 1.3, 0.6)
    shrunk = math.exp(-1.4)
    got = of.noise, of.spread, of.gap, of.total, of.reach
    total = 1 - shrunk + 1.69 * shrunk
    expected = 1 - shrunk, 1.69 * shrunk, 4 * 0.36 * shrunk, total, total + 1.44 * shrunk
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert rem.levels(0.7, 1.3).gap == 0


# --- the Legendre pair ---


def test_cumulant_is_the_moment_generating_function(of):
    """One coordinate: log E exp(-lambda (x - a)^2/(2 Delta)), x^2 = B, a ~ N(0, s^2)."""
    x, s = math.sqrt(of.reach), math.sqrt(of.spread)
    for lam in inside(of):

        def integrand(y, lam=lam):
            return math.exp(-lam * (x - s * y) ** 2 / (2 * of.noise) - y * y / 2)

        # the tilted law of a/s: mean and width
        width = 1 / math.sqrt(1 + lam * of.spread / of.noise)
        mean = lam * x * s / of.noise * width**2
        cuts = [mean + 14 * width * side for side in (-1, -0.2, 0, 0.2, 1)]
        parts = [quad(integrand, a, b, epsabs=0, epsrel=1e-12)[0] for a, b in pairwise(cuts)]
        exact = math.log(sum(parts) / math.sqrt(2 * math.pi))
        assert float(rem.cumulant(of, lam)) == pytest.approx(exact, rel=1e-10, abs=1e-12)


def test_energy_is_minus_the_slope_of_the_cumulant(of):
    lam = inside(of)
    step = 1e-4 * of.noise / of.spread * (1 + np.abs(lam))
    step = np.minimum(step, 1e-3)
    # fourth-order differences
    g = partial(rem.cumulant, of)
    slope = (8 * (g(lam + step) - g(lam - step)) - g(lam + 2 * step) + g(lam - 2 * step)) / (
        12 * step
    )
    np.testing.assert_allclose(rem.energy(of, lam), -slope, rtol=1e-6)


def test_tilt_is_the_inverse_of_energy(of):
    lam = inside(of)
    scale = of.noise / of.spread  # lambda comes as a difference to -Delta/s^2
    np.testing.assert_allclose(
        rem.tilt(of, rem.energy(of, lam)), lam, rtol=1e-10, atol=1e-12 * scale
    )
    eps = np.geomspace(0.01, 2, 9) * float(rem.energy(of, 0.0))
    np.testing.assert_allclose(rem.energy(of, rem.tilt(of, eps)), eps, rtol=1e-9)


def test_rate_is_the_supremum(of):
    for part in (0.3, 0.7, 1.0, 1.2):
        eps = part * float(rem.energy(of, 0.0))
        lowest = -0.999 * of.noise / of.spread
        best = float(rem.tilt(of, eps))
        found = minimize_scalar(
            lambda lam, eps=eps: lam * eps + float(rem.cumulant(of, lam)),
            bounds=(lowest, 3 * abs(best) + 1),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert float(rem.rate(of, eps)) == pytest.approx(-found.fun, rel=1e-7, abs=1e-9)


def test_rate_is_convex_with_slope_minus_tilt(of):
    typical = float(rem.energy(of, 0.0))
    assert float(rem.rate(of, typical)) == pytest.approx(0, abs=1e-12)
    eps = np.linspace(0.1, 1.5, 57) * typical
    f = rem.rate(of, eps)
    assert (f >= -1e-12).all()
    assert (np.diff(f, 2) > 0).all()
    step = 1e-5 * eps
    slope = (rem.rate(of, eps + step) - rem.rate(of, eps - step)) / (2 * step)
    lam = rem.tilt(of, eps)
    np.testing.assert_allclose(slope, -lam, rtol=1e-5, atol=1e-6 * np.abs(lam).max())


def test_module_formulas_in_r(of):
    """eps and f as elementary functions of r = lambda s^2/(Delta + lambda s^2)."""
    r = np.array([0.05, 0.3, 0.6, 0.95])
    lam = r / (1 - r) * of.noise / of.spread
    eps = ((of.spread * (1 - r) + of.reach * (1 - r) ** 2) / of.noise) / 2
    np.testing.assert_allclose(rem.energy(of, lam), eps, rtol=1e-12)
    f = (of.reach / of.spread * r**2 - r - np.log1p(-r)) / 2
    scale = np.abs(lam * eps)  # rate is a difference of terms of this size
    assert (np.abs(rem.rate(of, eps) - f) < 1e-12 * (1 + scale)).all()


@pytest.mark.parametrize(("t", "sigma"), [(0.05, 1.0), (0.4, 1.0), (0.4, 2.5), (0.2, 0.6)])
def test_own_class_energy_has_lambda_s4(t, sigma):
    """[Delta^2 + 2 Delta s^2 + lambda s^4]/(2 w^2), 1/2 at lambda = 1; printed lambda s^2."""
    of = rem.levels(t, sigma)
    noise, spread = of.noise, of.spread
    assert float(rem.energy(of, 1.0)) == pytest.approx(0.5, rel=1e-14)
    for lam in (0.3, 1.0, 2.0):
        width = noise + lam * spread
        first = noise**2 + 2 * noise * spread
        ours = (first + lam * spread**2) / (2 * width**2)
        printed = (first + lam * spread) / (2 * width**2)
        assert float(rem.energy(of, lam)) == pytest.approx(ours, rel=1e-13)
        assert abs(printed / ours - 1) > 0.01  # they agree for s = 1 alone


# --- the lowest level and the two phases ---


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 0.1, 1.0, 10.0])
def test_lowest_energy(of, alpha):
    lowest = rem.lowest_energy(of, alpha)
    typical = float(rem.energy(of, 0.0))
    assert 0 < lowest < typical
    scale = 1 + abs(float(rem.tilt(of, lowest))) * lowest
    assert abs(float(rem.rate(of, lowest)) - alpha) < 1e-11 * scale
    found = brentq(lambda e: float(rem.rate(of, e)) - alpha, 1e-13 * typical, typical, xtol=1e-300)
    assert lowest == pytest.approx(found, rel=1e-7)


def test_critical_alpha(of):
    at_one = float(rem.energy(of, 1.0))
    critical = rem.critical_alpha(of)
    scale = 1 + at_one
    assert abs(critical - float(rem.rate(of, at_one))) < 1e-12 * scale
    assert rem.is_glass(of, 0.999 * critical)
    assert not rem.is_glass(of, 1.001 * critical)


def test_free_energy_is_smooth_at_the_condensation(of):
    """psi and dpsi/dalpha = 1 (1/lambda* in the glass) have no jump; psi there is g(1) + alpha."""
    critical = rem.critical_alpha(of)
    annealed = critical + float(rem.cumulant(of, 1.0))
    for side in (-1, 1):
        near = critical * (1 + 1e-7 * side)
        assert rem.free_energy(of, near) == pytest.approx(annealed, abs=2e-7 * (critical + 1))
        assert rem.participation(of, near) == pytest.approx(0, abs=1e-6)
    below, step = 0.6 * critical, 1e-5 * critical
    slope = (rem.free_energy(of, below + step) - rem.free_energy(of, below - step)) / (2 * step)
    lam = float(rem.tilt(of, rem.lowest_energy(of, below)))
    assert slope == pytest.approx(1 / lam, rel=1e-5)
    # Jensen: the annealed value is above
    assert rem.free_energy(of, below) < below + float(rem.cumulant(of, 1.0))


def test_own_class_falls_below_minus_a_half():
    for alpha in (0.01, 0.1, 1.0):
        t = rem.condensation_time(alpha, 1.0)
        assert rem.free_energy(rem.levels(t, 1.0), alpha) == pytest.approx(-0.5, abs=1e-12)
        assert rem.free_energy(rem.levels(0.9 * t, 1.0), alpha) < -0.5
        assert rem.free_energy(rem.levels(1.1 * t, 1.0), alpha) > -0.5


def test_participation_is_one_minus_tilt(of):
    alpha = 0.5 * rem.critical_alpha(of)
    lam = float(rem.tilt(of, rem.lowest_energy(of, alpha)))
    assert 0 < lam < 1
    assert rem.participation(of, alpha) == pytest.approx(1 - lam, rel=1e-9)
    assert rem.participation(of, 1.5 * rem.critical_alpha(of)) == 0


@pytest.mark.parametrize("sigma", [1e-3, 0.3, 1.0, 5.0, 1e3])
@pytest.mark.parametrize("alpha", [1e-6, 0.01, 0.1, 3.0])
def test_condensation_time(alpha, sigma):
    closed = 0.5 * math.log1p(sigma**2 / math.expm1(2 * alpha))
    own = rem.condensation_time(alpha, sigma)
    assert own == pytest.approx(closed, rel=1e-11)
    law = TwoGaussians(d=100, sigma=sigma)
    assert own == pytest.approx(collapse_time(law, 100 * alpha, order="leading"), rel=1e-11)
    assert rem.condensation_time(alpha, sigma, 0.0) == own
    previous = own
    for mu in (0.1, 1.0, 10.0):
        time = rem.condensation_time(alpha, sigma, mu)
        assert time >= previous  # far levels are fewer at the same energy
        previous = time

        def gap(log_t, mu=mu):
            return rem.critical_alpha(rem.levels(math.exp(log_t), sigma, mu)) - alpha

        found = math.exp(brentq(gap, math.log(0.999 * own), math.log(own + 30), xtol=1e-13))
        assert time == pytest.approx(found, rel=1e-8)


def test_roots_over_the_whole_range_of_parameters():
    """Every root is found wherever its parameters are allowed, and solves its equation."""
    rng = np.random.default_rng(0)
    for _ in range(400):
        t, sigma = 10 ** rng.uniform(-12, math.log10(300)), 10 ** rng.uniform(-9, 9)
        mu = [None, 0.0, 10 ** rng.uniform(-9, 9)][rng.integers(3)]
        alpha = 10 ** rng.uniform(-9, 5.9)
        of = rem.levels(t, sigma, mu)
        v = rem._depth(of, alpha)
        r = -math.expm1(-v)
        assert 0.5 * (of.reach / of.spread * r**2 + v - r) == pytest.approx(alpha, rel=1e-6)
        assert 0 <= rem.lowest_energy(of, alpha) <= float(rem.energy(of, 0.0)) * (1 + 1e-9)
        assert 0 <= rem.participation(of, alpha) <= 1
        assert rem.free_energy(of, alpha) <= alpha + float(rem.cumulant(of, 1.0)) + 1e-9 * alpha
        assert 0 <= rem.condensation_time(alpha, sigma, mu) < math.inf
        law = TwoGaussians(10 ** rng.uniform(0, 12), mu or 0.0, sigma)
        assert collapse_time(law, 10 ** rng.uniform(-6, 8.9)) >= 0


def test_levels_that_hardly_differ():
    """t = 38: eps_min = B/(2 Delta) (1 - sqrt(2 alpha s^2/B))^2 or so, no error of the solver."""
    of = rem.levels(38.0, 1.0)
    assert rem.lowest_energy(of, 0.1) == pytest.approx(0.5, abs=1e-12)
    assert not rem.is_glass(of, 0.1)


def test_few_and_many_levels(of):
    """alpha -> 0: the typical level alone. alpha -> infinity: liquid."""
    typical = float(rem.energy(of, 0.0))
    variance = (rem.energy(of, -1e-6) - rem.energy(of, 1e-6)) / 2e-6  # g''(0)
    alpha = 1e-8
    lam = math.sqrt(2 * alpha / float(variance))
    near = -typical + 2 * alpha / lam
    assert rem.free_energy(of, alpha) == pytest.approx(near, abs=100 * alpha * (1 + typical))
    assert rem.participation(of, alpha) == pytest.approx(
        1 - lam, abs=3 * lam**2 * (1 + of.spread / of.noise)
    )
    assert rem.free_energy(of, 1e4) == 1e4 + float(rem.cumulant(of, 1.0))


def test_almost_no_noise():
    """t -> 0: 2 Delta eps_min is the squared distance of the nearest of e^{alpha d} points."""
    sigma, t = 1.5, 1e-6
    of = rem.levels(t, sigma)

    def gap(r):  # x - m and a - m have the same variance
        return (r**2 - r - math.log1p(-r)) / 2 - ALPHA

    r = brentq(gap, 1e-6, 1 - 1e-9, xtol=1e-14)
    nearest = sigma**2 * (1 - r) * (2 - r)
    assert 2 * of.noise * rem.lowest_energy(of, ALPHA) == pytest.approx(nearest, rel=1e-5)
    assert rem.participation(of, ALPHA) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("t", "sigma"), [(50.0, 1.0), (1.0, 1e-6)])
def test_nothing_to_tell_the_levels_apart(t, sigma):
    """t -> infinity or sigma -> 0: all weights are equal."""
    of = rem.levels(t, sigma)
    assert rem.free_energy(of, ALPHA) == pytest.approx(ALPHA - 0.5, abs=1e-11)
    assert rem.critical_alpha(of) == pytest.approx(0, abs=1e-11)
    assert rem.participation(of, ALPHA) == 0
    assert rem.condensation_time(ALPHA, 1e-6) == pytest.approx(
        0.5e-12 / math.expm1(2 * ALPHA), rel=1e-9
    )


def test_wide_classes():
    """sigma -> infinity: far apart on the scale of the noise, glass at any t."""
    of = rem.levels(1.0, 1e6)
    assert rem.is_glass(of, ALPHA)
    assert rem.participation(of, ALPHA) == pytest.approx(1, abs=1e-9)
    assert rem.condensation_time(ALPHA, 1e6) == pytest.approx(
        math.log(1e6) - 0.5 * math.log(math.expm1(2 * ALPHA)), rel=1e-9
    )


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("t", lambda: rem.levels(0.0, 1.0)),
        ("t", lambda: rem.levels(math.nan, 1.0)),
        ("sigma", lambda: rem.levels(1.0, 0.0)),
        ("sigma", lambda: rem.levels(1.0, math.inf)),
        ("mu", lambda: rem.levels(1.0, 1.0, math.nan)),
        ("mu", lambda: rem.levels(1.0, 1.0, -1.0)),
        ("mu", lambda: rem.levels(1.0, 1.0, 1e10)),
        ("noise", lambda: rem.Levels(0.0, 1.0)),
        ("spread", lambda: rem.Levels(0.5, 0.0)),
        ("gap", lambda: rem.Levels(0.5, 1.0, -1.0)),
        ("lam", lambda: rem.cumulant(rem.Levels(0.5, 1.0), [-0.5, 1.0])),
        ("lam", lambda: rem.energy(rem.Levels(0.5, 1.0), math.nan)),
        ("eps", lambda: rem.tilt(rem.Levels(0.5, 1.0), 0.0)),
        ("eps", lambda: rem.rate(rem.Levels(0.5, 1.0), [1.0, math.nan])),
        ("alpha", lambda: rem.lowest_energy(rem.Levels(0.5, 1.0), 0.0)),
        ("alpha", lambda: rem.free_energy(rem.Levels(0.5, 1.0), -1.0)),
        ("alpha", lambda: rem.free_energy(rem.Levels(0.5, 1.0), math.nan)),
        ("alpha", lambda: rem.participation(rem.Levels(0.5, 1.0), math.inf)),
        ("alpha", lambda: rem.is_glass(rem.Levels(0.5, 1.0), math.nan)),
        ("alpha", lambda: rem.condensation_time(math.inf, 1.0)),
        ("sigma", lambda: rem.condensation_time(0.1, -1.0)),
        ("sigma", lambda: rem.condensation_time(0.1, math.inf)),
        ("mu", lambda: rem.condensation_time(0.1, 1.0, math.nan)),
    ],
)
def test_errors_name_the_parameter(name, call):
    with pytest.raises(InputError, match=rf"^{name} is .*expected"):
        call()


# --- the levels themselves ---


@pytest.mark.parametrize(("t", "mu"), [(0.4, None), (0.6, 1.0)])
def test_energies_are_noncentral_chi_square(t, mu):
    """Explicit vectors: given x_t, 2 Delta E/s^2 has noncentrality |x - centre|^2/s^2."""
    d, n, sigma = 6, 4000, 0.8
    rng = np.random.default_rng(5)
    of = rem.levels(t, sigma, mu)
    m = np.full(d, mu or 0.7)
    x = math.exp(-t) * (m + sigma * rng.standard_normal(d))
    x += math.sqrt(of.noise) * rng.standard_normal(d)
    centre = m if mu is None else -m
    a = centre + sigma * rng.standard_normal((n, d))
    energies = np.sum((x - math.exp(-t) * a) ** 2, axis=1) / (2 * of.noise)
    shift = np.sum((x - math.exp(-t) * centre) ** 2) / of.spread
    found = kstest(2 * of.noise * energies / of.spread, ncx2(d, shift).cdf)
    assert found.pvalue > 1e-3


@pytest.mark.parametrize("mu", [None, 0.8])
def test_mean_distance_of_the_centre(mu):
    """|x_t - centre|^2/d has the mean B, the `reach`."""
    d, draws, t, sigma = 5, 20000, 0.5, 1.4
    rng = np.random.default_rng(6)
    of, m = rem.levels(t, sigma, mu), np.full(d, mu or 0.3)
    x = math.exp(-t) * (m + sigma * rng.standard_normal((draws, d)))
    x += math.sqrt(of.noise) * rng.standard_normal((draws, d))
    squares = np.mean((x - math.exp(-t) * (m if mu is None else -m)) ** 2, axis=1)
    error = squares.std(ddof=1) / math.sqrt(draws)
    assert abs(squares.mean() - of.reach) < 4 * error


def test_table_of_the_distribution(corrections):
    """Its integrals of e^{-lambda E} are e^{d g(lambda)}: exact at any d, deep tails included."""
    for t, mu in GLASS + LIQUID:
        of = rem.levels(t, 1.0, mu)
        scale = of.spread / (2 * of.noise)
        for d in (100, 6400):
            shift = d * of.reach / of.spread
            top = scale * (d + shift + 8 * math.sqrt(2 * d + 4 * shift))
            grid = np.linspace(0.02 * top, top, 1000)
            log_density = np.maximum(ncx2.logpdf(grid / scale, d, shift) - math.log(scale), -1e6)
            for lam in (0.0, 0.3, 0.5, 1.0):
                cells = corrections._log_cells(log_density - lam * grid, grid)
                got = np.logaddexp.reduce(cells) / d
                assert abs(got - float(rem.cumulant(of, lam))) < corrections.RESOLUTION


@pytest.mark.parametrize(("t", "mu"), [(0.4, None), (0.6, 1.0), (1.0, None)])
def test_order_statistics_against_all_levels(corrections, t, mu):
    """d = 100, n = e^10: the lowest levels and the mean of the rest, against all 22026."""
    d, n, draws = 100, 22026, 150
    of = rem.levels(t, 1.0, mu)
    rng = np.random.default_rng(7)
    shift = d * of.gap / of.total
    square = of.total * (
        rng.noncentral_chisquare(d, shift, draws) if mu else rng.chisquare(d, draws)
    )
    direct = np.empty((draws, 2))
    for k, b in enumerate(square):
        chi = rng.noncentral_chisquare(d, b / of.spread, n)
        energies = of.spread / (2 * of.noise) * chi
        total = np.logaddexp.reduce(-energies)
        direct[k] = total / d, np.exp(np.logaddexp.reduce(-2 * energies) - 2 * total)
    control, *drawn = corrections.sample_levels(of, d, math.log(n), 2 * draws, rng)
    for column, values in zip(direct.T, drawn, strict=True):
        one = corrections.controlled_mean(column, square / d, of.reach)
        two = corrections.controlled_mean(values, control, of.reach)
        assert abs(one[0] - two[0]) < 4 * math.hypot(one[1], two[1])


def sampled(corrections, of, draws, seed):
    """(means and errors of psi, of E sum w^2) at every dimension, at alpha = 0.1."""
    rows = []
    for d in corrections.DIMENSIONS:
        rng = np.random.default_rng([seed, d])
        control, psi, share = corrections.sample_levels(of, d, ALPHA * d, draws, rng)
        mean, error = corrections.controlled_mean(psi, control, of.reach)
        share_error = share.std(ddof=1) / math.sqrt(draws)
        rows.append((mean, max(error, corrections.RESOLUTION), share.mean(), share_error))
    return np.array(rows).T


def check_glass(corrections, t, mu, draws, seed):
    of = rem.levels(t, 1.0, mu)
    assert rem.is_glass(of, ALPHA)
    psi, psi_error, share, share_error = sampled(corrections, of, draws, seed)
    ours, rate = (
        rem.free_energy(of, ALPHA),
        -0.5 / float(rem.tilt(of, rem.lowest_energy(of, ALPHA))),
    )
    value, error = corrections.extrapolate(psi, psi_error, corrections.DIMENSIONS, 2)
    assert abs(value[0] - ours) < 4 * error[0]
    assert abs(value[1] - rate) < 4 * error[1]  # psi(d) - psi -> -(log d)/(2 lambda* d)
    assert (np.diff(np.abs(psi - ours)) < 0).all()
    annealed = ALPHA + float(rem.cumulant(of, 1.0))
    for printed in (annealed, -float(rem.energy(of, 1.0))):  # the cases swapped; the edge value
        assert abs(value[0] - printed) > 100 * error[0]
    value, error = corrections.extrapolate(share, share_error, corrections.DIMENSIONS, 1)
    assert abs(value[0] - rem.participation(of, ALPHA)) < 4 * error[0]
    assert value[0] > 8 * error[0]


def check_liquid(corrections, t, mu, draws, seed):
    """What is left at finite d is exponentially small."""
    of = rem.levels(t, 1.0, mu)
    assert not rem.is_glass(of, ALPHA)
    psi, error, share, _ = sampled(corrections, of, draws, seed)
    ours = rem.free_energy(of, ALPHA)
    far = np.array(corrections.DIMENSIONS) >= 1600
    assert (np.abs(psi - ours)[far] < 4 * error[far]).all()
    for printed in (-rem.lowest_energy(of, ALPHA), -float(rem.energy(of, 1.0))):
        assert (np.abs(psi - printed)[far] > 100 * error[far]).all()
    assert (share[far] < 0.01).all()
    assert (np.diff(share)[:3] < 0).all()


@pytest.mark.parametrize(("t", "mu"), GLASS)
def test_glass_by_sampling(corrections, t, mu):
    check_glass(corrections, t, mu, 100, 1)


@pytest.mark.parametrize(("t", "mu"), LIQUID)
def test_liquid_by_sampling(corrections, t, mu):
    check_liquid(corrections, t, mu, 100, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("t", "mu"), [*GLASS, (0.2, None), (0.3, 0.5)])
def test_glass_by_many_samples(corrections, t, mu):
    check_glass(corrections, t, mu, 3000, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("t", "mu"), LIQUID)
def test_liquid_by_many_samples(corrections, t, mu):
    check_liquid(corrections, t, mu, 3000, 4)

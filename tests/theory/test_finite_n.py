"""Means over sets of n points: against explicit vectors, order statistics, bounds and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import ncx2

from diffregimes.common.checks import InputError
from diffregimes.theory import TwoGaussians, collapse_time, finite_n, information
from diffregimes.theory.finite_n import Classes

NAMES = "excess", "within", "free", "same_point", "bounded"
THREE = Classes(
    5, np.array([[1.5, 0.0], [-1, 1], [0, -2]]), np.array([1, 0.3, 2.0]), np.array([0.5, 0.3, 0.2])
)


def explicit(law: Classes, n: int, t: float, clouds: int, seed: int) -> np.ndarray:
    """(5, clouds) by definition: one noised point of each of so many sets of vectors."""
    rng = np.random.default_rng(seed)
    shrink, noise = math.exp(-t), 1 - math.exp(-2 * t)
    labels = rng.choice(len(law.weights), (clouds, n), p=law.weights)
    a = np.sqrt(law.variances[labels])[..., None] * rng.standard_normal((clouds, n, law.d))
    a[..., : law.means.shape[1]] += law.means[labels]
    z = rng.standard_normal((clouds, law.d))
    x = shrink * a[:, 0] + math.sqrt(noise) * z
    l = (z**2).sum(1)[:, None] / 2 - ((x[:, None] - shrink * a) ** 2).sum(2) / (2 * noise)  # noqa: E741
    own = np.where(labels == labels[:, :1], l, -np.inf)
    total = logsumexp(l, axis=1)
    free = logsumexp(l[:, 1:], axis=1)
    bounded = np.logaddexp(0, math.log(n) + free) - np.logaddexp(math.log(n), free)
    return np.array([total, logsumexp(own, axis=1), free, np.exp(-total), bounded])


def values(found: finite_n.FiniteN) -> tuple[np.ndarray, np.ndarray]:
    """(5, T) means and errors."""
    return np.array([getattr(found, x) for x in NAMES]), np.array([found.se[x] for x in NAMES])


def scores(
    law: Classes | TwoGaussians, n: int, times: list[float], clouds: int, draws: int = 512
) -> np.ndarray:
    """z of the means at each time against as many independent explicit sets."""
    plain = Classes.two(law) if isinstance(law, TwoGaussians) else law
    mean, se = values(finite_n.means(law, times, math.log(n), draws, seed=n))
    out = []
    for k, t in enumerate(times):
        seen = explicit(plain, n, t, clouds, seed=100 + k)
        error = np.hypot(seen.std(axis=1) / math.sqrt(clouds), se[:, k])
        out.append((seen.mean(axis=1) - mean[:, k]) / error)
    return np.array(out)


LAWS = {
    "balanced": (TwoGaussians(4), 20, [0.1, 0.6, 1.5]),
    "one class": (TwoGaussians(8, 0.0), 30, [0.15, 0.6]),
    "unbalanced and narrow": (TwoGaussians(3, 0.7, 0.6, 0.2), 12, [0.1, 0.4]),
    "a line": (TwoGaussians(1, 0.5, 0.5), 25, [0.05, 0.4]),
    "two points": (TwoGaussians(2, 1.0, 1.0, 0.3), 2, [0.3, 0.8]),
    "three of unequal spread": (THREE, 40, [0.1, 0.5, 1.2]),
}


def test_explicit_vectors():
    z = np.concatenate([scores(*case, 4000) for case in LAWS.values()])
    assert np.abs(z).max() < 4.2  # 70 numbers
    assert 0.3 < np.mean(z**2) < 1.7


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_many_explicit_vectors(name):
    # errors of the means are from eight sets, and vary: with so many draws they hardly count
    assert np.abs(scores(*LAWS[name], 200_000, 8192)).max() < 4


@pytest.mark.parametrize(("d", "log_n", "part"), [(16, 20.0, 0.8), (64, 12.0, 0.9)])
def test_order_statistics_of_many_points(d, log_n, part):
    """The k-th lowest of n energies is their quantile at (sum of k exponentials)/n: the glass."""
    law = TwoGaussians(d, 0.0)
    t = part * collapse_time(law, log_n)
    rng = np.random.default_rng(1)
    noise, spread = 1 - math.exp(-2 * t), math.exp(-2 * t)
    a, z = rng.standard_normal((2, 300, d))
    square = ((math.exp(-t) * a + math.sqrt(noise) * z) ** 2).sum(1)
    own = (z**2).sum(1) / 2
    places = np.cumsum(rng.exponential(size=(300, 200)), axis=1) * math.exp(-log_n)
    energies = spread / (2 * noise) * ncx2.ppf(places, d, square[:, None] / spread)
    free = own + logsumexp(-energies, axis=1)
    seen = np.array([np.logaddexp(0, free), free, 1 / (1 + np.exp(free))])
    known = np.stack([own - d / 2, square - d * (noise + spread)], axis=1)
    seen = seen - (known @ np.linalg.lstsq(known - known.mean(0), seen.T, rcond=None)[0]).T
    mean, se = values(finite_n.means(law, [t], log_n))
    error = np.hypot(seen.std(axis=1) / math.sqrt(300), se[[0, 2, 3], 0])
    assert (np.abs(seen.mean(axis=1) - mean[[0, 2, 3], 0]) < 4 * error).all()
    assert (error < [0.1, 0.12, 0.03]).all()


@pytest.mark.parametrize("law", [TwoGaussians(64), TwoGaussians(1024, 0.15, 1.5, 0.3)])
@pytest.mark.parametrize("log_n", [6.0, 30.0])
def test_bounds_and_limits(law, log_n):
    """log n - I <= E[H], its limit far above the collapse; F <= log(n - 1) - I; the ends."""
    t_c = collapse_time(law, log_n)
    times = t_c * np.array([0.3, 0.8, 1.0, 1.3, 2.5])
    found = finite_n.means(law, times, log_n)
    left = log_n - information(law, times)
    slack = 4 * found.se["excess"] + 1e-4
    assert (found.excess > left - slack).all()
    assert (found.free < left + math.log1p(-math.exp(-log_n)) + 4 * found.se["free"] + 1e-6).all()
    assert (found.free < found.excess).all()
    assert (found.within < found.excess + 1e-9).all()
    assert (np.diff(found.same_point) < 0).all()
    assert found.excess[-1] == pytest.approx(left[-1], abs=float(slack[-1]) + 0.02)
    assert found.excess[0] == pytest.approx(0, abs=1e-2)
    assert found.same_point[0] == pytest.approx(1, abs=1e-2)
    # log(1 + S) >= log S, and Jensen: E[1/(1 + S)] >= e^{-E log(1 + S)}
    assert (found.same_point > np.exp(-found.excess) - 4 * found.se["same_point"] - 1e-6).all()


def test_classes_that_are_one():
    """mu = 0: two classes are one; in the class of the point lie half of the others."""
    one = Classes(32, np.zeros((1, 1)), np.ones(1), np.ones(1))
    times, log_n = [0.5, 1.0, 1.6], math.log(500)
    (mean, se), (again, error) = (
        values(finite_n.means(law, times, log_n, seed=k))
        for k, law in enumerate((one, TwoGaussians(32, 0.0)))
    )
    assert (np.abs(mean - again) < 4 * np.hypot(se, error) + 1e-9)[[0, 2, 3]].all()
    np.testing.assert_allclose(mean[1], mean[0], rtol=1e-9)
    assert again[1, 2] == pytest.approx(again[0, 2] - math.log(2), abs=0.01)


def test_slope_in_gamma_is_the_squared_error():
    """I-MMSE holds for every set of points, so for the mean: dE[H]/d gamma = -mmse/2 <= 0, and the
    mmse of n points lies below that of the law."""
    law, log_n = TwoGaussians(64), math.log(300)
    t = np.linspace(0.7, 2.2, 10)
    gamma = 1 / np.expm1(2 * t)
    found = finite_n.means(law, t, log_n, draws=1024)
    slope = -2 * np.diff(found.excess) / np.diff(gamma)
    of_law = -2 * np.diff(-information(law, t)) / np.diff(gamma)
    assert (slope > 0).all()
    assert (slope < 1.01 * of_law).all()
    assert slope[-1] > 0.98 * of_law[-1]
    assert slope[0] < 0.6 * of_law[0]


def test_the_error_is_that_of_the_draws():
    """Repeated with other seeds, the means scatter by their standard errors."""
    law, times, log_n = TwoGaussians(32), [0.6, 0.9, 1.5], math.log(400)
    runs = [values(finite_n.means(law, times, log_n, draws=64, seed=k)) for k in range(24)]
    spread = np.var([x for x, _ in runs], axis=0, ddof=1)
    claimed = np.mean([np.square(x) for _, x in runs], axis=0)
    assert (spread / claimed < 2.5).all()
    assert 0.5 < np.mean(spread / claimed) < 1.5


def test_sums_and_steps_do_not_matter(monkeypatch):
    law, times = TwoGaussians(24, 0.5, 1.5, 0.3), [0.2, 0.8, 2.0]
    for log_n in (3.0, 9.0, 60.0):
        mean, _ = values(finite_n.means(law, times, log_n, draws=64))
        with monkeypatch.context() as finer:
            finer.setattr(finite_n, "_CUT", 28.0)
            finer.setattr(finite_n, "_STEP", 0.2)
            better, _ = values(finite_n.means(law, times, log_n, draws=64))
        np.testing.assert_allclose(mean, better, atol=2e-6, rtol=1e-6)


def test_where_nothing_competes_there_is_no_number():
    found = finite_n.means(TwoGaussians(4), [1e-7, 1.0], math.log(50), draws=64)
    mean, _ = values(found)
    assert np.isnan(mean[:, 0]).all()
    assert np.isfinite(mean[:, 1]).all()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("log_n", lambda: finite_n.means(TwoGaussians(4), [1.0], 0.5)),
        ("t", lambda: finite_n.means(TwoGaussians(4), [0.0], 2.0)),
        ("draws", lambda: finite_n.means(TwoGaussians(4), [1.0], 2.0, draws=4)),
        ("variances", lambda: finite_n.means(TwoGaussians(4, 1, 0.0), [1.0], 2.0)),
        ("d", lambda: Classes(1, np.zeros((2, 2)), np.ones(2), np.ones(2) / 2)),
    ],
)
def test_errors_name_the_parameter(name, call):
    with pytest.raises(InputError, match=rf"^{name} (is|are) .*expected"):
        call()

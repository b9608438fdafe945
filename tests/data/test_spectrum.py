"""The Gaussian information of a population from the spectrum of a sample."""

from __future__ import annotations

import numpy as np
import pytest

from clouds import prepared
from diffregimes.data.spectrum import (
    gaussian_information,
    information_bound,
    most_information,
    sample_snr,
)
from diffregimes.results import Spectrum

GAMMAS = np.geomspace(1e-3, 1e3, 13)


def law_and_sample(seed, n, d):
    """Variances of a random law, and the spectrum of n points of it in a random basis."""
    rng = np.random.default_rng(seed)
    variances = np.exp(rng.uniform(0.2, 1.2) * rng.standard_normal(d))
    points = rng.standard_normal((n, d)) * np.sqrt(variances)
    points @= np.linalg.qr(rng.standard_normal((d, d)))[0]
    return variances, prepared(points + 3.0, np.arange(n) % 2)[3]


@pytest.mark.parametrize(("n", "d"), [(60, 20), (80, 80), (100, 300), (300, 250), (40, 160)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_information_of_the_population(seed, n, d):
    """Within two per cent of the law's as far as the points show it, beyond that below its bound;
    the plain sum over a sample spectrum misses far more."""
    variances, found = law_and_sample(seed, n, d)
    exact = information_bound(variances, GAMMAS)
    s, values = sample_snr(found, GAMMAS), found.eigenvalues
    delta = 1 - (s[:, None] * values / (1 + s[:, None] * values)).sum(axis=1) / (n - 1)
    shown = np.isclose(s * delta, GAMMAS) & (delta > 0.05)
    estimate = gaussian_information(found, GAMMAS)
    error = 0.02 * exact + 1.5 * np.sqrt(d / n)  # that of a log determinant is sqrt(d/2n)
    assert (abs(estimate - exact) <= error)[shown].all()
    assert shown.sum() >= 5
    most = np.array([most_information(found, g) for g in GAMMAS])
    assert (most >= exact - error).all()
    plain = information_bound(found.eigenvalues, GAMMAS)
    if n <= d:
        assert abs(plain / exact - 1)[shown].max() > 5 * abs(estimate / exact - 1)[shown].max()


def test_a_known_law_has_its_own_spectrum():
    values = np.array([3.0, 1.0, 0.0])
    law = Spectrum(3.0, None, 1.0, values)
    np.testing.assert_array_equal(
        gaussian_information(law, GAMMAS), information_bound(values, GAMMAS)
    )
    np.testing.assert_array_equal(sample_snr(law, GAMMAS), GAMMAS)
    assert most_information(law, 7.0) == gaussian_information(law, 7.0)[0]


def test_the_law_of_delta_by_definition():
    """gamma = s delta(s), and G is stationary in delta."""
    _, found = law_and_sample(3, 50, 90)
    values, n = found.eigenvalues, found.points - 1
    for gamma in (1e-3, 0.1, 1.0):
        s = float(sample_snr(found, gamma)[0])
        delta = 1 - (s * values / (1 + s * values)).sum() / n
        assert s * delta == pytest.approx(gamma, rel=1e-9)

        def information(delta, gamma=gamma):
            log_sum = np.log1p(gamma / delta * values).sum()
            return 0.5 * (log_sum + n * np.log(delta) + n * (1 - delta))

        assert information(delta) == pytest.approx(gaussian_information(found, gamma)[0], rel=1e-9)
        change = information(delta * 1.001) - information(delta * 0.999)
        assert abs(change) < 1e-6 * information(delta)


@pytest.mark.parametrize("shape", [(5, 1), (4, 6), (30, 29), (30, 30), (31, 30)])
def test_few_points(shape):
    """Finite and increasing whatever the shape, also where all directions are used up."""
    points = np.random.default_rng(4).standard_normal(shape)
    found = prepared(points, np.arange(len(points)) % 2)[3]
    gammas = np.geomspace(1e-8, 1e12, 40)
    seen = gaussian_information(found, gammas)
    assert np.isfinite(seen).all()
    assert (np.diff(seen) >= 0).all()
    assert all(most_information(found, g) >= x - 1e-9 for g, x in zip(gammas, seen, strict=True))

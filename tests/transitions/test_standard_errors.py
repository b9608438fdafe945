"""Standard errors and intervals from both sides: neither too small nor too large.

Over N independent repetitions N mean(z^2) has the law chi^2_N; each band below holds 99.9 % of it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import chi2

import mixture_reference as mixture
import oracles
from clouds import SCHEDULE, blobs, prepared
from diffregimes.common.rng import torch_generator
from diffregimes.data.neighbours import nearest_neighbours
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.groups import T95
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.transitions import collapse, crossing, points, speciation
from diffregimes.transitions.criteria import Evidence
from diffregimes.transitions.outliers import Bulk

Z95 = 1.96


def rng(seed=0):
    return np.random.default_rng(seed)


def honest(z) -> None:
    """Mean z^2 is 1: the errors are those of repetitions, from both sides."""
    z = np.asarray(z, dtype=float)
    low, high = chi2.ppf([5e-4, 1 - 5e-4], len(z)) / len(z)
    assert low < np.mean(z**2) < high, (low, np.mean(z**2), high)


# --- clone-loo: the interval of the population ----------------------------------------------------

D, N = 16, 300
EXACT = mixture.speciation_time(D, 1.0, 1.0)


def cloud_of(seed):
    points, labels = mixture.sample(N, D, 1.0, 1.0, rng(seed))
    return points.astype(np.float32), labels


@pytest.mark.slow
def test_the_clone_loo_interval_covers_and_no_more():
    """That of the population: the choice of the points is in it, and the noise of the draws."""
    z, narrow = [], []
    for seed in range(20):
        _, cloud, matrix, spectrum = prepared(*cloud_of(100 + seed))
        sample = sweep(cloud, EXACT + np.linspace(-0.2, 0.2, 3), draws=1024, seed=seed)
        seen = crossing.resample(sample, rng(seed))
        whole = Bulk(cloud, matrix, spectrum, np.empty(0, dtype=np.int64))
        evidence = Evidence(
            sample, seen, spectrum, matrix, cloud, whole, SCHEDULE, (N // 2, N // 2), rng(seed),
            seed, 1024, 4, lambda *_: None,
        )  # fmt: skip
        time = speciation.clone_loo_time(evidence.curves, SCHEDULE, evidence.level)
        alone = speciation.clone_loo_time(seen, SCHEDULE, evidence.level)
        z.append((time.t - EXACT) / ((time.high - time.low) / (2 * T95)))
        narrow.append((alone.high - alone.low) / (time.high - time.low))
    # a jackknife over 16 groups: mean z^2 is 15/13
    honest(np.array(z) * math.sqrt(13 / 15))
    assert np.mean(narrow) < 0.85  # resampling the true points alone leaves something out


@pytest.mark.parametrize("error", [0.0, 0.01, 0.05])
def test_the_resamples_take_the_error_of_the_population(error):
    """At the place asked for: elsewhere they keep their shape, here tenfold away from it."""
    name = "same_class_probability_loo"
    grid = np.log(snr(np.linspace(2.0, 1.0, 5)))
    spread = 0.02 * np.array([10, 10, 10, 1, 10])
    resamples = 0.75 + spread * rng(1).standard_normal((40_000, 1))
    curves = crossing.Resampled(grid, {name: np.full(5, 0.7)}, {name: resamples})
    moved = crossing.of_population(curves, {name: float(grid[3])}, {name: error})
    expected = error * T95 / Z95 * spread / 0.02
    np.testing.assert_allclose(moved.resamples[name].std(axis=0), expected, rtol=1e-2, atol=1e-12)
    np.testing.assert_allclose(moved.resamples[name][:, 3].mean(), 0.7, atol=1e-6)
    np.testing.assert_array_equal(moved.mean[name], curves.mean[name])


# --- a point's own time ---------------------------------------------------------------------------


def own_time(places, mu, noise):
    """The t at which the mean weight of point mu over pairs z, -z is one half; in float64."""
    square = ((places - places[mu]) ** 2).sum(axis=1)
    along = noise @ (places - places[mu]).T

    def excess(log_gamma):
        gamma = math.exp(log_gamma)
        logits = [-0.5 * gamma * square + s * math.sqrt(gamma) * along for s in (1, -1)]
        return float(np.mean([1 / np.exp(x).sum(axis=1) for x in logits])) - 0.5

    return float(time_from_snr(math.exp(brentq(excess, -5, 5, xtol=1e-12))))


def test_the_error_of_a_points_own_time_is_that_of_repetitions():
    _, cloud, matrix, _ = prepared(*blobs(12, 6))
    near = nearest_neighbours(cloud, matrix)
    sample = sweep(cloud, np.asarray(time_from_snr(np.geomspace(1e2, 1e-2, 60))), draws=256)
    places = cloud.coordinates.double().numpy() * cloud.scale
    exact = {
        int(index): own_time(places, row, rng(row).standard_normal((3000, 6)))
        for row, index in enumerate(cloud.order)
    }
    z = []
    for seed in range(24):
        for point in points.most_exposed(cloud, sample, *near, seed=seed):
            # 16 pairs know their own error to 18 %: t with 15 degrees of freedom, mean square 15/13
            z.append((point.t - exact[point.index]) / point.se * math.sqrt(13 / 15))
    assert len(z) == 24 * 12
    honest(z)


def test_the_jackknife_by_definition():
    """sqrt((m - 1)/m sum (t_k - mean)^2) over the times t_k without pair k."""
    _, cloud, matrix, _ = prepared(*blobs(30, 3))
    sample = sweep(cloud, np.asarray(time_from_snr(np.geomspace(1e2, 1e-2, 400))), draws=256)
    found = points.most_exposed(cloud, sample, *nearest_neighbours(cloud, matrix), seed=5, count=6)
    places = cloud.coordinates.double().numpy() * cloud.scale
    assert len(found) == 6
    for point in found:
        noise = torch.randn((16, 3), generator=torch_generator(5, "exposure", point.index))
        noise, mu = noise.double().numpy(), cloud.row_of[point.index]
        assert point.t == pytest.approx(own_time(places, mu, noise), abs=1e-4)
        left_out = [own_time(places, mu, np.delete(noise, k, axis=0)) for k in range(16)]
        expected = math.sqrt(15 / 16 * ((left_out - np.mean(left_out)) ** 2).sum())
        assert point.se == pytest.approx(expected, rel=5e-3)


# --- the spectral time ----------------------------------------------------------------------------


def spectral(places, labels, seed):
    _, cloud, matrix, found = prepared(places, labels)
    largest = speciation.largest(found, matrix, cloud, rng(seed))
    times = (speciation.spectral_time, speciation.spectral_exact_time)
    return [time(found, largest, SCHEDULE) for time in times], found


def test_the_error_of_the_spectral_time_is_that_of_repetitions():
    scale = np.sqrt([9.0, 1, 1, 0.5])
    z = {"spectral": [], "spectral-exact": []}
    exact = {"spectral": 0.5 * math.log(9), "spectral-exact": 0.5 * math.log(10)}
    for seed in range(60):
        places = (scale * rng(seed).standard_normal((800, 4))).astype(np.float32)
        for time in spectral(places, np.arange(800) % 2, seed)[0]:
            error = (time.high - time.low) / (2 * Z95)
            z[time.method].append((time.t - exact[time.method]) / error)
    for values in z.values():
        honest(values)


def test_few_points_in_many_dimensions_do_not_move_the_spectral_interval():
    """Resampling repeats points, which inflates Lambda where n << d: the interval stays about t."""
    for seed in range(3):
        places = rng(seed).standard_normal((40, 800)).astype(np.float32)
        labels = np.arange(40) % 2
        places[:, 0] += 6 * labels
        times, found = spectral(places, labels, seed)
        assert found.largest > 20
        for time in times:
            assert time.low < time.t < time.high
            # by the mean of the resamples, which is near the middle
            assert abs((time.low + time.high) / 2 - time.t) < 0.25 * (time.high - time.low)


def test_lambda_of_the_population_where_dimensions_are_many():
    """d = 2 n: the sample's largest eigenvalue lies a fifth too high, the estimate does not."""
    z, high = [], []
    for seed in range(12):
        places = rng(seed).standard_normal((150, 300))
        places[:, 0] *= math.sqrt(10)
        _, cloud, matrix, spectrum = prepared(places.astype(np.float32), np.arange(150) % 2)
        largest = speciation.largest(spectrum, matrix, cloud, rng(seed))
        high.append(spectrum.largest / 10)
        z.append((largest.value - 10) / np.std(largest.resamples))
    assert np.mean(high) > 1.12
    assert abs(np.mean(z)) * math.sqrt(12) < 3.5
    assert 0.25 < np.mean(np.square(z)) < 2.7  # 99.9 % of chi^2_12/12


# --- draws of a law -------------------------------------------------------------------------------


def test_errors_of_sampled_population_curves_are_those_of_repetitions():
    law = GaussianMixture(np.array([[2.0, 0], [-1, 1], [0, -2]]), [0.5, 1.0, 0.2], [0.5, 0.3, 0.2])
    times = [0.6, 0.7]
    exact = law.population_curves(times, draws=60_000, seed=1000)
    names = tuple(exact.values)
    z = {name: [] for name in names}
    for seed in range(60):
        one = law.population_curves(times, draws=400, seed=seed)
        for name in names:
            error = math.hypot(float(one.se[name][0]), float(exact.se[name][0]))
            z[name].append(float(one[name][0] - exact[name][0]) / error)
    for name in names:
        honest(z[name])


# --- the Gaussian bound --------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(200, 8), (60, 1), (100, 150), (80, 400)])
def test_the_gaussian_bound_of_the_population_and_no_more(n, d):
    """Against the law's own spectrum, on both sides of n = d: mean z^2 near 1."""
    variances = np.linspace(0.5, 4, d)
    exact, z = oracles.gaussian_bound(variances, np.log(n)), []
    for seed in range(60):
        points = rng(seed).standard_normal((n, d)) * np.sqrt(variances)
        _, cloud, matrix, found = prepared(points, np.arange(n) % 2)
        time = collapse.gaussian_bound_time(found, matrix, cloud, SCHEDULE, rng(seed))
        z.append((time.t - exact) / ((time.high - time.low) / (2 * 1.96)))
    honest(np.array(z))

"""How many points put the collapse at t: exact laws, the Gaussian bound, and subsets of a cloud."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

import diffregimes as dr
from diffregimes.common.checks import InputError
from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import from_arrays
from diffregimes.data.spectrum import covariance, spectrum
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.posterior.sweep import sweep
from diffregimes.results import Spectrum, TransitionTime
from diffregimes.theory import TwoGaussians, collapse_time, information
from diffregimes.transitions import needed
from diffregimes.transitions.collapse import EntropyLine
from diffregimes.transitions.needed import points_needed

TIMES = 0.05, 0.5, 2.0


def cloud_of(d, n=2048, mu=1.0, seed=0):
    points, labels = two_gaussians(d, mu=mu).sample(n, seed=seed)
    return from_arrays(points.float().numpy(), labels.numpy())


def found_at_eight_times(d, seed, mu=1.0, n=2048):
    """The estimate where a set eight times as large would collapse, and the truth there."""
    truth = math.log(8 * n)
    t = collapse_time(TwoGaussians(d, mu), truth)
    return points_needed(t, cloud_of(d, n, mu, 100 + seed), seed=seed), truth


# exact laws and spectra


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize(("d", "mu", "sigma", "weight"), [(16, 1, 1, 0.5), (300, 0.3, 0.5, 0.2)])
def test_a_mixture_needs_its_information(t, d, mu, sigma, weight):
    found = points_needed(t, two_gaussians(d, mu, sigma, weight))
    expected = float(information(TwoGaussians(d, mu, sigma, weight), t))
    assert found.t == t
    assert found.log_n == pytest.approx(expected, rel=1e-9)
    assert found.low == found.high == found.log_n
    assert found.method == "information of the population"


def test_a_mixture_without_quadrature_has_an_error():
    """Classes of unequal widths: sampled, within the Gaussian bound."""
    rng = np.random.default_rng(0)
    law = GaussianMixture(rng.normal(size=(3, 5)) * 3, [0.5, 1.0, 2.0], [0.2, 0.3, 0.5])
    found = points_needed(0.3, law)
    assert found.low < found.log_n < found.high
    assert found.log_n < points_needed(0.3, law.eigenvalues()).log_n
    other = points_needed(0.3, law, seed=1)
    error = (found.high - found.low) / 3.92
    assert abs(found.log_n - other.log_n) < 4 * math.sqrt(2) * error
    assert found.log_n != other.log_n


@pytest.mark.parametrize("t", TIMES)
def test_the_gaussian_bound(t):
    """(1/2) sum log(1 + gamma lambda): equal for one Gaussian, above any law of that covariance."""
    gamma = 1 / math.expm1(2 * t)
    for law in (two_gaussians(20), two_gaussians(20, 0.2, 2.0), two_gaussians(3, 2.0, 0.1, 0.3)):
        values = law.eigenvalues()
        bound = points_needed(t, values)
        assert bound.log_n == pytest.approx(0.5 * np.log1p(gamma * values).sum(), rel=1e-12)
        assert (bound.low, bound.high) == (0, bound.log_n)
        assert bound.log_n >= points_needed(t, law).log_n
        same = Spectrum(values[0], None, 0.0, values)
        assert points_needed(t, same) == bound
    variances = np.array([4.0, 1.0, 0.25])
    one = GaussianMixture(np.zeros((1, 3)), dr.populations.Covariance.diagonal_of(variances))
    single = points_needed(t, one)
    assert single.log_n == pytest.approx(points_needed(t, variances).log_n, rel=1e-9)


@pytest.mark.parametrize(
    "values", [[1.0, np.nan], [np.inf, 1.0], [1.0, -0.1], [[1.0, 2.0], [3.0, 4.0]]]
)
def test_eigenvalues_that_are_none(values):
    with pytest.raises(InputError, match="finite numbers, zero or more"):
        points_needed(0.5, np.array(values))


@pytest.mark.parametrize("t", [0.0, -1.0, math.nan, math.inf, 301.0])
def test_times_that_are_none(t):
    with pytest.raises(InputError, match=r"t is .*expected a number from 1e-30 to 300"):
        points_needed(t, np.ones(3))


# datasets

EARLY = collapse_time(TwoGaussians(16), math.log(2048))


@cache
def clean():
    return points_needed(EARLY, cloud_of(16, n=512))


def test_the_curves_enclose_the_information():
    """log n - E[H(w)] <= I <= log(n - 1) - F on average over clouds; the middle errs by less."""
    d, n, law = 64, 1024, TwoGaussians(64)
    t = np.array([collapse_time(law, math.log(n / k)) for k in (4, 8, 16, 32)])
    ends = []
    for seed in range(4):
        data = cloud_of(d, n, seed=seed)
        curves = sweep(prepare(data.points, data.labels), t, draws=4096, seed=seed).curves()
        ends.append(needed.information_ends(curves, n))
    (low, high), error = np.mean(ends, axis=0), np.std(ends, axis=0).max() / 2
    exact = information(law, t)
    assert (low < exact + 3 * error).all()
    assert (high > exact - 3 * error).all()
    assert (high - low > 0).all()
    assert (np.abs((low + high) / 2 - exact) < 0.3 * (high - low) + 3 * error).all()


@pytest.mark.parametrize(("d", "seed"), [(16, 0), pytest.param(256, 0, marks=pytest.mark.slow)])
def test_subsets_tell_what_eight_times_as_many_would_do(d, seed):
    found, truth = found_at_eight_times(d, seed, n=1024)
    assert found.low < found.log_n < found.high
    assert found.low <= truth <= found.high
    assert found.high - found.low < 1  # a factor of e at most
    assert "subsets of 32 to 1024 points" in found.method


@pytest.mark.slow
@pytest.mark.parametrize("mu", [0.2, 1.0])
def test_the_intervals_cover(mu):
    """95 % intervals hold the truth in 95 % of the clouds (57 of 60 at mu = 1)."""
    hits = []
    for d in (16, 64, 256):
        for seed in range(8):
            found, truth = found_at_eight_times(d, seed, mu)
            hits.append(found.low <= truth <= found.high)
    z = (sum(hits) - 0.95 * len(hits)) / math.sqrt(0.95 * 0.05 * len(hits))
    assert z > -3, sum(hits)


def test_the_offset_of_the_collapse():
    """F = 0 at log n = I + c, c near 0.55 whatever n."""
    data = cloud_of(64, n=1024)
    found = needed.scan(data)
    offset = np.log(found.n) - information(TwoGaussians(64), found.t)
    for n in np.unique(found.n):
        here = offset[found.n == n]
        assert abs(here.mean() - 0.55) < 4 * 0.05 / math.sqrt(len(here))
    small = found.n <= 1024 // needed.CLEAR
    assert np.isnan(found.information[~small]).all()
    measured = (np.log(found.n) - found.information)[small]
    assert abs(measured.mean() - 0.55) < 0.05
    # the seed of the fit moves its interval alone
    one, again, other = (needed.from_scan(0.5, found, 15.0, seed=k) for k in (3, 3, 4))
    assert one == again
    assert one.log_n == other.log_n


def test_the_same_seed_gives_the_same_numbers():
    seen = []
    one = points_needed(EARLY, cloud_of(16, n=512), progress=lambda *x: seen.append(x))
    assert one == clean()
    assert seen[-1][0] == seen[-1][1] > 512
    assert [x[0] for x in seen] == sorted(x[0] for x in seen)


def test_too_few_points():
    with pytest.raises(InputError, match=r"500 points came; expected 512 or more.*bound"):
        points_needed(0.5, cloud_of(8, n=500))


def test_duplicates_leave_nothing_to_fit():
    """Every point many times over never collapses onto one."""
    few = np.random.default_rng(0).normal(size=(8, 8))
    data = from_arrays(np.repeat(few, 64, axis=0), np.arange(512) % 2)
    with pytest.raises(InputError, match="More points, or fewer duplicates"):
        points_needed(0.5, data)


def test_a_few_duplicates_do_no_harm():
    data = cloud_of(16, n=512)
    points = data.points.copy()
    points[:10] = points[10:20]
    dirty = points_needed(EARLY, from_arrays(points, data.labels))
    assert abs(clean().log_n - dirty.log_n) < 0.3


# one analysis


def test_an_analysis_reads_its_curves():
    """Above the collapse: the ends of the information, with its middle as the value."""
    data = cloud_of(32, n=1024)
    result = dr.analyze(data, draws=2048)
    law = TwoGaussians(32)
    t = collapse_time(law, math.log(16))
    found = needed.from_curves(t, None, result.curves, result.spectrum, data.n)
    assert found.method.startswith("Gaussian bound")
    known = spectrum(data, covariance(prepare(data.points, data.labels)))
    assert found.log_n == pytest.approx(points_needed(t, known).log_n)
    line = EntropyLine(np.ones(3), -np.ones(3))  # what Gaussian data show
    read = needed.from_curves(t, line, result.curves, result.spectrum, data.n)
    assert read.method == "information measured at t"
    assert read.low <= float(information(law, t)) <= read.high
    assert read.low < read.log_n < read.high
    below = collapse_time(law, math.log(1e6))
    carried = needed.from_curves(below, line, result.curves, result.spectrum, data.n)
    assert carried.method.startswith("information extrapolated")
    assert carried.log_n == pytest.approx(points_needed(below, known).log_n)


def test_the_points_needed_over_the_interval_of_the_time():
    """An early end of the speciation asks for more points, a late end for fewer."""
    data = cloud_of(16, 256)
    result = dr.analyze(data, draws=512)
    t = result.time("speciation").t
    line = EntropyLine(np.ones(3), np.array([-1.0, -1.1, -0.9]))

    def at(low, high):
        time = TransitionTime("speciation", "balance", t, low, high)
        return needed.at_speciation(time, line, result.curves, result.spectrum, data.n)

    exact, wide = at(t, t), at(0.8 * t, 1.2 * t)
    assert wide.log_n == exact.log_n
    for place, end in ((0.8 * t, "high"), (1.2 * t, "low")):
        one = needed.from_curves(place, line, result.curves, result.spectrum, data.n)
        assert getattr(wide, end) == getattr(one, end)
    assert wide.low < exact.low < exact.high < wide.high
    assert at(None, None).high == exact.high
    open_above = at(0.0, 1.2 * t)  # no number of points collapses at the data
    assert open_above.high is None
    assert (open_above.log_n, open_above.low) == (wide.log_n, wide.low)
    none = TransitionTime("speciation", "balance", None)
    assert needed.at_speciation(none, line, result.curves, result.spectrum, data.n) is None

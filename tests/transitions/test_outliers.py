"""Points far out, and data of few dimensions: the collapse of most points is found and told."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import make_circles, make_moons

import diffregimes as dr
import oracles
from clouds import SCHEDULE, blobs, prepared
from diffregimes.data.neighbours import nearest_neighbours
from diffregimes.posterior.grid import near_square, pilot_times
from diffregimes.process import sigma, snr, time_from_snr
from diffregimes.results import Exposure
from diffregimes.transitions import outliers
from diffregimes.transitions.crossing import clocked

N, D, FAR = 160, 12, 7


def rng(seed=0):
    return np.random.default_rng(seed)


def points(stretch=1.0, count=1):
    x = rng(3).standard_normal((N, D)) + 2 * (np.arange(N) % 2)[:, None] / math.sqrt(D)
    x[FAR : FAR + count] *= stretch
    return x


@cache
def analysed(stretch=1.0, count=1):
    return dr.analyze(points(stretch, count), np.arange(N) % 2, draws=2048)


def rows(x):
    """Indices of the points far out."""
    _, cloud, matrix, _ = prepared(x, np.zeros(len(x), dtype=int))
    return cloud.order[outliers.far_out(cloud, nearest_neighbours(cloud, matrix)[1])].tolist()


# --- who is far out -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(5000, 1), (2000, 2), (300, 30), (40, 200)])
def test_no_point_of_gaussian_data_is_far_out(n, d):
    x = rng(1).standard_normal((n, d))
    assert rows(x) == []
    x[3] = 0
    x[3, 0] = 30 * math.sqrt(d)
    x[n // 2] = 0
    x[n // 2, 0] = -60 * math.sqrt(d)
    assert rows(x) == [n // 2, 3]  # the farthest first


def test_a_small_class_by_itself_is_not_far_out():
    """Its points are far from the mean and near one another; one by itself is far out."""
    x = rng(2).standard_normal((400, 5))
    x[:12] += 300
    assert rows(x) == []
    x[1:12] -= 300
    assert rows(x) == [0]


# --- what hangs on them -------------------------------------------------------------------------


@pytest.mark.parametrize(("stretch", "count"), [(30, 1), (30, 2), (1e5, 1)])
def test_points_far_out_move_no_headline_and_no_spectrum(stretch, count):
    plain, spoilt = analysed(), analysed(stretch, count)
    for transition, method in [
        ("collapse", "bounded-free-energy"), ("collapse", "clone"), ("collapse", "entropy"),
        ("collapse", "gaussian-bound"), ("speciation", "spectral-exact"), ("speciation", "landau"),
    ]:  # fmt: skip
        one, two = plain.time(transition, method), spoilt.time(transition, method)
        assert abs(two.t - one.t) < 0.5 * (one.high - one.low), method
        assert two.high - two.low < 2 * (one.high - one.low), method
    mean = spoilt.time("collapse", "free-energy")
    assert mean.t is None or mean.t > 1.3 * plain.time("collapse", "free-energy").t
    said = " ".join(spoilt.verdict.sentences)
    assert f"{count} of {N} points {'lies' if count == 1 else 'lie'} far out" in said
    assert f"#{FAR}" in said
    assert "by free-energy" in said
    assert "far out" not in " ".join(plain.verdict.sentences)
    assert "differ by more" not in " ".join(plain.verdict.sentences)
    # the loneliest points, with their own times, however far beyond the grid
    assert {x.index for x in spoilt.points[:count]} == set(range(FAR, FAR + count))
    assert spoilt.points[0].t > 2


def test_the_bounded_free_energy_is_the_mean_where_points_are_alike():
    found = analysed()
    head, mean = (found.time("collapse", x) for x in ("bounded-free-energy", "free-energy"))
    assert found.time("collapse") == head
    assert head.t == pytest.approx(mean.t, rel=0.02)
    assert np.abs(found.curves["bounded_free_energy_over_log_n"]).max() <= 1


def collapse(method, t, half=0.01):
    ends = (None, None) if t is None else (t - half, t + half)
    return clocked(SCHEDULE, "collapse", method, t, ends)


def lonely(index, t, file=None):
    return Exposure(index, 0, t, 0.1, 0, 1.0, file)


@pytest.mark.parametrize(
    ("free", "clone", "named"),
    [
        (0.505, 0.495, ()), (0.52, 0.5, ()), (0.6, 0.5, ("0.600 by free-energy",)),
        (None, 0.5, ("none by free-energy",)), (0.5, 0.4, ("0.400 by clone",)),
        (0.6, 0.4, ("0.600 by free-energy", "0.400 by clone")),
    ],
)  # fmt: skip
def test_criteria_that_differ_are_told(free, clone, named):
    times = (
        collapse("bounded-free-energy", 0.5), collapse("free-energy", free),
        collapse("clone", clone), collapse("entropy", 0.1),
    )  # fmt: skip
    exposed = (lonely(7, 3.0), lonely(9, 2.5, "b/9.png"), lonely(3, 0.7), lonely(2, None))
    said = outliers.disagreement(times, exposed)
    assert bool(said) == bool(named)
    for words in named:
        assert words in said[0]
    if said:
        assert "Copied first: #7 (t = 3.00), b/9.png (t = 2.50)." in said[0]
    assert outliers.disagreement((collapse("bounded-free-energy", None), *times[1:]), ()) == []


def test_criteria_within_the_interval_of_the_headline_do_not_differ():
    others = collapse("free-energy", 0.6), collapse("clone", 0.45)
    for half, told in ((0.2, False), (0.08, True)):
        times = collapse("bounded-free-energy", 0.5, half), *others
        assert bool(outliers.disagreement(times, ())) == told


# --- few dimensions -----------------------------------------------------------------------------

LOW = {
    "moons": make_moons(300, noise=0.05, random_state=0),
    "circles": make_circles(300, noise=0.05, factor=0.5, random_state=0),
    "line": (rng(0).standard_normal((300, 1)), np.arange(300) % 2),
    "plane": (rng(0).standard_normal((250, 2)), np.arange(250) % 2),
    "tight": (
        np.repeat(np.eye(3), 100, axis=0) + 1e-3 * rng(0).standard_normal((300, 3)),
        np.repeat(np.arange(3), 100),
    ),
}


@pytest.mark.parametrize("name", LOW)
def test_the_collapse_is_found_in_few_dimensions(name):
    """Against the float64 oracle at the time found, whose error the slope turns into one of t."""
    x, labels = LOW[name]
    x = x.astype(np.float32)
    found = dr.analyze(x, labels, draws=1024).time("collapse")
    assert found.t is not None
    n, draws = len(x), 500
    mu, z = rng(1).integers(n, size=draws), rng(2).standard_normal((draws, x.shape[1]))
    means, log_n = [], math.log(n)
    centred = (x - x.mean(axis=0)).astype(np.float64)
    for t in time_from_snr(snr(found.t) * np.exp([-0.3, 0, 0.3])):
        free = oracles.observables(centred, labels, mu, z, float(t))["loo_free_energy"]
        means.append(np.logaddexp(0, log_n + free) - np.logaddexp(log_n, free))
    slope = (means[2].mean() - means[0].mean()) / 0.6
    half = math.log(snr(found.low) / snr(found.high)) / 2
    error = math.hypot(means[1].std() / math.sqrt(draws) / slope, half / 2)
    assert abs(means[1].mean() / slope) < 4 * error
    assert half < 0.6


def test_nearest_points_against_all_distances():
    x = rng(4).standard_normal((200, 3))
    x[50:60] = x[60:70]  # the same points are no neighbours
    dataset, cloud, _, _ = prepared(x, np.zeros(200, dtype=int))
    gap = cdist(dataset.points.astype(float), dataset.points.astype(float)) ** 2
    gap[gap == 0] = np.inf
    assert near_square(cloud) == pytest.approx(np.quantile(gap.min(axis=1), 0.25), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_pilot_grid_reaches_the_nearest_points_at_any_scale(scale):
    x, labels = blobs(150, 12)
    _, cloud, _, found = prepared(scale * x, labels)
    near = near_square(cloud)
    wide = pilot_times(found.eigenvalues, cloud.n, near)
    assert snr(wide[0]) * near == pytest.approx(1e3, rel=1e-6)
    assert sigma(wide[-1]) > sigma(wide[0])

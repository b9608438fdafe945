"""Points at risk: their own collapse times against quadrature, duplicates, and the screen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.special import expit
from scipy.stats import norm

from clouds import blobs, prepared, z_score
from diffregimes.data import neighbours
from diffregimes.data.cloud import square_distances
from diffregimes.data.datasets import from_arrays
from diffregimes.posterior.moments import Draws, moments
from diffregimes.posterior.sample import Sample
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.transitions import points as exposure


def rng(seed=0):
    return np.random.default_rng(seed)


def own_weight(gamma, distance, copies):
    """E[w_mu] for one point with `copies` points at one place at this distance: quadrature.

    w = 1 / (1 + copies e^l) with l = -gamma D^2/2 + sqrt(gamma) D xi, xi a standard normal.
    """

    def integrand(xi):
        gap = np.sqrt(gamma) * distance
        return norm.pdf(xi) * expit(0.5 * gap**2 - gap * xi - np.log(copies))

    return quad(integrand, -9, 9, epsabs=1e-11, limit=300)[0]


@pytest.fixture(scope="module")
def lonely():
    """One point at (3, 4), eleven at the origin: everything about it is a one-dimensional law."""
    points = np.zeros((12, 2), np.float32)
    points[7] = 3, 4
    dataset, cloud, matrix, _ = prepared(points, np.arange(12) % 2)
    times = np.asarray(time_from_snr(np.geomspace(10, 1e-3, 60)))
    exact = time_from_snr(
        np.exp(brentq(lambda x: own_weight(np.exp(x), 5.0, 11) - 0.5, np.log(1e-3), np.log(10)))
    )
    return dataset, cloud, matrix, sweep(cloud, times, draws=8192), float(exact)


def test_the_weight_of_a_point_against_quadrature(lonely):
    _, _, _, sample, _ = lonely
    mine = sample.values["own_point_probability"][sample.points == 7]
    assert len(mine) > 300
    expected = np.array([own_weight(g, 5.0, 11) for g in snr(sample.times)])
    moving = expected < 0.98  # above, the mean rests on a few rare draws
    z = z_score(mine[:, moving] - expected[moving])
    assert moving.sum() > 30
    assert np.abs(z).max() < 4


def test_the_collapse_time_of_a_point_against_quadrature(lonely):
    _, cloud, matrix, sample, exact = lonely
    points, times = exposure.point_times(sample)
    np.testing.assert_array_equal(points, np.arange(12))
    assert times[7] == pytest.approx(exact, abs=0.03)
    assert np.isnan(times[points != 7]).all()  # copies share their weight for ever
    found = exposure.most_exposed(cloud, sample, *neighbours.nearest_neighbours(cloud, matrix))
    first = found[0]
    assert (first.index, first.label) == (7, 1)
    assert first.se is not None
    assert abs(first.t - exact) < 4 * first.se
    assert first.nearest_distance == pytest.approx(5, rel=1e-5)
    assert all(x.t is None for x in found[1:])


def test_a_collapse_before_the_times_given_is_found(lonely):
    _, cloud, matrix, sample, exact = lonely
    late = sample.times < 0.3 * exact
    values = {k: v[:, late] for k, v in sample.values.items()}
    seen = Sample(sample.times[late], sample.points, values)
    found = exposure.most_exposed(cloud, seen, *neighbours.nearest_neighbours(cloud, matrix))
    assert abs(found[0].t - exact) < 4 * found[0].se


def test_times_from_made_up_weights():
    times = np.asarray(time_from_snr(np.geomspace(100, 0.01, 50)))

    def weight(middle):
        return expit(np.log(snr(times)) - np.log(snr(middle)))

    values = np.stack([weight(0.5), weight(0.5), weight(1.1), np.zeros(50)])
    sample = Sample(times, np.array([4, 4, 2, 9]), {"own_point_probability": values})
    points, found = exposure.point_times(sample)
    np.testing.assert_array_equal(points, [2, 4, 9])
    np.testing.assert_allclose(found[:2], [1.1, 0.5], atol=1e-3)
    assert np.isnan(found[2])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_the_weight_of_a_point_is_that_of_the_pass(scale, monkeypatch):
    """By the pass, which leaves the point out of the sum; slices of the points, the last of one."""
    monkeypatch.setattr(exposure, "COLUMNS", 16)
    _, cloud, _, _ = prepared(*[scale * blobs(49, 5)[0], blobs(49, 5)[1]])
    gamma = np.geomspace(1e22, 1e-6, 40) / scale**2
    for row in (0, 20, 48):
        noise = torch.randn(7, 5, generator=torch.Generator().manual_seed(row))
        drawn = Draws(torch.tensor([row]).expand(7), noise)
        whole = torch.sigmoid(-moments(cloud, drawn, gamma).log_sum).mean(1)
        square = square_distances(cloud.coordinates[row : row + 1], cloud.coordinates)[0]
        weight = exposure._own_weight(cloud, row, square, noise)
        np.testing.assert_allclose([weight(x) for x in gamma], whole, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("middle", [1e-9, 0.0101, 0.013, 0.3, 4.0, 80.0, 1e9])
@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_half_is_found_from_few_weights(middle, spread):
    gamma = np.geomspace(100, 0.01, 400)
    own = np.log(middle) + spread * rng(1).standard_normal(16)
    asked = []

    def weight(x):
        asked.append(x)
        return expit(np.log(x) - own)

    t, se = exposure._own_time(weight, gamma)
    few = len(asked)
    pairs = np.stack([weight(x) for x in gamma], axis=1)
    mean, left_out = pairs.mean(axis=0), (pairs.sum(axis=0) - pairs) / 15
    np.testing.assert_allclose(t, exposure.half_times(np.log(gamma), mean[None])[0], rtol=1e-12)
    times = exposure.half_times(np.log(gamma), left_out)
    np.testing.assert_allclose(se, np.sqrt(15 * times.var()), rtol=1e-12)
    assert np.isfinite(t) or middle > 50 or middle < 1e-3
    assert len(set(asked[:few])) == few < (30 if spread < 1 else 100)


def test_a_planted_outlier_is_the_most_exposed():
    points, labels = blobs(150, 40)
    points[37] = points.mean(axis=0) + 5 * rng(1).standard_normal(40)
    _, cloud, matrix, _ = prepared(points, labels)
    sample = sweep(cloud, np.linspace(0.2, 3, 30), draws=1024)
    near, distance = neighbours.nearest_neighbours(cloud, matrix)
    found = exposure.most_exposed(cloud, sample, near, distance, count=5)
    assert len(found) == 5
    assert found[0].index == 37
    assert found[0].label == labels[37]
    assert found[0].t > found[1].t + 0.3
    assert [x.t for x in found] == sorted((x.t for x in found), reverse=True)
    exact = cdist(points, points)
    for x in found:
        assert x.nearest_distance == pytest.approx(exact[x.index, x.nearest_index], rel=1e-4)
    again = exposure.most_exposed(cloud, sample, near, distance, count=5)
    assert again == found


@pytest.mark.parametrize("shape", [(300, 200), (120, 300), (80, 12), (4, 3), (2, 5)])
def test_neighbours_found_by_the_screen(shape):
    points, labels = rng(2).standard_normal(shape) * np.linspace(3, 0.3, shape[1]), None
    labels = np.arange(shape[0]) % 2
    points = points.astype(np.float32)
    from diffregimes.data.cloud import prepare
    from diffregimes.data.spectrum import covariance

    cloud = prepare(points, labels)
    near, found = neighbours.nearest_neighbours(cloud, covariance(cloud).numpy())
    exact = cdist(points[cloud.order], points[cloud.order])
    np.testing.assert_allclose(found, np.take_along_axis(exact, near, axis=1), rtol=1e-4)
    np.fill_diagonal(exact, np.inf)
    best = exact.min(axis=1)
    assert np.all(near != np.arange(shape[0])[:, None])
    # by a lower bound on the distance: near, if not always nearest, and exact in few dimensions
    if shape[1] <= 64:
        np.testing.assert_allclose(found[:, 0], best, rtol=1e-5)
    assert np.mean(found.min(axis=1) <= best * 1.1) > 0.9


def test_the_screen_is_a_lower_bound_and_finds_every_near_duplicate():
    points = rng(3).standard_normal((200, 200)).astype(np.float32)
    points[150:] = points[:50] + 0.01 * rng(4).standard_normal((50, 200))
    found = neighbours.clusters(points).pairs
    assert {(x.index, x.other) for x in found} == {(k, 150 + k) for k in range(50)}
    assert {x.kind for x in found} == {"near"}
    for x in found:
        exact = np.linalg.norm(points[x.index].astype(float) - points[x.other])
        assert x.distance == pytest.approx(exact, rel=1e-3)


def test_exact_duplicates_are_named_by_group():
    points, labels = blobs(60, 30)
    points[20] = points[5]
    points[40] = points[5]
    points[50] = points[8]
    points[33] = points[8] + 1e-4  # near to a group: named once, by its first point
    labels[[20, 40, 50, 33]] = labels[[5, 5, 8, 8]]
    found = neighbours.different(from_arrays(points, labels))[1].pairs
    exact = [(x.index, x.other, x.distance) for x in found if x.kind == "exact"]
    assert exact == [(5, 20, 0.0), (5, 40, 0.0), (8, 50, 0.0)]
    near = [(x.index, x.other) for x in found if x.kind == "near"]
    assert near == [(8, 33)]


def test_no_duplicates_in_plain_data():
    data = from_arrays(*blobs(100, 50))
    own, found, _ = neighbours.different(data)
    assert own is data
    assert found.pairs == ()


def test_exposure_leaves_the_global_generator_alone():
    _, cloud, matrix, _ = prepared(*blobs(40, 6))
    sample = sweep(cloud, np.linspace(0.1, 2, 10), draws=256)
    state = torch.get_rng_state()
    exposure.most_exposed(cloud, sample, *neighbours.nearest_neighbours(cloud, matrix))
    assert torch.equal(torch.get_rng_state(), state)

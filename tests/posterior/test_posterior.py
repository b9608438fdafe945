"""The pass against a float64 evaluation of the same draws, and against itself cut differently."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import mixture_reference as mixture
import oracles
from clouds import blobs, digits01, near_duplicates, z_score
from diffregimes.data.cloud import Cloud, all_square_distances, prepare, square_distances
from diffregimes.posterior.moments import Draws, draw_block, merge, moments
from diffregimes.posterior.observables import OBSERVABLES, observables
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr

TIMES = np.array([0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 4.0, 8.0])
TOLERANCE = 1e-4


def some_draws(cloud, pairs=24, seed=0, block=0):
    drawn = draw_block(cloud, block, seed)
    return Draws(drawn.points[:pairs], drawn.noise[:pairs])


def evaluate(cloud, draws, times, **options):
    gamma = snr(times)
    weights = moments(cloud, draws, gamma, **options)
    return observables(weights, cloud, draws.points, gamma)


def reference(cloud, draws, t, sign):
    """The observables that the oracle knows, in float64: the draws with z or with -z."""
    points = cloud.coordinates.double().numpy() * cloud.scale
    noise = sign * draws.noise.double().numpy()
    found = oracles.observables(points, cloud.labels.numpy(), draws.points.numpy(), noise, t)
    log_n = np.log(cloud.n)
    return {
        "excess_entropy_over_alpha": found["entropy"] / log_n,
        "excess_entropy_over_alpha_logsum": found["log_sum"] / log_n,
        "information": log_n - found["entropy"],
        "same_point_probability": found["same_point"],
        "own_point_probability": found["own_weight"],
        "same_class_probability": found["same_class"],
        "same_class_probability_loo": found["same_class_loo"],
        "loo_free_energy_over_log_n": found["loo_free_energy"] / log_n,
        "class_entropy": found["class_entropy"],
        "within_class_entropy": found["within_class_entropy"],
        "mmse": found["half_mean_distance"],
        "effective_points": found["effective"],
        "effective_points_participation": found["participation"],
    }


def unit(name, cloud):
    """Size of an observable: what its error is measured in."""
    if name == "mmse":
        return cloud.scale**2
    return cloud.n if name.startswith("effective") else 1.0


DATA = {
    "digits": digits01,
    "digits shifted": lambda: (digits01()[0] + 10, digits01()[1]),
    "near-duplicates, n > d": lambda: near_duplicates(160, 48),
    "near-duplicates, n < d": lambda: near_duplicates(80, 3072),
    "near-duplicates shifted": lambda: near_duplicates(80, 3072, shift=10.0),
    "ten classes": lambda: blobs(200, 30, 10),
    "one feature": lambda: blobs(60, 1),
    "exact duplicates": lambda: tuple(np.repeat(x, 3, axis=0) for x in blobs(30, 12)),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", DATA)
def test_every_draw_agrees_with_float64(name, compiled):
    if compiled:
        pytest.importorskip("numba")
    cloud = prepare(*DATA[name]())
    draws = some_draws(cloud)
    found = evaluate(cloud, draws, TIMES, compiled=compiled)
    assert list(found) == [x.name for x in OBSERVABLES]
    for k, t in enumerate(TIMES):
        for which, sign in enumerate((1.0, -1.0)):
            expected = reference(cloud, draws, t, sign)
            for key, value in expected.items():
                error = np.abs(found[key][k, which].numpy() - value).max() / unit(key, cloud)
                assert error < TOLERANCE, (key, t, sign, error)


@pytest.mark.parametrize("name", [*DATA, "constant columns", "square", "one direction"])
def test_coordinates_keep_the_distances_of_the_points(name):
    more = {
        "constant columns": lambda: (
            np.hstack([blobs(40, 6)[0], np.full((40, 90), 0.3)]),
            blobs(40, 6)[1],
        ),
        "square": lambda: blobs(40, 40),
        "one direction": lambda: (np.outer(np.arange(20.0), np.ones(100)), np.arange(20) % 2),
    }
    points, labels = {**DATA, **more}[name]()
    points = points.astype(np.float32)
    cloud = prepare(points, labels)
    original = points[cloud.order].astype(np.float64)
    expected = cdist(original, original)
    rows = cloud.coordinates.double().numpy() * cloud.scale
    error = np.abs(cdist(rows, rows) - expected)
    # a distance moves an exponent by gamma D dD, at most sqrt(gamma) dD at gamma D^2 = 1
    assert error.max() < 3e-7 * max(cloud.scale, expected.max())
    assert cloud.coordinates.shape[1] <= points.shape[1]
    fast = square_distances(cloud.coordinates, cloud.coordinates).double().sqrt() * cloud.scale
    np.testing.assert_allclose(fast.numpy(), expected, atol=1e-6 * expected.max(), rtol=1e-6)
    np.testing.assert_array_equal(cloud.labels.numpy(), labels[cloud.order])
    np.testing.assert_array_equal(cloud.order[cloud.row_of], np.arange(len(points)))


@pytest.mark.parametrize("shape", [(50, 400), (200, 399), (300, 20)])
def test_both_ways_to_coordinates_give_the_same_geometry(shape):
    points, labels = blobs(*shape)
    cloud = prepare(points, labels)
    centred = points[cloud.order].astype(np.float64)
    centred -= centred.mean(axis=0)
    rows = cloud.coordinates.double().numpy() * cloud.scale
    np.testing.assert_allclose(rows @ rows.T, centred @ centred.T, atol=1e-6 * cloud.scale**2)
    np.testing.assert_allclose((rows**2).sum() / len(rows), cloud.scale**2, rtol=1e-6)


def assert_same(one, two, tolerance):
    for key, value in one.items():
        scale = max(1.0, float(value.abs().max()))
        gap = float((value - two[key]).abs().max()) / scale
        assert gap < tolerance, (key, gap)


@pytest.mark.parametrize("columns", [1, 7, 64, 199, 4096])
def test_slices_of_the_training_points_change_nothing(columns):
    cloud = prepare(*blobs(200, 30, 10))
    draws = some_draws(cloud)
    whole = evaluate(cloud, draws, TIMES)
    assert_same(whole, evaluate(cloud, draws, TIMES, columns=columns), 2e-6)


def test_cached_distances_change_nothing():
    cloud = prepare(*digits01())
    draws = some_draws(cloud)
    cached = all_square_distances(cloud, 1024)
    assert cached is not None
    fresh = evaluate(cloud, draws, TIMES)
    assert_same(fresh, evaluate(cloud, draws, TIMES, distances=cached), 1e-6)
    assert all_square_distances(cloud, 0) is None
    again = all_square_distances(cloud, 1024)
    torch.testing.assert_close(cached, again, rtol=0, atol=0)  # the pass left the cache alone


def shard(cloud, rows):
    """The points `rows` (ascending) of a cloud, with all its classes."""
    bounds = tuple(np.searchsorted(rows, cloud.bounds).tolist())
    part = cloud.coordinates[rows], cloud.labels[rows]
    return Cloud(*part, cloud.order[rows], bounds, cloud.scale, cloud.d)


def test_moments_of_shards_merge():
    cloud = prepare(*blobs(90, 12, 3))
    mine, noise = 40, some_draws(cloud, 1).noise
    whole = moments(cloud, Draws(torch.tensor([mine]), noise), snr(TIMES))
    parts = []
    for rest in np.array_split(np.random.default_rng(0).permutation(90), 3):
        rows = np.union1d(rest, mine)  # every shard knows the true point, and leaves it out
        here = torch.tensor([int(np.searchsorted(rows, mine))])
        parts.append(moments(shard(cloud, rows), Draws(here, noise), snr(TIMES)))
    for order in (0, 1, 2), (2, 0, 1):
        one, two, three = (parts[k] for k in order)
        for merged in (merge(merge(one, two), three), merge(one, merge(two, three))):
            for key, value in vars(whole).items():
                torch.testing.assert_close(getattr(merged, key), value, rtol=1e-5, atol=1e-5)


def test_a_class_may_lie_in_one_slice_alone():
    points, labels = blobs(120, 8, 10)
    cloud = prepare(points, labels)
    assert np.diff(cloud.bounds).min() < 7  # some classes fill no slice of 7
    draws = some_draws(cloud)
    found = moments(cloud, draws, snr(TIMES), columns=7)
    total = found.class_probability.sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-6, atol=0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6, 1e14])
def test_extreme_signal_to_noise_ratios_give_numbers(scale, compiled):
    if compiled:
        pytest.importorskip("numba")
    points, labels = blobs(20, 5)
    cloud = prepare(points * np.float32(scale), labels)
    times = np.array([1e-9, 1e-3, 1.0, 40.0, 100.0])
    found = evaluate(cloud, some_draws(cloud), times, compiled=compiled)
    for key, value in found.items():
        assert torch.isfinite(value).all(), key


def test_no_signal_leaves_the_other_points_equal():
    """At t = 40 the point itself must still be left out: F = log(n - 1)."""
    cloud = prepare(*blobs(20, 5))
    found = moments(cloud, some_draws(cloud), snr(np.array([40.0, 100.0])))
    flat = torch.full_like(found.log_sum, np.log(19))
    torch.testing.assert_close(found.log_sum, flat, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.log_square, -flat, rtol=1e-6, atol=0)


def test_large_pixels_at_small_times():
    """Values up to 255 taken as they are: every point resolved, and no NaN from the mask."""
    points, labels = digits01()
    cloud = prepare(points * 255 * 40, labels)
    found = evaluate(cloud, some_draws(cloud), np.array([0.005, 0.05]))
    for value in (found["own_point_probability"], found["same_class_probability"]):
        torch.testing.assert_close(value, torch.ones_like(value), rtol=0, atol=1e-6)


def test_two_points_have_a_closed_form():
    points = np.array([[0.0, 0.0], [3.0, 4.0]])
    cloud = prepare(points.astype(np.float32), np.array([0, 1]))
    draws = some_draws(cloud, 40)
    found = evaluate(cloud, draws, TIMES)
    along = (cloud.coordinates[1] - cloud.coordinates[0]).double() * cloud.scale
    sign = torch.where(draws.points == 0, 1.0, -1.0)
    projection = draws.noise.double() @ along * sign
    for k, gamma in enumerate(snr(TIMES)):
        free = -0.5 * gamma * 25 + np.sqrt(gamma) * projection
        torch.testing.assert_close(
            found["own_point_probability"][k, 0], torch.sigmoid(-free), rtol=0, atol=1e-5
        )


def test_draws_hang_on_seed_and_block_alone():
    cloud = prepare(*blobs(50, 6))
    one, two = draw_block(cloud, 3, 7), draw_block(cloud, 3, 7)
    assert torch.equal(one.noise, two.noise)
    assert torch.equal(one.points, two.points)
    assert not torch.equal(one.noise, draw_block(cloud, 4, 7).noise)
    assert not torch.equal(one.noise, draw_block(cloud, 3, 8).noise)
    # every point serves equally often: 50 blocks of 128 pairs are 128 rounds of 50 points
    used = torch.cat([draw_block(cloud, b, 7).points for b in range(50)])
    assert torch.equal(torch.bincount(used), torch.full((50,), 128))


MIXTURES = {64: (1.6, 2.0, 2.4), 256: (2.2, 2.6, 3.0)}


@pytest.fixture(scope="module", params=MIXTURES)
def mixture_clouds(request):
    """Curves of six independent clouds of a mixture: (d, times, phi_loo, excess entropy)."""
    d, n = request.param, 3000
    times = np.array(MIXTURES[d])
    same_class, excess = [], []
    for k in range(6):
        points, labels = mixture.sample(n, d, 1.0, 1.0, np.random.default_rng(k))
        cloud = prepare(points.astype(np.float32), labels)
        curves = sweep(cloud, times, draws=2048, seed=k).curves()
        same_class.append(curves["same_class_probability_loo"])
        excess.append(curves["excess_entropy_over_alpha"] * np.log(n))
        assert curves["same_point_probability"].max() < 0.02  # far from collapse
    return d, n, times, np.array(same_class), np.array(excess)


def test_leave_one_out_classes_are_those_of_the_population(mixture_clouds):
    d, _, times, same_class, _ = mixture_clouds
    expected = np.array([mixture.phi(t, d, 1.0, 1.0) for t in times])
    # six clouds: |t| < 5.9 with 5 degrees of freedom is what |z| < 3 is for a normal variable
    assert np.all(np.abs(z_score(same_class - expected)) < 5.9)
    assert np.all(np.abs(same_class.mean(axis=0) - expected) < 0.004)


def test_excess_entropy_lies_between_its_bounds(mixture_clouds):
    d, n, times, _, excess = mixture_clouds
    error = excess.std(axis=0, ddof=1) / np.sqrt(len(excess))
    rng = np.random.default_rng(5)
    for k, t in enumerate(times):
        low = mixture.excess_entropy(t, n, d, 1.0, 1.0)
        width, width_error = mixture.finite_cloud_excess(t, n, d, 1.0, 1.0, 4000, rng)
        mean, slack = excess[:, k].mean(), 5.9 * (error[k] + width_error)
        assert low - slack < mean < low + width + slack
        assert slack < 0.04  # nats of about seven

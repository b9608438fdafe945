"""Points that stay in their file give the numbers of points in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import diffregimes as dr
from diffregimes.data import filecloud, infile
from diffregimes.data.cloud import prepare
from diffregimes.data.filecloud import prepare_file
from diffregimes.posterior.left_out import heated_log_odds, heated_same_point, left_out_means
from diffregimes.posterior.sweep import sweep

TIMES = np.array([0.2, 0.6, 1.1, 1.7])


def write(folder, dtype=np.uint8, n=700, shape=(8, 8), classes=3, seed=0):
    """Two files: pictures whose classes are mixed, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    means = rng.uniform(80, 170, (classes, *shape))
    values = means[labels] + 25 * rng.standard_normal((n, *shape))
    if np.dtype(dtype) == np.uint16:
        values *= 257
    elif np.dtype(dtype) == np.uint8:
        values = np.clip(values, 0, 255)
    np.save(folder / "x.npy", values.astype(dtype))
    np.save(folder / "y.npy", labels)
    return folder / "x.npy", folder / "y.npy"


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 64 points, so that every one holds a part of each class."""
    monkeypatch.setattr(filecloud, "_SHARD", 64)
    monkeypatch.setattr(infile, "_PART", 100 * 64 * 4)


def both(folder, budget=0, **options):
    """The same data in memory and in their file."""
    x, y = write(folder, **options)
    return dr.load(x, labels=y), dr.load(x, labels=y, memory_mib=budget)


def clouds(folder, **options):
    held, left = both(folder, **options)
    assert left.in_file
    assert not held.in_file
    assert left.fingerprint == held.fingerprint
    return prepare(held.points, held.labels), prepare_file(left.points, left.labels)


def test_rows_are_those_of_the_array(tmp_path, small_shards):
    held, left = both(tmp_path)
    rows = np.array([5, 2, 2, 699, 0])
    assert np.array_equal(left.points[rows], held.points[rows])
    assert np.array_equal(left.points[3], held.points[3])
    assert np.array_equal(left.points[10:20:3], held.points[10:20:3])
    assert np.array_equal(left.points[-4:], held.points[-4:])
    np.testing.assert_allclose(left.points.mean(axis=0), held.points.mean(axis=0, dtype=float))
    with pytest.raises(dr.InputError, match="Raise --memory-mib"):
        np.asarray(left.points)


def test_a_cloud_is_that_of_the_array(tmp_path, small_shards):
    held, left = clouds(tmp_path)
    assert left.bounds == held.bounds
    assert left.scale == pytest.approx(held.scale, rel=1e-7)
    rows = torch.tensor([3, 600, 1])
    assert torch.allclose(left.coordinates[rows], held.coordinates[rows], rtol=1e-6, atol=1e-7)
    seen = np.zeros(held.n, dtype=int)
    for shard, inside in left.shards():
        seen[inside] += 1
        assert (np.diff(inside) > 0).all()
        assert torch.equal(shard.labels, held.labels[torch.from_numpy(inside)])
        assert np.array_equal(shard.order, held.order[inside])
        assert np.array_equal(np.repeat(np.arange(3), np.diff(shard.bounds)), shard.labels)
    assert (seen == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.uint16])
@pytest.mark.parametrize("compiled", [True, False])
def test_curves_are_those_of_the_array(tmp_path, small_shards, monkeypatch, dtype, compiled):
    monkeypatch.setattr("diffregimes.posterior.fused.worth", lambda *_: compiled)
    held, left = clouds(tmp_path, dtype=dtype)
    one, two = (sweep(x, TIMES, draws=1024) for x in (held, left))
    assert np.array_equal(one.points, two.points)
    for name, values in one.values.items():
        scale = np.abs(values).max() + 1e-3
        # float32 sums are taken in another order: 1e-6 of a mean, and more of a single draw
        np.testing.assert_allclose(two.values[name], values, atol=2e-5 * scale, err_msg=name)
        mean = values.mean(axis=0)
        np.testing.assert_allclose(two.values[name].mean(axis=0), mean, atol=1e-6 * scale)


@pytest.mark.parametrize("compiled", [True, False])
def test_means_without_groups_are_those_of_the_array(tmp_path, small_shards, monkeypatch, compiled):
    monkeypatch.setattr("diffregimes.posterior.fused.worth", lambda *_: compiled)
    held, left = clouds(tmp_path)
    places = {"same_class_probability_loo": TIMES, "loo_free_energy_over_log_n": TIMES[1:2]}
    one, two = (left_out_means(x, places, blocks=3) for x in (held, left))
    for name in places:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-6, atol=2e-6)
    beta = np.array([[1.0, 0.64]] * len(TIMES))
    one, two = (heated_log_odds(x, TIMES, beta, blocks=3) for x in (held, left))
    np.testing.assert_allclose(two.log_odds, one.log_odds, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(two.same_point, one.same_point, rtol=1e-5)
    one, two = (heated_same_point(x, TIMES, beta) for x in (held, left))
    np.testing.assert_allclose(two, one, rtol=1e-5)

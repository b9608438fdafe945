"""Draws that are merged by their training point, against all of them kept one by one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from diffregimes.common.rng import numpy_generator, point_of_pair
from diffregimes.posterior import sample as module
from diffregimes.posterior.sample import Gathered, Sample
from diffregimes.transitions.crossing import resample
from diffregimes.transitions.points import point_times

TIMES = np.geomspace(0.1, 2, 5)
BLOCK = 16


def values(points, seed):
    """Of every unit: that of its point, and noise."""
    noise = np.random.default_rng(seed).standard_normal((2, len(points), 5))
    own = points[:, None] % 7 + np.arange(5)
    return {"own_point_probability": own + noise[0], "mmse": 1e6 + noise[1] / 1e3}


def gathered(n, blocks, seed=0):
    out, kept = Gathered(n), []
    for k in range(blocks):
        points = point_of_pair(n, k * BLOCK, BLOCK, seed)
        kept.append((points, values(points, k)))
        out.add(*kept[-1])
    whole = Sample(
        TIMES,
        np.concatenate([x[0] for x in kept]),
        {k: np.concatenate([x[1][k] for x in kept]) for k in kept[0][1]},
    )
    return out.sample(TIMES), whole


@pytest.mark.parametrize(("n", "rows"), [(5, 95), (40, 80), (96, 96), (100, 100), (300, 300)])
@pytest.mark.parametrize("blocks", [3, 6, 7, 25, 100])
def test_a_row_is_the_mean_of_draws_of_a_point(n, rows, blocks, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 99)
    found, whole = gathered(n, blocks)
    assert (found.units, found.curves().draws) == (blocks * BLOCK, 2 * blocks * BLOCK)
    np.testing.assert_array_equal(found.points, whole.points[:rows])
    assert (found.merged is not None) == (blocks * BLOCK > rows)
    for name, exact in whole.curves().se.items():
        np.testing.assert_allclose(found.curves().se[name], exact, rtol=1e-6)
    # unit j joins the row of its point in the round that its own takes the place of
    number = np.arange(whole.units)
    place = number // n % (rows // n)
    of = [np.flatnonzero((whole.points == p) & (place == k // n))
          for k, p in enumerate(found.points)]  # fmt: skip
    assert sum(map(len, of)) == (whole.units if found.merged else len(found.points))
    for name, value in whole.values.items():
        exact = np.stack([value[x].mean(axis=0) for x in of])
        np.testing.assert_allclose(found.values[name], exact, rtol=1e-12)


@pytest.mark.parametrize("n", [8, 96, 200])
def test_of_whole_rounds_nothing_is_lost(n, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 99)
    found, whole = gathered(n, 12 * (99 // n or 1) * n // BLOCK)
    assert len(found.points) < whole.units / 5
    for name, exact in whole.curves().values.items():
        np.testing.assert_allclose(found.curves()[name], exact, rtol=1e-12)
    one, two = (resample(x, numpy_generator(0, "bootstrap")) for x in (found, whole))
    for name, exact in two.resamples.items():
        np.testing.assert_allclose(one.resamples[name], exact, rtol=1e-12)
    np.testing.assert_allclose(point_times(found)[1], point_times(whole)[1], rtol=1e-9)


def test_a_mean_of_ones_is_one_in_every_resample():
    points = np.array([3, 5, 5, 5, 9, 9])
    found = resample(Sample(TIMES, points, {"mmse": np.ones((6, 5))}), numpy_generator(0, "x"))
    np.testing.assert_allclose(found.resamples["mmse"], 1, rtol=1e-12)


def test_memory_is_that_of_the_rows(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 1000)
    tracemalloc.start()
    many = Gathered(100)
    for k in range(200):
        many.add(point_of_pair(100, k * 500, 500, 0), {"mmse": np.ones((500, 40))})
    found = many.sample(TIMES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.units == 100_000
    assert (found.values["mmse"] == 1).all()
    assert found.values["mmse"].shape == (1000, 40)
    assert peak < 5 * 1000 * 40 * 8

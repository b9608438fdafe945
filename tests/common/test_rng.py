"""Randomness that belongs to a draw: one generator for each seed, stream and block."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from diffregimes.common.rng import numpy_generator, point_of_pair, sobol, torch_generator

NUMPY = [299, 233, 959, 735]
TORCH = [912, 418, 719, 162]


def first_numbers(make, *key):
    generator = make(*key)
    if isinstance(generator, torch.Generator):
        return tuple(torch.randint(2**62, (2,), generator=generator).tolist())
    return tuple(generator.integers(2**62, size=2).tolist())


@pytest.mark.parametrize("make", [torch_generator, numpy_generator])
def test_seed_stream_and_block_each_make_another_generator(make):
    keys = list(itertools.product((0, 1, 2**40), ("noise", "points", ""), (0, 1, 7)))
    seen = {first_numbers(make, *key) for key in keys}
    assert len(seen) == len(keys)
    assert seen == {first_numbers(make, *key) for key in keys}
    assert first_numbers(make, 5, "noise") == first_numbers(make, 5, "noise", 0)


def test_the_streams_of_today_are_those_of_yesterday():
    """Results on disk were drawn with these."""
    assert numpy_generator(0, "bootstrap").integers(1000, size=4).tolist() == NUMPY
    assert torch.randint(1000, (4,), generator=torch_generator(3, "noise", 2)).tolist() == TORCH


def test_neighbouring_blocks_are_independent():
    """64 generators of 256 numbers: moments of all, and no correlation of one with the next."""
    draws = torch.stack([torch.randn(256, generator=torch_generator(1, "x", k)) for k in range(64)])
    z = draws.double().numpy()
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
    assert abs((z[1:] * z[:-1]).mean()) < 4 / np.sqrt(z[1:].size)


def test_no_global_generator_is_touched():
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch.randn(5, generator=torch_generator(0, "x"))
    numpy_generator(0, "x").random(5)
    point_of_pair(10, 0, 25, 0)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


@pytest.mark.parametrize(("n", "first", "count"), [(7, 0, 7), (7, 3, 30), (50, 20, 10), (1, 4, 3)])
def test_pairs_take_the_points_in_one_order(n, first, count):
    """A part of the sequence is that part, wherever one begins."""
    whole = point_of_pair(n, 0, first + count, 9)
    np.testing.assert_array_equal(point_of_pair(n, first, count, 9), whole[first:])


def test_every_point_serves_once_an_epoch_in_an_order_of_its_own():
    epochs = point_of_pair(40, 0, 160, 2).reshape(4, 40)
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(40))
    for one, two in itertools.combinations([*epochs, np.arange(40)], 2):
        assert (one != two).sum() > 30
    assert (point_of_pair(40, 0, 40, 3) != epochs[0]).any()


@pytest.mark.parametrize("block", [0, 3])
def test_sobol_points_fill_the_cube_evenly(block):
    points = sobol(6, 256, 1, "a", block)
    assert points.shape == (256, 6)
    assert points.min() > 0
    assert points.max() < 1
    # one point in each of 256 slices of every coordinate, and in each 16 x 16 cell of the first two
    assert (np.sort((256 * points).astype(int), axis=0) == np.arange(256)[:, None]).all()
    cells = (16 * points[:, :2]).astype(int)
    assert len(np.unique(cells, axis=0)) == 256
    np.testing.assert_array_equal(points, sobol(6, 256, 1, "a", block))
    for other in (sobol(6, 256, 2, "a", block), sobol(6, 256, 1, "b", block)):
        assert (points != other).any(axis=0).all()
    assert (points != sobol(6, 256, 1, "a", block + 1)).any(axis=0).all()


def test_the_scrambling_leaves_no_bias():
    """Of the mean of a product, over 200 seeds: the points of one seed know each other."""
    values = [np.prod(sobol(3, 16, k, "bias"), axis=1).mean() for k in range(200)]
    z = (np.mean(values) - 1 / 8) / (np.std(values, ddof=1) / np.sqrt(len(values)))
    assert abs(z) < 3
    alone = np.sqrt((1 / 27 - 1 / 64) / 16)  # the error of 16 independent points
    assert np.std(values) < alone / 2

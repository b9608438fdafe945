"""Trajectories followed to their end points, against stored trajectories and the forward pass."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from clouds import digits01
from diffregimes import analyze
from diffregimes.auditing.entropy import model_entropy
from diffregimes.backward.clones import mixture_classes, nearest_classes
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import bridge, log_snr_times
from diffregimes.backward.tracking import COPY, copy_ratio, copy_share, is_copy, track
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.scores import EmpiricalScore, MixtureScore
from oracles import noised, weights

GRID = np.append(log_snr_times(5.0, 0.003, 199), 0.0)


def on_digits(draws, grid=GRID, norms=False, **options):
    points, labels = digits01()
    score = EmpiricalScore(points)
    classify = nearest_classes(score, labels)
    return track(score, score, draws, run=Run(grid, **options), classify=classify, norms=norms)


@cache
def tracked():
    return on_digits(512, seed=2)


def last_changes(values, times):
    """Rows (T, m) at `times`: when each column changed last, times[0] if never."""
    out = np.full(values.shape[1], times[0])
    for k in range(1, len(times)):
        out[values[k] != values[k - 1]] = times[k]
    return out


def slow_trajectories(score, draws, seed):
    """All states (T, m, d) on the way, on the noise of `track` (block 0)."""
    generator = torch_generator(seed, "track trunk", 0)
    x = torch.randn(draws, score.d, generator=generator)
    out = [x]
    for t, s in pairwise(GRID):
        z = torch.randn(draws, score.d, generator=generator)
        x = bridge(score, x, float(t), float(s), z)
        out.append(x)
    return torch.stack(out).numpy()


@cache
def nearest_on_the_way(draws, seed):
    """Last states, and the nearest training point to every state: (draws, d), (T, draws)."""
    points = digits01()[0]
    states = slow_trajectories(EmpiricalScore(points), draws, seed)
    far = [cdist(x, np.exp(-t) * points) for x, t in zip(states, GRID, strict=True)]
    return states[-1], np.argmin(far, axis=2)


def test_last_changes_are_those_of_stored_trajectories():
    labels, draws = digits01()[1], 200
    found = on_digits(draws, seed=4)
    last, nearest = nearest_on_the_way(draws, 4)
    assert np.array_equal(found.states, last)
    assert np.array_equal(found.point_time, last_changes(nearest, GRID))
    assert np.array_equal(found.class_time, last_changes(labels[nearest], GRID))
    assert np.array_equal(found.point, nearest[-1])
    assert np.array_equal(found.classes, labels[nearest[-1]])
    mean, error = found.mean_collapse()
    assert mean == last_changes(nearest, GRID).mean()
    assert error == pytest.approx(found.point_time.std(ddof=1) / np.sqrt(draws), rel=1e-12)
    assert found.mean_speciation()[0] == last_changes(labels[nearest], GRID).mean()


def test_exact_empirical_score_ends_on_training_points():
    points, labels = digits01()
    found = tracked()
    assert found.end_time == 0
    spacing = np.sqrt(np.sort(cdist(points, points, "sqeuclidean"), axis=1)[:, 1])
    assert (found.distance < 1e-3 * np.median(spacing)).all()
    assert np.abs(found.states - points[found.point]).max() < 1e-4
    assert np.array_equal(found.classes, labels[found.point])
    memorised = found.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    # Wilson's interval of m of m is [1/(1 + z^2/m), 1]
    assert (share, high) == (1.0, 1.0)
    assert low == pytest.approx(1 / (1 + 1.959964**2 / 512), abs=1e-7)


def test_distances_at_the_end_are_those_of_all_points():
    """Trajectories stopped on the way, where ratios are of any size."""
    points, labels = digits01()
    score = EmpiricalScore(points)
    grid = log_snr_times(5.0, 0.0012, 150)
    run = Run(grid, dtype=torch.float64)
    found = track(score, score, 100, run=run, classify=nearest_classes(score, labels))
    assert found.end_time == grid[-1]
    near = np.sort(cdist(found.states, np.exp(-grid[-1]) * points), axis=1)
    assert np.allclose(found.distance, near[:, 0], rtol=1e-5)
    assert np.allclose(found.ratio, near[:, 0] / near[:, 1], rtol=1e-5)
    assert found.ratio.min() < 1 / 3 < found.ratio.max()
    assert np.mean(found.ratio < 1 / 3) == found.memorised().value


def test_the_nearest_point_stays_with_its_posterior_probability():
    """Given x_t the end is drawn from the posterior, so that the point nearest to x_t is the end
    with probability E[max w]; no trajectory can have changed for the last time more often."""
    points, draws = digits01()[0], 256
    _, nearest = nearest_on_the_way(draws, 11)
    rng = np.random.default_rng(1)
    last = last_changes(nearest, GRID)
    for k in (100, 120, 140, 150, 160):
        mu, z = rng.integers(0, len(points), 4000), rng.standard_normal((4000, points.shape[1]))
        top = weights(points, noised(points, mu, z, GRID[k]), GRID[k]).max(axis=1)
        same = nearest[k] == nearest[-1]
        error = np.hypot(np.sqrt(top.mean() * (1 - top.mean()) / draws), top.std() / 4000**0.5)
        assert abs(same.mean() - top.mean()) < 4 * error, GRID[k]
        assert (last >= GRID[k]).mean() <= top.mean() + 4 * error


def test_last_changes_lie_near_the_transitions_of_the_forward_pass():
    """Collapse 1.4 times, speciation 2.2 times the clone criterion's: one late change counts, and
    1 % of the classes are those of the noise, "changed" at the start of the grid."""
    analysis = analyze(*digits01(), draws=4096, seed=1)
    when = {(x.transition, x.method): x.t for x in analysis.times}
    collapse, error = tracked().mean_collapse()
    assert 1.2 < collapse / when["collapse", "clone"] < 1.6
    assert 1.1 < collapse / np.nanmean(analysis.point_times) < 1.5
    assert error < 0.07 * collapse
    speciation, error = tracked().mean_speciation()
    assert 1.8 < speciation / when["speciation", "clone"] < 2.7
    median = np.median(tracked().class_time), np.median(tracked().point_time)
    assert 1.2 < median[0] / when["speciation", "clone"] < 2
    assert 0.8 < median[1] / when["collapse", "clone"] < 1.1


def population():
    means = torch.zeros(2, 12)
    means[:, 0] = torch.tensor([3.0, -3.0])
    return GaussianMixture(means, 1.0)


def test_a_score_that_generalises_copies_nothing():
    law = population()
    points, _ = law.sample(400, seed=3)
    grid = np.append(log_snr_times(5, 0.003, 349), 0.0)
    run = Run(grid, dtype=torch.float64)
    found = track(
        MixtureScore(law), EmpiricalScore(points), 512, run=run, classify=mixture_classes(law)
    )
    # fresh samples of the law are as far from the points
    fresh = np.sort(cdist(law.sample(512, seed=4)[0], points), axis=1)
    expected = (fresh[:, 0] / fresh[:, 1] < 1 / 3).mean()
    memorised = found.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    assert expected == 0
    assert share == low == 0
    assert high < 0.01
    gap = found.distance.mean() - fresh[:, 0].mean()
    assert abs(gap) < 4 * np.hypot(found.distance.std(), fresh[:, 0].std()) / np.sqrt(512)


def test_blocks_batches_and_stores_change_nothing(tmp_path):
    one = on_digits(300, GRID[::5], seed=7)
    for options in ({"batch": 50}, {"store": tmp_path, "recipe": {"data": "digits"}}):
        two = on_digits(300, GRID[::5], seed=7, **options)
        assert np.array_equal(one.point, two.point)
        assert np.array_equal(one.class_time, two.class_time)
        assert np.abs(one.states - two.states).max() < 1e-5
    assert len(list(tmp_path.glob("block-*.npz"))) == 2
    again = on_digits(300, GRID[::5], seed=7, store=tmp_path, recipe={"data": "digits"})
    assert all(np.array_equal(v, vars(again)[k]) for k, v in vars(two).items())


@pytest.mark.parametrize(
    ("points", "draws", "message"),
    [
        (np.zeros((1, 3)), 4, "one training point came; expected two or more"),
        (np.eye(3), 1, "draws is 1; expected a number from 2"),
    ],
)
def test_bad_input_is_named(points, draws, message):
    score = EmpiricalScore(points)
    classify = nearest_classes(score, np.zeros(len(points), dtype=int))
    with pytest.raises(InputError, match=message):
        track(score, score, draws, run=Run(GRID), classify=classify)


# ---- the norms of the score on the way


def test_norms_are_those_of_stored_trajectories():
    points, _ = digits01()
    score = EmpiricalScore(points)
    found = on_digits(40, seed=2, norms=True)
    way = slow_trajectories(score, 40, seed=2)[:-1].astype(np.float64)
    centre = points.mean(axis=0, dtype=np.float64)
    for k in range(0, len(GRID) - 1, 20):
        t, x = float(GRID[k]), torch.from_numpy(way[k])
        shrink, level = np.exp(-t), np.sqrt(-np.expm1(-2 * t))
        noise = (way[k] - shrink * score.denoise(x, t).numpy()) / level
        np.testing.assert_allclose(found.noise_norm[:, k], (noise**2).sum(1), rtol=2e-3)
        beside = (noise * (way[k] - shrink * centre)).sum(1) / level
        np.testing.assert_allclose(found.noise_state[:, k], beside, rtol=2e-3, atol=1e-3)
    assert np.array_equal(found.states, on_digits(40, seed=2).states)


def test_norms_are_of_scores_asked_once_a_step():
    score = EmpiricalScore(digits01()[0])
    run = Run(GRID, sampler="flow-heun")
    with pytest.raises(InputError, match="asks the score 2 times a step"):
        track(score, score, 4, run=run, classify=lambda x, t: x[:, 0] > 0, norms=True)


def test_entropy_needs_norms():
    with pytest.raises(InputError, match="norms=True"):
        model_entropy(tracked(), GRID, None, 360)


def test_one_definition_of_a_copy():
    ratio = copy_ratio(np.array([1.0, 1.0, 0.0, 0.0]), np.array([2.9, 3.1, 1.0, 0.0]))
    np.testing.assert_allclose(ratio, [1 / 2.9, 1 / 3.1, 0, 0])
    assert is_copy(ratio).tolist() == [False, True, True, True], "a point twice is a copy too"
    assert not is_copy(np.array([COPY])).any()
    share = copy_share(ratio)
    assert (share.count, share.of) == (3, 4)

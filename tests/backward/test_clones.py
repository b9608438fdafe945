"""Clones and U-turns against the forward pass, closed forms, and runs that are killed half-way."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2
from sklearn.datasets import load_digits

import diffregimes as dr
from command import killed
from diffregimes.backward.clones import (
    Ends,
    mixture_classes,
    nearest_classes,
    run_clones,
    run_uturns,
)
from diffregimes.backward.descent import BLOCK, Run
from diffregimes.backward.samplers import log_snr_times, uniform_times
from diffregimes.common.checks import InputError
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.scores import AbstractScore, CallableScore, EmpiricalScore, MixtureScore
from diffregimes.theory.gaussian_mixture import TwoGaussians, phi

CLASS, POINT = "same_class_probability", "same_point_probability"
LIMIT = 4.0  # of z, the largest of some hundred over the file


@cache
def digits(*classes):
    """Handwritten digits of these classes, (n, 64) in [0, 1], labels 0, 1, ..."""
    data = load_digits()
    keep = np.isin(data.target, classes)
    points = (data.data[keep] / 16).astype(np.float32)
    return points, np.searchsorted(classes, data.target[keep]).astype(np.int64)


def fine(steps, start=5.0):
    """Even in log-SNR down to t = 0.003, then 0."""
    return np.append(log_snr_times(start, 0.003, steps - 1), 0.0)


def middle_times(points, labels, count=6):
    """Times between which phi_C and phi change: from phi_C = 0.9 to 90 % of the way of phi."""
    t = np.geomspace(0.03, 4, 60)
    curves = sweep(prepare(points, labels), t, draws=1024, seed=9).curves()
    low = t[curves[POINT] < 0.9][0]
    chance = (np.bincount(labels) ** 2).sum() / len(labels) ** 2
    high = t[curves[CLASS] > chance + 0.1 * (1 - chance)][-1]
    return np.geomspace(low, high, count)


def judged(ends, forward):
    """Largest |z| of phi and phi_C, and the p-values of chi-square over all times at once.

    `forward` is a `sweep.Sample` at the same times: errors of both count. Times at which all but
    a few pairs agree, or differ, are left out: nothing is Gaussian there.
    """
    order = np.argsort(ends.times)
    out = {}
    for name in ends.names:
        mean = forward.values[name].mean(0)
        told = len(ends.classes) * mean * (1 - mean) > 10
        same, units = ends.agreement(name)[:, order][:, told], forward.values[name][:, told]
        gap = same.mean(0) - units.mean(0)
        spread = np.cov(same.T) / len(same) + np.cov(units.T) / len(units)
        z = gap / np.sqrt(np.diag(spread))
        assert len(z) >= 3, name
        out[name] = np.abs(z).max(), chi2.sf(gap @ np.linalg.solve(spread, gap), len(gap))
    return out


def forward_at(points, labels, ends, draws=16384):
    return sweep(prepare(points, labels), np.sort(ends.times), draws=draws, seed=21)


def agrees(ends, points, labels):
    for name, (z, p) in judged(ends, forward_at(points, labels, ends)).items():
        print(f"{name}: |z| up to {z:.2f}, p = {p:.3f}")
        assert z < LIMIT, (name, z, p)
        assert p > 1e-3, (name, z, p)


def clones_of(points, labels, pairs, steps, **options):
    score = EmpiricalScore(points)
    return run_clones(
        score, middle_times(points, labels), pairs, run=Run(fine(steps), seed=5),
        classify=nearest_classes(score, labels), training=score, **options,
    )  # fmt: skip


@cache
def digit_clones():
    return clones_of(*digits(0, 1), 768, 300)


# ---- curves


def test_clones_of_digits_agree_with_the_forward_pass():
    agrees(digit_clones(), *digits(0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("pair", [(0, 7), (4, 6)])
def test_clones_of_a_pair_cross_where_the_pairs_of_all_digits_say(pair):
    """t_S of two digits, from the analysis of all ten; clones under the exact score of the two."""
    found = dr.analyze(*digits(*range(10)), draws=4096).pair(*map(str, pair)).clone
    points, labels = digits(*pair)
    score = EmpiricalScore(points)
    times = np.array([0.8, 0.9, 1.0, 1.1, 1.25]) * found.t
    ends = run_clones(
        score, times, 3072, run=Run(fine(400), seed=5), classify=nearest_classes(score, labels)
    )
    order = np.argsort(ends.times)
    same = ends.agreement(ends.names[0])[:, order]
    error = same.std(axis=0) / np.sqrt(len(same))
    phi = same.mean(axis=0)
    at = np.log(snr(ends.times[order]))[::-1]
    crossing = np.interp(0.775, phi[::-1], at)
    slope = np.polyfit(at, phi[::-1], 1)[0]
    low, high = (np.log(snr(x)) for x in (found.high, found.low))
    spread = np.hypot((high - low) / 2 / 2.13, error[2] / slope)
    print(f"{pair}: clones cross at {time_from_snr(np.exp(crossing)):.4f}, {found}")
    assert abs(crossing - np.log(snr(found.t))) < 3 * spread
    assert phi[0] > 0.775 + 3 * error[0]
    assert phi[-1] < 0.775 - 3 * error[-1]


@pytest.mark.slow
@pytest.mark.parametrize("pair", [(3, 8), (4, 9)])
def test_clones_of_other_digits_agree_with_the_forward_pass(pair):
    agrees(clones_of(*digits(*pair), 1024, 500), *digits(*pair))


@pytest.mark.slow
def test_clones_of_pandas_agree_with_the_forward_pass(real_data):
    (file,) = (real_data / "imagenet-panda-seashore").glob("*.npz")
    with np.load(file) as data:
        train = ~data["is_val"].astype(bool)
        images, labels = data["images"][train], data["labels"][train].astype(np.int64)
    half = images[..., 0].reshape(len(images), 16, 2, 16, 2).mean(axis=(2, 4)) / 255
    points = half.reshape(len(half), -1).astype(np.float32)
    agrees(clones_of(points, labels, 768, 400), points, labels)


def mixture_run(mixture, times, pairs, steps=400, **options):
    run = Run(uniform_times(8, 0, steps), seed=3, dtype=torch.float64)
    score, classify = MixtureScore(mixture), mixture_classes(mixture)
    return run_clones(score, times, pairs, run=run, classify=classify, **options)


def z_of(ends, expected):
    """z of phi over increasing times against numbers that are exact."""
    curves = ends.curves()
    pairs = ends.classes.shape[2] * (ends.classes.shape[2] - 1) / 2
    least = np.sqrt(expected * (1 - expected) / len(ends.classes) / pairs)
    return (curves[CLASS] - expected) / np.maximum(curves.se[CLASS], least)


@pytest.mark.parametrize("d", [256, 16384])
def test_two_gaussians_in_their_span_agree_with_the_closed_form(d):
    times = 0.5 * np.log(d) + np.array([-1, -0.5, 0, 0.5, 1])
    ends = mixture_run(two_gaussians(d).in_span(), times, 1024)
    z = z_of(ends, phi(TwoGaussians(d), np.sort(ends.times)))
    assert np.abs(z).max() < LIMIT, z


@cache
def three():
    return GaussianMixture([[3.0, 0, 0], [-2, 2, 0], [-1, -2, 1]], 0.5, [0.5, 0.3, 0.2])


def test_three_classes_and_more_branches_agree_with_quadrature():
    times = [0.3, 0.7, 1.1, 1.6]
    two, four = (mixture_run(three(), times, 1024, branches=b) for b in (2, 4))
    curves = three().population_curves(np.sort(two.times), draws=100_000)
    expected = curves[CLASS]
    assert (curves.se[CLASS] < 1e-3).all()
    assert four.classes.shape == (1024, 4, 4)
    assert np.abs(z_of(two, expected)).max() < LIMIT
    assert np.abs(z_of(four, expected)).max() < LIMIT
    # six pairs of four clones say more than one
    assert (four.curves().se[CLASS] < 0.9 * two.curves().se[CLASS]).all()


def test_agreement_is_the_share_of_equal_pairs():
    ends = np.random.default_rng(0).integers(0, 3, (50, 2, 4))
    pairs = [(a, b) for a in range(4) for b in range(a)]
    by_hand = np.mean([ends[..., a] == ends[..., b] for a, b in pairs], axis=0)
    found = Ends(np.array([2.0, 1.0]), ends, None).agreement(CLASS)
    assert np.abs(found - by_hand).max() < 1e-15


# ---- what the answer depends on


def same(one, two):
    assert np.array_equal(one.times, two.times)
    assert np.array_equal(one.classes, two.classes)
    if one.points is not None:
        assert np.array_equal(one.points, two.points)


def small(pairs=300, seed=0, **options):
    score, labels = EmpiricalScore(digits(0, 1)[0][::3]), digits(0, 1)[1][::3]
    run = Run(fine(40), seed=seed, **options)
    classify = nearest_classes(score, labels)
    return run_clones(score, [0.4, 1.2], pairs, run=run, classify=classify, training=score)


def test_same_seed_same_ends_whatever_batch_memory_and_threads():
    first = small()
    same(first, small())
    same(first, small(batch=77))
    same(first, small(memory_mib=16))
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            same(first, small())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (small(seed=1).points != first.points).mean() > 0.5


def test_fewer_pairs_are_the_whole_blocks_of_more():
    """A block is drawn as one, so that the last and shorter one has draws of its own."""
    few, many = small(300), small(600)
    assert np.array_equal(few.points[:BLOCK], many.points[:BLOCK])
    assert (few.points[BLOCK:] != many.points[BLOCK:300]).any()


def test_the_trunk_is_the_same_whatever_the_times():
    """The path of the first clone is not touched by where, and how often, others leave it."""
    options = {"steps": 50}
    ends = [
        mixture_run(three(), [1.0], 300, **options),
        mixture_run(three(), [8.0, 2.0, 1.0, 0.2], 300, **options),
        mixture_run(three(), [0.5], 300, branches=5, **options),
    ]
    assert [e.classes.shape for e in ends] == [(300, 1, 2), (300, 4, 2), (300, 1, 5)]
    trunk = ends[0].classes[:, 0, 0]
    for e in ends:
        assert (e.classes[:, :, 0] == trunk[:, None]).all()


def test_times_move_to_the_grid_each_once():
    ends = mixture_run(three(), [1.01, 0.99, 2.0, 1.0, 0.0], 4, steps=80)
    assert np.allclose(ends.times, [2.0, 1.0, 0.1])  # nobody parts at the very end
    assert np.allclose(ends.curves().t, [0.1, 1.0, 2.0])


# ---- intervals: ends drawn from known posteriors, so that phi is known


def toy_ends(repetitions, pairs, branches, seed=0):
    """Ends (repetitions, pairs, 1, B) of two classes with p ~ Beta(1, 2), and their phi."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 2, (repetitions, pairs, 1, 1))
    ends = rng.random((repetitions, pairs, 1, branches)) < p
    return ends.astype(np.int64), 1 - 2 * (1 / 3) * (2 / 3) * (3 / 4)  # E[p(1-p)] = 1/6


def covered(intervals, truth):
    inside = sum(low[0] <= truth <= high[0] for low, high in intervals)
    return inside, len(intervals)


def test_wilson_covers_95_percent():
    ends, truth = toy_ends(1000, 150, 2)
    inside, total = covered([Ends(np.ones(1), e, None).wilson(CLASS) for e in ends], truth)
    assert 0.0005 < binom.cdf(inside, total, 0.95) < 0.9995, inside / total


def test_bootstrap_covers_95_percent():
    ends, truth = toy_ends(250, 200, 3)
    inside, total = covered([Ends(np.ones(1), e, None).bootstrap(CLASS) for e in ends], truth)
    assert 0.0005 < binom.cdf(inside, total, 0.95) < 0.9995, inside / total


@pytest.mark.parametrize("branches", [2, 4])
def test_standard_errors_are_those_of_repetitions(branches):
    ends, truth = toy_ends(1000, 100, branches)
    curves = [Ends(np.ones(1), e, None).curves() for e in ends]
    means = np.array([c[CLASS][0] for c in curves])
    claimed = np.mean([c.se[CLASS][0] ** 2 for c in curves])
    assert abs(means.mean() - truth) < 4 * np.sqrt(claimed / 1000)
    assert abs(means.var() / claimed - 1) < 4 * np.sqrt(2 / 1000)


# ---- U-turns


@cache
def digit_uturns(draws=720):
    points, labels = digits(0, 1)
    score = EmpiricalScore(points)
    return run_uturns(
        score, points, labels, middle_times(points, labels), draws, run=Run(fine(300), seed=6),
        classify=nearest_classes(score, labels), training=score,
    )  # fmt: skip


def test_uturns_coincide_with_the_forward_pass_and_with_clones():
    agrees(digit_uturns(), *digits(0, 1))
    ends, clones = digit_uturns(), digit_clones()
    assert np.array_equal(ends.times, clones.times)
    for name in ends.names:
        a, b = ends.curves(), clones.curves()
        z = (a[name] - b[name]) / np.hypot(a.se[name], b.se[name]).clip(1e-3)
        assert np.abs(z).max() < LIMIT, z


def test_uturns_start_from_every_point_equally_often():
    ends = digit_uturns()
    start = ends.points[:, :, 0]
    assert (start == start[:, :1]).all()
    assert (np.bincount(start[:, 0]) == 2).all()  # 720 draws of 360 points
    assert np.array_equal(ends.classes[:, :, 0], digits(0, 1)[1][start])
    assert ends.kind == "uturn"


# ---- stores


class Counting(AbstractScore):
    """Counts how often it is asked."""

    dimension = 1

    def __init__(self, pause=0.0):
        self.inner, self.calls, self.pause = MixtureScore(two_gaussians(64).in_span()), 0, pause

    def denoise(self, x, t):
        self.calls += 1
        assert not torch.is_grad_enabled()  # a network would keep a graph of all steps
        time.sleep(self.pause)
        return self.inner.denoise(x, t)


STEPS = 50


def stored(folder, pairs=6 * BLOCK, score=None, seed=0, recipe="toy"):
    score = score or Counting()
    run = Run(
        uniform_times(6, 0, STEPS), seed=seed, store=folder, recipe=recipe and {"data": recipe}
    )
    classify = mixture_classes(score.inner.mixture)
    return score, run_clones(score, [1, 2, 3], pairs, run=run, classify=classify)


def test_a_killed_run_goes_on_where_it_stood(tmp_path):
    _, expected = stored(None, recipe=None)
    folder = tmp_path / "store"
    killed(
        lambda: stored(folder, score=Counting(pause=0.004)),
        lambda: len(list(folder.glob("block-*.npz"))) >= 2,
    )
    kept = len(list(folder.glob("block-*.npz")))
    assert 2 <= kept < 6
    (folder / ".block-000005.npz.77.tmp").write_bytes(b"half")
    score, found = stored(folder)
    assert score.calls == (6 - kept) * STEPS
    same(expected, found)
    score, found = stored(folder)
    assert score.calls == 0
    same(expected, found)


def test_a_damaged_block_is_run_again(tmp_path):
    _, expected = stored(tmp_path)
    whole = (tmp_path / "block-000001.npz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no archive", whole[:200] + whole[300:]):
        (tmp_path / "block-000001.npz").write_bytes(damaged)
        score, found = stored(tmp_path)
        assert score.calls == STEPS
        same(expected, found)
        assert (tmp_path / "block-000001.npz").read_bytes() == whole


def test_more_pairs_take_up_the_whole_blocks_of_fewer(tmp_path):
    stored(tmp_path, pairs=2 * BLOCK + 9)
    score, found = stored(tmp_path, pairs=4 * BLOCK)
    assert score.calls == 2 * STEPS
    same(stored(None, pairs=4 * BLOCK, recipe=None)[1], found)


def test_a_store_of_another_run_is_refused(tmp_path):
    stored(tmp_path)
    for other in ({"seed": 1}, {"recipe": "other data"}):
        with pytest.raises(InputError, match="holds the unfinished run of other options"):
            stored(tmp_path, **other)
    with pytest.raises(InputError, match="names the score"):
        stored(tmp_path, recipe=None)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        stored(tmp_path / "file")


def test_progress_counts_blocks_and_may_stop_the_run(tmp_path):
    seen = []

    def progress(done, total, text):
        seen.append((done, total, text))
        if done >= 2:
            raise KeyboardInterrupt

    score = Counting()
    run = Run(uniform_times(6, 0, STEPS), progress=progress)
    with pytest.raises(KeyboardInterrupt):
        run_clones(score, [1], 40 * BLOCK, run=run, classify=mixture_classes(score.inner.mixture))
    assert [x[1:] for x in seen] == [(40, "clones")] * len(seen)
    assert [x[0] for x in seen] == sorted(x[0] for x in seen)
    assert seen[-1][0] >= 2
    assert score.calls < 20 * STEPS


def test_a_block_tells_the_share_of_its_work():
    run, seen = Run(uniform_times(6, 0, 20)), []
    block = run.block("clones", 0, 8, tell=seen.append)

    def start(x):
        return torch.zeros(8, 1)

    def part(x):
        return x[:8]

    with torch.no_grad():
        block.descend(Counting(), {0: (start,), 10: (part,)})
    # ten steps with one group of states, ten with two
    work = np.cumsum([1] * 10 + [2] * 10)
    np.testing.assert_allclose(seen, work / 30)


def test_progress_is_told_while_a_block_runs():
    heard = threading.Event()

    def progress(done, total, text):
        if 0 < done < 1:
            heard.set()

    class Waits(Counting):
        def denoise(self, x, t):
            if self.calls > 5:  # the block does not go on before it was heard of
                assert heard.wait(60)
            return super().denoise(x, t)

    score = Waits()
    run = Run(uniform_times(6, 0, 20), progress=progress)
    run_clones(score, [3], 8, run=run, classify=mixture_classes(score.inner.mixture))


# ---- where a curve crosses a level


def ends_of(phi, times, pairs, seed):
    """Ends of clones that agree with probability phi (T,), drawn apart at every time."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2, (pairs, len(times)))
    same = rng.random((pairs, len(times))) < phi
    return Ends(np.asarray(times), np.stack([first, np.where(same, first, 1 - first)], 2), None)


def test_the_crossing_of_noisy_agreements_is_unbiased_and_its_interval_covers():
    times = np.geomspace(0.3, 2.5, 10)
    phi = 0.5 + 0.5 / (1 + times**2)  # 0.775 at t = sqrt(9/11)
    known, hits, values = math.sqrt(1 / 0.55 - 1), 0, []
    for seed in range(40):
        t, (low, high) = ends_of(phi, times, 256, seed).crossing(CLASS, 0.775, seed)
        values.append(t)
        hits += low <= known <= high
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - known) < 4 * error + 0.005  # that much is the interpolation's
    assert hits >= 33  # 95 % of 40 are 38 +- 1.4


def test_a_level_that_is_not_met_is_no_crossing():
    times = np.array([0.5, 1.0, 2.0])
    assert ends_of(np.full(3, 1.0), times, 50, 0).crossing(CLASS, 0.775)[0] is None
    assert ends_of(np.full(3, 0.5), times, 50, 0).crossing(CLASS, 0.775)[0] is None


def test_noise_does_not_move_the_crossing_to_the_last_of_several():
    # agreements 0.9, 0.7, 0.9, 0.6: the falling curve nearest is 0.9, 0.8, 0.8, 0.6
    same = np.array([0.9, 0.7, 0.9, 0.6]) * 100
    first = np.zeros((100, 4), dtype=int)
    second = (np.arange(100)[:, None] >= same).astype(int)
    times = np.array([0.5, 0.8, 1.1, 1.6])
    t, _ = Ends(times, np.stack([first, second], 2), None).crossing(CLASS, 0.85)
    place = -np.log(snr(np.array([t, 0.5, 0.8])))
    assert place[1] < place[0] < place[2]


# ---- bad input


def attempt(score=None, times=(1.0,), pairs=4, *, run=None, classify=None, **options):
    score = score or MixtureScore(three())
    run = run or Run(uniform_times(3, 0, 10))
    return run_clones(
        score, times, pairs, run=run, classify=classify or mixture_classes(three()), **options
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [1.0, 3.5]}, "3.5, beyond the sampler's grid from 3 to 0"),
        ({"times": [-0.1]}, "beyond the sampler's grid"),
        ({"times": []}, "no finite time"),
        ({"times": [1, np.nan]}, "no finite time"),
        ({"branches": 1}, "branches is 1; expected a number from 2"),
        ({"pairs": 1}, "pairs is 1; expected a number from 2"),
        ({"classify": lambda x, t: x}, r"classify gave the shape \(8, 3\) for 8 end points"),
        ({"score": CallableScore(lambda x, t: x)}, "pass dimension="),
        ({"score": CallableScore(lambda x, t: x[:, :2]), "dimension": 3}, "the same shape"),
        ({"dimension": 4}, r"expected a float tensor \(m, 3\)"),
        ({"score": CallableScore(lambda x, t: x * (np.nan if t < 1.5 else 1)), "dimension": 3},
         r"NaN or infinite values for 4 of 4 states at t = 1\.2"),
    ],
)  # fmt: skip
def test_bad_input_is_named(options, message):
    with pytest.raises(InputError, match=message):
        attempt(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": [0, 1, 2]}, "times must decrease"),
        ({"grid": [2, 1, 1, 0]}, "times must decrease"),
        ({"grid": [1.0]}, "at least two"),
        ({"grid": [1.0, np.nan]}, "finite"),
        ({"grid": [2, 1], "sampler": "ddrm"}, "sampler is 'ddrm'; expected one of"),
        ({"grid": [2, 1], "sampler": "ddim"}, "without noise: two clones would be one"),
        ({"grid": [2, 1], "batch": 0}, "batch is 0"),
    ],
)
def test_bad_runs_are_named(options, message):
    with pytest.raises(InputError, match=message):
        attempt(run=Run(**options))


def test_states_that_run_away_are_named():
    """A score that is finite but wrong: the states overflow where nothing looks at them."""

    class Wrong(AbstractScore):
        dimension = 3

        def denoise(self, x, t):
            return 1e6 * x

    with pytest.raises(InputError, match="infinite or NaN on the way with sampler 'euler"):
        attempt(Wrong(), run=Run(uniform_times(3, 0, 50), sampler="euler-maruyama"))


def test_bad_starts_of_uturns_are_named():
    points, labels = digits(0, 1)
    score = EmpiricalScore(points)
    common = {"run": Run(uniform_times(3, 0, 5)), "classify": nearest_classes(score, labels)}
    with pytest.raises(InputError, match=r"labels \(9,\); expected \(n, d\)"):
        run_uturns(score, points, labels[:9], [1], 4, **common)
    with pytest.raises(InputError, match="training holds 360 points, points 9"):
        run_uturns(score, points[:9], labels[:9], [1], 4, training=score, **common)
    with pytest.raises(InputError, match="draws is 1"):
        run_uturns(score, points, labels, [1], 1, **common)


def test_what_was_not_measured_is_refused():
    ends = mixture_run(three(), [1.0], 8, steps=5, branches=3)
    with pytest.raises(InputError, match="not compared with training points"):
        ends.agreement(POINT)
    with pytest.raises(InputError, match="two branches, not more"):
        ends.wilson(CLASS)


# ---- memory

MEASURED = """
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(2)
from diffregimes.backward.clones import mixture_classes, nearest_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import uniform_times
from diffregimes.populations import two_gaussians
from diffregimes.scores import EmpiricalScore, MixtureScore
def mib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) / 1024 for x in lines if x.startswith(name))
def go(score, times, pairs, steps, classify):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = mib("VmRSS")
    run = Run(uniform_times(8, 0, steps), memory_mib=128)
    run_clones(score, times, pairs, run=run, classify=classify)
    print(mib("VmHWM") - before)
law = two_gaussians(1024).in_span()
go(MixtureScore(law), np.arange(1, 8), 16, 5, mixture_classes(law))  # loads what is loaded late
go(MixtureScore(law), np.linspace(1, 7, 19), 10_000, 50, mixture_classes(law))
points = np.random.default_rng(0).random((2000, 3072), dtype=np.float32)
score = EmpiricalScore(points, memory_mib=64)
go(score, [1, 2, 3], 512, 6, nearest_classes(score, np.arange(2000) % 2))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_stays_modest():
    """State and noise of a block at d = 3072 are 12 MiB each, the budget is 128 MiB."""
    out = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True
    )
    _, mixture, empirical = (float(x) for x in out.stdout.split())
    print(f"{mixture:.0f} and {empirical:.0f} MiB")
    assert mixture < 50, mixture
    assert empirical < 256, empirical

"""Groups of points left out in turn, and heated weights: against float64 sums over subsets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chi2

import mixture_reference as mixture
import oracles
from clouds import blobs, near_duplicates
from diffregimes.data.cloud import prepare
from diffregimes.posterior import fused, groups
from diffregimes.posterior.groups import GROUPS, grouped, jackknife_error
from diffregimes.posterior.left_out import Heated, Means, asked, heated_log_odds, left_out_means
from diffregimes.posterior.moments import draw_block
from diffregimes.posterior.observables import OBSERVABLES
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr

TIMES = np.array([0.3, 0.8, 1.6])
NAMES = [x.name for x in OBSERVABLES if x.name not in ("mmse", "mmse_loo")]


def means(cloud, times, **given):
    """Of every observable at the same times."""
    return left_out_means(cloud, dict.fromkeys(NAMES, times), **given)


def exponents_of(parts, block, seed, t):
    """l in float64 for z and -z, (2, p, n), rows of the grouped cloud, and mu (p,)."""
    cloud, drawn = parts.cloud, draw_block(parts.cloud, block, seed)
    places = cloud.coordinates.double().numpy() * cloud.scale
    mu, z = drawn.points.numpy(), drawn.noise.double().numpy()
    square = ((places[mu][:, None] - places) ** 2).sum(-1)
    along = z @ places.T - (z * places[mu]).sum(1, keepdims=True)
    gamma = float(snr(t))
    both = [-0.5 * gamma * square + s * np.sqrt(gamma) * along for s in (1, -1)]
    return np.array(both), mu


def by_definition(parts, kept, exponent, mu, beta=1.0):
    """For draws that start from kept points: log-sums of the classes over kept points but mu, and
    the numbers of these points."""
    labels, rows = parts.cloud.labels.numpy(), np.flatnonzero(kept[mu])
    here = beta * exponent[:, rows]
    here[:, np.arange(len(rows)), mu[rows]] = -np.inf
    classes = range(labels.max() + 1)
    sums = [logsumexp(here[..., kept & (labels == c)], axis=-1) for c in classes]
    counts = np.array([(kept & (labels == c)).sum() for c in classes]) - np.eye(len(classes))
    return np.stack(sums, axis=-1), counts[labels[mu[rows]]], labels[mu[rows]]


@pytest.mark.parametrize("cloud", [blobs(70, 5, classes=3), blobs(90, 120)])
def test_means_without_a_group_by_definition(cloud):
    cloud = prepare(*cloud)
    seen = means(cloud, TIMES, blocks=2, seed=4)
    parts = grouped(cloud, seed=4)
    for j, t in enumerate(TIMES):
        for g in (None, 0, 7, GROUPS - 1):
            kept = np.ones(cloud.n, bool) if g is None else parts.group != g
            loo, own, free = [], [], []
            for block in range(2):
                sums, _, mine = by_definition(parts, kept, *exponents_of(parts, block, 4, t))
                total = logsumexp(sums, axis=-1)
                p = np.exp(sums - total[..., None])
                loo += list((p**2).sum(-1).mean(0))
                own += list(p[:, np.arange(len(mine)), mine].mean(0))
                free += list(total.mean(0))
            k = 0 if g is None else 1 + g
            log_n = np.log(cloud.n)
            at = {name: x[j, k] for name, x in seen.items()}
            assert at["same_class_probability_loo"] == pytest.approx(np.mean(loo), abs=1e-4)
            assert at["own_class_probability_loo"] == pytest.approx(np.mean(own), abs=1e-4)
            assert at["loo_free_energy_over_log_n"] * log_n == pytest.approx(
                np.mean(free), abs=2e-3, rel=1e-4
            )


def test_the_whole_set_is_what_the_sweep_finds():
    cloud = prepare(*blobs(150, 9, classes=3))
    seen = means(cloud, TIMES, blocks=2, seed=1)
    swept = sweep(cloud, TIMES, draws=512, seed=1).curves()
    assert set(seen) == {x.name for x in OBSERVABLES} - {"mmse", "mmse_loo"}
    for name, values in seen.items():
        np.testing.assert_allclose(values[:, 0], swept[name], rtol=2e-4, atol=2e-5, err_msg=name)
    # each at its own times, in any order
    places = {
        "information": TIMES[[2, 0]],
        "same_point_probability": TIMES[[1]],
        "class_entropy": TIMES[[0, 2]],
    }
    for name, values in left_out_means(cloud, places, blocks=2, seed=1).items():
        at = np.searchsorted(TIMES, places[name])
        np.testing.assert_allclose(values, seen[name][at], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_log_odds_by_definition(beta):
    cloud = prepare(*blobs(80, 6, classes=3))
    seen = heated_log_odds(cloud, TIMES, np.full((3, 1), beta), blocks=2, seed=3)
    parts = grouped(cloud, seed=3)
    for j, t in enumerate(TIMES):
        for g in (None, 5):
            kept = np.ones(cloud.n, bool) if g is None else parts.group != g
            apart = [[] for _ in range(3)]
            for block in range(2):
                exponent, mu = exponents_of(parts, block, 3, t)
                sums, counts, mine = by_definition(parts, kept, exponent, mu, beta)
                density = (sums - np.log(counts)).mean(0)
                for row, c in zip(density, mine, strict=True):
                    apart[c].append(row[c] - row)
            expected = [np.mean(x, axis=0) for x in apart]
            got = seen.log_odds[j, 0, 0 if g is None else 1 + g]
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_pairs_of_classes_by_a_slow_oracle(compiled, monkeypatch):
    """Distances to e^-t a_nu themselves, in float64: of the whole set and without a group."""
    monkeypatch.setattr(fused, "worth", lambda *_: compiled)
    cloud = prepare(*blobs(80, 6, classes=3))
    seen = heated_log_odds(cloud, TIMES, np.ones((3, 1)), blocks=2, seed=3)
    parts = grouped(cloud, seed=3)
    places = parts.cloud.coordinates.double().numpy() * cloud.scale
    labels = parts.cloud.labels.numpy()
    drawn = [draw_block(parts.cloud, block, 3) for block in range(2)]
    mu = np.concatenate([x.points.numpy() for x in drawn])
    z = np.concatenate([x.noise.double().numpy() for x in drawn])
    mu, z = np.tile(mu, 2), np.concatenate([z, -z])
    for k, group in enumerate((None, 0, 11)):
        kept = np.ones(cloud.n, bool) if group is None else parts.group != group
        rows, row_of = kept[mu], np.cumsum(kept) - 1
        for j, t in enumerate(TIMES):
            expected = oracles.pairs_of_classes(
                places[kept], labels[kept], row_of[mu[rows]], z[rows], t
            )
            found = np.array([seen.log_odds, seen.own, seen.confidence])
            got = found[:, j, 0, 0 if k == 0 else 1 + group]
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_questions_asked_together_have_the_answers_of_each_alone(compiled, monkeypatch):
    monkeypatch.setattr(fused, "worth", lambda *_: compiled)
    cloud = prepare(*blobs(300, 6, classes=3))
    # other times, in no order, at other temperatures: what is asked beside it moves nothing
    places = {"class_log_odds": TIMES[[2, 0]], "loo_free_energy_over_log_n": TIMES[1:2]}
    times, beta = np.array([1.1, 0.4]), np.array([[1.0, 0.2], [0.7, 0.45]])
    how = {"blocks": 2, "seed": 5}
    means, heated = asked(cloud, [Means(places), Heated(times, beta)], **how)
    for name, values in left_out_means(cloud, places, **how).items():
        np.testing.assert_allclose(means[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    alone = heated_log_odds(cloud, times, beta, **how)
    np.testing.assert_allclose(heated.log_odds, alone.log_odds, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(heated.same_point, alone.same_point, rtol=1e-5)
    again, last = asked(cloud, [Heated(times, beta), Means(places)], **how)
    np.testing.assert_allclose(again.log_odds, alone.log_odds, rtol=1e-4, atol=1e-5)
    assert last.keys() == places.keys()


def test_the_points_that_compete():
    cloud = prepare(*blobs(80, 6))
    beta = np.tile([1.0, 0.4], (3, 1))
    seen = heated_log_odds(cloud, TIMES, beta, blocks=1, seed=3)
    parts = grouped(cloud, seed=3)
    for j, t in enumerate(TIMES):
        exponent, mu = exponents_of(parts, 0, 3, t)
        exponent[:, np.arange(len(mu)), mu] = -np.inf
        for k, b in enumerate(beta[j]):
            w = np.exp(b * exponent - logsumexp(b * exponent, axis=-1, keepdims=True))
            assert seen.same_point[j, k] == pytest.approx((w**2).sum(-1).mean(), rel=2e-4)


def test_groups_hold_the_same_share_of_every_class():
    cloud = prepare(*blobs(333, 4, classes=4))
    parts = grouped(cloud, seed=2)
    assert sorted(parts.cloud.order) == list(range(333))
    np.testing.assert_array_equal(parts.sizes.sum(axis=1), np.diff(cloud.bounds))
    assert (np.ptp(parts.sizes, axis=1) <= 1).all()
    assert np.ptp(parts.sizes.sum(axis=0)) <= 1
    np.testing.assert_array_equal(np.bincount(parts.group), parts.sizes.sum(axis=0))
    # the groups are no order of the data
    assert not np.array_equal(grouped(cloud, seed=3).cloud.order, parts.cloud.order)


def test_the_error_is_that_of_other_sets_from_the_law():
    """Mean z^2 near 1 from both sides; the draws' own error alone would be far too small."""
    d, n, t = 8, 120, 0.9
    exact = mixture.phi(t, d, 1.0, 1.0)
    # KL of N(+-m e^-t, Gamma): 2 u^2/Gamma
    u, gamma = mixture.channel(t, d, 1.0, 1.0)
    wanted = {"same_class_probability_loo": exact, "class_log_odds": 2 * u**2 / gamma}
    z = {name: [] for name in wanted}
    alone = []
    for seed in range(40):
        points, labels = mixture.sample(n, d, 1.0, 1.0, np.random.default_rng(seed))
        cloud = prepare(points.astype(np.float32), labels)
        seen = means(cloud, np.array([t]), blocks=3, seed=seed)
        for name, value in wanted.items():
            z[name].append((seen[name][0, 0] - value) / jackknife_error(seen[name])[0])
        curves = sweep(cloud, np.array([t, 1.01 * t]), draws=768, seed=seed).curves()
        error = curves.se["class_log_odds"][0]
        alone.append((curves["class_log_odds"][0] - wanted["class_log_odds"]) / error)
    # z^2 of a jackknife over 16 groups: F with 15 degrees of freedom, mean 15/13
    low, high = chi2.ppf([5e-4, 1 - 5e-4], 40) / 40
    for values in z.values():
        assert 15 / 13 * low < np.mean(np.square(values)) < 15 / 13 * high * 1.15
    assert np.mean(np.square(alone)) > 2 * high


def test_memory_and_threads_change_nothing():
    cloud = prepare(*blobs(200, 7, classes=3))
    threads = torch.get_num_threads()
    one, two = (
        heated_log_odds(cloud, TIMES, np.tile([1.0, 0.5], (3, 1)), blocks=2, memory_mib=m)
        for m in (1, 64)
    )
    np.testing.assert_allclose(one.log_odds, two.log_odds, rtol=1e-5, atol=1e-5)
    three, four = (means(cloud, TIMES, blocks=2, memory_mib=m) for m in (1, 64))
    for name in three:
        np.testing.assert_allclose(three[name], four[name], rtol=1e-5, atol=1e-5)
    assert torch.get_num_threads() == threads


def test_twins_and_tiny_classes_give_numbers():
    points, labels = near_duplicates(60, 20)
    labels[:] = 0
    labels[:2], labels[2:5] = 1, 2
    cloud = prepare(points, labels)
    times = np.array([1e-6, 1e-3, 1.0, 8.0])
    for values in means(cloud, times, blocks=1).values():
        assert np.isfinite(values).all()
    seen = heated_log_odds(cloud, times, np.tile([1.0, 0.1], (4, 1)), blocks=1)
    assert np.isfinite(seen.log_odds).all()
    assert (seen.same_point <= 1 + 1e-6).all()


def test_progress_counts_blocks():
    said = []
    means(prepare(*blobs(40, 3)), TIMES, blocks=3, progress=lambda *x: said.append(x[:2]))
    assert said == [(1, 3), (2, 3), (3, 3)]
    assert pytest.approx(2.131, abs=1e-3) == groups.T95

"""Denoising losses on training and held-out points, for scores that are known."""

from __future__ import annotations

import numpy as np
import pytest

from diffregimes import InputError, audit, load
from diffregimes.auditing.audit import _between
from diffregimes.auditing.losses import Losses, denoising_losses
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import two_gaussians
from diffregimes.posterior.sweep import sweep
from diffregimes.scores import AbstractScore, EmpiricalScore, MixtureScore
from diffregimes.theory import TwoGaussians, collapse_time

D, N = 32, 400
TIMES = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5])


@pytest.fixture(scope="module")
def sets():
    law = two_gaussians(D)
    points = [law.sample(N, seed=k, stratified=True)[0].float().numpy() for k in (1, 2)]
    return law, *points


@pytest.fixture(scope="module")
def memorised(sets):
    _, training, held_out = sets
    return denoising_losses(EmpiricalScore(training), training, held_out, TIMES)


@pytest.fixture(scope="module")
def learned(sets):
    law, training, held_out = sets
    return denoising_losses(MixtureScore(law), training, held_out, TIMES)


def test_the_exact_score_loses_the_mmse_on_its_points(sets, memorised):
    """By the forward pass, which has noise of its own and no denoiser."""
    np.testing.assert_array_equal(memorised.train, memorised.exact)
    np.testing.assert_array_equal(memorised.held_out, memorised.exact_held_out)
    _, training, _ = sets
    cloud = prepare(training, np.zeros(N, dtype=np.int64))
    passed = sweep(cloud, TIMES, draws=8192, seed=5).curves()
    error = np.hypot(memorised.train_se, passed.se["mmse"]) + 1e-6
    assert np.abs((memorised.train - passed["mmse"]) / error).max() < 4


def test_shares_of_the_gap(memorised, learned):
    """1 for the exact score, 0 for the law."""
    share, _ = memorised.copied()
    known = ~np.isnan(share)
    assert known[TIMES < 0.5].all()
    assert not known[TIMES > 2].any()
    np.testing.assert_array_equal(share[known], 1)
    share, error = learned.copied()
    assert np.abs(share / error)[known].max() < 4


def test_without_held_out_points(sets, memorised):
    _, training, _ = sets
    found = denoising_losses(EmpiricalScore(training), training, None, TIMES)
    np.testing.assert_array_equal(found.train, memorised.train)
    assert not found.known
    assert np.isnan(found.held_out).all()
    assert found.separation() is None
    assert np.isnan(found.copied()[0]).all()


def test_the_exact_score_is_apart_below_its_collapse(memorised):
    t_c = collapse_time(TwoGaussians(D), np.log(N))
    assert t_c is not None
    found = memorised.separation()
    assert found is not None
    # the losses part while single points begin to count, above t_C; see the same in phi_C
    assert t_c < found < 3 * t_c
    assert memorised.gap[TIMES > 2].max() < 4


def test_the_law_loses_the_same_on_both(sets, learned):
    law, _, _ = sets
    exact = law.population_curves(TIMES)["mmse"]
    for found, se in ((learned.train, learned.train_se), (learned.held_out, learned.held_out_se)):
        assert np.abs((found - exact) / se).max() < 4
    assert np.abs(learned.gap).max() < 4
    assert learned.separation() is None


def test_no_score_loses_less_than_the_exact_one_on_its_points(learned):
    error = np.hypot(learned.train_se, learned.exact_se)
    assert ((learned.train - learned.exact) / error).min() > -4
    low = TIMES < 0.3
    assert ((learned.train - learned.exact) / error)[low].min() > 10


def test_separation_needs_all_smaller_times():
    one = np.ones(4)

    def losses(gap):
        apart = 0 * one, one, np.sqrt(2) * np.array(gap), one
        return Losses(np.arange(1.0, 5.0), *apart, *(one,) * 4)

    assert losses([9, 8, 1, 7]).separation() == 2
    assert losses([9, 8, 7, 6]).separation() == 4
    assert losses([1, 8, 7, 6]).separation() is None


def test_the_same_seed_gives_the_same_losses(sets):
    law, training, held_out = sets
    one, two = (
        denoising_losses(MixtureScore(law), training, held_out, TIMES[:2], draws=300, seed=k)
        for k in (3, 3)
    )
    np.testing.assert_array_equal(one.train, two.train)


def test_shapes_are_checked():
    data = load("digits", classes=["0", "1"])
    score = EmpiricalScore(data.points)
    with pytest.raises(InputError, match="held_out"):
        denoising_losses(score, data.points, data.points[:, :9], TIMES)
    with pytest.raises(InputError, match="draws"):
        denoising_losses(score, data.points, data.points, TIMES, draws=1)


class Counting(AbstractScore):
    """A score that keeps how many states it was given at a time."""

    def __init__(self, score):
        self.score, self.seen, self.dimension = score, [], score.dimension

    def denoise(self, x, t):
        self.seen.append(len(x))
        return self.score.denoise(x, t)


@pytest.mark.parametrize(("batch", "most"), [(7, 7), (300, 256), (None, 256)])
def test_batch_binds_and_changes_nothing(sets, batch, most):
    law, training, held_out = sets
    score = Counting(MixtureScore(law))
    whole = denoising_losses(score.score, training, held_out, TIMES[:3], draws=300)
    found = denoising_losses(score, training, held_out, TIMES[:3], draws=300, batch=batch)
    assert max(score.seen) == most
    for name in ("train", "held_out", "exact_held_out"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-5)


def test_large_states_come_few_at_a_time(monkeypatch, sets):
    """About a million numbers without a batch; here a thousand, of 32 each."""
    law, training, _ = sets
    monkeypatch.setattr("diffregimes.auditing.losses.NUMBERS", 1000)
    score = Counting(MixtureScore(law))
    found = denoising_losses(score, training, None, TIMES[:2], draws=300)
    assert max(score.seen) == 1000 // D
    again = denoising_losses(score.score, training, None, TIMES[:2], draws=300, batch=300)
    np.testing.assert_allclose(found.train, again.train, rtol=1e-5)


def test_the_batch_of_an_audit_binds_in_its_losses(few_forward_draws):
    data = load("digits", classes=["0", "1"], per_class=20)
    data, others = data.take(np.arange(30)), data.take(np.arange(30, 40))
    score = Counting(EmpiricalScore(data.points))
    audit(score, data, others, samples=16, pairs=16, steps=3, draws=64, batch=9)
    assert max(score.seen) == 9


def test_a_batch_of_nothing_is_refused(sets):
    law, training, _ = sets
    with pytest.raises(InputError, match="batch is 0"):
        denoising_losses(MixtureScore(law), training, None, TIMES, batch=0)


def test_a_gap_up_to_the_end_of_the_grid_has_no_upper_bound():
    t = np.array([0.1, 0.5, 2.0])
    assert _between(t, 0.5) == (0.5, 0.5, 2.0)
    assert _between(t, 2.0) == (2.0, 2.0, None)
    assert _between(t, None) == (None, None, None)

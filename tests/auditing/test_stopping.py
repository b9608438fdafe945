"""The stop rule: its probabilities by definition, false alarms at most as often as it says, and
memory noticed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from diffregimes.auditing.losses import Losses
from diffregimes.auditing.stopping import (
    ALPHA,
    copies_probability,
    gap_probability,
    reason_to_stop,
    smaller,
)
from diffregimes.results import Share

STUDY = Path(__file__).parents[2] / "benchmarks" / "monitor_study.py"


def losses_of(train: np.ndarray, held_out: np.ndarray) -> Losses:
    """Of losses (points, levels)."""
    columns = [
        y for x in (train, held_out) for y in (x.mean(0), x.std(0, ddof=1) / np.sqrt(len(x)))
    ]
    return Losses(np.arange(1.0, 1 + train.shape[1]), *columns, *columns)


def test_copies_by_a_sum_over_what_chance_may_be():
    rng = np.random.default_rng(0)
    for copies, samples, count, of in (
        (1, 16, 0, 200),
        (3, 32, 4, 300),
        (0, 8, 3, 9),
        (8, 8, 5, 9),
    ):
        chance = rng.beta(count + 0.5, of - count + 0.5, 200_000)
        each = binom.sf(copies - 1, samples, chance)
        found = copies_probability(copies, samples, Share.counted(count, of))
        assert abs(found - each.mean()) < 4 * each.std() / np.sqrt(len(each)) + 1e-12


@pytest.mark.parametrize("points", [6, 40])
def test_the_gap_of_one_law_is_as_rare_as_it_says(points):
    """One level: the probability is uniform for the difference of two means. Three equal levels are
    counted three times, three of their own hold it as well."""
    rng = np.random.default_rng(points)
    runs = 700
    both = rng.standard_normal((runs, 2, points, 1))
    one = np.array([gap_probability(losses_of(*x), points) for x in both])
    three = np.array([gap_probability(losses_of(*x), points)
                      for x in rng.standard_normal((runs, 2, points, 3))])  # fmt: skip
    for level in (0.01, 0.05, 0.3):
        error = np.sqrt(level * (1 - level) / runs)
        assert (one <= level).mean() < level + 4 * error
        assert (one <= level).mean() > 0.5 * level - 4 * error  # fewer degrees than both sets have
        assert (three <= level).mean() < level + 4 * error
        assert (three <= level).mean() > 0.4 * level - 4 * error


def test_a_gap_is_one_to_the_right_side():
    low, high = np.zeros((9, 2)) + np.arange(9)[:, None], 30.0 + np.arange(9)[:, None] * np.ones(2)
    assert gap_probability(losses_of(low, high), 9) < 1e-6
    assert gap_probability(losses_of(high, low), 9) == 1


def test_all_looks_together_spend_alpha():
    spent = 0.0
    for look in range(1, 3000):
        p = 0.02 / 2 / (look * (look + 1))
        assert reason_to_stop(p, 1, look, 0.02) == "gap"
        assert reason_to_stop(1, p, look, 0.02) == "copies"
        assert reason_to_stop(p, p, look, 0.02) == "gap and copies"
        assert reason_to_stop(1.01 * p, 1.01 * p, look, 0.02) == ""
        spent += 2 * p
    assert 0.999 * 0.02 < spent < 0.02
    assert reason_to_stop(float("nan"), 1, 1, 0.5) == ""  # held-out points of another law


def test_looks_of_new_points_each_spend_what_they_may():
    """The worst case, in which looks have nothing in common; 2000 trainings of 30 looks."""
    rng = np.random.default_rng(3)
    alpha, runs, alarms = 0.3, 2000, 0
    for _ in range(runs):
        gaps = rng.random(30)  # probabilities of one law
        alarms += any(reason_to_stop(p, 1, k, alpha) for k, p in enumerate(gaps, 1))
    rate, error = alarms / runs, np.sqrt(alpha / 2 * (1 - alpha / 2) / runs)
    assert alpha / 2 * 0.8 - 4 * error < rate < alpha / 2 + 4 * error


def test_the_smaller_set_counts():
    assert smaller(np.zeros((50, 2)), np.zeros((20, 2)), 100) == 20
    assert smaller(np.zeros((50, 2)), np.zeros((80, 2)), 30) == 30


def study(monkeypatch, looks):
    found = runpy.run_path(str(STUDY))
    monkeypatch.setattr("diffregimes.auditing.gate._PERMUTATIONS", 1000)
    monkeypatch.setitem(found["training"].__globals__, "LOOKS", looks)
    return found


def test_memory_is_noticed_at_once_and_the_law_never(monkeypatch):
    made = study(monkeypatch, 7)
    law = made["LAWS"][0]
    for seed in range(2):
        for kind, reason in (("sudden", "gap and copies"), ("50 % of n", "copies")):
            look, found = made["stopped"](list(made["training"](law, kind, seed)), ALPHA)
            assert look == 6
            assert reason in found
        assert made["stopped"](list(made["training"](law, "law", seed)), ALPHA) is None


@pytest.mark.slow
def test_false_alarms(monkeypatch):
    """210 trainings of three laws in which nothing is memorised, 10 looks each: no more are stopped
    than alpha says; at 0.2, at which a rule without its corrections would stop half of them."""
    made = study(monkeypatch, 10)
    runs = [list(made["training"](made["LAWS"][k % 3], "law", k)) for k in range(210)]
    alarms = sum(made["stopped"](x, 0.2) is not None for x in runs)
    assert alarms <= 0.2 * 210 + 4 * np.sqrt(0.2 * 0.8 * 210)
    assert sum(made["stopped"](x, ALPHA) is not None for x in runs) <= 3
    # the probabilities are not simply too large: some looks come near
    assert min(x.gap for run in runs for x in run) < 0.2

"""U-turns of an audit: the exact score brings training points back as the forward pass says and no
held-out point; a Gaussian law brings both back as correlated pairs do that are drawn directly."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import oracles
from diffregimes.auditing.audit import audit
from diffregimes.auditing.conditions import Conditions
from diffregimes.auditing.judgement import judged
from diffregimes.auditing.known import known_points
from diffregimes.auditing.uturns import _half, returns
from diffregimes.backward.clones import Ends
from diffregimes.backward.conditioned import PointsWithin
from diffregimes.backward.descent import Run
from diffregimes.backward.experiment import experiment
from diffregimes.common.numerics import Z95
from diffregimes.data.datasets import from_arrays
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.results import Flag
from diffregimes.scores import EmpiricalScore, MixtureScore

pytestmark = pytest.mark.usefixtures("few_forward_draws")
N, SHAPE, DRAWS = 60, (4, 4), 256


def images(seed, count=N, spread=1.0):
    x = spread * np.random.default_rng(seed).standard_normal((count, *SHAPE))
    return from_arrays(x.astype(np.float32), np.arange(count) % 2)


def turned(score, data, held_out=None, *, at=None, codes=None, augment=(), draws=DRAWS, steps=150):
    """`returns` at times about t_C of the exact score, or about an earlier `at`."""
    setup = experiment(data, network=score, conditions=codes and codes.training,
                       grid="log-snr", steps=steps, seed=3)  # fmt: skip
    known = known_points(setup.training, data, held_out, augment)
    # where nothing crosses, its middle is taken
    line = setup.forward(np.geomspace(0.01, 3, 40) if at is None else at * np.array([0.5, 2]))
    return returns(score, data, known, codes, setup, line, draws, Run(setup.grid, seed=3), None)


def z(share, expected, draws=DRAWS):
    """Beside an expectation with its error, of so many yes and no."""
    value, se = expected
    chance = np.sqrt(np.maximum(value * (1 - value), 1 / draws) / draws)
    return (share - value) / np.hypot(chance, se)


def within_errors(half):
    """Whether the model's time is that of its exact score to four standard errors."""
    return abs(half.t - half.exact) < 4 * (half.high - half.low) / (2 * Z95)


def plain(points, one, t, draws=4000):
    """E[sum over what counts as one of (sum of w)^2], from the plain posterior weights."""
    rng = np.random.default_rng(8)
    mu, noise = rng.integers(len(points), size=draws), rng.standard_normal((draws, points.shape[1]))
    w = oracles.weights(points, oracles.noised(points, mu, noise, t), t)
    same = (w @ np.eye(one.max() + 1)[one]) ** 2
    found = same.sum(axis=1)
    return found.mean(), found.std() / math.sqrt(draws)


def beside_plain(found, points, one):
    """z of the model's and of the forward pass's shares against the plain estimate."""
    known = np.array([plain(points.astype(float), one, t) for t in found.t]).T
    pass_ = (found.exact - known[0]) / np.hypot(known[1], found.exact_se + 1e-4)
    return z(found.training, known), pass_


def test_the_exact_score_brings_back_its_points_and_no_others():
    data, other = images(0), images(1)
    found, half = turned(EmpiricalScore(data.points), data, other)
    for gaps in beside_plain(found, data.points, np.arange(N)):
        assert np.abs(gaps).max() < 4
    assert found.training[0] > 0.99
    assert found.training[-1] < 0.5
    assert (found.held_out == 0).all()
    assert (found.held_out_low == 0).all()
    assert 0 < found.held_out_high[0] < 0.02
    assert ((found.training_low <= found.training) & (found.training <= found.training_high)).all()
    # half come back where two clones of the exact score agree half of the time
    assert within_errors(half)
    t = np.geomspace(half.exact / 1.05, half.exact * 1.05, 3)
    about = [plain(data.points.astype(float), np.arange(N), x)[0] for x in t]
    assert about[0] > 0.5 > about[2]
    assert found.t[0] == pytest.approx(half.exact / 8, rel=0.15)
    assert found.t[-1] == pytest.approx(half.exact * 1.3, rel=0.15)


def correlated(points, starts, t, grid, rng):
    """Ends of U-turns under the score of N(0, 1), step by step of the grid: a start is multiplied
    and noise added, in the posterior of a step (Ho et al. 2020) with the denoised state for a."""
    factor, spread = math.exp(-t), -math.expm1(-2 * t)
    for one, two in pairwise(grid[grid <= t * (1 + 1e-9)].tolist()):
        here, there = -math.expm1(-2 * one), -math.expm1(-2 * two)
        left = math.exp(two - one)
        own = left * there / here + math.exp(-two) * (1 - left**2) / here * math.exp(-one)
        factor, spread = own * factor, own**2 * spread + (1 - left**2) * there / here
    a = starts[rng.integers(len(starts), size=20000)]
    b = factor * a + math.sqrt(spread) * rng.standard_normal(a.shape)
    beside = cdist(b, points)
    beside[cdist(a, points) == 0] = np.inf  # the start itself
    back = np.linalg.norm(b - a, axis=1) < beside.min(axis=1) / 3
    return back.mean(), back.std() / math.sqrt(len(a))


def test_the_score_of_a_law_brings_both_back_and_only_near_the_data():
    data, other = images(0), images(1, 12)
    law = GaussianMixture(np.zeros((1, 16)), 1.0)
    found, half = turned(MixtureScore(law), data, other, at=0.06)
    rng, points = np.random.default_rng(4), data.points.astype(float)
    grid = experiment(data, network=MixtureScore(law), grid="log-snr", steps=150, seed=3).grid
    for name, starts in (("training", data.points), ("held_out", other.points)):
        known = [correlated(points, starts.astype(float), t, grid, rng) for t in found.t]
        share = getattr(found, name)
        assert np.abs(z(share, np.array(known).T)).max() < 4
        assert share[0] > 0.9
        assert share[-1] < 0.05
    # what comes back to any model is no memory
    assert half.t is None
    assert half.exact is None  # beyond the times that were asked
    _, half = turned(MixtureScore(law), data, at=0.06)
    assert half.low < half.t < half.high < 0.05  # without held-out points that is not known
    assert half.words.startswith("half of the training points")


def test_the_reach_of_memory_is_beyond_what_comes_back_of_held_out_points():
    """Shares that are made up: 0.95 - 0.35 and 0.9 - 0.3 are above one half, no others."""
    t = np.array([0.05, 0.1, 0.2, 0.4, 0.8])

    def ends(*shares, draws=400):
        back = np.arange(draws)[:, None] < draws * np.array(shares)
        return Ends(t, np.stack([0 * back, np.where(back, 0, -1)], axis=2), None)

    first, second = ends(1, 0.95, 0.9, 0.75, 0.2), ends(0.6, 0.35, 0.3, 0.3, 0)
    at, (low, high) = _half(first, second, 0)
    assert 0.2 < low < at < high < 0.5
    assert 0.2 < at < 0.4 < first.crossing("same_class_probability", 0.5)[0]
    # errors of both, 0.82 * 0.18 and 0.3 * 0.7, add up; twenty times the draws leave one
    few = _half(first, ends(0.6, 0.35, 0.3, 0.3, 0, draws=8000), 0)[1]
    ratio = math.log(high / low) / math.log(few[1] / few[0])
    wanted = math.sqrt((0.82 * 0.18 + 0.3 * 0.7) / (0.82 * 0.18 + 0.3 * 0.7 / 20))
    assert ratio == pytest.approx(wanted, rel=0.15)
    assert _half(ends(0.5, 0.4, 0.3, 0.1, 0), second, 0)[0] is None


def test_duplicates_and_groups_are_one_and_the_exact_score_has_it_so():
    first = images(0)
    x = np.concatenate([first.points, first.points[:40]]).reshape(-1, *SHAPE)
    data = from_arrays(x, np.zeros(100, dtype=int))
    one = np.concatenate([np.arange(N), np.arange(40)])
    found, _ = turned(EmpiricalScore(data.points), data)
    for gaps in beside_plain(found, data.points, one):
        assert np.abs(gaps).max() < 4
    assert found.training[0] > 0.99
    assert np.isnan(found.held_out).all()
    assert not found.known
    # groups of three, and a held-out set in which all come twice
    names = np.repeat([f"patient {k}" for k in range(20)], 3)
    data = replace(first, groups=names)
    twice = images(1, 30).points[np.repeat(np.arange(30), 2)]
    again = from_arrays(twice.reshape(-1, *SHAPE), np.zeros(60, dtype=int))
    law = MixtureScore(GaussianMixture(np.zeros((1, 16)), 1.0))
    found, _ = turned(EmpiricalScore(data.points), data, again)
    for gaps in beside_plain(found, data.points, np.repeat(np.arange(20), 3)):
        assert np.abs(gaps).max() < 4
    found, _ = turned(law, data, again, at=0.06)
    assert found.held_out[0] > 0.9
    assert abs(z(found.held_out[0], (found.training[0], 0.02))) < 4
    pictures = images(1, 30).points.reshape(-1, *SHAPE)
    both = from_arrays(np.concatenate([pictures, pictures[..., ::-1]]), np.zeros(60, dtype=int))
    found, _ = turned(law, images(0), both, at=0.06, augment=("mirror",))
    assert found.held_out[0] > 0.9
    grouped = replace(images(1), groups=names)
    found, _ = turned(law, images(0), grouped, at=0.06)
    assert found.held_out[0] > 0.9


def test_an_image_that_comes_back_mirrored_is_itself():
    data, other = images(0), images(1)

    class Mirrored(EmpiricalScore):
        """Ends on the mirror images of its points."""

        def denoise(self, x, t):
            return x.reshape(-1, *SHAPE).flip(2).reshape(len(x), -1) if t < 1e-3 else x

    score = Mirrored(data.points)
    found, _ = turned(score, data, other, draws=64)
    assert found.training[0] < 0.1
    found, _ = turned(score, data, other, augment=("mirror",), draws=64)
    np.testing.assert_array_equal(found.training, found.held_out)  # whatever they are
    both = np.concatenate(
        [data.points.reshape(-1, *SHAPE), data.points.reshape(-1, *SHAPE)[..., ::-1]]
    )
    every = EmpiricalScore(both.reshape(-1, 16))
    found, _ = turned(every, data, other, augment=("mirror",))
    assert found.training[0] > 0.99
    assert (found.held_out == 0).all()


def test_each_start_is_asked_for_under_its_own_condition():
    data, other = images(0), images(1)
    codes = Conditions(np.arange(N) % 3, (np.arange(N) + 1) % 3, {k: str(k) for k in range(3)})
    within = PointsWithin(data.points, codes.training)
    found, half = turned(within, data, other, codes=codes)
    known = []
    for t in found.t:
        parts = [plain(data.points[k::3].astype(float), np.arange(20), t) for k in range(3)]
        known.append((np.mean([x[0] for x in parts]), max(x[1] for x in parts)))
    known = np.array(known).T
    assert np.abs(z(found.training, known)).max() < 4
    assert np.abs((found.exact - known[0]) / np.hypot(known[1], found.exact_se)).max() < 4
    assert (found.held_out == 0).all()
    assert within_errors(half)
    # twins within a condition are one
    x = data.points[np.repeat(np.arange(30), 2)].reshape(-1, *SHAPE)
    twins, own = from_arrays(x, np.zeros(N, dtype=int)), np.repeat(np.arange(30) % 3, 2)
    codes = replace(codes, training=own, held_out=None)
    found, _ = turned(PointsWithin(twins.points, own), twins, codes=codes)
    assert found.training[0] > 0.99
    assert found.exact[0] > 0.99
    assert np.abs(z(found.training, (found.exact, found.exact_se))).max() < 4


def test_a_grid_of_few_steps_and_held_out_points_that_are_one():
    data = images(0)
    found, half = turned(EmpiricalScore(data.points), data, steps=10, draws=16)
    assert 1 <= len(found.t) <= 5
    assert np.isfinite(found.exact).all()
    assert half.method == "u-turn"
    rows = np.zeros(5, dtype=int)  # what an audit may be left with
    found, _ = turned(EmpiricalScore(data.points), data, images(1).take(rows), draws=16)
    assert not found.known


def test_the_sentence_tells_both_and_leaves_out_what_is_of_another_law():
    nothing = SimpleNamespace(
        share=SimpleNamespace(count=0, of=64, cases=(0, 64), in_percent=str),
        baseline=SimpleNamespace(count=0, of=64, cases=(0, 64), in_percent=str), baseline_of="x",
    )  # fmt: skip
    data, other = images(0), images(1)
    found, _ = turned(EmpiricalScore(data.points), data, other, draws=64)
    count = round(found.training[2] * 64)
    text = f"denoised, {count} of 64 training points come back as themselves (under the exact"
    said = judged(nothing, None, None, (), N, (), found).sentences
    assert any(text in x and x.endswith("of held-out points 0 of 64.") for x in said)
    law = (Flag("held-out-law", False, 0.0, 1e-4, "of another law"),)
    said = judged(nothing, None, None, (), N, law, found).sentences
    assert any(text in x and "held-out" not in x.split("themselves")[1] for x in said)


def test_an_audit_holds_them_and_keeps_them(tmp_path):
    data, other = images(0), images(1)
    few = {"samples": 16, "pairs": 64, "draws": 64, "steps": 40, "seed": 3}

    class Counted(EmpiricalScore):
        asked = 0

        def denoise(self, x, t):
            self.asked += len(x)
            return super().denoise(x, t)

    score = Counted(data.points)
    options = {"store": tmp_path, "recipe": {"a": 1}, **few}
    found = audit(score, data, other, **options)
    assert [x.method for x in found.collapse][-1] == "u-turn"
    assert found.returns.draws == 32
    assert {"u-turns", "u-turns-held-out"} <= {x.name for x in tmp_path.iterdir()}
    table = found.curves()["uturns"]
    assert table["training"] == found.returns.training.tolist()
    assert found.to_dict()["uturns"] == 32
    asked, score.asked = score.asked, 0
    again = audit(score, data, other, **options)
    assert again.to_json() == found.to_json()
    assert score.asked < 0.2 * asked
    alone = audit(EmpiricalScore(data.points), data, **few)
    assert alone.curves()["uturns"]["held_out"] == [None] * len(alone.returns.t)

"""When pairs of classes part: against exact times, on both sides; and what it says elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from clouds import SCHEDULE
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.groups import T95
from diffregimes.posterior.left_out import asked
from diffregimes.process import snr
from diffregimes.theory.pairs import FourClasses, GaussianPair
from diffregimes.theory.pairs import pair_times as exact_times
from diffregimes.transitions import balance, pairs
from diffregimes.transitions.tree import tree_of


def seen_pairs(points, labels, start, blocks=6, seed=0):
    """As `Evidence` asks for them."""
    cloud = prepare(np.asarray(points, dtype=np.float32), np.asarray(labels))
    first = balance.look(cloud, balance.around(start), seed=seed)
    wanted = pairs.asking(cloud, first, start, blocks=blocks, seed=seed)
    answers = asked(cloud, wanted.questions, blocks=blocks, seed=seed)
    return pairs.curves(wanted, answers)


def found(points, labels, start, blocks=6, seed=0):
    seen = seen_pairs(points, labels, start, blocks, seed)
    names = tuple(str(k) for k in range(int(np.max(labels)) + 1))
    return pairs.pair_times(seen, names, SCHEDULE)


def of(times, one, other):
    return next(x for x in times.pairs if {x.one, x.other} == {str(one), str(other)})


def z_score(time, exact):
    """In errors of log gamma, the axis of the interval."""
    low, high = (np.log(snr(x)) for x in (time.high, time.low))
    return (np.log(snr(time.t)) - np.log(snr(exact))) / ((high - low) / 2 / T95)


def four(d, n, seed):
    law = FourClasses(d, 0.8, 0.35, 0.5)
    mixture = GaussianMixture(law.means(), 1.0)
    points, labels = mixture.sample(n, seed, stratified=True)
    return law, points.numpy(), labels.numpy()


@pytest.mark.parametrize(("d", "n"), [(64, 1200), (256, 1200), (1024, 1600)])
def test_four_classes_in_two_levels(d, n):
    """Both times of every pair within 3 standard errors of kappa_i Lambda(t) = 1, and the tree."""
    law, points, labels = four(d, n, 1)
    times = found(points, labels, float(np.log(snr(law.times()[1]))), blocks=8)
    for method in ("pair-balance", "pair-clone"):
        exact = law.times(method)
        for level, same in enumerate((((0, 2), (1, 3)), ((0, 1), (2, 3)))):
            for one, other in same:
                pair = of(times, one, other)
                time = pair.balance if method == "pair-balance" else pair.clone
                assert abs(z_score(time, exact[level])) < 3, (method, one, other, time)
                assert time.high - time.low < (0.25 if method == "pair-balance" else 0.35)
    tree = tree_of(times, ("++", "+-", "-+", "--"))
    assert {frozenset(tree.under(k)) for k in (4, 5)} == {frozenset({0, 1}), frozenset({2, 3})}
    assert [x.recurs for x in tree.forks] == [1, 1, 1]


def test_the_errors_are_those_of_other_sets_from_the_law():
    """Mean z^2 near 1 from both sides, of pairs of unlike distance among three."""
    rng = np.random.default_rng(0)
    means = np.zeros((3, 12))
    means[1, :4], means[2, 4:] = 1.2, 0.9
    z = {"balance": [], "clone": []}
    for seed in range(10):
        labels = rng.permutation(np.arange(420) % 3)
        points = means[labels] + 0.7 * rng.standard_normal((420, 12))
        times = found(points, labels, 0.0, blocks=3, seed=seed)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            pair = of(times, one, other)
            exact = exact_times(GaussianPair(means[one] - means[other], 0.49, 0.49))["balance"]
            for method in z:
                z[method].append(z_score(getattr(pair, method), exact))
    for values in z.values():
        # 30, of which the three of a set are alike; each has 15/13 for the jackknife's t law
        assert 0.4 < np.mean(np.square(values)) < 2.4


def test_other_classes_and_their_counts_play_no_part():
    """The same two classes beside a third one, and with a twentieth of the points in one."""
    rng = np.random.default_rng(3)
    means = np.zeros((3, 8))
    means[1, :2], means[2, 3:] = 1.6, 2.0
    counts = 1500, 80, 300
    labels = np.repeat(np.arange(3), counts)
    points = means[labels] + 0.5 * rng.standard_normal((len(labels), 8))
    exact = exact_times(GaussianPair(means[0] - means[1], 0.25, 0.25))["balance"]
    pair = of(found(points, labels, 0.0, blocks=10), 0, 1)
    assert abs(z_score(pair.balance, exact)) < 3
    assert abs(z_score(pair.clone, exact)) < 3
    assert pair.balance.high - pair.balance.low < 0.3


def test_classes_of_one_law_do_not_part():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    points = rng.standard_normal((300, 6)) + 3.0 * (labels == 2)[:, None]
    times = found(points, labels, -1.0, blocks=4)
    same = of(times, 0, 1)
    assert same.balance.t is None
    assert same.clone.t is None
    assert "part" in same.balance.warnings[0] or "chance" in same.balance.warnings[0]
    assert all(of(times, k, 2).balance.t > 1 for k in (0, 1))
    place = [(x.one, x.other) for x in times.pairs].index(("0", "1"))
    assert (times.t[:, place] == 0).all()
    tree = tree_of(times, ("a", "b", "c"))
    assert set(tree.under(3)) == {0, 1}
    assert tree.forks[0].t is None
    assert tree.newick.startswith("(c:") or tree.newick.startswith("((a:0,b:0)")


def test_the_latest_and_the_earliest_pair_are_reached():
    """Far apart in log gamma: the places that are looked at span both."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0], [0.1, 0], [0, 30.0], [0.5, 30]])
    labels = np.arange(800) % 4
    points = means[labels] + 0.02 * rng.standard_normal((800, 2))
    times = found(points, labels, 1.0, blocks=4)
    for one, other in ((0, 1), (0, 2), (2, 3)):
        exact = exact_times(GaussianPair(means[one] - means[other], 4e-4, 4e-4))["balance"]
        pair = of(times, one, other)
        assert abs(z_score(pair.balance, exact)) < 3.5
        assert abs(z_score(pair.clone, exact)) < 3.5
        assert pair.balance.t == pytest.approx(exact, rel=0.3)


def test_a_pair_far_beyond_the_first_places():
    """Ten thousand times nearer than the others: looked for until it has parted."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0], [1e-3, 0], [0, 10.0]])
    labels = np.arange(600) % 3
    points = means[labels] + 2e-4 * rng.standard_normal((600, 2))
    pair = of(found(points, labels, -3.0, blocks=4), 0, 1)
    exact = exact_times(GaussianPair(means[0] - means[1], 4e-8, 4e-8))["balance"]
    assert abs(z_score(pair.balance, exact)) < 3.5
    assert np.log(snr(exact)) > -3 + 2 * pairs._FARTHEST * pairs._STEP


@pytest.mark.parametrize("z", [T95 - 0.01, T95 + 0.01])
def test_log_odds_that_chance_makes_have_no_time(z):
    """M that crosses 2 at log gamma = 1, known to z standard errors."""
    nodes = np.linspace(0, 2, 9)
    odds = np.broadcast_to(2 * np.exp(nodes - 1)[:, None, None], (9, 19, 1)).copy()
    part = np.full((9, 17, 1), 0.5)
    seen = pairs.PairCurves(nodes, np.ones(9), odds, odds[:, :2], np.full((9, 1), z), part, part)
    time = pairs.pair_times(seen, ("a", "b"), SCHEDULE).pairs[0].balance
    if z < T95:
        assert time.t is None
        assert "no larger than chance" in time.warnings[0]
    else:
        assert np.log(snr(time.t)) == pytest.approx(1, abs=1e-6)


def test_a_difference_of_spread_where_many_points_compete():
    """Its log-odds are no Gaussian's, and their mean is 2 all the same at the exact time."""
    rng = np.random.default_rng(1)
    labels = np.arange(3000) % 3
    points = rng.standard_normal((3000, 2)) * np.sqrt([0.2, 9.0, 1.0])[labels][:, None]
    points[:, 0] += 40.0 * (labels == 2)
    exact = exact_times(GaussianPair(np.zeros(2), 0.2, 9.0))["balance"]
    pair = of(found(points, labels, 0.0, blocks=8), 0, 1)
    assert pair.balance.low < exact < pair.balance.high
    assert pair.balance.t == pytest.approx(exact, abs=0.05)
    assert not any("badly" in x for x in pair.balance.warnings)


def test_a_difference_of_spread_that_few_points_show_is_told():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    points = rng.standard_normal((600, 200)) * np.where(labels == 1, 1.5, 1.0)[:, None]
    points[:, 0] += 12.0 * (labels == 2)
    exact = exact_times(GaussianPair(np.zeros(200), 1.0, 2.25))["balance"]
    times = found(points, labels, float(np.log(snr(exact))), blocks=8)
    pair = of(times, 0, 1)
    assert any("badly" in x for x in pair.balance.warnings)
    if pair.balance.t is not None:
        assert pair.balance.low < exact < pair.balance.high
    assert "differ by their spread" in tree_of(times, ("a", "b", "c")).warnings[0]


def test_every_point_has_a_twin():
    """A few points decide at any temperature: nothing is known of the law, and it says so."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    points = rng.standard_normal((90, 40)) + 0.3 * np.eye(3, 40)[labels]
    times = found(np.tile(points, (2, 1)), np.tile(labels, 2), 0.0, blocks=2)
    assert all(x.balance.t is None for x in times.pairs)
    assert all(x.balance.warnings for x in times.pairs)


@pytest.mark.parametrize("seed", [5, 55])
def test_pairs_that_part_long_before_few_points_decide_are_found(seed):
    """Three classes in 113 and 127 dimensions, looked for from log gamma = 0 on, where the weights
    are heated to a fifth: each parts at a quarter of that signal or less."""
    rng = np.random.default_rng(seed)
    d = 113 if seed == 5 else 127
    means = rng.standard_normal((3, d)) / np.sqrt(d) * 4.5
    labels = np.repeat(np.arange(3), 450)
    points = means[labels] + 1.1 * rng.standard_normal((1350, d))
    for pair in found(points, labels, 0.0, seed=seed).pairs:
        apart = means[int(pair.one)] - means[int(pair.other)]
        exact = exact_times(GaussianPair(apart, 1.21, 1.21))["balance"]
        assert np.log(snr(exact)) < -0.3
        assert pair.balance.t is not None, pair.balance.warnings
        assert abs(z_score(pair.balance, exact)) < 3.5


def test_pairs_that_had_parted_before_are_not_said_to_stay_together():
    """At the noisiest place M is above the level already."""
    nodes = np.array([-1.0, 0.0, 1.0])
    odds = np.repeat(np.array([5.0, 9.0, 20.0])[:, None, None], 19, axis=1)
    phi = np.repeat(np.array([0.9, 0.95, 0.99])[:, None, None], 17, axis=1)
    seen = pairs.PairCurves(nodes, np.ones(3), odds, odds[:, :2], np.full((3, 1), 50.0), phi, phi)
    (pair,) = pairs.pair_times(seen, ("a", "b"), SCHEDULE).pairs
    assert (pair.balance.t, pair.clone.t) == (None, None)
    for time in (pair.balance, pair.clone):
        assert "have parted before t" in time.warnings[0]

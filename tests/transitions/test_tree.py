"""The tree of classes: how it is made and read, sets of classes, and levels of labels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import cophenet, linkage, to_tree
from scipy.spatial.distance import squareform

import diffregimes as dr
from clouds import blobs
from diffregimes.common.tree import newick, under
from diffregimes.data.cloud import prepare
from diffregimes.data.levels import Grouping
from diffregimes.posterior.groups import GROUPS
from diffregimes.results import Pair, TransitionTime
from diffregimes.transitions.balance import MOST_CLASSES
from diffregimes.transitions.levels import agreement
from diffregimes.transitions.pairs import Times
from diffregimes.transitions.tree import shortened, top_sets, tree_of

NAMES = ("a", "b", "c", "d")


def times_of(t, error=0.0, seed=0):
    """Times of pairs (P,) whose sets without a group have this jackknife error."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((GROUPS, len(t)))
    noise -= noise.mean(axis=0)
    noise *= error / np.sqrt((GROUPS - 1) * noise.var(axis=0))
    rows = np.vstack([t, t + noise, t, t])
    none = TransitionTime("speciation", "pair-balance", 1.0)
    return Times((Pair("a", "b", none, none),), rows)


def test_the_forks_are_those_of_average_linkage():
    t = np.array([0.9, 0.8, 0.75, 0.3, 1.0, 0.6])  # ab ac ad bc bd cd
    tree = tree_of(times_of(t), NAMES)
    rows = linkage(t, "average")
    np.testing.assert_allclose(tree.linkage(), rows)
    assert [x.t for x in tree.forks] == pytest.approx(rows[:, 2].tolist())
    assert all(x.recurs == 1 and x.low == x.high == x.t for x in tree.forks)
    seen = to_tree(rows)
    assert sorted(tree.under(tree.root)) == sorted(seen.pre_order())
    assert set(tree.under(4)) == {1, 2}


def test_newick_is_read_by_the_plainest_parser():
    t = np.array([0.9, 0.8, 0.75, 0.3, 1.0, 0.6])
    tree = tree_of(times_of(t), ("it's", "b c", "d", "e"))
    text = tree.newick
    assert text.endswith("100;")
    assert "'it''s':" in text
    assert "'b c':" in text
    # every leaf is as far from the root as the root from the data
    for leaf in range(4):
        node, length = leaf, 0.0
        for k, fork in enumerate(tree.forks, 4):
            if node in (fork.one, fork.other):
                length += tree.time(k) - tree.time(node)
                node = k
        assert length == pytest.approx(tree.time(tree.root))
    lengths = [float(x.split(",")[0].split(")")[0]) for x in text.split(":")[1:]]
    assert len(lengths) == 6
    assert newick(("a", "b"), [(0, 1)], [2.0], [0.5]) == "(a:2,b:2)50;"
    three = newick(("a", "b", "c"), [(0, 1), (3, 2)], [1.0, 3.0], [1.0, 0.8])
    assert three == "((a:1,b:1)100:2,c:3)80;"
    assert under(4, 3, [(0, 2), (1, 3)]) == (1, 0, 2)


def test_a_fork_recurs_as_often_as_its_error_says():
    """ab against cd at 0.5, ac against bd at 0.5 + gap: P(first) = Phi(gap / (sqrt 2 error))."""
    shares = []
    for seed in range(12):
        t = np.array([0.50, 0.55, 1.0, 1.0, 1.0, 1.0])
        tree = tree_of(times_of(t, 0.05, seed), ("a", "b", "c", "d"), seed)
        shares.append(tree.forks[0].recurs)
        assert tree.forks[0].low < 0.5 < tree.forks[0].high
    # the covariance of 16 sets is itself a draw
    assert np.mean(shares) == pytest.approx(0.76, abs=0.05)


def test_pairs_that_do_not_part_stand_at_the_data():
    tree = tree_of(times_of(np.array([0.0, 0.8, 0.8])), ("a", "b", "c"))
    assert tree.forks[0].t is None
    assert tree.forks[0].low is None
    assert tree.newick == "(c:0.8,(a:0,b:0)100:0.8)100;"


def test_many_classes_become_sets_of_all_points():
    points, labels = blobs(900, 5, classes=90)
    cloud = prepare(points, labels)
    of_class, merged = top_sets(cloud, 3)
    assert len(of_class) == 90
    assert 2 <= len(merged.bounds) - 1 <= MOST_CLASSES
    assert sorted(merged.order) == list(range(900))
    np.testing.assert_array_equal(merged.labels.numpy(), of_class[labels[merged.order]])
    assert (np.diff(merged.labels.numpy()) >= 0).all()
    assert np.diff(merged.bounds).min() >= 4
    # neighbours are together: the spread of the means within the sets is the smaller part
    means = np.array([points[labels == k].mean(0) for k in range(90)])
    within = sum(((means[of_class == s] - means[of_class == s].mean(0)) ** 2).sum()
                 for s in range(of_class.max() + 1))  # fmt: skip
    assert within < 0.7 * ((means - means.mean(0)) ** 2).sum()
    assert shortened(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(0)
    means = np.kron(np.eye(2), np.ones((2, 4))) * 1.5
    means[1::2, [0, 4]] += 1.2
    labels = np.arange(400) % 4
    points = means[labels] + 0.5 * rng.standard_normal((400, 8))
    levels = {
        "true": {"a": "x", "b": "x", "c": "y", "d": "y"},
        "false": {"a": "x", "b": "y", "c": "x", "d": "y"},
    }
    return dr.analyze(
        points.astype(np.float32), labels, class_names=NAMES, levels=levels, draws=2048
    )


def test_an_analysis_holds_pairs_tree_and_levels(analysis):
    again = dr.results.Analysis.from_dict(json.loads(analysis.to_json()))
    assert again.tree == analysis.tree
    assert again.pairs == analysis.pairs
    assert again.levels[0].time == analysis.levels[0].time
    assert len(analysis.pairs) == 6
    assert analysis.pair("d", "a").balance.t > analysis.pair("a", "b").balance.t
    branches = {frozenset(analysis.tree.under(k)) for k in (4, 5)}
    assert branches == {frozenset({0, 1}), frozenset({2, 3})}
    with pytest.raises(KeyError, match="those of: a, b, c, d"):
        analysis.pair("a", "z")


def test_the_chain_of_entropies(analysis):
    """H(super) <= H(class), equal draws: the difference is H(class|super), never negative."""
    curves = analysis.curves
    for level in analysis.levels:
        left = curves["class_entropy"] - level.entropy
        assert (left > -1e-6).all()
        assert level.entropy[-1] == pytest.approx(np.log(2), abs=0.05)
        assert left[-1] == pytest.approx(np.log(2), abs=0.05)
    true, false = analysis.levels
    # the true one is decided first: there its entropy is gone while the classes' is not
    assert true.time.t > analysis.time("speciation").t > 0
    assert true.time.t > false.time.t
    middle = np.argmin(np.abs(curves.t - true.time.t))
    assert true.entropy[middle] < false.entropy[middle]


def test_how_the_tree_agrees_with_levels(analysis):
    true, false = analysis.levels
    assert true.branches == ("x", "y")
    assert true.robinson_foulds == 0
    assert true.cophenetic > 0.9
    assert false.branches == ()
    assert false.robinson_foulds == 4
    assert false.cophenetic < 0
    # by hand
    heights = squareform(cophenet(analysis.tree.linkage()))
    apart = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    upper = np.triu_indices(4, 1)
    by_hand = np.corrcoef(heights[upper], apart[upper])[0, 1]
    assert true.cophenetic == pytest.approx(by_hand)
    assert agreement(Grouping("l", ("x", "y"), np.array([0, 0, 1, 1])), None) == (None, None, None)
    alone = Grouping("l", NAMES, np.arange(4))
    assert agreement(alone, analysis.tree)[0] is None


def test_two_classes_have_no_tree():
    result = dr.analyze(*blobs(60, 4), draws=256)
    assert result.tree is None
    assert result.pairs == ()
    assert "tree" not in result.to_dict()
    assert replace(result, levels=()).to_dict() == result.to_dict()


def test_more_classes_than_are_compared():
    points, labels = blobs(700, 6, classes=40)
    result = dr.analyze(points, labels, draws=512, memory_mib=64)
    tree = result.tree
    assert len(tree.leaves) <= MOST_CLASSES
    assert sorted(x for m in tree.members for x in m) == sorted(result.dataset.classes)
    assert "k-means" in tree.method
    assert len(result.pairs) == len(tree.leaves) * (len(tree.leaves) - 1) // 2

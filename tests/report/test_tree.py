"""The tree of classes as it is shown: figure, page and terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from diffregimes.common.tree import Fork, Tree
from diffregimes.report.figures.style import svg_bytes
from diffregimes.report.figures.tree import plot_tree, tree_figure
from diffregimes.report.page.analysis import draw_figures, write_report
from diffregimes.report.page.branches import mean_images
from diffregimes.report.terminal.analysis import print_summary
from diffregimes.report.words import told_forks, told_pairs
from diffregimes.results import Level, Pair, TransitionTime
from sample_analysis import digits, make_analysis


def made(leaves=("0", "1", "4"), members=None):
    """Forks one after the other; the last leaf parts first, the first two do not part."""
    forks, newest = [Fork(0, 1, None, None, None, 0.5)], len(leaves)
    for k in range(2, len(leaves)):
        t = 0.5 * k
        forks.append(Fork(newest, k, t, 0.9 * t, 1.1 * t, 1.0 if k % 2 else 0.8))
        newest += 1
    return Tree(leaves, tuple(forks), "(a,b);", "by hand", members, ("beware",))


def shown(tree, dataset=None):
    part = TransitionTime("speciation", "pair-balance", 0.7, 0.6, 0.8)
    none = TransitionTime("speciation", "pair-clone", None, warnings=("never <part>",))
    pairs = [Pair(x, y, part, none) for k, x in enumerate(tree.leaves) for y in tree.leaves[:k]]
    base = make_analysis() if dataset is None else make_analysis(dataset)
    return replace(base, tree=tree, pairs=tuple(pairs))


def test_the_figure_has_every_leaf_and_says_what_is_unsure():
    ax = plot_tree(shown(made()))
    assert [x.get_text() for x in ax.get_yticklabels()] == ["0", "1", "4"]
    left, right = ax.get_xlim()
    assert left > 1.1 > right  # from noise to data
    texts = {x.get_text() for x in ax.texts}
    assert {"80 %", "50 %"} <= texts
    assert "100 %" not in texts


@pytest.mark.parametrize("count", [3, 10, 32])
def test_figures_of_few_and_many_leaves(count):
    names = tuple(f"a class of a rather long name, {k}" for k in range(count))
    figure = tree_figure(shown(made(names)), {})
    svg = svg_bytes(figure)
    assert svg == svg_bytes(tree_figure(shown(made(names)), {}))
    assert figure.get_size_inches()[1] < 1.5 + 0.3 * count
    assert svg.count(b"\xe2\x80\xa6") >= count  # clipped


def test_a_tree_of_which_nothing_parts():
    forks = Fork(0, 1, None, None, None, 1.0), Fork(2, 3, None, None, None, 1.0)
    svg_bytes(tree_figure(shown(Tree(("a", "b", "c"), forks, "", "")), {}))


def test_branches_are_the_means_of_their_classes():
    data = digits(0, 1, 4)
    pictures = mean_images(shown(made(), data), data)
    assert set(pictures) == {0, 1, 2, 3, 4}
    for k in range(3):
        some = data.points[data.labels == k].reshape(-1, 8, 8)
        np.testing.assert_allclose(pictures[k], some.mean(axis=0), atol=1e-6)
    both = np.array(data.class_counts)[:2]
    mixed = (both[:, None, None] * [pictures[0], pictures[1]]).sum(0) / both.sum()
    np.testing.assert_allclose(pictures[3], mixed, atol=1e-6)
    sets = Tree(("low", "4"), (Fork(0, 1, 1.0, 0.9, 1.1, 1.0),), "", "", (("0", "1"), ("4",)))
    np.testing.assert_allclose(mean_images(shown(sets, data), data)[0], pictures[3], atol=0.03)
    assert mean_images(shown(made()), None) == {}


def test_the_page_shows_tree_pairs_and_levels(tmp_path):
    data = digits(0, 1, 4)
    level = Level(
        "kind", ("x", "y"), (0, 0, 1), TransitionTime("speciation", "clone-loo", 0.6, 0.5, 0.7),
        np.linspace(0, 0.6, 60), np.zeros(60), 0.5, ("x",), 1,
    )  # fmt: skip
    analysis = replace(shown(made(), data), levels=(level,))
    write_report(analysis, data, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Which classes part first?" in page
    assert page.count("data:image/png") >= 5
    assert "never &lt;part&gt;" in page
    assert "1 of the 1 with several classes are a branch" in page
    assert "beware" in page


def test_the_terminal_tells_the_first_and_the_last_forks(capsys, tmp_path):
    tree = made(tuple(f"c{k}" for k in range(20)))
    print_summary(shown(tree), tmp_path)
    said = capsys.readouterr().out
    assert "classes part" in said
    rows = re.findall(r"^ *([\d.]+|none) .*\d+ %", said, flags=re.MULTILINE)
    assert len(rows) == 6
    assert float(rows[0]) == 9.5
    assert rows[-1] == "none"
    assert "warning: tree of classes: beware" in said
    print_summary(make_analysis(), tmp_path)
    assert "classes part" not in capsys.readouterr().out


def test_two_classes_have_no_such_figure():
    assert "tree" not in draw_figures(make_analysis())


def test_what_is_told_of_many():
    tree = made(tuple(f"c{k}" for k in range(20)))
    assert told_forks(tree, 6) == [18, 17, 16, None, 2, 1, 0]
    assert told_forks(made(), 6) == [1, 0]
    assert told_forks(tree, 3) == [18, 17, None, 0]
    t = [0.5, None, 0.9]
    pairs = [
        Pair(str(k), "x", TransitionTime("speciation", "pair-balance", x), None)
        for k, x in enumerate(t)
    ]
    assert [x.one for x in told_pairs(pairs, 3)] == ["2", "0", "1"]
    assert [x and x.one for x in told_pairs(pairs, 2)] == ["2", None, "1"]

"""A hierarchy of labels over time: what is open of the super-class, and when it is decided.

With the classes of a level put together,

    H(index|x) = H(super-class|x) + H(class|super-class, x) + H(index|class, x),

each from the same draws, and the level has a t_S of its own. The tree that the pairs of classes
give knows nothing of the labels' hierarchy: how far the two agree is the correlation of their
cophenetic distances (the t at which two classes part, and whether the level keeps them apart), the
super-classes that are a branch of the tree, and the distance of Robinson and Foulds, the sets of
classes that are a branch of one of the two alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.cluster.hierarchy import cophenet

from ..common.rng import numpy_generator
from ..common.tree import Tree
from ..data.levels import Grouping
from ..posterior.sample import Sample
from ..posterior.sweep import sweep
from ..results import Level
from .criteria import CRITERIA, Evidence, headline
from .crossing import resample


def level_of(grouping: Grouping, evidence: Evidence, sample: Sample, tree: Tree | None) -> Level:
    """The entropies and the speciation time of a level, and how the tree agrees with it."""
    e = evidence
    cloud = e.cloud.merged(grouping.of_class)
    # as many draws of the same seed: the same points and noise
    merged = sweep(
        cloud, sample.times, draws=2 * sample.units, seed=e.seed, memory_mib=e.memory_mib,
        progress=e.report, text=f"posterior pass, {grouping.name}",
    )  # fmt: skip
    counts = tuple(np.diff(cloud.bounds).tolist())
    seen = resample(merged, numpy_generator(e.seed, "bootstrap"))
    own = replace(e, sample=merged, seen=seen, cloud=cloud, class_counts=counts)
    method = headline(True, own).speciation
    named = {x.name: x for x in CRITERIA if x.transition == "speciation"}
    time = named[method].function(own)
    assert time is not None
    curves = merged.curves()
    correlation, found, distance = agreement(grouping, tree)
    return Level(
        grouping.name, grouping.names, tuple(grouping.of_class.tolist()), time,
        curves["class_entropy"], curves.se["class_entropy"], correlation, found, distance,
    )  # fmt: skip


def agreement(
    grouping: Grouping, tree: Tree | None
) -> tuple[float | None, tuple[str, ...] | None, int | None]:
    """Cophenetic correlation, the super-classes that are a branch, Robinson and Foulds' distance;
    None without a tree of these classes, or where all pairs are alike."""
    of = grouping.of_class
    if tree is None or len(tree.leaves) != len(of):
        return None, None, None
    apart = of[:, None] != of
    heights = cophenet(tree.linkage())
    level = apart[np.triu_indices(len(of), 1)].astype(float)
    correlation = None
    if np.ptp(level) and np.ptp(heights):
        correlation = float(np.corrcoef(heights, level)[0, 1])
    branches = {frozenset(tree.under(k)) for k in range(tree.root)}
    sets = {name: frozenset(np.flatnonzero(of == k)) for k, name in enumerate(grouping.names)}
    found = tuple(name for name, x in sets.items() if x in branches)
    split = {x for x in branches if len(x) > 1} ^ {x for x in sets.values() if len(x) > 1}
    return correlation, found, len(split)

"""A tree of classes over time: leaves, and the forks at which its branches part.

Nodes are numbered as in scipy's hierarchies: the leaves first, then the forks in their order, from
the one nearest to the data to the root, at which generation arrives first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from . import serial


@dataclass(frozen=True)
class Fork:
    """Where the branches under the nodes `one` and `other` part: at t, with a 95 % interval; None
    where no two of their classes part in the range studied. `recurs` is the share of resamples in
    which the same classes are together below a fork."""

    one: int
    other: int
    t: float | None
    low: float | None
    high: float | None
    recurs: float


@dataclass(frozen=True)
class Tree:
    """Which classes part first. `leaves` are names of classes, or of sets of them where there are
    many: `members` then says which classes are in each. `forks` end with the root; `newick` is the
    tree as text with times as lengths. `method` says how it was made, `warnings` what it hides."""

    leaves: tuple[str, ...]
    forks: tuple[Fork, ...]
    newick: str
    method: str
    members: tuple[tuple[str, ...], ...] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def root(self) -> int:
        return len(self.leaves) + len(self.forks) - 1

    def under(self, node: int) -> tuple[int, ...]:
        """The leaves under a node, in the order of the tree."""
        return under(node, len(self.leaves), [(x.one, x.other) for x in self.forks])

    def time(self, node: int) -> float:
        """t of a node, 0 for leaves and for forks that were not seen."""
        if node < len(self.leaves):
            return 0.0
        return self.forks[node - len(self.leaves)].t or 0.0

    def linkage(self) -> np.ndarray:
        """(K - 1, 4) as scipy.cluster.hierarchy has it, with times as distances."""
        nodes = range(len(self.leaves), self.root + 1)
        return np.array(
            [
                [x.one, x.other, x.t or 0.0, len(self.under(k))]
                for k, x in zip(nodes, self.forks, strict=True)
            ]
        )


serial.layout(Tree, optional=("members",))


def under(node: int, leaves: int, merges: list[tuple[int, int]]) -> tuple[int, ...]:
    """The leaves under a node of a tree of so many leaves, in its order."""
    out, todo = [], [node]
    while todo:
        k = todo.pop()
        if k < leaves:
            out.append(k)
        else:
            todo += reversed(merges[k - leaves])
    return tuple(out)


def newick(
    leaves: tuple[str, ...], merges: list[tuple[int, int]], times: list[float], shares: list[float]
) -> str:
    """The tree as Newick text: a branch is as long as the time between its ends, a fork named by
    the per cent of resamples in which it recurs."""
    text = [_quoted(x) for x in leaves]
    at = [0.0] * len(leaves)
    for (one, other), t, share in zip(merges, times, shares, strict=True):
        parts = (f"{text[k]}:{max(t - at[k], 0.0):.4g}" for k in (one, other))
        text.append(f"({','.join(parts)}){100 * share:.0f}")
        text[one] = text[other] = ""  # it is in the new one
        at.append(t)
    return text[-1] + ";"


def _quoted(name: str) -> str:
    """A label of Newick: quoted unless it is plain."""
    return name if re.fullmatch(r"[\w.+-]+", name) else "'" + name.replace("'", "''") + "'"

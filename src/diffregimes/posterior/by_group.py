"""The posterior over groups of points that are one thing seen again: frames, slices, crops.

The weight of a group is the sum of the weights of its points. With A the sum of e^l over the own
group of mu, mu itself included, and S that over all others divided by A, a group is copied where
S < 1, whatever its points do among themselves:

    F = log S,     w_own = 1/(1 + S),     H(group|x) = log(1 + S) - (1 - w_own) sum_g r_g log(S r_g)

with r_g the share of group g of the others. And what the others say of the class of mu is what
held-out points would say: frames of one scene tell no more of the law than one of them. Groups are
dealt out to the sets of the jackknife whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.numerics import bounded, softplus
from ..common.pieces import Arrays
from ..data.cloud import Cloud
from ..process import snr
from .groups import GROUPS, LEAST, Grouped, Weights, dealt_whole
from .left_out import asked


@dataclass(frozen=True)
class ByGroup:
    """Of `count` groups, at times (T,), means over draws. Of the whole set and without each of the
    sets of groups, (T, 1 + G): the bounded free energy over log of the groups; of the class
    probabilities that the other groups give, that of the true class and the sum of squares, `own`
    and `confidence`. Of the whole set with standard errors, (2, T): H(group|x) over log of the
    groups, and the sum of squared weights. `weight` (p, T): w_own, by the `groups` (p,) drawn."""

    count: int
    times: np.ndarray
    bounded: np.ndarray
    own: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    same_group: np.ndarray
    groups: np.ndarray
    weight: np.ndarray


class _Asked:
    """The question of `left_out.asked`: a class of the cloud is the part of a group that is in one
    class, of which `group` and `own_class` (E,) say which."""

    arrays = 7

    def __init__(self, times: np.ndarray, group: np.ndarray, own_class: np.ndarray):
        self.key = "by group", np.asarray(times), group, own_class
        self._times = np.asarray(times)
        self.gamma = snr(self._times)
        self.beta = np.ones(len(self.gamma))
        self._group, self._class = torch.from_numpy(group), torch.from_numpy(own_class)
        self._groups, self._classes = int(group.max()) + 1, int(own_class.max()) + 1
        self._log = float(np.log(self._groups))

    def sums(self, parts: Grouped) -> Arrays:
        times, sets = len(self.gamma), 1 + GROUPS
        shapes = [(times, sets)] * 3 + [(2, times)] * 2
        return (
            *(np.zeros(x) for x in shapes),
            np.zeros((self._groups, times)),
            np.zeros(self._groups),
        )

    def add(
        self, sums: Arrays, parts: Grouped, chosen: Tensor, kept: Tensor,
        weights: Iterable[Weights],
    ) -> None:  # fmt: skip
        cell = parts.cloud.labels[chosen]
        of, class_of = self._group.to(cell.device), self._class.to(cell.device)
        mine = of[cell]
        np.add.at(sums[6], mine.cpu().numpy(), 1)
        for k, each in enumerate(weights):
            same = of == mine[:, None]  # (p, E)
            others = each.of_sets.masked_fill(same, 0)
            inside = (each.of_sets * same).sum(-1, dtype=torch.float64)
            own_log = softplus(each.top + inside.clamp_min(LEAST).log())
            rest = _by_set_and_class(others, each.dealt.set_in_group, class_of, self._classes)
            free = each.top + rest.sum(-1).log() - own_log  # (1 + G, 2, p)
            probability = rest / rest.sum(-1, keepdim=True)
            true = probability.gather(-1, class_of[cell].expand(probability.shape[:-1])[..., None])
            log_share, square = bounded(free, self._log) / self._log, probability.square().sum(-1)
            values = log_share, true[..., 0], square
            for into, value in zip(sums[:3], values, strict=True):
                into[k] += (value.mean(1) * kept).sum(-1).cpu().numpy()
            weight = free[0].neg().sigmoid()
            by_group = others.new_zeros(*others.shape[:-1], self._groups)
            share = by_group.index_add_(-1, of, others).double() / rest[0].sum(-1)[..., None]
            log = free[0] + torch.special.xlogy(share, share).sum(-1)  # mean log of the others'
            entropy = (softplus(free[0]) - (1 - weight) * log) / self._log
            square = weight.square() + (1 - weight).square() * share.square().sum(-1)
            for into, value in zip(sums[3:5], (entropy.mean(0), square.mean(0)), strict=True):
                into[:, k] += [float(value.sum()), float(value.square().sum())]
            np.add.at(sums[5][:, k], mine.cpu().numpy(), weight.mean(0).cpu().numpy())

    def answer(self, sums: Arrays, units: np.ndarray) -> ByGroup:
        counts = units.sum(axis=1)
        free, own, confidence = (x / counts for x in sums[:3])
        n, of_whole = counts[0], []
        for total, square in sums[3:5]:
            spread = np.maximum(square / n - (total / n) ** 2, 0)
            of_whole.append(np.stack([total / n, np.sqrt(spread / max(n - 1, 1))]))
        drawn = np.flatnonzero(sums[6])
        weight = sums[5][drawn] / sums[6][drawn, None]
        entropy, same = of_whole
        return ByGroup(
            self._groups, self._times, free, own, confidence, entropy, same, drawn, weight
        )


def _by_set_and_class(others: Tensor, in_set: Tensor, of: Tensor, classes: int) -> Tensor:
    """Sums (1 + G, 2, p, K) of (2, p, E) over the classes, of all and without each set."""
    place = in_set.argmax(1) * classes + of
    sums = others.new_zeros(*others.shape[:-1], GROUPS * classes).index_add_(-1, place, others)
    sums = sums.double().view(*others.shape[:-1], GROUPS, classes)
    rest = 1 - torch.eye(GROUPS, dtype=torch.float64, device=others.device)
    rest = torch.cat([torch.ones_like(rest[:1]), rest])
    out: Tensor = torch.einsum("hg,spgk->hspk", rest, sums).clamp_min(LEAST)
    return out


def by_group(
    cloud: Cloud,
    groups: np.ndarray,
    times: np.ndarray,
    *,
    blocks: int,
    seed: int = 0,
    sets: np.ndarray | None = None,
    **how: Any,
) -> ByGroup:
    """The answer for `groups` (n,) of the rows of the cloud, 0..S - 1, which are left out in the
    `sets` (S,) of the jackknife, dealt by the seed without; `how` as in `left_out.asked`."""
    labels = cloud.labels.cpu().numpy()
    cells, of = np.unique(np.stack([labels, groups]), axis=1, return_inverse=True)
    parted = cloud.relabelled(of.ravel())
    question = _Asked(times, cells[1], cells[0])
    parts = dealt_whole(parted, cells[1], seed, sets)
    (found,) = asked(parted, [question], blocks=blocks, seed=seed, parts=parts, **how)
    assert isinstance(found, ByGroup)
    return found

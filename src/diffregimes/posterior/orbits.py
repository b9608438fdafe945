"""The posterior over all that augmentation makes of the points: log(n |G|) competitors.

A draw starts from one of the N different members of all orbits; its rivals are the N - 1 others,
those of its own orbit among them. They are made element by element and some at a time, as in
`shards`: nothing of n |G| is ever held. Where the elements are a group, x -> g x turns a draw from
g a into one from a with the same rivals, so that draws start from the points themselves, and the
weights without augmentation are those of element 0, for the same x. Where they are none, a second
draw starts from the point itself, with the same noise. An orbit lies in one set of the jackknife.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..common.numerics import bounded, softplus
from ..common.parallel import Progress
from ..common.rng import numpy_generator, torch_generator
from ..data.augmented import Orbits
from ..data.cloud import COLUMNS, Cloud
from ..process import snr
from .groups import GROUPS, TILE, Dealt, Grouped, Weights, grouped, weights_of
from .left_out import left_out_moments
from .moments import PAIRS_PER_BLOCK, Draws, products

_TOGETHER = 8 * PAIRS_PER_BLOCK  # draws that share the members that are made


@dataclass(frozen=True)
class Augmented:
    """At `times` (T,), means over draws, of the whole set and without each group, (T, 1 + G): the
    bounded free energies in nats, with augmentation and without it. Of the whole set with standard
    errors, (2, T): H(member|x) in nats, and the sum of squared weights."""

    times: np.ndarray
    bounded: np.ndarray
    without: np.ndarray
    entropy: np.ndarray
    same_member: np.ndarray


def augmented(
    points: np.ndarray,
    by: Orbits,
    times: np.ndarray,
    *,
    blocks: int,
    seed: int = 0,
    memory_mib: int = 1024,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> Augmented:
    """Of `points` (n, d), from `blocks` blocks of draws."""
    run = _Pass(points, by, times, blocks * 2 * PAIRS_PER_BLOCK, seed, torch.device(device))
    total = blocks * PAIRS_PER_BLOCK
    sums = [np.zeros((len(times), 1 + GROUPS)) for _ in range(2)]
    whole = [np.zeros((2, len(times))) for _ in range(2)]
    units = [np.zeros(1 + GROUPS) for _ in range(2)]
    step = max(PAIRS_PER_BLOCK, min(_TOGETHER, memory_mib * 2**20 // (32 * points.shape[1])))
    for first in range(0, total, step):
        count = min(step, total - first)
        found = run.draws(first, count)
        kept = np.vstack([np.ones(count), found.group != np.arange(GROUPS)[:, None]])
        shares = kept, kept / found.orbit
        for total_of, share in zip(units, shares, strict=True):
            total_of += share.sum(axis=1)
        with_it, without = run.weights(found)
        for k in range(len(times)):
            at = left_out_moments(with_it[k])
            free = (
                bounded(at.log_sum, run.log_members),
                bounded(left_out_moments(without[k]).log_sum, run.log_points),
            )
            for into, value, share in zip(sums, free, shares, strict=True):
                into[k] += (value.mean(1).cpu().numpy() * share).sum(axis=1)
            log_sum = at.log_sum[0]
            other = log_sum.sigmoid()
            entropy = softplus(log_sum) - other * at.mean_log[0]
            square = (1 - other).square() + other.square() * at.log_square[0].exp()
            for into, value in zip(whole, (entropy.mean(0), square.mean(0)), strict=True):
                into[:, k] += [float(value.sum()), float(value.square().sum())]
        if progress:
            progress(first + count, total, "augmented points")
    of_whole = []
    for mean, square in (x / total for x in whole):
        spread = np.sqrt(np.maximum(square - mean**2, 0) / max(total - 1, 1))
        of_whole.append(np.stack([mean, spread]))
    return Augmented(np.asarray(times), sums[0] / units[0], sums[1] / units[1], *of_whole)


@dataclass(frozen=True)
class _Found:
    """Draws: their points (p,), how many members these have, the elements, the group of each, their
    own coordinates and those of the point itself (p, d), and their noise."""

    point: np.ndarray
    orbit: np.ndarray
    element: np.ndarray
    group: np.ndarray
    own: Tensor
    itself: Tensor
    noise: Tensor


class _Pass:
    """What all draws share: the members in the order of the groups, element by element."""

    def __init__(
        self, points: np.ndarray, by: Orbits, times: np.ndarray, draws: int, seed: int,
        device: torch.device,
    ):  # fmt: skip
        n, d = points.shape
        self._points, self._by, self._seed, self._device = points, by, seed, device
        self._mean = points.mean(axis=0, dtype=np.float64)
        spread = points.var(axis=0, dtype=np.float64).sum()
        self._scale = float(np.sqrt(spread))
        self._gamma = snr(times) * self._scale**2
        self._beta = np.ones(len(times))
        self.log_members, self.log_points = float(np.log(by.members)), float(np.log(n))
        # nothing but the order of the points is asked of it
        nothing = torch.zeros(n, dtype=torch.int64, device=device)
        cloud = Cloud(torch.empty(n, 0), nothing, np.arange(n), (0, n), self._scale, d)
        self._parts = grouped(cloud, seed=seed)
        self._order, self._group = self._parts.cloud.order, self._parts.group
        whole = Grouped(self._parts.cloud, self._parts.sizes)
        self._dealt = Dealt(whole, device, draws * len(by.places))
        distinct = by.distinct[:, self._order]
        self._members = np.argwhere(distinct)  # element, row
        self._orbit = distinct.sum(axis=0)
        self._rows = [np.flatnonzero(x) for x in distinct]

    def _coordinates(self, element: int, points: np.ndarray) -> Tensor:
        found = self._by.moved(element, points) - self._mean
        # rows in a row: columns that were picked lie the other way
        found = np.ascontiguousarray(found / self._scale, dtype=np.float32)
        return torch.from_numpy(found).to(self._device)

    def draws(self, first: int, count: int) -> _Found:
        """Members at random, each equally often in the long run."""
        total = len(self._members)
        epochs = np.arange(first, first + count) // total
        orders = {
            int(e): numpy_generator(self._seed, "members", int(e)).permutation(total)
            for e in np.unique(epochs)
        }
        places = [orders[int(e)][(first + k) % total] for k, e in enumerate(epochs)]
        element, row = self._members[places].T
        if self._by.group:
            element = np.zeros_like(element)
        chosen = self._points[self._order[row]]
        own = np.empty((count, chosen.shape[1]), dtype=np.float32)
        for e in np.unique(element):
            own[element == e] = self._coordinates(int(e), chosen[element == e]).cpu().numpy()
        noise = torch.randn(
            count, chosen.shape[1], generator=torch_generator(self._seed, "members", first)
        )
        moved, itself = torch.from_numpy(own).to(self._device), self._coordinates(0, chosen)
        return _Found(
            row, self._orbit[row], element, self._group[row], moved, itself, noise.to(self._device)
        )

    def weights(self, found: _Found) -> tuple[list[Weights], list[Weights]]:
        """At every time, with augmentation and without it."""
        of_all: list[Weights] | None = None
        alone: list[Weights] | None = None
        for element in range(len(self._by.places)):
            here = np.where(found.element == element, found.point, -1)
            for rows, cloud in self._some(element):
                of_all = _plus(of_all, self._of(cloud, rows, here, found.own, found.noise))
                if element == 0 and not self._by.group:
                    one = self._of(cloud, rows, found.point, found.itself, found.noise)
                    alone = _plus(alone, one)
            if element == 0 and self._by.group:
                alone = of_all
        assert of_all is not None
        assert alone is not None
        return of_all, alone

    def _some(self, element: int) -> Iterator[tuple[np.ndarray, Cloud]]:
        """The members that an element makes, some rows at a time."""
        for start in range(0, len(self._rows[element]), COLUMNS):
            rows = self._rows[element][start : start + COLUMNS]
            coordinates = self._coordinates(element, self._points[self._order[rows]])
            labels = torch.zeros(len(rows), dtype=torch.int64, device=self._device)
            ends = (0, len(rows))
            yield rows, Cloud(coordinates, labels, self._order[rows], ends, self._scale, 1)

    def _of(
        self, cloud: Cloud, rows: np.ndarray, points: np.ndarray, own: Tensor, noise: Tensor
    ) -> list[Weights]:
        """The weights of these rows for draws that start from the rows `points` (p,), -1 for none
        of this element."""
        dealt = self._dealt.of_rows(rows)
        place = np.minimum(np.searchsorted(rows, points), len(rows) - 1)
        inside = torch.from_numpy(np.where(rows[place] == points, place, -1)).to(self._device)
        largest = float(self._gamma.max()) if dealt.compiled else None
        parts = []
        for few in Draws(inside, noise, own).split(max(1, min(TILE // len(rows), len(points)))):
            square, along = products(cloud, few, largest=largest, lengths=dealt.lengths)
            parts.append(
                list(weights_of(square, along, few.points, self._gamma, self._beta, dealt))
            )
        return [
            Weights(
                self._dealt,
                *(torch.cat([getattr(x[k], name) for x in parts], dim=1) for name in _SUMS),
            )
            for k in range(len(self._gamma))
        ]


_SUMS = "top", "of_sets", "logs", "squares"


def _plus(one: list[Weights] | None, two: list[Weights]) -> list[Weights]:
    if one is None:
        return two
    return [a.plus(b) for a, b in zip(one, two, strict=True)]

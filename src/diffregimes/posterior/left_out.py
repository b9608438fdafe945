"""Means over draws with each of G groups of points left out in turn, and under heated weights.

Every group holds the same share of every class. Without group g the others are a smaller sample of
the same population: neither its points nor the draws that start from them take part. The spread
of the G means is the error of a mean as one of the population (delete-a-group jackknife),

    Var = (G - 1)/G sum_g (m_(-g) - mean of them)^2,

with both parts that a point plays, as the true point of x and as one of the candidates, and with
the noise of the draws.

Heated weights are w' ~ e^{beta l}, beta <= 1. The log-odds between classes a and b,

    D_ab = log [1/n_a sum_{nu in a} e^{beta l_nu}] - log [1/n_b sum_{nu in b} e^{beta l_nu}]

for x noised from a point of a, which itself is left out and not counted, have as their mean
M_ab(beta) what the population has there, as long as many points compete at that beta. Of the two
classes alone, equally frequent, r = 1/(1 + e^{-D_ab}) is the probability of a.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..common.parallel import Progress, workers
from ..common.pieces import Arrays, kept
from ..data.cloud import Cloud
from ..data.filecloud import FileCloud
from ..process import snr
from .class_weights import ClassWeights, class_weights
from .groups import GROUPS, LEAST, TILE, Dealt, Grouped, Weights, grouped, weights_of
from .moments import PAIRS_PER_BLOCK, Moments, draw_block, pairs_together, products
from .observables import observables
from .shards import draw_blocks, rounds, weights_over

_Answer = TypeVar("_Answer", covariant=True)


def left_out_moments(weights: Weights) -> Moments:
    """Of the whole set and without each group: leading shape (1 + G, 2, p). Without distances and
    the probabilities of the classes, of which `_classes` knows the sums."""
    total, dealt = weights.total, weights.dealt
    logs, squares = dealt.without(weights.logs), dealt.without(weights.squares)
    return Moments(
        weights.top + total.log(),
        weights.top + logs / total,
        (squares / total).div_(total).clamp_min(LEAST).log(),
        torch.full_like(total, torch.nan),
        total.new_empty(0),
    )


def _classes(weights: Weights, own_class: Tensor) -> ClassWeights:
    """Likewise the sums over the classes."""
    of_all = weights.total.movedim(0, -1)[..., None].float()
    out = None
    for first, sums in weights.by_class():  # (2, p, 1 + G, k)
        probability = sums.div_(of_all)
        held = (own_class >= first) & (own_class < first + probability.shape[-1])
        index = torch.where(held, own_class - first, 0)[:, None, None]
        own = probability.gather(-1, index.expand(*probability.shape[:-1], 1))[..., 0]
        part = class_weights(probability, own * held[:, None])
        out = part if out is None else out.plus(part)
    assert out is not None
    return ClassWeights(*(x.movedim(-1, 0) for x in vars(out).values()))


def _weighted(
    parts: Grouped,
    blocks: range,
    seed: int,
    scaled: np.ndarray,
    beta: np.ndarray,
    dealt: Dealt,
    memory_mib: int,
) -> Iterator[tuple[Tensor, Iterable[Weights]]]:
    """Rows mu (p,) of some blocks, and their weights at one (gamma, beta) after the other, gamma in
    units of the cloud."""
    if isinstance(parts.cloud, FileCloud):
        drawn = draw_blocks(parts.cloud, blocks, seed)
        yield drawn.points, weights_over(parts, drawn, scaled, beta, dealt, memory_mib)
        return
    for block in blocks:
        for chosen, square, along in _rows(parts.cloud, block, seed, scaled.max(), dealt):
            yield chosen, weights_of(square, along, chosen, scaled, beta, dealt)


def _rows(
    cloud: Cloud, block: int, seed: int, largest: float, dealt: Dealt
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows mu (p,) of a block, |a_mu - a_nu|^2 (p, n) up to the `largest` gamma, in units of the
    cloud, and z.(a_nu - a_mu) (p, n)."""
    # products of more rows than the exponentials take: each reads the whole cloud
    together = pairs_together(cloud.n, cloud.coordinates.shape[1])
    # both signs, and their sums in float64 beside them
    entries = 64 * len(dealt.lengths) if dealt.compiled else 4 * cloud.n
    rows = int(np.clip(TILE // entries, 1, together))
    for some in draw_block(cloud, block, seed).split(together):
        needed = largest if dealt.compiled else None
        square, along = products(cloud, some, largest=needed, lengths=dealt.lengths)
        for start in range(0, len(square), rows):
            part = slice(start, start + rows)
            yield some.points[part], square[part], along[part]


class Question(Protocol[_Answer]):
    """Something asked of the same draws, of weights at several (gamma, beta), (N,) each."""

    gamma: np.ndarray
    beta: np.ndarray
    arrays: int  # that it sums
    key: tuple[Any, ...]  # names it among pieces

    def sums(self, parts: Grouped) -> Arrays:
        """Where sums over the draws go: zeros."""

    def add(
        self, sums: Arrays, parts: Grouped, chosen: Tensor, kept: Tensor,
        weights: Iterable[Weights],
    ) -> None:  # fmt: skip
        """The draws from the points `chosen` (p,), `kept` (1 + G, p) by the sets."""

    def answer(self, sums: Arrays, units: np.ndarray) -> _Answer:
        """From the sums over all draws, whose numbers are `units` (1 + G, K)."""


def asked(
    cloud: Cloud,
    questions: Sequence[Question[Any]],
    *,
    blocks: int,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
    parts: Grouped | None = None,
    alike: int = 1,
    text: str = "errors of the population",
) -> list[Any]:
    """The answers, from `blocks` blocks of draws: distances and projections serve all questions.

    `parts` are the groups of the cloud, dealt by the seed without; of so many calls `alike` numba's
    sums are worth it together."""
    parts = parts or grouped(cloud, seed=seed)
    device = cloud.coordinates.device
    dealt = Dealt(parts, device, alike * blocks * 2 * PAIRS_PER_BLOCK)
    scaled = np.concatenate([x.gamma for x in questions]) * cloud.scale**2
    beta = np.concatenate([x.beta for x in questions])

    def sums(some: range) -> Arrays:
        out = [x.sums(parts) for x in questions]
        for chosen, every in _weighted(parts, some, seed, scaled, beta, dealt, memory_mib):
            kept, weights = _kept(dealt.group[chosen]), iter(every)
            for question, into in zip(questions, out, strict=True):
                question.add(into, parts, chosen, kept, islice(weights, len(question.gamma)))
        return tuple(chain(*out))

    what = (seed, *chain(*(x.key for x in questions)))
    found = iter(_summed(sums, cloud, what, blocks, memory_mib, progress, text))
    units = _units(parts, blocks, seed)
    return [x.answer(tuple(islice(found, x.arrays)), units) for x in questions]


class Means:
    """The means of observables, in the whole set and without each group.

    Values (T, 1 + G) by the names in `places`, of `observables.OBSERVABLES` but mmse and mmse_loo,
    each at its own times (T,). A weight 87 nats below the largest of its row counts as none.
    """

    arrays = 1

    def __init__(self, places: Mapping[str, np.ndarray]):
        self.key = "left out", [(name, t.tolist()) for name, t in places.items()]
        self._places = places
        self._names: dict[float, list[str]] = {}
        for name, times in places.items():
            for t in times:
                self._names.setdefault(float(t), []).append(name)
        self.gamma = snr(np.array(list(self._names)))
        self.beta = np.ones(len(self.gamma))

    def sums(self, parts: Grouped) -> Arrays:
        return (np.zeros((sum(map(len, self._names.values())), 1 + GROUPS)),)

    def add(
        self, sums: Arrays, parts: Grouped, chosen: Tensor, kept: Tensor,
        weights: Iterable[Weights],
    ) -> None:  # fmt: skip
        rows = []
        for gamma, names, each in zip(self.gamma, self._names.values(), weights, strict=True):
            at = left_out_moments(each)
            classes = functools.partial(_classes, each, parts.cloud.labels[chosen])
            # log n of the whole set serves all: it moves the means of all groups alike
            every = np.full(1 + GROUPS, gamma)
            values = observables(at, parts.cloud, chosen, every, names, classes)
            rows += [(values[x].mean(1) * kept).sum(-1) for x in names]
        sums[0][:] += torch.stack(rows).cpu().numpy()

    def answer(self, sums: Arrays, units: np.ndarray) -> dict[str, np.ndarray]:
        order = [(name, t) for t, names in self._names.items() for name in names]
        means = dict(zip(order, sums[0] / units.sum(axis=1), strict=True))
        return {x: np.array([means[x, float(t)] for t in at]) for x, at in self._places.items()}


@dataclass(frozen=True)
class HeatedLogOdds:
    """`log_odds` (T, B, 1 + G, K, K): M_ab at inverse temperatures `beta` (T, B), of the whole set
    and without each group; where beta is 1 `own` and `confidence` likewise E_a[r] and
    E_a[r^2 + (1 - r)^2], of two classes alone, else 0; `same_point` (T, B): E[sum w'^2], one over
    the points that compete."""

    times: np.ndarray
    beta: np.ndarray
    log_odds: np.ndarray
    own: np.ndarray
    confidence: np.ndarray
    same_point: np.ndarray


class Heated:
    """M_ab(beta) and phi_ab(beta) at `times` (T,), each at its own `betas` (T, B)."""

    arrays = 2

    def __init__(self, times: np.ndarray, betas: np.ndarray):
        self.key = "pairs of classes", np.asarray(times), np.asarray(betas)
        self._times, self._betas = np.asarray(times), np.asarray(betas)
        self.gamma = np.repeat(snr(self._times), self._betas.shape[1])
        self.beta = self._betas.ravel()

    def sums(self, parts: Grouped) -> Arrays:
        classes = len(parts.sizes)
        return (
            np.zeros((len(self.beta), 3, 1 + GROUPS, classes, classes)),
            np.zeros(len(self.beta)),
        )

    def add(
        self, sums: Arrays, parts: Grouped, chosen: Tensor, kept: Tensor,
        weights: Iterable[Weights],
    ) -> None:  # fmt: skip
        pairs, same = sums
        classes = torch.nn.functional.one_hot(parts.cloud.labels[chosen], len(parts.sizes))
        mine = classes.double()  # (p, K)
        left = torch.from_numpy(parts.remaining).to(mine.device)
        competing = (left[:, None] - mine).clamp_min(1).log()  # (1 + G, p, K)
        for k, each in enumerate(weights):
            by_class = torch.cat([x for _, x in each.by_class()], dim=-1).double()
            density = by_class.clamp_min(LEAST).movedim(-2, 0).log() - competing[:, None]
            odds = (density * mine).sum(-1, keepdim=True) - density  # (1 + G, 2, p, K)
            values = [odds]
            if self.beta[k] == 1:
                own = odds.float().sigmoid_()
                values += [own, 1 - 2 * own * (1 - own)]
            for j, value in enumerate(values):
                found = torch.einsum("gp,pa,gpb->gab", kept, mine, value.mean(1).double())
                pairs[k, j] += found.cpu().numpy()
            same[k] += float(each.same_point().mean(0).sum())

    def answer(self, sums: Arrays, units: np.ndarray) -> HeatedLogOdds:
        pairs, same = sums
        pairs = pairs / np.maximum(units, 1)[..., None]
        shape = self._betas.shape
        pairs = np.moveaxis(pairs.reshape(*shape, *pairs.shape[1:]), 2, 0)
        same = same.reshape(shape) / units[0].sum()
        return HeatedLogOdds(self._times, self._betas, pairs[0], pairs[1], pairs[2], same)


def left_out_means(
    cloud: Cloud, places: Mapping[str, np.ndarray], **how: Any
) -> dict[str, np.ndarray]:
    """`Means` alone; `how` as in `asked`."""
    return dict(asked(cloud, [Means(places)], **how)[0])


def heated_log_odds(cloud: Cloud, times: np.ndarray, beta: np.ndarray, **how: Any) -> HeatedLogOdds:
    """`Heated` alone; `how` as in `asked`."""
    (found,) = asked(cloud, [Heated(times, beta)], **how)
    assert isinstance(found, HeatedLogOdds)
    return found


def heated_same_point(
    cloud: Cloud, times: np.ndarray, beta: np.ndarray, *, seed: int = 0, memory_mib: int = 1024,
    alike: int = 1,
) -> np.ndarray:  # fmt: skip
    """E[sum w'^2] (T, B) as in `heated_log_odds`, from one block: the log-odds take longest."""
    parts = Grouped(cloud, cloud.n * np.eye(1, GROUPS, dtype=np.int64))  # none is left out
    dealt = Dealt(parts, cloud.coordinates.device, alike * 2 * PAIRS_PER_BLOCK)
    scaled = np.repeat(snr(times) * cloud.scale**2, beta.shape[1])

    def sums(some: range) -> Arrays:
        same = np.zeros(beta.size)
        for _, each in _weighted(parts, some, seed, scaled, beta.ravel(), dealt, memory_mib):
            same += [float(weights.same_point().mean(0).sum()) for weights in each]
        return (same,)

    (same,) = _summed(sums, cloud, ("same point", seed, times, beta), 1, memory_mib)
    return np.asarray(same.reshape(beta.shape) / PAIRS_PER_BLOCK)


def _kept(group: Tensor) -> Tensor:
    """(1 + G, p): 1 where the set holds the point of the draw."""
    left_out = torch.nn.functional.one_hot(group, GROUPS).double().T
    return torch.cat([torch.ones_like(left_out[:1]), 1 - left_out])


def _units(parts: Grouped, blocks: int, seed: int) -> np.ndarray:
    """Draws of each class whose point is in each set, (1 + G, K), counted in pairs."""
    points = [draw_block(parts.cloud, b, seed).points.cpu().numpy() for b in range(blocks)]
    drawn = np.concatenate(points)
    counts = np.zeros(parts.sizes.shape[::-1])
    np.add.at(counts, (parts.group[drawn], parts.cloud.labels.cpu().numpy()[drawn]), 1)
    whole = counts.sum(axis=0)
    return np.vstack([whole, whole - counts])


def _summed(
    work: Callable[[range], Arrays],
    cloud: Cloud,
    what: tuple[Any, ...],
    blocks: int,
    memory_mib: int,
    progress: Progress | None = None,
    text: str = "",
) -> Arrays:
    """The sums over all blocks of what `work` makes of some; `what` names it among pieces."""
    together = rounds(cloud, range(blocks))
    in_file = isinstance(cloud, FileCloud)
    pieces = cloud.pieces if isinstance(cloud, FileCloud) else None

    def run(some: range) -> Arrays:
        return kept(pieces, (*what, some), lambda: work(some))

    total: Arrays = ()
    # shards of a file have workers of their own
    with workers(cloud.coordinates.device, memory_mib, blocks=1 if in_file else None) as pool:
        for some, found in zip(together, pool.map(run, together), strict=True):
            total = tuple(a + b for a, b in zip(total, found, strict=True)) if total else found
            if progress:
                progress(some.stop, blocks, text)
    return total

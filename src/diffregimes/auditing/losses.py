"""What a denoiser loses at every t, on points it was trained on and on points it was not.

The loss E|a - D(x_t, t)|^2 of the exact score of the training points is the mmse of these points,
E|a - E[a|x_t]|^2, the least there is on them; on held-out points it loses much more once single
points count. A network that has memorised comes near it on both; one that generalizes loses the
same on both sets. So the gap between the two losses, in units of the exact score's own,

    copied(t) = (held_out - train)/(exact_held_out - exact),

is 0 for the law and 1 for the training set. The largest t from which the two losses stay apart
down to the data is the network's own time of collapse, to be compared with that of the exact score.
Held-out points that differ from the training points in kind open a gap as well: this law cannot
tell it from memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ..backward.conditioned import PointsWithin
from ..backward.descent import NUMBERS
from ..common.checks import InputError, in_range, increasing
from ..common.parallel import Progress, workers
from ..common.rng import point_of_pair, torch_generator
from ..process import signal, variance
from ..scores import AbstractScore, EmpiricalScore, given

BLOCK = 256
SEPARATE = 3.0  # standard errors between the two losses


@dataclass(frozen=True)
class Losses:
    """Mean squared errors (T,) with standard errors at increasing t, in squared data units.

    `train`, `held_out` of the score asked; `exact`, `exact_held_out` of the exact score of the
    training points on the same noised points. NaN on held-out points where there are none.
    """

    t: np.ndarray
    train: np.ndarray
    train_se: np.ndarray
    held_out: np.ndarray
    held_out_se: np.ndarray
    exact: np.ndarray
    exact_se: np.ndarray
    exact_held_out: np.ndarray
    exact_held_out_se: np.ndarray

    @property
    def known(self) -> bool:
        """Whether there were held-out points."""
        return not bool(np.isnan(self.held_out).any())

    @property
    def gap(self) -> np.ndarray:
        """(held_out - train) in standard errors."""
        return _in_errors(self.train, self.train_se, self.held_out, self.held_out_se)

    @property
    def exact_gap(self) -> np.ndarray:
        """(exact_held_out - exact) in standard errors."""
        return _in_errors(self.exact, self.exact_se, self.exact_held_out, self.exact_held_out_se)

    def separation(self, *, exact: bool = False) -> float | None:
        """The largest t from which the gap exceeds SEPARATE standard errors at all smaller times,
        of the network or of the exact score; None where it does not."""
        apart = (self.exact_gap if exact else self.gap) > SEPARATE
        together = np.flatnonzero(~apart)
        count = int(together[0]) if len(together) else len(apart)
        return float(self.t[count - 1]) if count else None

    def copied(self) -> tuple[np.ndarray, np.ndarray]:
        """copied(t) of the module's law and its standard error, NaN where the exact score has no
        gap of SEPARATE standard errors itself."""
        wide = self.exact_held_out - self.exact
        wide = np.where(self.exact_gap > SEPARATE, wide, np.nan)
        share = (self.held_out - self.train) / wide
        # noise and points are common to both gaps; as if they were not is on the safe side
        error = np.hypot(self.train_se, self.held_out_se)
        exact_error = np.hypot(self.exact_se, self.exact_held_out_se)
        return share, np.hypot(error, share * exact_error) / wide

    def copied_near(self, t: float) -> tuple[float, float, float] | None:
        """t, copied(t) and its standard error at the time nearest to `t` at which it is known."""
        share, se = self.copied()
        known = np.flatnonzero(~np.isnan(share))
        if not len(known):
            return None
        k = int(known[np.abs(np.log(self.t[known] / t)).argmin()])
        return float(self.t[k]), float(share[k]), float(se[k])


def _in_errors(
    low: np.ndarray, low_se: np.ndarray, high: np.ndarray, high_se: np.ndarray
) -> np.ndarray:
    return np.asarray((high - low) / np.maximum(np.hypot(low_se, high_se), 1e-300))


def denoising_losses(
    score: AbstractScore,
    training: np.ndarray,
    held_out: np.ndarray | None,
    times: Sequence[float] | np.ndarray,
    *,
    conditions: tuple[np.ndarray, np.ndarray | None] | None = None,
    draws: int = 2048,
    seed: int = 0,
    batch: int | None = None,
    memory_mib: int = 1024,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Losses:
    """Losses of `score` on `draws` noised points of each set, (n, d) arrays in its scale.

    The same noise serves at every t, for both sets and for both scores. `device` is that of the
    exact score; a network stays where it is. `batch` is how many states a score is given at a
    time, as in `backward.descent.Run`: numbers depend on it to rounding only. `conditions` of the
    points of both sets are those under which each is asked for; the exact score is then that of
    the training points of its condition alone.
    """
    return losses_within(
        score, training, held_out, times, conditions=conditions, draws=draws, seed=seed,
        batch=batch, memory_mib=memory_mib, device=device, progress=progress,
    )[0]  # fmt: skip


def losses_within(
    score: AbstractScore,
    training: np.ndarray,
    held_out: np.ndarray | None,
    times: Sequence[float] | np.ndarray,
    *,
    conditions: tuple[np.ndarray, np.ndarray | None] | None,
    draws: int,
    seed: int,
    batch: int | None,
    memory_mib: int,
    device: str,
    progress: Progress | None,
) -> tuple[Losses, dict[int, Losses]]:
    """`denoising_losses`, and those of the points of every condition by its number."""
    t = increasing("times", times)
    in_range("draws", draws, 2, 10**9)
    sets = [("training", training), *([] if held_out is None else [("held_out", held_out)])]
    for name, points in sets:
        if points.ndim != 2 or len(points) < 2 or points.shape[1] != training.shape[1]:
            raise InputError(
                f"{name} has the shape {points.shape}; expected (n, {training.shape[-1]}) and two "
                "points or more."
            )
    if batch is not None:
        in_range("batch", batch, 1, 10**9)
    rows = batch or max(1, NUMBERS // training.shape[1])
    codes: tuple[np.ndarray | None, ...] = (None, None) if conditions is None else conditions
    exact: AbstractScore = (
        EmpiricalScore(training, memory_mib=memory_mib, device=device)
        if codes[0] is None
        else PointsWithin(training, codes[0], memory_mib=memory_mib, device=device)
    )
    starts = range(0, draws, BLOCK)
    tasks = [(k, start) for k in range(len(sets)) for start in starts]

    def one(task: tuple[int, int]) -> np.ndarray:
        k, start = task
        block = range(start, min(start + BLOCK, draws))
        return noised_losses((score, exact), sets[k][1], t, block, rows, seed, codes[k])

    done: list[np.ndarray] = []
    each = 32 * min(rows, BLOCK) * training.shape[1] // 2**20
    with workers(torch.device(device), memory_mib, each, len(tasks)) as pool:
        for found in pool.map(one, tasks):
            done.append(found)
            if progress:
                progress(len(done), len(tasks), "denoising losses")
    count = len(starts)
    both = [
        (np.concatenate(done[k * count : (k + 1) * count], axis=1), _owners(len(x), draws, seed))
        for k, (_, x) in enumerate(sets)
    ]
    own = [c[o] for c, (_, o) in zip(codes, both, strict=False) if c is not None]
    parts = {}
    for code in np.unique(own[0]).tolist() if own else ():
        rows = [np.flatnonzero(c == code) for c in own]
        parts[code] = _summary(t, [(v[:, k], o[k]) for k, (v, o) in zip(rows, both, strict=True)])
    return _summary(t, both), parts


_Measured = tuple[np.ndarray, np.ndarray]  # losses (scores, draws, T), and the point of each draw


def _summary(t: np.ndarray, sets: list[_Measured]) -> Losses:
    """Means of what was measured, NaN of what was not, and of errors where one point was drawn."""
    nothing = (np.full(len(t), np.nan),) * 2
    columns = [
        [mean_of(x, owner) if len(owner) else nothing for x in values] for values, owner in sets
    ]
    (train, exact), (out, exact_out) = (*columns, [nothing, nothing])[:2]
    return Losses(t, *train, *out, *exact, *exact_out)


def noised_losses(
    scores: Sequence[AbstractScore],
    points: np.ndarray,
    times: np.ndarray,
    draws: range,
    rows: int,
    seed: int,
    conditions: np.ndarray | None = None,
) -> np.ndarray:
    """|a - D(x_t)|^2 (scores, draws, T) of a block of draws, so many rows at a time; `conditions`
    of the points, where they are asked for under these."""
    chosen = point_of_pair(len(points), draws.start, len(draws), seed)
    noise = _noise(points.shape[1], len(draws), torch_generator(seed, "losses", draws[0] // BLOCK))
    out = np.empty((len(scores), len(draws), len(times)))
    for first in range(0, len(draws), rows):
        part = slice(first, first + rows)
        a = torch.from_numpy(np.asarray(points[chosen[part]], dtype=np.float32))
        z = torch.cat(list(islice(noise, len(a))))
        own = None if conditions is None else torch.from_numpy(conditions[chosen[part]])
        asked = [given(score, own) for score in scores]
        for k, time in enumerate(times.tolist()):
            x = float(signal(time)) * a + math.sqrt(float(variance(time))) * z
            with torch.no_grad():
                for i, score in enumerate(asked):
                    loss = (a - score.denoise(x, time)).double().square().sum(1)
                    out[i, part, k] = loss.numpy()
    return out


def _noise(d: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows (1, d) of noise, the same however many are taken at a time; large ones are drawn one by
    one."""
    if size * d <= NUMBERS:
        yield from torch.split(torch.randn(size, d, generator=generator), 1)
        return
    for _ in range(size):
        yield torch.randn(1, d, generator=generator)


def mean_over_points(values: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (T,) and standard error of `values` (draws, T), each point as often as any other."""
    return mean_of(values, _owners(n, len(values), seed))


def _owners(n: int, draws: int, seed: int) -> np.ndarray:
    """The point of each draw."""
    return np.concatenate(
        [point_of_pair(n, s, min(BLOCK, draws - s), seed) for s in range(0, draws, BLOCK)]
    )


def mean_of(values: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (T,) and standard error of `values` (draws, T) of the points `owner` (draws,)."""
    # a point that comes more than once is one observation
    each, where = np.unique(owner, return_inverse=True)
    sums = np.zeros((len(each), values.shape[1]))
    np.add.at(sums, where, values)
    means = sums / np.bincount(where)[:, None]
    if len(each) < 2:
        return np.asarray(values.mean(axis=0)), np.full(values.shape[1], np.nan)
    error = means.std(axis=0, ddof=1) / math.sqrt(len(each))
    return np.asarray(values.mean(axis=0)), np.asarray(error)

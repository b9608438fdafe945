"""Scores: one interface, the denoiser E[a | x_t = x]; score and noise prediction follow from it.

Tweedie: grad log P_t = (e^{-t} E[a|x] - x)/Delta_t and E[z|x] = (x - e^{-t} E[a|x])/sqrt(Delta_t).

`MixtureScore` is exact for a Gaussian mixture. `EmpiricalScore` is exact for a training set:
E[a|x] = sum_nu w_nu a_nu with the posterior weights w = softmax(-|x - e^{-t} a_nu|^2/(2 Delta)),
the score that a network tends to when it memorises. `CallableScore` puts any function, such as a
network, in their place. What a score does not know is whether a state came from its own process:
fed with states of another law it answers all the same.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from .common.checks import InputError, finite_points, in_range
from .data.classes import to_numpy
from .populations.mixture import GaussianMixture
from .process import signal, variance

PREDICTIONS = ("denoised", "noise", "score", "velocity")


class AbstractScore(ABC):
    """A law on R^d, known by its denoiser. `dimension` is d, None where any will do."""

    dimension: int | None = None

    @abstractmethod
    def denoise(self, x: Tensor, t: float) -> Tensor:
        """E[a | x_t = x] for states x (m, d), in the dtype and on the device of x; t > 0."""

    @final
    def score(self, x: Tensor, t: float) -> Tensor:
        """grad log P_t(x), (m, d)."""
        _checked_time(t)
        return (float(signal(t)) * self.denoise(x, t) - x) / float(variance(t))

    @final
    def noise(self, x: Tensor, t: float) -> Tensor:
        """E[z | x_t = x], what networks trained to predict the noise give, (m, d)."""
        _checked_time(t)
        return (x - float(signal(t)) * self.denoise(x, t)) / math.sqrt(float(variance(t)))


class ConditionalScore(AbstractScore):
    """Laws p(x|c) on R^d: every state is asked for under a condition of its own, a number."""

    @abstractmethod
    def given(self, conditions: Tensor) -> AbstractScore:
        """The score of states (m, d) of which row k has the condition `conditions[k]`, (m,)."""

    def denoise(self, x: Tensor, t: float) -> Tensor:
        raise InputError(
            f"{type(self).__name__} is asked under conditions, and none came of these states; "
            "expected one for each, score.given(conditions), as an audit has them."
        )


def given(score: AbstractScore, conditions: Tensor | None) -> AbstractScore:
    """The score of states with these conditions; one that takes none is what it is."""
    if conditions is None or not isinstance(score, ConditionalScore):
        return score
    return score.given(conditions)


class MixtureScore(AbstractScore):
    """The exact score of a Gaussian mixture."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture
        self.dimension = mixture.d

    def denoise(self, x: Tensor, t: float) -> Tensor:
        return self.mixture.denoise(x, t)


class EmpiricalScore(AbstractScore):
    """The exact score of a training set, streamed over its points within a memory budget.

    points : (n, d) numpy array or tensor
    memory_mib : for the buffers beside the points and the result; results agree to rounding
    nearest : only so many points of largest weight count; `left_out` bounds the rest
    device : where the points live and the products are taken

    Products are float64 for float64 states; for others float32 where this keeps the exponents
    to 1e-3, float64 elsewhere (small t).
    """

    def __init__(
        self,
        points: Any,
        *,
        memory_mib: int = 1024,
        nearest: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        array = to_numpy(points, "points")
        if array.dtype.kind not in "buif" or array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"points have the shape {array.shape} and dtype {array.dtype}; expected numbers "
                "(n, d), one training point or more."
            )
        finite_points(array)
        if nearest is not None:
            in_range("nearest", nearest, 1, len(array), "It is a number of training points.")
        in_range("memory_mib", memory_mib, 1, 10**7)
        self.dimension = array.shape[1]
        self.nearest = nearest
        double = torch.from_numpy(array.astype(np.float64)).to(device)
        self._mean = double.mean(0)
        # centred: the exponents lose the digits that a common shift would take
        self._points = {torch.float64: double - self._mean}
        self._points[torch.float32] = self._points[torch.float64].float()
        self._norms = self._points[torch.float64].square().sum(1)
        self._largest = float(self._norms.max().sqrt())
        self._numbers = memory_mib * 2**20 // 32  # exponents held at a time, four words for each

    @property
    def n(self) -> int:
        return len(self._norms)

    @property
    def d(self) -> int:
        return len(self._mean)

    @property
    def mean(self) -> Tensor:
        """Of the points (d,), float64."""
        return self._mean

    def denoise(self, x: Tensor, t: float) -> Tensor:
        out = torch.empty_like(x)
        for rows, _, y in self._queries(x, t, self.nearest or 0):
            if self.nearest is None:
                mean = self._mean_of_all(y, t)
            else:
                found, index, _ = self._heaviest(y, t, self.nearest)
                weight = torch.softmax(found, dim=1)
                mean = torch.einsum("mk,mkd->md", weight, self._points[y.dtype][index])
            out[rows] = (mean + self._mean).to(x.device, x.dtype)
        return out

    def nearest_points(self, x: Tensor, t: float, count: int = 2) -> tuple[Tensor, Tensor]:
        """Indices (m, count) and squared distances |x - e^{-t} a|^2 of the nearest e^{-t} a_nu.

        `count` <= n. Distances are float64 and increase along a row; which of two points counts
        as nearer is open where their exponents differ by less than rounding (1e-3 for float32)."""
        in_range("count", count, 1, self.n, "It is a number of training points.")
        index = torch.empty(len(x), count, dtype=torch.int64, device=x.device)
        square = torch.empty(len(x), count, dtype=torch.float64, device=x.device)
        for rows, exact, y in self._queries(x, t, count):
            _, found, _ = self._heaviest(y, t, count)
            # not from the exponents: near a point |x|^2 takes the digits of the distance
            gap = exact[:, None] - float(signal(t)) * self._points[torch.float64][found]
            increasing, order = gap.square_().sum(2).sort(dim=1)
            index[rows], square[rows] = found.gather(1, order), increasing
        return index, square

    def left_out(self, x: Tensor, t: float) -> Tensor:
        """Posterior weight (m,) of all points beyond the `nearest`: the denoised mean is off by no
        more than this times the diameter of the data. Zero if `nearest` is None."""
        out = x.new_zeros(len(x))
        for rows, _, y in self._queries(x, t, self.nearest or 0):
            if self.nearest is not None:
                heaviest, _, rest = self._heaviest(y, t, self.nearest)
                out[rows] = torch.sigmoid(rest - torch.logsumexp(heaviest.double(), 1)).to(out)
        return out

    def _queries(self, x: Tensor, t: float, held: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows of x, so many that `held` points for each fit the budget: where they are, about the
        mean of the data at t, and the same in the precision that the products need."""
        _checked_states(x, self.dimension)
        _checked_time(t)
        shrink, noise = float(signal(t)), float(variance(t))
        room = min(math.isqrt(self._numbers), self._numbers // (self.d * (6 + held)))
        for start in range(0, len(x), max(1, room)):
            rows = slice(start, start + max(1, room))
            y = x[rows].detach().to(self._mean.device, torch.float64) - shrink * self._mean
            # at least what states of this law can reach, so that t alone decides for them
            reach = shrink * self._largest + math.sqrt(noise) * (math.sqrt(self.d) + 6)
            reach = max(reach, float(y.square().sum(1).max().sqrt()))
            error = 6e-8 * shrink * self._largest * (reach + shrink * self._largest / 2) / noise
            yield rows, y, y if x.dtype == torch.float64 or error > 1e-3 else y.float()

    def _slices(self, y: Tensor, t: float) -> Iterator[tuple[slice, Tensor]]:
        """Exponents (m, c) over slices of the points: (e^{-t} y.a - e^{-2t} |a|^2/2)/Delta."""
        shrink, noise = float(signal(t)), float(variance(t))
        columns = self._numbers // len(y)
        scaled = y * (shrink / noise)
        for start in range(0, self.n, columns):
            part = slice(start, min(start + columns, self.n))
            norms = (self._norms[part] * (-0.5 * shrink**2 / noise)).to(y.dtype)
            yield part, torch.addmm(norms, scaled, self._points[y.dtype][part].T)

    def _mean_of_all(self, y: Tensor, t: float) -> Tensor:
        """sum w a / sum w, renormalised as larger exponents turn up."""
        top = torch.full((len(y), 1), -math.inf, device=y.device, dtype=y.dtype)
        total, mean = torch.zeros_like(top), torch.zeros_like(y)
        for part, logits in self._slices(y, t):
            higher = torch.maximum(top, logits.amax(1, keepdim=True))
            kept = torch.exp(top - higher)
            # denormal weights would slow the product tenfold, and 2^-100 says as little
            logits.sub_(higher).mul_(math.log2(math.e)).clamp_(min=-100)
            weight = torch.exp2(logits, out=logits)
            total.mul_(kept).add_(weight.sum(1, keepdim=True))
            mean.mul_(kept).addmm_(weight, self._points[y.dtype][part])
            top = higher
        return mean.div_(total)

    def _heaviest(self, y: Tensor, t: float, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The `count` largest exponents (m, count), whose they are, and the log-sum of the others
        (m,): summed by itself, for as 1 minus the rest a small weight would be rounding."""
        best = torch.full((len(y), count), -math.inf, device=y.device, dtype=y.dtype)
        index = torch.zeros(best.shape, device=y.device, dtype=torch.int64)
        rest = torch.full((len(y),), -math.inf, device=y.device, dtype=torch.float64)
        for part, logits in self._slices(y, t):
            pool = torch.cat([best, logits], 1)
            best, place = pool.topk(count, dim=1)
            before = index.gather(1, place.clamp(max=count - 1))
            index = torch.where(place < count, before, place - count + part.start)
            others = pool.scatter_(1, place, -math.inf).logsumexp(1)
            rest = torch.logaddexp(rest, others.double())
        return best, index, rest


class CallableScore(AbstractScore):
    """Any function (x, t) -> prediction in the place of a score.

    function : takes states (m, *shape) and the time t, gives a tensor of the same shape
    predicts : "denoised" E[a|x], "noise" E[z|x], "score", or "velocity" e^{-t} z - sqrt(Delta) a
    shape : what the function wants beyond the batch, such as (C, H, W); states stay (m, d)
    dtype, device : what the function is given; the state keeps its own
    """

    def __init__(
        self,
        function: Callable[[Tensor, float], Tensor],
        *,
        predicts: str = "denoised",
        shape: tuple[int, ...] | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        if predicts not in PREDICTIONS:
            raise InputError(f"predicts is {predicts!r}; expected one of {', '.join(PREDICTIONS)}.")
        self.function, self.predicts, self.shape = function, predicts, shape
        self.dtype, self.device = dtype, device
        self.dimension = None if shape is None else math.prod(shape)

    def denoise(self, x: Tensor, t: float) -> Tensor:
        _checked_states(x, self.dimension)
        _checked_time(t)
        given = x if self.shape is None else x.reshape(len(x), *self.shape)
        given = given.to(self.device or x.device, self.dtype or x.dtype)
        with torch.no_grad():
            found = self.function(given, t)
        found = self._checked(found, given, t).reshape(x.shape).to(x.device, x.dtype)
        shrink, noise = float(signal(t)), float(variance(t))
        if self.predicts == "noise":
            return (x - math.sqrt(noise) * found) / shrink
        if self.predicts == "score":
            return (x + noise * found) / shrink
        if self.predicts == "velocity":
            # x = e^{-t} a + sqrt(Delta) z and e^{-2t} + Delta = 1
            return shrink * x - math.sqrt(noise) * found
        return found

    def _checked(self, answer: Any, given: Tensor, t: float) -> Tensor:
        if not isinstance(answer, Tensor):
            raise InputError(f"the score gave a {type(answer).__name__}; expected a torch tensor.")
        if answer.shape != given.shape:
            raise InputError(
                f"the score gave the shape {tuple(answer.shape)} for states of the shape "
                f"{tuple(given.shape)}; expected the same shape."
            )
        if answer.device != given.device:
            raise InputError(
                f"the score answered on {answer.device} to states on {given.device}; expected the "
                "same device. Say where it runs by device=..."
            )
        if not bool(torch.isfinite(answer).all()):
            bad = int((~torch.isfinite(answer.reshape(len(answer), -1)).all(1)).sum())
            raise InputError(
                f"the score gave NaN or infinite values for {bad} of {len(answer)} states at "
                f"t = {t:.4g}; check its range of times and its precision (dtype=...)."
            )
        return answer


def _checked_time(t: float) -> None:
    if not 0 < t < math.inf:
        raise InputError(f"t is {t!r}; expected t > 0: a score is that of noised data.")


def _checked_states(x: Tensor, dimension: int | None) -> None:
    if x.ndim != 2 or dimension not in (None, x.shape[1]) or not x.is_floating_point():
        raise InputError(
            f"x has the shape {tuple(x.shape)} and dtype {x.dtype}; expected float states "
            f"(m, {'d' if dimension is None else dimension})."
        )

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

from .checks import InputError, finite_points, in_range
from .populations import GaussianMixture
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
        return (float(signal(t)) * self.denoise(x, t) - x) / float(variance(t))

    @final
    def noise(self, x: Tensor, t: float) -> Tensor:
        """E[z | x_t = x], what networks trained to predict the noise give, (m, d)."""
        return (x - float(signal(t)) * self.denoise(x, t)) / math.sqrt(float(variance(t)))


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
    memory_mib : for the buffers beside the points; results agree to rounding for any
    nearest : only so many points of largest weight count; `left_out` bounds the rest
    device : where the points live and the products are taken

    Products are float32 where this keeps the exponents to 1e-3, float64 elsewhere (small t).
    """

    def __init__(
        self,
        points: Any,
        *,
        memory_mib: int = 1024,
        nearest: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        array = torch.as_tensor(points)
        if array.ndim != 2 or len(array) < 1:
            raise InputError(f"points have the shape {tuple(array.shape)}; expected (n, d).")
        finite_points(np.asarray(array))
        if nearest is not None:
            in_range("nearest", nearest, 1, len(array), "It is a number of training points.")
        in_range("memory_mib", memory_mib, 1, 10**7)
        self.dimension = array.shape[1]
        self.nearest = nearest
        double = array.to(device, torch.float64)
        self._mean = double.mean(0)
        # centred: the exponents lose the digits that a common shift would take
        self._points = {torch.float64: double - self._mean}
        self._points[torch.float32] = self._points[torch.float64].float()
        self._norms = self._points[torch.float64].square().sum(1)
        self._largest = float(self._norms.max().sqrt())
        self._numbers = memory_mib * 2**20 // 16

    @property
    def n(self) -> int:
        return len(self._norms)

    @property
    def d(self) -> int:
        return len(self._mean)

    def denoise(self, x: Tensor, t: float) -> Tensor:
        y = self._centred(x, t)
        if self.nearest is not None:
            found, index, _ = self._heaviest(y, t, self.nearest)
            weight = torch.softmax(found, dim=1)
            mean = torch.einsum("mk,mkd->md", weight.to(y.dtype), self._points[y.dtype][index])
        else:
            mean = self._mean_of_all(y, t)
        return (mean + self._mean).to(x.device, x.dtype)

    def nearest_points(self, x: Tensor, t: float, count: int = 2) -> tuple[Tensor, Tensor]:
        """Indices (m, count) and squared distances |x - e^{-t} a|^2 of the nearest e^{-t} a_nu."""
        y = self._centred(x, t)
        found, index, _ = self._heaviest(y, t, min(count, self.n))
        own = y.double().square().sum(1, keepdim=True)
        square = own - 2 * float(variance(t)) * found.double()
        return index.to(x.device), square.clamp(min=0).to(x.device)

    def left_out(self, x: Tensor, t: float) -> Tensor:
        """Posterior weight (m,) of all points beyond the `nearest`: the denoised mean is off by no
        more than this times the diameter of the data."""
        y = self._centred(x, t)
        found, _, total = self._heaviest(y, t, self.nearest or self.n)
        kept = torch.logsumexp(found.double(), dim=1) - total
        return (-torch.expm1(kept)).clamp(0, 1).to(x.device, x.dtype)

    def _centred(self, x: Tensor, t: float) -> Tensor:
        """x about the mean of the data at t, in the precision that the products need."""
        if x.ndim != 2 or x.shape[1] != self.dimension:
            raise InputError(
                f"x has the shape {tuple(x.shape)}; expected states (m, {self.dimension})."
            )
        if t <= 0:
            raise InputError(f"t is {t!r}; expected t > 0: at t = 0 only the points themselves.")
        y = x.to(self._mean.device, torch.float64) - float(signal(t)) * self._mean
        size = self._largest * float(y.square().sum(1).max().sqrt()) if len(y) else 0.0
        error = 6e-8 * float(signal(t)) * size / float(variance(t))
        return y if error > 1e-3 else y.float()

    def _slices(self, y: Tensor, t: float) -> Iterator[tuple[slice, Tensor]]:
        """Exponents (m, c) over slices of the points: (e^{-t} y.a - e^{-2t} |a|^2/2)/Delta."""
        shrink, noise = float(signal(t)), float(variance(t))
        columns = max(64, min(self.n, self._numbers // max(1, len(y))))
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
        return mean / total

    def _heaviest(self, y: Tensor, t: float, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The `count` largest exponents (m, k), whose they are, and the log-sum of all (m,)."""
        best = torch.empty(len(y), 0, device=y.device, dtype=y.dtype)
        index = torch.empty(len(y), 0, device=y.device, dtype=torch.int64)
        total = torch.full((len(y),), -math.inf, device=y.device, dtype=torch.float64)
        for part, logits in self._slices(y, t):
            total = torch.logaddexp(total, torch.logsumexp(logits, dim=1).double())
            value, place = logits.topk(min(count, logits.shape[1]), dim=1)
            value, place = torch.cat([best, value], 1), torch.cat([index, place + part.start], 1)
            best, order = value.topk(min(count, value.shape[1]), dim=1)
            index = place.gather(1, order)
        return best, index, total


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

    def _checked(self, found: Any, given: Tensor, t: float) -> Tensor:
        if not isinstance(found, Tensor):
            raise InputError(f"the score gave a {type(found).__name__}; expected a torch tensor.")
        if found.shape != given.shape:
            raise InputError(
                f"the score gave the shape {tuple(found.shape)} for states of the shape "
                f"{tuple(given.shape)}; expected the same shape."
            )
        if found.device != given.device:
            raise InputError(
                f"the score answered on {found.device} to states on {given.device}; expected the "
                "same device. Say where it runs by device=..."
            )
        if not bool(torch.isfinite(found).all()):
            bad = int((~torch.isfinite(found.reshape(len(found), -1)).all(1)).sum())
            raise InputError(
                f"the score gave NaN or infinite values for {bad} of {len(found)} states at "
                f"t = {t:.4g}; check its range of times and its precision (dtype=...)."
            )
        return found

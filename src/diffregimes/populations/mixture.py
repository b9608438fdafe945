"""Gaussian mixtures whose every quantity is known: the law behind a dataset, at every time.

a ~ sum_k pi_k N(m_k, C_k) and x_t = e^{-t} a + sqrt(Delta_t) z, so that

    P_t(x) = sum_k pi_k N(x; e^{-t} m_k, C_{k,t}),    C_{k,t} = Delta_t I + e^{-2t} C_k,
    p_k(x) = pi_k N(x; e^{-t} m_k, C_{k,t}) / P_t(x),
    grad log P_t(x) = - sum_k p_k C_{k,t}^{-1} (x - e^{-t} m_k),
    E[a|x] = sum_k p_k [m_k + e^{-t} C_k C_{k,t}^{-1} (x - e^{-t} m_k)],

the last as it stands and not by Tweedie's formula, which subtracts nearly equal numbers at small
and at large t. Parameters are float64; results have the dtype and device of x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, in_range, increasing
from ..common.memory import check_fits
from ..common.rng import numpy_generator
from ..process import signal, variance
from ..results import Curves
from ..theory.gaussian_mixture import TwoGaussians
from .covariances import Covariance, Noised, listed_covariances, normal, numbers
from .curves import assemble, block_rows, components, mean_and_error, points_of, shared_curves
from .specs import parse_gmm

_LAW = 48  # bytes that the law takes for a feature


@dataclass(frozen=True, eq=False, init=False)
class GaussianMixture:
    """sum_k weights[k] N(means[k], covariances[k]) in d dimensions.

    `means` (K, d); `covariances` one `Covariance` for all (tuple of length 1: `shared`) or K of
    them, a number standing for an isotropic one; `weights` (K,), positive, equal if None.
    Arrays or tensors. Raises `InputError` that names the parameter which is impossible.
    """

    means: Tensor
    covariances: tuple[Covariance, ...]
    weights: Tensor

    def __init__(
        self,
        means: Any,
        covariances: Covariance | float | Sequence[Covariance | float],
        weights: Any = None,
    ) -> None:
        points = numbers("means", means, 2)
        given = covariances if isinstance(covariances, Sequence) else [covariances]
        object.__setattr__(self, "means", points)
        object.__setattr__(self, "covariances", listed_covariances(given, *points.shape))
        object.__setattr__(self, "weights", _weights(weights, len(points)))

    @property
    def n_components(self) -> int:
        return len(self.means)

    @property
    def d(self) -> int:
        return int(self.means.shape[1])

    @property
    def shared(self) -> bool:
        """One covariance for all components."""
        return len(self.covariances) == 1

    @cached_property
    def mean(self) -> Tensor:
        """(d,)."""
        return self.weights @ self.means

    def covariance(self) -> Covariance:
        """Of the whole law: within the components, and between them as columns of the factor."""
        shares = [1.0] if self.shared else self.weights.tolist()
        pairs = list(zip(shares, self.covariances, strict=True))
        within = [math.sqrt(s) * c.factor for s, c in pairs if c.factor is not None]
        between = self.weights.sqrt()[:, None] * (self.means - self.mean)
        diagonal = sum((s * c.diagonal for s, c in pairs), torch.zeros(1, dtype=torch.float64))
        return Covariance(diagonal, torch.cat([*within, between.T], dim=1))

    def eigenvalues(self) -> np.ndarray:
        """Of `covariance()`, largest first, (d,)."""
        return self.covariance().eigenvalues(self.d)

    @cached_property
    def basis(self) -> Tensor:
        """(d, r): orthonormal, spanning the differences of the means, 1 <= r <= max(1, K - 1)."""
        centred = self.means - self.mean
        _, size, rows = torch.linalg.svd(centred, full_matrices=False)
        rank = max(1, int((size > 1e-12 * size[0]).sum()))
        signs = torch.where(rows[:rank] @ centred[0] < 0, -1.0, 1.0).to(rows.dtype)
        out: Tensor = (signs[:, None] * rows[:rank]).T
        return out

    def in_span(self) -> GaussianMixture:
        """The law of basis^T a: with one isotropic covariance all that x_t says of the class.

        Raises `InputError` for other covariances, where the span of the means is not enough.
        """
        if not self.isotropic:
            raise InputError(
                "in_span() needs one isotropic covariance for all components; this mixture has "
                f"{'another one' if self.shared else f'{len(self.covariances)} of them'}."
            )
        return GaussianMixture(self.means @ self.basis, self.covariances[0], self.weights)

    @property
    def isotropic(self) -> bool:
        return self.shared and self.covariances[0].dimension is None

    # ---- the law at time t: x (m, d), a float tensor on any device; t >= 0

    def log_prob(self, x: Tensor, t: float) -> Tensor:
        """log P_t(x), (m,); differentiable in x."""
        logits, rest = self._logits(*self._at(x, t))
        return (rest + torch.logsumexp(logits, dim=-1)).to(x.dtype)

    def class_posterior(self, x: Tensor, t: float) -> Tensor:
        """p_k(x) = P(component k | x_t = x), (m, K)."""
        return self._posterior(*self._at(x, t)).to(x.dtype)

    def score(self, x: Tensor, t: float) -> Tensor:
        """grad log P_t(x), (m, d)."""
        y, noised = self._at(x, t)
        p = self._posterior(y, noised)
        if self.shared:
            return -noised[0].solve(y - noised[0].shrink * (p @ self._on(y))).to(x.dtype)
        pulls = torch.stack([at.solve(v) for v, at in self._residuals(y, noised)])
        return -torch.einsum("mk,kmd->md", p, pulls).to(x.dtype)

    def denoise(self, x: Tensor, t: float) -> Tensor:
        """E[a | x_t = x], (m, d)."""
        y, noised = self._at(x, t)
        p = self._posterior(y, noised)
        if self.shared:
            mean = p @ self._on(y)
            return (mean + noised[0].gain(y - noised[0].shrink * mean)).to(x.dtype)
        return torch.einsum("mk,kmd->md", p, self._class_means(y, noised)).to(x.dtype)

    def _on(self, x: Tensor) -> Tensor:
        return self.means.to(x.device)

    def _at(self, x: Tensor, t: float) -> tuple[Tensor, list[Noised]]:
        """x in float64, and C_{k,t} for every covariance."""
        if x.ndim != 2 or x.shape[1] != self.d or not x.is_floating_point():
            raise InputError(
                f"x has the shape {tuple(x.shape)} and dtype {x.dtype}; expected a float tensor "
                f"(m, {self.d})."
            )
        return x.to(torch.float64), self._noised(t, x.device)

    def _noised(self, t: float, device: torch.device | None = None) -> list[Noised]:
        in_range("t", t, 0, math.inf, "t = 0 is data, large t is noise.")
        for k, c in enumerate(self.covariances):
            if t == 0 and float(c.diagonal.min()) == 0:
                raise InputError(
                    f"t is 0 and covariances[{k}] is degenerate (no variance along some axis, "
                    "factor aside), so that there is no density; expected t > 0. A covariance of "
                    "full rank given by Covariance.full has one at t = 0 too."
                )
        return [c.noised(t, device) for c in self.covariances]

    def _residuals(self, x: Tensor, noised: list[Noised]) -> Iterator[tuple[Tensor, Noised]]:
        """x - e^{-t} m_k and C_{k,t}, component by component."""
        for mean, at in zip(self._on(x), noised, strict=True):
            yield x - at.shrink * mean, at

    def _class_means(self, x: Tensor, noised: list[Noised]) -> Tensor:
        """mu_k(x) = E[a | x_t = x, component k], (K, m, d)."""
        gains = [at.gain(v) for v, at in self._residuals(x, noised)]
        return self._on(x)[:, None] + torch.stack(gains)

    def _posterior(self, x: Tensor, noised: list[Noised]) -> Tensor:
        """p_k, (m, K)."""
        # by columns: along a last axis of two numbers softmax takes several times as long
        return torch.softmax(self._logits(x, noised)[0].T.contiguous(), dim=0).T

    def _logits(self, x: Tensor, noised: list[Noised]) -> tuple[Tensor, Tensor]:
        """log pi_k N(x; e^{-t} m_k, C_{k,t}), (m, K), less a common part (m,), and that part.

        With one covariance the common part takes all that does not tell the classes apart.
        """
        prior = self.weights.log().to(x.device)
        constant = -0.5 * self.d * math.log(2 * math.pi)
        if self.shared:
            at, centre = noised[0], self.mean.to(x.device)
            white = at.whiten(x - at.shrink * centre)
            means = at.whiten(at.shrink * (self._on(x) - centre))
            logits = prior + white @ means.T - means.square().sum(dim=-1) / 2
            return logits, constant - (white.square().sum(dim=-1) + at.log_det(self.d)) / 2
        columns = [
            prior[k] - (at.whiten(v).square().sum(dim=-1) + at.log_det(self.d)) / 2
            for k, (v, at) in enumerate(self._residuals(x, noised))
        ]
        return torch.stack(columns, dim=-1), torch.full_like(columns[0], constant)

    # ---- draws

    def sample(
        self,
        n: int,
        seed: int = 0,
        stratified: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> tuple[Tensor, Tensor]:
        """n points (n, d) in `dtype` and their components (n,).

        `stratified`: n pi_k points of component k, rounded by largest remainder, in random order.
        """
        in_range("n", n, 1, 10**12)
        labels = components(self.weights, n, seed, stratified)
        out = torch.empty(n, self.d, dtype=dtype)
        blocks = points_of(labels, self.means, self.covariances, seed)
        for rows, (points, _) in zip(torch.split(out, block_rows(self.d)), blocks, strict=True):
            rows.copy_(points)
        return out, labels

    def information_density(self, t: float, draws: int, seed: int = 0) -> np.ndarray:
        """i(a; x_t) = log P(x_t|a) - log P_t(x_t) of sampled pairs, (draws,), with mean I(a; x_t).

        The same random numbers at every t. With one isotropic covariance, variance s^2, only the
        r dimensions of `basis` are sampled; the others, D = d - r of them, add
        (D/2) log(Gamma/Delta) + (1/2) (e^{-2t} s^2 / Gamma)^{1/2} (chi2_D - chi2'_D) with
        Gamma = Delta_t + e^{-2t} s^2 and two independent chi-squares: the eigenvalues of
        (s e^{-t} g + sqrt(Delta) z)^2 / Gamma - z^2 as a quadratic form in (g, z).
        """
        in_range("draws", draws, 1, 10**9)
        if t <= 0:
            raise InputError(f"t is {t!r}; expected t > 0: at t = 0 x_t tells everything of a.")
        law = self.in_span() if self.isotropic else self
        noise = float(variance(t))
        out = []
        for a, z in law._pairs(draws, seed):
            given = -0.5 * (z.square().sum(dim=-1) + law.d * math.log(2 * math.pi * noise))
            x = float(signal(t)) * a + math.sqrt(noise) * z
            out.append((given - law.log_prob(x, t)).numpy())
        density = np.concatenate(out)
        rest = self.d - law.d
        if rest:
            at = self._noised(t)[0]
            share = float((at.diagonal.sqrt() * at.shrink / at.root)[0])
            one, other = numpy_generator(seed, "mixture rest").chisquare(rest, (2, draws))
            density += at.log_det_ratio(rest) / 2 + share / 2 * (one - other)
        return density

    def population_curves(
        self, times: Sequence[float] | np.ndarray, draws: int = 20000, seed: int = 0
    ) -> Curves:
        """same_class_probability, class_entropy, information and mmse at increasing times > 0.

        Of the law itself, no dataset in between (formulas: module `population_curves`). With one
        covariance and the means on a line (two classes always) by quadrature: standard errors
        and `draws` of the result are 0. Otherwise from `draws` draws, the same at every time, in
        K dimensions if the covariance is shared and in all d if not.
        """
        t = increasing("times", times)
        in_range("draws", draws, 2, 10**9)
        if self.shared:
            means = self.means - self.mean
            means = means @ self.basis if self.isotropic else means
            return shared_curves(t, means, self.weights, self.covariances[0], self.d, draws, seed)
        exact, averages = [], []
        for time in t:
            noised = self._noised(float(time))
            parts = [
                (at.log_det_ratio(self.d) / 2, at.conditional_variance(self.d)) for at in noised
            ]
            exact.append(self.weights.numpy() @ np.array(parts))
            averages.append(mean_and_error(self._sampled(noised, draws, seed)))
        gaussian, within = np.transpose(exact)
        return assemble(t, self.weights, gaussian, within, np.array(averages), draws)

    def _pairs(self, draws: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """a and z, block by block, whatever t."""
        labels = components(self.weights, draws, seed, stratified=False)
        for a, generator in points_of(labels, self.means, self.covariances, seed):
            yield a, normal((len(a), self.d), generator)

    def _sampled(self, noised: list[Noised], draws: int, seed: int) -> np.ndarray:
        """(draws, 3): sum p^2, H(p) and sum_{j<k} p_j p_k |mu_j - mu_k|^2."""
        out = []
        for a, z in self._pairs(draws, seed):
            x = noised[0].shrink * a + math.sqrt(noised[0].noise) * z
            p = self._posterior(x, noised)
            guesses = self._class_means(x, noised)
            spread = guesses - torch.einsum("mk,kmd->md", p, guesses)
            between = torch.einsum("mk,kmd,kmd->m", p, spread, spread)
            values = [p.square().sum(dim=-1), torch.special.entr(p).sum(dim=-1), between]
            out.append(torch.stack(values, dim=-1))
        return torch.cat(out).numpy()


def two_gaussians(
    d: int, mu: float = 1.0, sigma: float = 1.0, weight: float = 0.5
) -> GaussianMixture:
    """weight N(m, sigma^2 I) + (1 - weight) N(-m, sigma^2 I), m = mu (1, ..., 1): the paper's law.

    Component 0 is +m. Raises `InputError` for numbers out of range.
    """
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 1:
        raise InputError(f"d is {d!r}; expected the dimension, a whole number of 1 or more.")
    TwoGaussians(d, mu, sigma, weight)  # refuses numbers out of range
    m = torch.full((d,), float(mu), dtype=torch.float64)
    return GaussianMixture(torch.stack([m, -m]), float(sigma) ** 2, [weight, 1 - weight])


def from_spec(text: str) -> tuple[GaussianMixture, int, int]:
    """(mixture, n, seed) from "gmm:d=1024,n=20000,mu=1,sigma=1,weight=0.5,seed=0".

    d and n are required; the others have these values unless given. Raises `InputError`.
    """
    values = parse_gmm(text)
    d, n = int(values["d"]), int(values["n"])
    # the points, their numbers, and what the law keeps of each feature
    need = 4 * d * n + 16 * n + _LAW * d
    check_fits(need, f"{text!r}, {n} points of {d} features,", "Ask for fewer of either.")
    return two_gaussians(d, values["mu"], values["sigma"], values["weight"]), n, int(values["seed"])


def _weights(given: Any, n: int) -> Tensor:
    if given is None:
        return torch.full((n,), 1 / n, dtype=torch.float64)
    out = numbers("weights", given, 1)
    if len(out) != n:
        raise InputError(f"weights has {len(out)} entries for {n} means; expected one for each.")
    total = float(out.sum())
    if bool((out <= 0).any()) or abs(total - 1) > 1e-6:
        raise InputError(
            f"weights are {out.tolist()[:8]} with the sum {total:.9g}; expected positive numbers "
            "with the sum 1. Leave out components of weight 0."
        )
    return out / total

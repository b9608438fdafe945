"""Observables of a Gaussian mixture along t, with the means of x_t integrated out as far as can be.

Given x_t the class k has the probability p_k and the point the mean mu_k(x_t) and the covariance
Sigma_k = Delta_t C_k C_{k,t}^{-1} (module `covariances`). Hence, in nats and exactly,

    phi = E sum_k p_k^2
    I(a; x_t) = H(class) - E[H(p)] + (1/2) sum_k pi_k log det(C_{k,t} / Delta_t)
    mmse = sum_k pi_k tr Sigma_k + E sum_{j<k} p_j p_k |mu_j - mu_k|^2.

With one covariance C the class shows only through y = b_k + xi, xi ~ N(0, I), where the points b_k
have the Gram matrix e^{-2t} (m_k - m)^T C_t^{-1} (m_l - m), and mu_j - mu_k = Delta_t C_t^{-1}
(m_j - m_k) whatever x_t is. Points on a line leave one-dimensional integrals; otherwise xi is
drawn, the same at every t, and every class takes its turn for each xi.

Draws of the mixture itself are made here too, in blocks with a generator each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from ..common.rng import torch_generator
from ..results import Curves
from ..theory import class_channel
from .covariances import Covariance

_BLOCK = 256  # draws with a generator of their own
_BUDGET = 2**22  # float64 numbers in a temporary array


def shared_curves(
    times: np.ndarray,
    means: Tensor,
    weights: Tensor,
    covariance: Covariance,
    d: int,
    draws: int,
    seed: int,
) -> Curves:
    """Curves of classes with one covariance: `means` (K, d), centred.

    Under an isotropic covariance `means` may be coordinates (K, r) in their span; d remains that
    of the law. By quadrature (`draws` = 0 in the result) if the means lie on a line.
    """
    noised = [covariance.noised(float(t)) for t in times]
    # Neither the points' rank nor the axes of the Gram matrix's square root jump with t.
    sizes = torch.linalg.svdvals(means)
    on_a_line = len(sizes) < 2 or bool(sizes[1] <= 1e-12 * sizes[0])
    draws = 0 if on_a_line else draws
    xi = _class_noise(draws, len(means), seed)
    rows = []
    for at in noised:
        left, size, _ = torch.linalg.svd(at.whiten(at.shrink * means), full_matrices=False)
        apart = at.noise * at.solve(means)
        gaps = torch.cdist(apart, apart, compute_mode="donot_use_mm_for_euclid_dist").square()
        if on_a_line:
            rows.append(_integrals(left[:, 0] * size[0], weights, gaps))
        else:
            rows.append(_averages((left * size) @ left.T, weights, gaps, xi))
    averages = np.array(rows).reshape(len(times), 2, 3)
    gaussian = np.array([at.log_det_ratio(d) / 2 for at in noised])
    within = np.array([at.conditional_variance(d) for at in noised])
    return assemble(times, weights, gaussian, within, averages, draws)


def assemble(
    times: np.ndarray,
    weights: Tensor,
    gaussian: np.ndarray,
    within: np.ndarray,
    averages: np.ndarray,
    draws: int,
) -> Curves:
    """The curves from what is exact, (T,), and from `averages` (T, 2, 3): mean and se of
    sum p^2, H(p) and sum_{j<k} p_j p_k |mu_j - mu_k|^2."""
    (phi, entropy, between), (phi_se, entropy_se, between_se) = averages.transpose(1, 2, 0)
    information = entr(weights.numpy()).sum() - entropy + gaussian
    return Curves(
        times,
        {
            "same_class_probability": phi,
            "class_entropy": entropy,
            "information": information,
            "mmse": within + between,
        },
        {
            "same_class_probability": phi_se,
            "class_entropy": entropy_se,
            "information": entropy_se,
            "mmse": between_se,
        },
        draws,
    )


def mean_and_error(values: np.ndarray) -> np.ndarray:
    """(2, 3): mean and standard error of independent draws (draws, 3)."""
    return np.stack([values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))])


def _integrals(positions: Tensor, weights: Tensor, gaps: Tensor) -> np.ndarray:
    """(2, 3): the averages over y on a line, and zeros; `gaps` |mu_j - mu_k|^2, (K, K)."""
    pairs = class_channel.overlap(positions.numpy(), weights.numpy())
    entropy = class_channel.entropy(positions.numpy(), weights.numpy())
    between = (pairs * gaps.numpy()).sum() / 2
    return np.stack([[np.trace(pairs), entropy, between], np.zeros(3)])


def _averages(positions: Tensor, weights: Tensor, gaps: Tensor, xi: Tensor) -> np.ndarray:
    """(2, 3): the averages over y = b_j + xi, by xi (draws, K), for positions b (K, K)."""
    apart = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist")
    prior = weights.log() - apart.square() / 2
    out = []
    for rows in torch.split(xi, max(1, _BUDGET // len(weights) ** 2)):
        along = rows @ positions.T
        # log p_k = log pi_k - |b_j - b_k|^2/2 - xi.(b_j - b_k) + const for the true class j
        p = torch.softmax(prior - along[:, :, None] + along[:, None, :], dim=-1)
        between = ((p @ gaps) * p).sum(dim=-1) / 2
        values = [p.square().sum(dim=-1), torch.special.entr(p).sum(dim=-1), between]
        out.append(torch.stack([x @ weights for x in values], dim=-1))
    return mean_and_error(torch.cat(out).numpy())


def _class_noise(draws: int, width: int, seed: int) -> Tensor:
    """xi, (draws, width)."""
    out = torch.empty(draws, width, dtype=torch.float64)
    for block, rows in enumerate(torch.split(out, _BLOCK) if draws else ()):
        rows.normal_(generator=torch_generator(seed, "class channel", block))
    return out


def components(weights: Tensor, n: int, seed: int, stratified: bool) -> Tensor:
    """The components of n draws, (n,): at random, or in shares rounded by largest remainder."""
    generator = torch_generator(seed, "mixture components")
    if not stratified:
        return torch.multinomial(weights, n, replacement=True, generator=generator)
    exact = n * weights
    counts = exact.floor().long()
    order = torch.argsort(exact - counts, descending=True, stable=True)
    counts[order[: n - int(counts.sum())]] += 1
    labels = torch.repeat_interleave(torch.arange(len(weights)), counts)
    return labels[torch.randperm(n, generator=generator)]


def block_rows(d: int) -> int:
    """Draws in a block: fewer than 256 where d is large."""
    return max(1, min(_BLOCK, _BUDGET // (2 * d)))


def points_of(
    labels: Tensor, means: Tensor, covariances: tuple[Covariance, ...], seed: int
) -> Iterator[tuple[Tensor, torch.Generator]]:
    """A point of each component in `labels`, and the block's generator for what is drawn next.

    One covariance, or one for each of the means (K, d); blocks of `block_rows(d)`.
    """
    for block, mine in enumerate(torch.split(labels, block_rows(means.shape[1]))):
        generator = torch_generator(seed, "mixture points", block)
        points = means[mine]
        for k, covariance in enumerate(covariances):
            if len(covariances) == 1:
                points += covariance.sample(len(mine), points.shape[1], generator)
            else:
                rows = (mine == k).nonzero()[:, 0]
                points[rows] += covariance.sample(len(rows), points.shape[1], generator)
        yield points, generator

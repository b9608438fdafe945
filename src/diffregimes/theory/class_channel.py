"""What one noisy number says of the class: y = c_k + xi with xi ~ N(0, 1) and class weights pi_k.

Gaussian classes with one covariance are told apart, at every time and in any dimension, by such a
channel alone; its positions c_k (in units of the noise) carry all dependence on d and t. Averages
are over y given each true class k, y = c_k + xi, where the class posterior is

    p_j = softmax_j( log pi_j - (c_k - c_j)^2 / 2 - (c_k - c_j) xi ).

The trapezoid rule on xi converges geometrically: the poles of p_j nearest to the axis lie at
distance pi/|c_j - c_k|, and the further the classes, the less weight falls between them. With
step h the error is exp(-min_s [2 pi^2/(s h) + s^2/8]), which is 1e-19 at h = 1/16.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import entr, ndtri, softmax

from ..common.rng import sobol

_HALF_WIDTH = 9.0  # exp(-9^2/2) = 3e-18
_STEP = 1 / 16
_NODES = np.arange(-_HALF_WIDTH, _HALF_WIDTH + _STEP / 2, _STEP)
_NORMAL = np.exp(-0.5 * _NODES**2)
_NORMAL /= _NORMAL.sum()


def posterior(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """p_j at every node of every true class, (..., K true, nodes, K)."""
    gap = positions[..., :, None, None] - positions[..., None, None, :]
    logits = np.log(weights) - gap * (0.5 * gap + _NODES[:, None])
    return np.asarray(softmax(logits, axis=-1))


def overlap(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """E[p_j p_k], (..., K, K), for positions (..., K) and weights (K,).

    Its trace is the probability phi that two independent draws from the posterior agree.
    """
    p = posterior(positions, weights)
    return np.asarray(np.einsum("k,q,...kqi,...kqj->...ij", weights, _NORMAL, p, p))


def entropy(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """E[H(p)] = H(class | y) in nats, (...,)."""
    p = posterior(positions, weights)
    return np.asarray(np.einsum("k,q,...kq->...", weights, _NORMAL, entr(p).sum(axis=-1)))


def positions(square: np.ndarray) -> np.ndarray:
    """Points (..., K, K - 1) with these squared distances (..., K, K), as nearly as can be.

    The coordinates are those of classical scaling; squared distances that no points have, as noise
    makes them, lose their negative part.
    """
    k = square.shape[-1]
    centre = np.eye(k) - 1 / k
    values, vectors = np.linalg.eigh(-0.5 * centre @ square @ centre)
    return np.asarray(vectors[..., 1:] * np.sqrt(np.maximum(values[..., None, 1:], 0)))


def agreement(square: np.ndarray, weights: np.ndarray, seed: int = 0) -> np.ndarray:
    """phi of the channel y = c_k + xi, xi ~ N(0, I), whose classes have the squared distances
    `square` (..., K, K): quadrature for two classes, else quasi-random xi (error < 1e-3)."""
    k = len(weights)
    at = positions(square)
    if k == 2:
        pairs = overlap(at[..., 0], weights)
        return np.asarray(np.trace(pairs, axis1=-2, axis2=-1))
    power = max(9, 12 - 2 * max(0, math.ceil(math.log2(k / 8))))
    xi = ndtri(sobol(k - 1, 2**power, seed, "class channel"))
    out = np.empty(square.shape[:-2])
    prior = np.log(weights) - 0.5 * square
    for place in np.ndindex(out.shape):
        along = at[place] @ xi.T
        # log p_j = log pi_j - |c_j - c_k|^2/2 - xi.(c_k - c_j) + const for the true class k;
        # the classes come first: a softmax over a short last axis takes four times as long
        p = softmax(prior[place].T[:, :, None] - along + along[:, None], axis=0)
        out[place] = weights @ np.einsum("jkq,jkq->k", p, p) / len(xi)
    return out

"""The spectrum of the data covariance, and the edge that structureless data would show.

Speciation is governed by the largest eigenvalue Lambda (the paper: Lambda e^{-2 t_S} = 1).
Pure noise of variance s^2 in d dimensions already shows lambda_max = s^2 (1 + sqrt(d/n))^2
(Marchenko-Pastur): only an eigenvalue above that edge is structure.

The Gaussian information G(gamma) = (1/2) log det(1 + gamma C) of a population is more than that of
a sample spectrum, whose eigenvalues spread: where n < d most of it is missing. Girko's G-estimator
mends that. With N = n - 1 and sample eigenvalues l_k, for that s > gamma which solves

    gamma = s delta,   delta = 1 - (1/N) sum_k s l_k/(1 + s l_k),

G(gamma) = (1/2) [ sum_k log(1 + s l_k) + N log delta + N (1 - delta) ], consistent as n and d grow
together (V. L. Girko, Statistical Analysis of Observations of Increasing Dimension, 1995).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import brentq

from ..common.numerics import largest_eigenvector
from ..results import Spectrum
from .cloud import Cloud, together
from .datasets import Dataset

_ROUNDING = 1e-12  # of the largest: eigenvalues below it are zero
_LEAST = 0.02  # delta: below it nearly all directions are used up, and the estimate is noise


def spectrum(dataset: Dataset, matrix: torch.Tensor) -> Spectrum:
    """Eigenvalues of the sample covariance (divided by n - 1), largest first.

    `matrix` is the `covariance` of the dataset's cloud. `largest_first_channel` is Lambda of the
    first colour channel alone, as in the paper's table 1.
    """
    eigenvalues = torch.linalg.eigvalsh(matrix).flip(0).clamp(min=0).numpy()
    features = int((dataset.points.max(axis=0) > dataset.points.min(axis=0)).sum())
    noise = eigenvalues.sum() / features
    first, error = None, None
    if dataset.is_image:
        first = float(eigenvalues[0])
        if dataset.sample_shape[2] > 1:
            first, error = first_channel(dataset)
    edge = noise * (1 + math.sqrt(features / dataset.n)) ** 2
    return Spectrum(
        float(eigenvalues[0]), first, float(edge), eigenvalues, error, dataset.n, features
    )


def first_channel(dataset: Dataset) -> tuple[float, float]:
    """Lambda of the first colour channel, as in the paper's table 1 (which takes pixels in [0, 1]),
    and its standard error over points; of all features where there are no colours.

    To first order Lambda moves with each point a by (v.(a - mean))^2 - Lambda, v its eigenvector.
    """
    points = dataset.points
    if dataset.is_image:
        points = points.reshape(dataset.n, -1, dataset.sample_shape[2])[:, :, 0]
    centred = points - points.mean(axis=0, dtype=np.float64)
    value, vector = largest_eigenvector(centred)
    return value, float(((centred @ vector) ** 2).std(ddof=1)) / math.sqrt(dataset.n)


def covariance(cloud: Cloud) -> torch.Tensor:
    """Sample covariance (r, r), float64, in data units; the coordinates are centred already."""
    total = torch.zeros((cloud.coordinates.shape[1],) * 2, dtype=torch.float64)
    for part in torch.split(cloud.coordinates, together(cloud.coordinates.shape[1])):
        rows = part.cpu().double()
        total.addmm_(rows.T, rows)
    return total * (cloud.scale**2 / (cloud.n - 1))


def information_bound(eigenvalues: np.ndarray, gamma: np.ndarray | float) -> np.ndarray:
    """(1/2) sum_k log(1 + gamma lambda_k): what a Gaussian with this spectrum would tell.

    An upper bound on I(a; x_t) for any data with that covariance, in nats.
    """
    gamma = np.atleast_1d(np.asarray(gamma, dtype=np.float64))
    return np.asarray(0.5 * np.log1p(gamma[:, None] * eigenvalues).sum(axis=1))


def sample_snr(spectrum: Spectrum, gamma: np.ndarray | float) -> np.ndarray:
    """s of the module's law (T,); gamma itself for a known law.

    Fewer points than dimensions show nothing beyond some gamma: from there on s is that of it.
    """
    gamma = np.minimum(np.atleast_1d(np.asarray(gamma, dtype=np.float64)), _last_shown(spectrum))
    if spectrum.points is None:
        return gamma

    def solved(x: float) -> float:
        ends = math.log(x), math.log(x / _LEAST) + 1e-9
        # in log s: the numbers span many decades
        return float(brentq(lambda y: y + math.log(_delta(spectrum, math.exp(y)) / x), *ends))

    return np.exp([solved(x) for x in gamma.tolist()])


def gaussian_information(spectrum: Spectrum, gamma: np.ndarray | float) -> np.ndarray:
    """G (T,) of the module's law in nats: an upper bound on I(a; x_t) of the population.

    Beyond what fewer points than dimensions show it goes on as that of their own spectrum does: an
    estimate no more, `most_information` bounds it.
    """
    gamma = np.atleast_1d(np.asarray(gamma, dtype=np.float64))
    values = spectrum.eigenvalues
    if spectrum.points is None:
        return information_bound(values, gamma)
    shown = np.minimum(gamma, _last_shown(spectrum))
    s = sample_snr(spectrum, gamma)
    delta = shown / s
    spread = 0.5 * (spectrum.points - 1) * (np.log(delta) + 1 - delta)
    beyond = information_bound(values, gamma) - information_bound(values, shown)
    return np.asarray(information_bound(values, s) + spread + beyond)


def most_information(spectrum: Spectrum, gamma: float) -> float:
    """The most that G can be: beyond what the points show, by d G / d log gamma <= d/2."""
    shown = min(gamma, _last_shown(spectrum))
    features = spectrum.features or len(spectrum.eigenvalues)
    return float(gaussian_information(spectrum, shown)[0] + features / 2 * math.log(gamma / shown))


def _delta(spectrum: Spectrum, s: float) -> float:
    assert spectrum.points is not None
    values = _nonzero(spectrum)
    return 1 - float((s * values / (1 + s * values)).sum()) / (spectrum.points - 1)


def _nonzero(spectrum: Spectrum) -> np.ndarray:
    return spectrum.eigenvalues[spectrum.eigenvalues > _ROUNDING * spectrum.largest]


def _last_shown(spectrum: Spectrum) -> float:
    """The gamma where delta has fallen to `_LEAST`; infinite where it never does."""
    if spectrum.points is None:
        return math.inf
    used_up = len(_nonzero(spectrum)) / (spectrum.points - 1)
    if used_up <= 1 - _LEAST:
        return math.inf
    start = math.log(_LEAST / spectrum.largest)
    end = start - math.log(_ROUNDING) + 20  # where every s l is far above one
    root = brentq(lambda y: _delta(spectrum, math.exp(y)) - _LEAST, start, end)
    return _LEAST * math.exp(float(root))

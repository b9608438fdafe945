"""The spectrum of the data covariance, and the edge that structureless data would show.

Speciation is governed by the largest eigenvalue Lambda (the paper: Lambda e^{-2 t_S} = 1).
Pure noise of variance s^2 in d dimensions already shows lambda_max = s^2 (1 + sqrt(d/n))^2
(Marchenko-Pastur): only an eigenvalue above that edge is structure.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..common.numerics import largest_eigenvector
from ..results import Spectrum
from .cloud import Cloud
from .datasets import Dataset


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
    return Spectrum(float(eigenvalues[0]), first, float(edge), eigenvalues, error)


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
    for start in range(0, cloud.n, 8192):
        rows = cloud.coordinates[start : start + 8192].cpu().double()
        total.addmm_(rows.T, rows)
    return total * (cloud.scale**2 / (cloud.n - 1))


def information_bound(eigenvalues: np.ndarray, gamma: np.ndarray | float) -> np.ndarray:
    """(1/2) sum_k log(1 + gamma lambda_k): what a Gaussian with this spectrum would tell.

    An upper bound on I(a; x_t) for any data with that covariance, in nats.
    """
    gamma = np.atleast_1d(np.asarray(gamma, dtype=np.float64))
    return np.asarray(0.5 * np.log1p(gamma[:, None] * eigenvalues).sum(axis=1))

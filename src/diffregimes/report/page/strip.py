"""A few samples, noised at several times, beside the training points they could have come from.

x_t = e^{-t} a + sqrt(1 - e^{-2t}) z with one z for a sample at all times, and the posterior
weights w_nu = softmax(-|x_t - e^{-t} a_nu|^2 / (2 Delta_t)) over all training points. In the
noise regime no point stands out, in the generalizing regime the largest weights share a class,
below collapse one point holds all the weight. A handful of samples shows this; how often it
holds is what the curves say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ... import process
from ...common.checks import InputError
from ...common.rng import numpy_generator
from ...data.datasets import Dataset
from ...posterior.moments import exponents

CHUNK_BYTES = 32 << 20


@dataclass(frozen=True)
class Strip:
    """Noised samples and their heaviest training points.

    `times` (T,) as given; `index` (samples,) into the dataset; `noised` (samples, T, d) float32,
    about the centre of the data (see `centre`); `top_index` and `top_weight`
    (samples, T, top), heaviest first.
    """

    times: np.ndarray
    index: np.ndarray
    noised: np.ndarray
    top_index: np.ndarray
    top_weight: np.ndarray


def centre(dataset: Dataset) -> np.ndarray:
    """The mean (d,) taken off the data: one number a channel for images, else one a dimension."""
    mean: np.ndarray = dataset.points.mean(axis=0, dtype=np.float64)
    if not dataset.is_image:
        return mean
    channels = mean.reshape(dataset.sample_shape).mean(axis=(0, 1))
    return np.broadcast_to(channels, dataset.sample_shape).reshape(-1).copy()


def noised_strip(
    dataset: Dataset,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int = 0,
    samples: int = 4,
    top: int = 3,
) -> Strip:
    """Noise `samples` points, spread over the classes, at each of `times`.

    Weights are exact to float64 rounding; points are widened in chunks, so that memory stays
    near 32 MiB beyond the result and 16 bytes a point and sample.
    """
    t = np.asarray(times, dtype=np.float64)
    if t.ndim != 1 or t.size == 0 or not (np.isfinite(t).all() and (t > 0).all()):
        raise InputError(f"times = {t!r}; expected a list of finite, positive times.")
    samples, top = min(samples, dataset.n), min(top, dataset.n)
    rng = numpy_generator(seed, "strip")
    index = _spread(dataset, samples, rng)
    z = rng.standard_normal((samples, dataset.d))
    mean = centre(dataset)
    chosen = dataset.points[index].astype(np.float64) - mean

    squared = torch.empty((samples, dataset.n), dtype=torch.float64)  # |a_mu - a_nu|^2
    along = torch.empty_like(squared)  # z . (a_nu - a_mu)
    step = max(1, CHUNK_BYTES // (16 * dataset.d))
    for first in range(0, dataset.n, step):
        part = slice(first, first + step)
        chunk = dataset.points[part].astype(np.float64) - mean
        for k in range(samples):
            gap = chunk - chosen[k]
            along[k, part] = torch.from_numpy(gap @ z[k])
            squared[k, part] = torch.from_numpy(np.einsum("ij,ij->i", gap, gap))

    top_index = np.empty((samples, t.size, top), dtype=np.int64)
    top_weight = np.empty((samples, t.size, top))
    for k in range(samples):
        for j, gamma in enumerate(process.snr(t)):
            exponent = exponents(squared[k], along[k], gamma).numpy()
            order = np.argsort(-exponent, kind="stable")[:top]
            weight = np.exp(exponent - exponent[order[0]])
            top_index[k, j], top_weight[k, j] = order, weight[order] / weight.sum()
    noised = (
        process.signal(t)[:, None] * chosen[:, None, :]
        + np.sqrt(process.variance(t))[:, None] * z[:, None, :]
    )
    return Strip(t, index, noised.astype(np.float32), top_index, top_weight)


def _spread(dataset: Dataset, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `samples` points, as evenly over the classes as can be, ordered by class."""
    position = np.empty(dataset.n, dtype=np.int64)
    order = rng.permutation(dataset.n)
    for label in range(len(dataset.class_names)):
        mine = order[dataset.labels[order] == label]
        position[mine] = np.arange(len(mine))
    turn = rng.permutation(len(dataset.class_names))[dataset.labels]
    chosen = np.lexsort((turn, position))[:samples]  # first of every class, second of every ...
    return chosen[np.argsort(dataset.labels[chosen], kind="stable")]

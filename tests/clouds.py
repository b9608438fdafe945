"""Point clouds that the tests of the engine share, and z-scores."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
from scipy.optimize import brentq
from sklearn.datasets import load_digits

from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import from_arrays
from diffregimes.data.spectrum import covariance, spectrum
from diffregimes.posterior.groups import T95
from diffregimes.process import linear_schedule, snr, time_from_snr
from diffregimes.theory.finite_n import Classes, means
from diffregimes.transitions.criteria import clone_level

SCHEDULE = linear_schedule()


@cache
def digits01() -> tuple[np.ndarray, np.ndarray]:
    """The 360 handwritten zeros and ones, (n, 64) in [0, 1], and their labels."""
    data = load_digits()
    keep = data.target < 2
    return (data.data[keep] / 16).astype(np.float32), data.target[keep].astype(np.int64)


def near_duplicates(
    n: int, d: int, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """n points like pixels (spread 1/4), half of them 1e-5 of their norm away from a partner."""
    rng = np.random.default_rng(seed)
    one = 0.25 * rng.standard_normal((n // 2, d))
    step = rng.standard_normal(one.shape)
    step *= 1e-5 * np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(step, axis=1)[:, None]
    points = np.concatenate([one, one + step]) + shift
    return points.astype(np.float32), np.tile(np.arange(n // 2) % 2, 2)


def blobs(n: int, d: int, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes of unequal size around random centres."""
    rng = np.random.default_rng(seed)
    share = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = np.sort(rng.choice(classes, n, p=share))
    labels[: 2 * classes] = np.repeat(np.arange(classes), 2)  # no class stays empty
    centres = rng.standard_normal((classes, d))
    points = centres[labels] + 0.7 * rng.standard_normal((n, d))
    order = rng.permutation(n)
    return points[order].astype(np.float32), labels[order]


def prepared(points, labels):
    """(dataset, cloud, covariance matrix, spectrum), as `analyze` makes them."""
    dataset = from_arrays(np.asarray(points, dtype=np.float32), labels)
    cloud = prepare(dataset.points, dataset.labels)
    matrix = covariance(cloud)
    return dataset, cloud, matrix.numpy(), spectrum(dataset, matrix)


def z_score(samples) -> np.ndarray:
    """Mean over standard error of rows that should average to zero, column by column."""
    samples = np.asarray(samples, dtype=np.float64)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return samples.mean(axis=0) / np.maximum(error, 1e-300)


def exact_collapse(d, counts, spreads, near):
    """t_C of Gaussian conditions of so many points, each by itself, looked for around `near`."""

    def free(log_gamma):
        t = float(time_from_snr(np.exp(log_gamma)))
        some = []
        for n, spread in zip(counts, spreads, strict=True):
            law = Classes(d, np.zeros((1, 1)), np.array([spread**2]), np.ones(1))
            some.append(n * means(law, t, float(np.log(n)), draws=256).bounded[0])
        return sum(some)

    start = np.log(snr(near))
    return float(time_from_snr(np.exp(brentq(free, start - 1, start + 1, xtol=0.005))))


def z_of_time(time, t):
    """In errors of log gamma, the axis of the interval, by the t law of a jackknife."""
    low, high = (np.log(snr(x)) for x in (time.high, time.low))
    return (np.log(snr(time.t)) - np.log(snr(t))) / ((high - low) / 2 / T95)


def bursts(points, labels, k, noise=1e-4, seed=0):
    """Every point k times with a little noise, shuffled; labels and groups."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(k * len(points))
    many = np.tile(points, (k, 1)) + noise * rng.standard_normal((k * len(points), points.shape[1]))
    of = np.tile(np.arange(len(points)), k)[order]
    return many[order].astype(np.float32), labels[of], of


def evidence_of(data, blocks, seed=0):
    """What a part asks of the evidence of a run."""
    return SimpleNamespace(
        cloud=prepare(data.points, data.labels), n=data.n, seed=seed, blocks=blocks,
        level=clone_level(data.class_counts), class_counts=data.class_counts, memory_mib=256,
        schedule=linear_schedule(),
    )  # fmt: skip

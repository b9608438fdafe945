"""Small numerical tools: crossings of curves, resampling by training point, a top eigenvalue."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from scipy.special import ndtri
from torch import Tensor

RESAMPLES = 400
LEVEL = (2.5, 97.5)  # percentiles of the intervals: 95 %
Z95 = 1.96  # standard errors to either side that hold 95 % of a normal law
SMALL = 32  # features up to which eigenvectors are those of the whole matrix
_DENSE = 512  # features up to which all eigenvectors are found at once
_RESTARTS = 100  # of Lanczos, before the whole matrix is taken
_REFINE = 16
_COUNTS = 2**19  # resamples times points at a time: 4 MiB as they are drawn


def crossings(x: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    """The largest x at which each row of y (B, T) crosses `level`; NaN where none does.

    x (T,) increasing. Monotone cubic (PCHIP) interpolation, so no crossing is invented between
    two grid points on the same side.
    """
    step = np.arange(len(x))
    fine = np.interp(np.arange((len(x) - 1) * _REFINE + 1) / _REFINE, step, x)
    gap = PchipInterpolator(x, y, axis=1)(fine) - level
    change = (gap[:, :-1] < 0) != (gap[:, 1:] < 0)
    last = change.shape[1] - 1 - np.argmax(change[:, ::-1], axis=1)
    rows = np.arange(len(y))
    a, b = gap[rows, last], gap[rows, last + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(a == b, 0.0, a / (a - b))
    out = fine[last] + part * (fine[last + 1] - fine[last])
    return np.where(change.any(axis=1), out, np.nan)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return torch.nn.functional.softplus(x, threshold=40.0)


def bounded(free: Tensor, log_n: float | Tensor) -> Tensor:
    """log[(1 + n S)/(n + S)] for `free` = log S."""
    far = torch.as_tensor(log_n + 40)
    free = free.clamp(-far, far)  # beyond, the difference loses its digits
    return softplus(free + log_n) - softplus(free - log_n) - log_n


def log2_sum(exponent: Tensor) -> Tensor:
    """log2 sum 2^exponent over the last axis, of float32 and in place. `torch.logsumexp` takes ten
    times as long where many terms are too small for a float32."""
    top = exponent.amax(-1, keepdim=True)
    terms = exponent.sub_(top).clamp_min_(-126).exp2_()
    return terms.sum(-1).log2_().add_(top[..., 0])


def integral_matrix(x: np.ndarray) -> np.ndarray:
    """M (T, T) with (y @ M.T)[k] = integral of the cubic spline through (x, y) from x_0 to x_k."""
    return np.asarray(CubicSpline(x, np.eye(len(x))).antiderivative()(x))


def resample_counts(
    size: int, rng: np.random.Generator, times: int = RESAMPLES
) -> Iterator[np.ndarray]:
    """Bootstrap multiplicities (b, size), float32, some of the `times` resamples after the other:
    how often each point is in each."""
    even = np.full(size, 1 / size)
    some = max(1, _COUNTS // size)
    for start in range(0, times, some):
        yield rng.multinomial(size, even, size=min(some, times - start)).astype(np.float32)


def resampled_sums(
    values: np.ndarray, rng: np.random.Generator, times: int = RESAMPLES
) -> np.ndarray:
    """Bootstrap sums over points of `values` (n, ...): (times, ...)."""
    flat = torch.from_numpy(np.ascontiguousarray(values.reshape(len(values), -1), np.float64))
    # numpy's threads wait for each other in loops, which takes 200 times as long on a busy machine
    sums = [torch.from_numpy(x).double() @ flat for x in resample_counts(len(flat), rng, times)]
    return torch.cat(sums).numpy().reshape(times, *values.shape[1:])


def interval(samples: np.ndarray) -> tuple[float | None, float | None]:
    """The percentile interval of the finite samples; (None, None) where fewer than half are."""
    finite = samples[np.isfinite(samples)]
    if len(finite) * 2 < len(samples):
        return None, None
    low, high = np.percentile(finite, LEVEL)
    return float(low), float(high)


def wilson(count: float, of: float) -> tuple[float, float]:
    """The 95 % Wilson interval of the probability behind `count` of `of`; halves are allowed, which
    scipy's has not."""
    z = float(ndtri(0.975))
    middle = (count + z**2 / 2) / (of + z**2)
    half = z / (of + z**2) * math.sqrt(count * (of - count) / of + z**2 / 4)
    low = 0.0 if count == 0 else max(middle - half, 0.0)
    return low, 1.0 if count == of else min(middle + half, 1.0)


def largest_eigenvector(
    rows: np.ndarray,
    weights: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tolerance: float = 1e-6,
) -> tuple[float, np.ndarray]:
    """Largest eigenvalue and its vector of the covariance of `rows` (n, r), by Lanczos.

    With `weights` (n,) summing to one the covariance is the weighted one, otherwise that of the
    sample (divided by n - 1). Never forms the r x r matrix where Lanczos converges. `tolerance` is
    that of the residual, relative to the eigenvalue, whose own error is of second order. The
    squares of the rows have to be numbers of their type: bring them to a scale near 1.
    """
    n, r = rows.shape
    share = np.full(n, 1 / n) if weights is None else weights
    share = share.astype(rows.dtype)
    mean = share @ rows
    factor = n / (n - 1) if weights is None else 1.0

    def product(v: np.ndarray) -> np.ndarray:
        v = v.ravel().astype(rows.dtype)
        seen = rows @ v - mean @ v
        return np.asarray((share * seen) @ rows - (share @ seen) * mean, dtype=np.float64)

    if r > SMALL:
        # even data are blind along (1, ..., 1), and a vector of before may be one of another
        # eigenvalue: a start that is orthogonal to nothing
        first = np.asarray(np.random.default_rng(0).standard_normal(r))
        if start is not None:
            first = start + 0.1 * np.linalg.norm(start) / np.linalg.norm(first) * first
        # ARPACK takes what is below 4e-11 for zero: in this unit the largest is 1 or more
        unit = float(np.linalg.norm(product(first)) / np.linalg.norm(first))
        if unit == 0:
            return 0.0, np.eye(1, r)[0]
        operator = LinearOperator((r, r), matvec=lambda v: product(v) / unit, dtype=np.float64)
        with contextlib.suppress(ArpackError):
            value, vector = eigsh(
                operator, k=1, which="LA", v0=first, tol=tolerance, ncv=20, maxiter=_RESTARTS
            )
            return float(factor * unit * value[0]), vector[:, 0]
    values, vectors = np.linalg.eigh(_covariance(rows, share, mean))
    return float(factor * max(values[-1], 0.0)), vectors[:, -1]


def _covariance(rows: np.ndarray, share: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The weighted covariance (r, r) in float64, of some rows at a time."""
    out = np.zeros((rows.shape[1],) * 2)
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096].astype(np.float64) - mean
        out += (part.T * share[start : start + 4096]) @ part
    return out


def leading_eigenvectors(matrix: np.ndarray, count: int) -> np.ndarray:
    """Eigenvectors (r, k) of the k = min(count, r) largest eigenvalues of a symmetric matrix, none
    of which is negative. Of equal ones in more than 512 dimensions some may be missing."""
    r, total = len(matrix), float(np.trace(matrix))
    if r > max(4 * count, _DENSE) and total > 0:
        first = np.random.default_rng(0).standard_normal(r)
        with contextlib.suppress(ArpackError):
            found = eigsh(matrix / total, k=count, which="LA", v0=first, tol=1e-8)
            return np.asarray(found[1])
    return np.asarray(np.linalg.eigh(matrix)[1][:, -count:])

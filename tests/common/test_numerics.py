"""Eigenvectors of nasty covariances, against numpy's of the whole matrix; sums of powers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffregimes.common import numerics


def rows_of(kind, n, r, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, r))
    made = {
        "plain": x,
        "one zero": x * (np.arange(n) > 0)[:, None],
        "mostly zero": x * (rng.random(n) < 0.1)[:, None],
        "all the same": np.ones((n, r)),
        "two points": np.where(np.arange(n)[:, None] % 2, x[0], x[1]),
        "rank one": np.outer(x[:, 0], x[0]),
        "a line": np.outer(np.arange(n), np.ones(r)),
        "one-hot": np.eye(r)[rng.integers(0, r, n)],
        "binary": (x > 0).astype(float),
        "constant features": x * (np.arange(r) % 3 == 0),
        "two sectors": x * np.where(np.arange(r) < r // 2, 1.0, 1.001),
        "spread over decades": x * 10.0 ** -np.linspace(0, 8, r),
        "off-centre": x + 30,
    }
    return made[kind]


KINDS = (
    "plain", "one zero", "mostly zero", "all the same", "two points", "rank one", "a line",
    "one-hot", "binary", "constant features", "two sectors", "spread over decades", "off-centre",
)  # fmt: skip


def dense(rows, weights):
    mean = weights @ rows
    return ((rows - mean).T * weights) @ (rows - mean)


@pytest.mark.parametrize("kind", KINDS)
@given(
    n=st.integers(3, 90), r=st.integers(1, 80), seed=st.integers(0, 10**6),
    tilt=st.sampled_from([0.0, 1.0, 30.0, 1e4]), scale=st.sampled_from([1e-60, 1e-9, 1.0, 1e9]),
    warm=st.booleans(),
)  # fmt: skip
@settings(max_examples=12, deadline=None, derandomize=True)
def test_the_largest_eigenvector_of_any_covariance(kind, n, r, seed, tilt, scale, warm):
    rows = rows_of(kind, n, r, seed)
    square = (rows**2).sum(axis=1)
    weights = np.exp(-tilt * (square - square.min()) / max(square.max(), 1e-300))
    weights /= weights.sum()
    matrix = dense(rows, weights)
    values, vectors = np.linalg.eigh(matrix)
    # the worst start: an eigenvector of another value
    start = vectors[:, 0] if warm else None
    value, vector = numerics.largest_eigenvector(scale * rows, weights, start, 1e-9)
    noise = 1e-13 * (weights @ (rows**2).sum(axis=1))
    assert value / scale**2 == pytest.approx(values[-1], rel=1e-7, abs=noise)
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert vector @ matrix @ vector == pytest.approx(values[-1], rel=1e-6, abs=noise)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e30])
@pytest.mark.parametrize("r", [5, 40, 600])
def test_leading_eigenvectors_span_what_varies(kind, scale, r):
    rows = rows_of(kind, 60, r, 3)
    matrix = dense(rows, np.full(60, 1 / 60))
    found = numerics.leading_eigenvectors(scale * matrix, 8)
    count = min(8, r)
    assert found.shape == (r, count)
    np.testing.assert_allclose(found.T @ found, np.eye(count), atol=1e-6)
    best = np.linalg.eigvalsh(matrix)[-count:].sum()
    got = np.trace(found.T @ matrix @ found)
    # of equal eigenvalues Lanczos may miss some
    assert got == pytest.approx(best, rel=0.2 if (r, kind) == (600, "one-hot") else 1e-6, abs=1e-10)


def test_the_whole_matrix_serves_where_lanczos_fails(monkeypatch):
    def fails(*args, **options):
        raise numerics.ArpackError(-9)

    monkeypatch.setattr(numerics, "eigsh", fails)
    rows = rows_of("plain", 70, 50, 0)
    value, vector = numerics.largest_eigenvector(rows)
    matrix = np.cov(rows.T)
    assert value == pytest.approx(np.linalg.eigvalsh(matrix)[-1])
    assert vector @ matrix @ vector == pytest.approx(value)
    many = np.diag(np.arange(600.0))
    np.testing.assert_allclose(abs(numerics.leading_eigenvectors(many, 3)), np.eye(600)[:, -3:])


@pytest.mark.parametrize("spread", [1.0, 1e3, 1e30])
def test_a_sum_of_powers_of_two(spread):
    exponent = spread * np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    exponent[:, 7] = -np.inf
    exact = np.logaddexp2.reduce(exponent.astype(np.float64), axis=1)
    found = numerics.log2_sum(torch.from_numpy(exponent.copy()))
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)

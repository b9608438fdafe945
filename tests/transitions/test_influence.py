"""The influence of a training point on phi_loo: by definition, by quadrature, over clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mixture_reference as mixture
import oracles
from clouds import blobs
from diffregimes.data.cloud import prepare
from diffregimes.posterior.moments import PAIRS_PER_BLOCK, draw_block
from diffregimes.process import signal, snr, variance
from diffregimes.transitions import influence


def test_column_sums_by_definition():
    """n times the mean of w'_nu f over draws, with the float64 oracle's weights."""
    cloud = prepare(*blobs(40, 6))
    t, n = 0.4, 40
    points, labels = cloud.coordinates.double().numpy() * cloud.scale, cloud.labels.numpy()
    drawn = draw_block(cloud, 3, 7)
    mu, expected = drawn.points.numpy(), np.zeros((2, n))
    for sign in (1, -1):
        x = oracles.noised(points, mu, sign * drawn.noise.double().numpy(), t)
        w = oracles.weights(points, x, t)
        w[np.arange(len(mu)), mu] = 0
        w /= w.sum(axis=1, keepdims=True)
        p = np.stack([w[:, labels == c].sum(axis=1) for c in range(labels.max() + 1)], axis=1)
        same = (p**2).sum(axis=1, keepdims=True)
        expected[0] += (w * (2 * p[:, labels] - same)).sum(axis=0)
        expected[1] += (w * same).sum(axis=0)
    expected *= n / (2 * PAIRS_PER_BLOCK)
    gamma = float(snr(t)) * cloud.scale**2
    for rows in (PAIRS_PER_BLOCK, 50, 1):
        found = influence._column_sums(cloud, 3, gamma, 7, rows)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)
    # both average to phi_loo of these draws: sum_nu w' p = sum p^2
    np.testing.assert_allclose(expected.mean(axis=1), expected.mean(), rtol=1e-12)


def test_the_variance_of_a_mixture_by_quadrature():
    """+-m, sigma: the influence hangs on a's projection on m alone, two Gauss-Hermite sums."""
    d, n, t = 16, 3000, 1.2
    nodes, share = np.polynomial.hermite_e.hermegauss(80)
    share = share / share.sum()
    length = np.sqrt(d)
    u, gamma = mixture.channel(t, d, 1.0, 1.0)
    along = length + nodes  # a of class +, sigma = 1
    x = signal(t) * along[:, None] + np.sqrt(variance(t)) * nodes
    p = 1 / (1 + np.exp(-2 * u * x / gamma))
    same = p**2 + (1 - p) ** 2
    exact = [((2 * p - same) @ share), same @ share]
    exact = [share @ f**2 - (share @ f) ** 2 for f in exact]
    found = []
    for seed in range(4):
        points, labels = mixture.sample(n, d, 1.0, 1.0, np.random.default_rng(seed))
        one = influence.loo_influence(prepare(points.astype(np.float32), labels), t, seed=seed)
        found.append([one.whole, one.as_true_point])
    error = np.std(found, axis=0, ddof=1) / 2
    gap = np.abs(np.mean(found, axis=0) - exact)
    assert np.all(gap < 6 * error), (found, exact)  # t distribution, 3 degrees of freedom
    np.testing.assert_allclose(np.mean(found, axis=0), exact, rtol=0.15)


@pytest.mark.parametrize("memory", [16, 4096])
def test_the_memory_budget_and_the_thread_count_stay(memory):
    cloud, threads = prepare(*blobs(60, 5)), torch.get_num_threads()
    found = influence.loo_influence(cloud, 0.5, memory_mib=memory)
    assert found.whole == pytest.approx(influence.loo_influence(cloud, 0.5).whole, rel=1e-4)
    assert torch.get_num_threads() == threads

"""Clusters of duplicates among points that are listed more than once, exactly or nearly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from diffregimes.data.neighbours import NEAR, clusters, usual_distance

N, D = 120, 32


def cloud(n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def of_list(points: np.ndarray, times: int, jitter: float) -> np.ndarray:
    """Every point so many times, each a little changed."""
    noise = np.random.default_rng(1).standard_normal((times * len(points), points.shape[1]))
    return (np.tile(points, (times, 1)) + jitter * noise).astype(np.float32)


@pytest.mark.parametrize("jitter", [0.0, 1e-5, 1e-2])
@pytest.mark.parametrize("times", [2, 3, 5, 8])
def test_points_that_are_all_listed_more_than_once(times, jitter):
    """The plain median of the nearest distances is that of the duplicates."""
    found = clusters(of_list(cloud(), times, jitter))
    assert len(np.unique(found.of)) == N
    np.testing.assert_array_equal(found.of.reshape(times, N), np.tile(found.of[:N], (times, 1)))
    assert found.repeated.all()
    assert {x.kind for x in found.pairs} == {"near" if jitter else "exact"}
    for x in found.pairs[:50]:
        assert x.index % N == x.other % N


@pytest.mark.parametrize("d", [2, 8, 200])
def test_points_that_differ_are_clusters_of_their_own(d):
    points = cloud(100, d)
    found = clusters(points)
    gaps = cdist(points.astype(float), points.astype(float))
    np.fill_diagonal(gaps, np.inf)
    usual = np.median(gaps.min(axis=1))
    assert found.radius == pytest.approx(NEAR * usual, rel=0.02)
    expected = {(i, j) for i, j in np.argwhere(gaps < found.radius).tolist() if i < j}
    assert {(x.index, x.other) for x in found.pairs} == expected
    assert (found.repeated.sum() > 0) == bool(expected)


def test_tight_classes_are_no_duplicates():
    """Two classes a thousand times farther apart than their points."""
    points = 1e-2 * cloud() + 10 * (np.arange(N)[:, None] % 2)
    assert len(clusters(points.astype(np.float32)).pairs) == 0


def test_a_chain_of_near_duplicates_is_one_cluster():
    points = cloud()
    step = 0.5 * clusters(points).radius * np.eye(1, D)
    chain = points[:1] + np.arange(1, 6)[:, None] * step
    found = clusters(np.concatenate([points, chain]).astype(np.float32))
    assert len(set(found.of[[0, *range(N, N + 5)]].tolist())) == 1
    assert len(np.unique(found.of)) == N


def test_one_point_among_many_that_is_listed_a_hundred_times():
    points = np.concatenate([cloud(), np.repeat(cloud()[:1], 100, axis=0)])
    found = clusters(points)
    assert len(np.unique(found.of)) == N
    assert found.repeated.sum() == 101


def test_the_usual_distance_leaves_out_duplicates():
    # three neighbours of each: a duplicate, and two others
    assert usual_distance(np.tile([0.001, 1.0, 1.3], (9, 1))) == 1.0
    assert usual_distance(np.tile([0.5, 1.0, 1.3], (9, 1))) == 0.5
    assert usual_distance(np.zeros((9, 3))) == 0
    skew = np.array([1.0, 1.1, 1.2, 1.3, 5.0])[:, None] * [1, 1.5, 2]
    assert usual_distance(skew) == 1.2  # the median

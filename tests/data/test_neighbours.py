"""Clusters of duplicates among points that are listed more than once, exactly or nearly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from diffregimes.data.neighbours import CHANCE, NEAR, clusters, near_duplicates, usual_distance

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


@pytest.mark.parametrize("d", [1, 2, 8, 200])
def test_points_that_differ_are_clusters_of_their_own(d):
    """In one or two dimensions some lie far nearer than usual, by chance."""
    points = cloud(100, d)
    found = clusters(points)
    gaps = cdist(points.astype(float), points.astype(float))
    np.fill_diagonal(gaps, np.inf)
    usual = np.median(gaps.min(axis=1))
    assert found.radius == pytest.approx(NEAR * usual, rel=0.1 if d == 1 else 0.02)
    assert ((gaps < found.radius).sum() > 0) == (d == 1)
    assert found.pairs == ()
    assert not found.repeated.any()


LOW = {
    "circles": lambda r: np.concatenate([k * _circle(r.uniform(0, 7, 300)) for k in (1, 2)]),
    "line": lambda r: r.standard_normal((3000, 1)),
    "plane": lambda r: r.standard_normal((3000, 2)),
    "lattice": lambda r: np.unique(np.round(30 * r.standard_normal((3000, 2))), axis=0),
    "curve in many dimensions": lambda r: np.sin(r.uniform(0, 3, (500, 1)) * np.arange(1, 20)),
    "Cauchy": lambda r: r.standard_cauchy((2000, 1)),
    "wide beside tight": lambda r: r.standard_normal((900, 8)) * np.repeat([1, 1e-3], 450)[:, None],
    "tight pairs of classes": lambda r: (
        np.repeat(r.standard_normal((2, 16)), 200, axis=0) + 1e-3 * r.standard_normal((400, 16))
    ),
}


def _circle(angle):
    return np.column_stack([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("name", LOW)
def test_what_chance_brings_near_is_no_duplicate(name):
    for seed in range(3):
        points = LOW[name](np.random.default_rng(seed))
        assert not [x for x in clusters(points.astype(np.float32)).pairs if x.kind == "near"]


@pytest.mark.parametrize(("d", "jitter"), [(2, 1e-4), (3, 1e-3), (20, 0.05)])
@pytest.mark.parametrize("share", [0.02, 1.0])
def test_near_copies_are_found_in_any_dimension(d, jitter, share):
    points = cloud(500, d)
    copied = points[: int(share * 500)]
    noise = np.random.default_rng(2).standard_normal(copied.shape)
    found = clusters(np.concatenate([points, copied + jitter * noise]).astype(np.float32))
    missed = len(found.kept) - 500
    assert abs(missed) <= 0.03 * len(copied)


@pytest.mark.parametrize(
    ("n", "share", "least"),
    [(200, 1.0, 0.99), (1000, 1.0, 0.99), (4000, 1.0, 0.95), (1000, 0.5, 0.94)],
)
def test_near_copies_in_a_plane(n, share, least):
    """Of copies a thousandth of the spread away: where nearly all points have one, chance has few
    points left to play with. Different points that count as one lie as near by chance."""
    points, rng = cloud(n, 2), np.random.default_rng(3)
    some = points[: int(share * n)]
    found = clusters(np.concatenate([points, some + 1e-3 * rng.standard_normal(some.shape)])
                     .astype(np.float32))  # fmt: skip
    pairs = {(x.index, x.other) for x in found.pairs}
    true = {(k, n + k) for k in range(len(some))}
    assert len(pairs & true) >= least * len(true)
    by_chance = 2 * CHANCE * len(true)  # both of a pair
    assert n - len(np.unique(found.of[:n])) <= by_chance + 3 * np.sqrt(by_chance)


def test_the_chance_of_a_clean_set_to_have_near_duplicates():
    """One in a hundred sets has any: of 1000 sets 1 to 21 (p = 1e-3 beyond either)."""
    wrong = 0
    for seed in range(1000):
        x = np.random.default_rng(seed).uniform(size=(60, 1 + seed % 2))
        wrong += near_duplicates(cKDTree(x).query(x, 9)[0][:, 1:]).any()
    assert 1 <= wrong <= 21


def test_zero_has_one_sign():
    points = cloud(20, 3)
    points[4, 1], points[9] = 0, points[4]
    points[9, 1] = -0.0
    assert [(x.index, x.other, x.kind) for x in clusters(points).pairs] == [(4, 9, "exact")]


def test_tight_classes_are_no_duplicates():
    """Two classes a thousand times farther apart than their points."""
    points = 1e-2 * cloud() + 10 * (np.arange(N)[:, None] % 2)
    assert len(clusters(points.astype(np.float32)).pairs) == 0


def test_a_chain_of_near_duplicates_is_one_cluster():
    points = cloud()
    step = 0.15 * clusters(points).radius * np.eye(1, D)
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

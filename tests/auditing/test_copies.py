"""Copies against the nearest different point, over orbits; by a slow search through everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from diffregimes.auditing.copies import Training, left_out_baseline, orbit_clusters, shared_points
from diffregimes.auditing.judgement import excess_probability
from diffregimes.common.checks import InputError
from diffregimes.common.share import Share
from diffregimes.data.neighbours import clusters
from diffregimes.data.orbit import AS_IT_IS, AUGMENTATIONS, orbit, widest
from diffregimes.scores import EmpiricalScore

SIDE = 4
SHAPE = (SIDE, SIDE, 1)
ELEMENTS = {
    (): 1, ("mirror",): 2, ("flip",): 2, ("rot180",): 2, ("rot90",): 4, ("mirror", "flip"): 4,
    ("mirror", "rot90"): 8, ("flip", "rot90", "mirror"): 8,
}  # fmt: skip


def cloud(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, SIDE * SIDE)).astype(np.float32)


def training(points: np.ndarray, *augment: str) -> Training:
    shape = SHAPE if points.shape[1] == SIDE * SIDE else points.shape[1:]
    search, by = EmpiricalScore(points), orbit(augment, shape)
    twins = orbit_clusters(search, points, clusters(points), by)
    return Training(search, twins, by, twins.of)


def by_hand(of: Training, points: np.ndarray, x: np.ndarray, own=None):
    """Both distances of each row of x, through the distance to every image of every point."""
    images = [points[:, place] for place in of.orbit.places]
    gaps = np.stack([cdist(x.astype(float), y.astype(float)) for y in images]).min(axis=0)
    out = []
    for k, row in enumerate(gaps):
        each = [
            row[of.clusters.of == c].min()
            for c in np.unique(of.clusters.of)
            if own is None or c != own[k]
        ]
        out.append(np.sort(each)[:2])
    return np.array(out)


# ---- orbits


@pytest.mark.parametrize("augment", ELEMENTS)
def test_the_group_is_closed_and_has_inverses(augment):
    by = orbit(augment, (4, 4, 2))
    places = {x.tobytes() for x in by.places}
    assert len(places) == len(by) == ELEMENTS[augment]
    assert by.names[0] == AS_IT_IS
    for one in by.places:
        assert np.argsort(one).tobytes() in places
        assert {one[two].tobytes() for two in by.places} == places


@pytest.mark.parametrize("word", AUGMENTATIONS)
def test_an_element_moves_pixels_as_its_name_says(word):
    image = torch.arange(4 * 4 * 3.0).reshape(4, 4, 3)
    by = orbit([word], tuple(image.shape))
    wanted = {
        "mirror": image.flip(1), "flip": image.flip(0), "rot180": image.flip(0, 1),
        "rot90": torch.rot90(image),
    }[word]  # fmt: skip
    k = by.names.index(word)
    moved = by.moved(k, image.reshape(1, -1).numpy())
    np.testing.assert_array_equal(moved[0], wanted.ravel())
    np.testing.assert_array_equal(by.back(k, moved)[0], image.ravel())


@pytest.mark.parametrize(
    ("augment", "shape", "said"),
    [
        (["shear"], SHAPE, "expected some of mirror, flip, rot90, rot180"),
        (["mirror"], (16,), "no image"),
        (["rot90"], (4, 6, 1), "Half a turn is rot180"),
    ],
)
def test_augmentations_that_cannot_be(augment, shape, said):
    with pytest.raises(InputError, match=said):
        orbit(augment, shape)


def test_the_widest_orbit_keeps_the_shape():
    assert [len(widest(x)) for x in ((16,), (4, 6, 1), SHAPE)] == [1, 4, 8]


# ---- the nearest different points


@pytest.mark.parametrize("augment", [(), ("mirror",), ("mirror", "rot90")])
def test_the_two_nearest_are_those_of_the_slow_search(augment):
    rng = np.random.default_rng(1)
    points = cloud(60)
    points[50:] = points[:10]  # ten are listed twice
    points[40:50] = points[0] + 1e-3 * rng.standard_normal((10, 16))  # one twelve times
    points[39] = points[5].reshape(SIDE, SIDE)[:, ::-1].ravel()  # and one mirrored
    of = training(points, *augment)
    x = np.concatenate([points + 0.01, cloud(40, 2)])
    near = of.near(x)
    found = np.stack([near.distance, near.second_distance], axis=1)
    np.testing.assert_allclose(found, by_hand(of, points, x), rtol=1e-5)
    # what is said of each is true of the points that it names
    images = np.stack([of.orbit.moved(int(g), points[[k]])[0] for g, k in zip(
        near.element, near.point, strict=True)])  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(x - images, axis=1), near.distance, rtol=1e-5)
    assert (of.clusters.of[near.point] != of.clusters.of[near.second]).all()
    own = of.clusters.of[:40]
    near = of.near(points[:40], own)
    found = np.stack([near.distance, near.second_distance], axis=1)
    np.testing.assert_allclose(found, by_hand(of, points, points[:40], own), rtol=1e-5)


def test_a_mirrored_copy_is_one_under_the_mirror_alone():
    points = cloud(30)
    x = points.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(30, -1)
    assert (training(points).near(x).ratio > 1 / 3).all()
    of = training(points, "mirror")
    near = of.near(x)
    assert (near.ratio < 1e-6).all()
    assert {of.orbit.names[k] for k in near.element} == {"mirror"}
    np.testing.assert_array_equal(near.point, np.arange(30))


def test_chance_does_not_count_a_point_beside_its_own_duplicates():
    points = np.repeat(cloud(40), 2, axis=0)
    found = left_out_baseline(training(points), points)
    assert (found.share.count, found.share.of) == (0, 40)  # one of both
    assert found.with_duplicates is None  # all are listed twice: no chance
    few = np.concatenate([cloud(40), cloud(40)[:5]])
    found = left_out_baseline(training(few), few)
    assert (found.share.count, found.share.of) == (0, 40)
    assert (found.with_duplicates.count, found.with_duplicates.of) == (10, 45)


def test_training_points_are_near_to_one_another_in_pairs():
    """Two of them both look like copies: the count varies as that of half as many, no more."""
    counts = []
    for seed in range(400):
        points = np.random.default_rng(seed).standard_normal((60, 2)).astype(np.float32)
        found = left_out_baseline(training(points), points).share
        counts.append(found.count)
    rate = np.mean(counts) / 60
    ratio = np.var(counts) / (60 * rate * (1 - rate))
    assert 1.4 < ratio < 2.0 + 4 * 2.0 * np.sqrt(2 / 400)
    assert found.cases == (found.count / 2, 30)
    wide, narrow = found, Share.counted(found.count, found.of)
    assert (wide.high - wide.low) > 1.3 * (narrow.high - narrow.low)
    # where chance is known from few the verdict is less sure
    many = Share.counted(24, 128)
    sure = [excess_probability(many, x, 0.01) for x in (wide, narrow)]
    assert 0.5 < sure[0] < sure[1]


def test_held_out_points_that_are_training_points():
    points = cloud(50)
    of = training(points, "mirror")
    mirrored = points[7].reshape(SIDE, SIDE)[:, ::-1].ravel()
    others = np.concatenate([cloud(20, 3), points[[4]], points[[9]] + 1e-3, mirrored[None]])
    found = [(x.index, x.other, x.kind) for x in shared_points(of, others)]
    assert found == [(4, 20, "exact"), (9, 21, "near"), (7, 22, "exact")]

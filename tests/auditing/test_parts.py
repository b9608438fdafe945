"""Copied parts: composites are found with their share, chance is counted, borders tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from diffregimes.auditing import audit_samples
from diffregimes.auditing.known import known_points
from diffregimes.auditing.parts import PART, in_parts, windows
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load
from diffregimes.scores import EmpiricalScore

SIDE, N, M = 16, 120, 100
LEFT = np.zeros((SIDE, SIDE, 1), dtype=bool)
LEFT[:, : SIDE // 2] = True


def images(rng: np.random.Generator, count: int, border: int = 0) -> np.ndarray:
    """Smooth random images, the same black border around all."""
    spectrum = 1 / (1 + np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIDE) * SIDE] * 2)) ** 1.5)
    noise = rng.standard_normal((count, SIDE, SIDE))
    out = np.fft.ifft2(np.fft.fft2(noise) * spectrum).real[..., None]
    out = out / out.std()
    if border:
        inner = np.zeros((SIDE, SIDE, 1), dtype=bool)
        inner[border:-border, border:-border] = True
        out = np.where(inner, out, -3.0)
    return out.astype(np.float32)


def known(rng, border=0, held_out=True, augment=(), groups=None):
    data = from_arrays(images(rng, N, border), np.arange(N) % 2, groups=groups)
    others = from_arrays(images(rng, 300, border), np.arange(300) % 2) if held_out else None
    return data, known_points(EmpiricalScore(data.points), data, others, augment)


def parts_of(of, x, gate=()):
    data, points = of
    return in_parts(points, data, x.reshape(len(x), -1).astype(np.float32), gate)


def copies(of, rng, count=M):
    index = rng.integers(0, N, count)
    return index, of[0].points[index].reshape(count, SIDE, SIDE, 1)


@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize("held_out", [True, False])
def test_shares_are_those_by_construction(border, held_out):
    rng = np.random.default_rng(3)
    of = known(rng, border, held_out)
    index, whole = copies(of, rng)
    other, second = copies(of, rng)
    new = images(rng, M, border)
    for x, share in ((whole, 1.0), (np.where(LEFT, whole, new), 0.5),
                     (np.where(LEFT, whole, second), 0.5)):  # fmt: skip
        found = parts_of(of, x)
        assert found.found.count >= 0.95 * M
        assert found.verdict.kind == "memorises"
        usual = found.share[found.copied]
        assert np.median(usual) == pytest.approx(share, abs=0.07)
        right = np.where(found.point == index, True, (x is not whole) & (found.point == other))
        assert right[found.copied].all()
    law = parts_of(of, new)
    assert law.verdict.kind in ("does not copy", "open")
    assert law.found.count <= 3
    assert law.baseline.value <= 0.02
    assert (law.point[~law.copied] == -1).all()


def test_a_patch_in_the_middle_is_found_and_shown():
    rng = np.random.default_rng(4)
    of = known(rng)
    patch = np.zeros((SIDE, SIDE, 1), dtype=bool)
    patch[4:12, 4:12] = True
    index, whole = copies(of, rng)
    found = parts_of(of, np.where(patch, whole, images(rng, M)))
    assert found.found.count > 0.9 * M
    assert (found.point == index)[found.copied].all()
    shown = found.mask[found.copied]
    assert (shown & patch[..., 0]).sum() / shown.sum() > 0.9
    assert np.median(found.share[found.copied]) == pytest.approx(0.25, abs=0.05)


def test_what_all_images_have_in_common_is_no_part():
    """One background in all of them, and in the samples: only what is in front tells."""
    rng = np.random.default_rng(5)
    back, front = images(rng, 1), np.zeros((SIDE, SIDE, 1), dtype=bool)
    front[4:12, 4:12] = True
    made = [np.where(front, images(rng, k), back) for k in (N, 300, M)]
    data = from_arrays(made[0], np.arange(N) % 2)
    others = from_arrays(made[1], np.arange(300) % 2)
    of = data, known_points(EmpiricalScore(data.points), data, others)
    assert parts_of(of, made[2]).found.count <= 2
    index = rng.integers(0, N, M)
    found = parts_of(of, data.points[index].reshape(-1, SIDE, SIDE, 1))
    assert (found.point == index).all()
    np.testing.assert_array_equal(found.share, 1)


def test_chance_is_counted_where_images_differ_in_one_number_alone():
    """Then every third image is a third as far from its neighbour: parts are no sign of copies."""
    rng = np.random.default_rng(9)
    back, front = images(rng, 1), np.zeros((SIDE, SIDE, 1), dtype=bool)
    front[4:12, 4:12] = True
    made = [np.where(front, rng.standard_normal((k, 1, 1, 1)), back) for k in (N, 300, M)]
    data, others = (from_arrays(x, np.arange(len(x)) % 2) for x in made[:2])
    found = parts_of((data, known_points(EmpiricalScore(data.points), data, others)), made[2])
    assert found.baseline.value > 0.1
    p = (found.found.count + found.baseline.count) / (M + 300)
    z = (found.found.value - found.baseline.value) / np.sqrt(p * (1 - p) * (1 / M + 1 / 300))
    assert abs(z) < 3
    assert found.verdict.kind in ("does not copy", "open")


def test_mirrored_parts_are_parts_under_the_mirror_alone():
    rng = np.random.default_rng(6)
    plain = known(rng)
    mirror = plain[0], known_points(EmpiricalScore(plain[0].points), plain[0], None, ("mirror",))
    index, whole = copies(plain, rng)
    x = np.where(~LEFT, whole[:, :, ::-1], images(rng, M))
    assert parts_of(plain, x).found.count <= 3
    found = parts_of(mirror, x)
    assert (found.point == index).mean() > 0.9
    right_half = found.mask[found.copied][:, :, SIDE // 2 :]
    assert right_half.sum() / found.mask.sum() > 0.95  # where it lies in the sample


def test_points_of_a_group_share_their_parts():
    """Two frames of a scene have one background: alone it is nobody's, of the group it is."""
    rng = np.random.default_rng(7)
    one = images(rng, N // 2)
    frames = np.concatenate([one, np.where(LEFT, one, images(rng, N // 2))])
    groups = np.tile(np.arange(N // 2), 2)
    x = np.where(LEFT, one[rng.integers(0, N // 2, M)], images(rng, M))
    for given, count in ((None, 3), (groups, 95)):
        data = from_arrays(frames, np.arange(N) % 2, groups=given)
        found = parts_of((data, known_points(EmpiricalScore(data.points), data)), x)
        assert (found.found.count <= count) if given is None else (found.found.count >= count)


def test_windows_against_a_plain_search():
    """Nearest and second nearest of each window by distances between all, unit by unit; a part that
    is brighter all over is the same part."""
    rng = np.random.default_rng(8)
    data, points = known(rng, held_out=False)
    x = np.where(LEFT, 2 + data.points[:9].reshape(-1, SIDE, SIDE, 1), images(rng, 9))
    found = parts_of((data, points), x)
    through = windows(data.sample_shape)
    flat, train = x.reshape(9, -1), data.points
    ratio = np.empty((9, len(through.index)))
    second = np.empty_like(ratio)
    nearest = np.empty_like(ratio, dtype=int)
    for k, pixels in enumerate(through.index):
        one, two = (y[:, pixels] - y[:, pixels].mean(1, keepdims=True) for y in (flat, train))
        gaps = cdist(one, two)
        order = np.sort(gaps, axis=1)
        ratio[:, k], second[:, k], nearest[:, k] = (
            order[:, 0] / order[:, 1], order[:, 1], gaps.argmin(axis=1))  # fmt: skip
    for m in range(9):
        mine = (ratio[m] < 1 / 3) & (nearest[m] == m)
        area = np.zeros(SIDE * SIDE, dtype=bool)
        area[np.unique(through.index[mine])] = True
        assert area.sum() >= PART * through.side**2
        np.testing.assert_array_equal(found.mask[m].ravel(), area)


@pytest.mark.parametrize(
    ("shape", "count"), [((8, 8, 1), 9), ((16, 16, 3), 49), ((7, 9, 1), None), ((64,), None),
                         ((28, 20, 1), None)],
)  # fmt: skip
def test_windows_cover_all_of_an_image(shape, count):
    through = windows(shape)
    if (min(shape) < 8 and len(shape) == 3 and shape[0] < 8) or len(shape) < 3:
        assert through is None
        return
    assert through.cover.any(axis=0).all()
    assert count is None or len(through.index) == count
    assert (through.cover.sum(axis=1) == through.side**2).all()


def test_the_law_is_at_its_null_over_many_draws():
    """Samples of the law hold parts as often as held-out points do: z of the difference."""
    z = []
    for seed in range(4):
        rng = np.random.default_rng(100 + seed)
        of = known(rng)
        found = parts_of(of, images(rng, 300))
        p = (found.found.count + found.baseline.count + 1) / 602
        z.append((found.found.value - found.baseline.value) / np.sqrt(2 * p * (1 - p) / 300))
        assert found.verdict.kind in ("does not copy", "open")
    assert abs(np.sum(z)) / np.sqrt(len(z)) < 3


def test_the_verdict_tells_of_parts_where_nothing_whole_is_copied():
    data = load("digits", pixel_range=(-1, 1))
    order = np.random.default_rng(0).permutation(data.n)
    train, others, law = (data.take(order[a:b]) for a, b in ((0, 900), (900, 1300), (1300, 1797)))
    half = np.zeros((8, 8, 1), dtype=bool)
    half[:, :4] = True
    made = np.where(half, train.points[:497].reshape(-1, 8, 8, 1), law.points.reshape(-1, 8, 8, 1))

    def of(points):
        return replace(law, points=points.reshape(len(points), -1))

    found = audit_samples(of(made), train, others)
    assert found.copies.share.count == 0
    assert found.verdict.kind == "copies parts"
    assert "parts of its training images" in found.verdict.headline
    rows = found.samples()
    assert {k for k, x in zip(rows["part_point"], rows["part"], strict=True) if x == 0} == {None}
    assert found.to_dict()["parts"]["found"]["count"] == sum(x > 0 for x in rows["part"]) > 300
    assert found.to_dict()["parts"]["found"]["usual_part"] == pytest.approx(0.5, abs=0.05)
    plain = audit_samples(law, train, others)
    assert plain.verdict.kind == "does not copy"
    assert plain.in_parts.verdict.kind == "does not copy"
    whole = audit_samples(train.take(np.arange(200)), train, others)
    assert whole.verdict.kind == "memorises"
    np.testing.assert_array_equal(whole.in_parts.share, 1)


@pytest.mark.parametrize("side", range(12, 25))
def test_a_patch_of_half_the_sides_holds_two_windows_wherever_it_lies(side):
    through = windows((side, side, 1))
    half = (side + 1) // 2
    for top, left in np.ndindex(side - half + 1, side - half + 1):
        patch = np.zeros((side, side), dtype=bool)
        patch[top : top + half, left : left + half] = True
        inside = ~(through.cover & ~patch.ravel()).any(axis=1)
        assert through.cover[inside].any(axis=0).sum() >= 2 * through.side**2

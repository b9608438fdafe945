"""Augmentation moves the collapse: against the augmented set written out, theory and clones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import chi2

import diffregimes as dr
from clouds import SCHEDULE, exact_collapse, z_of_time
from diffregimes.backward.clones import nearest_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import log_snr_times
from diffregimes.common.checks import InputError
from diffregimes.data.augmented import elements, orbits, words_of
from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import from_arrays
from diffregimes.posterior import groups
from diffregimes.posterior.orbits import augmented
from diffregimes.posterior.sweep import sweep
from diffregimes.process import time_from_snr
from diffregimes.scores import EmpiricalScore
from diffregimes.transitions.crossing import left_out_time

TIMES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])


def pictures(n=120, side=6, seed=0, symmetric=10):
    """Random ones in [0, 1], the first of which are their own mirror images."""
    images = np.random.default_rng(seed).random((n, side, side)).astype(np.float32)
    images[:symmetric] = (images[:symmetric] + images[:symmetric, :, ::-1]) / 2
    return images


def written_out(data, by):
    """Every member that counts, (N, d)."""
    return np.concatenate([by.moved(e, data.points[x]) for e, x in enumerate(by.distinct)])


@pytest.mark.parametrize(
    ("words", "symmetric", "count", "members"),
    [
        (["mirror"], 60, 2, 180),
        (["mirror", "rotate90"], 10, 8, 920),
        (["mirror", "shift:1"], 10, 18, 2070),
    ],
)
def test_the_pass_is_that_over_the_augmented_set(words, symmetric, count, members):
    """Other draws over the set as it is written out: z on both sides, and the points alone."""
    data = from_arrays(pictures(symmetric=symmetric))
    by = orbits(data, words)
    every = written_out(data, by)
    assert (len(by.places), by.members, len(np.unique(every, axis=0))) == (count, members, members)
    seen = augmented(data.points, by, TIMES, blocks=12, seed=1)
    for points, free, more in (
        (every, seen.bounded, True), (data.points, seen.without, False)
    ):  # fmt: skip
        known = sweep(prepare(points, np.zeros(len(points), int)), TIMES, draws=8192, seed=3)
        curves, log_n = known.curves(), np.log(len(points))
        name = "bounded_free_energy_over_log_n"
        spread = curves.se[name] * np.sqrt(known.units / (12 * 128))
        error = np.hypot(curves.se[name], 1.3 * spread)  # draws that are not stratified vary more
        z = (free[:, 0] / log_n - curves[name]) / error
        assert np.abs(z).max() < 3.5
        assert np.abs(z).max() > 0.05
        if more:
            for (mean, se), name, scale in (
                (seen.entropy, "excess_entropy_over_alpha", log_n),
                (seen.same_member, "same_point_probability", 1),
            ):
                z = (mean / scale - curves[name]) / np.hypot(se / scale, curves.se[name])
                assert np.abs(z).max() < 3.5, name


def test_compiled_sums_give_the_same(monkeypatch):
    """As many points at a time as are there in a large set."""
    data = from_arrays(pictures(150))
    by = orbits(data, ["mirror", "shift:1"])
    plain = augmented(data.points, by, TIMES, blocks=1)
    monkeypatch.setattr(groups.fused, "worth", lambda *_: True)
    fast = augmented(data.points, by, TIMES, blocks=1)
    np.testing.assert_allclose(fast.bounded, plain.bounded, atol=2e-4)
    np.testing.assert_allclose(fast.entropy, plain.entropy, atol=2e-4)


def test_random_images_collapse_at_the_log_of_their_members():
    """Pixels of their own: a mirror image is as far as any other. z^2 near 1 from both sides."""
    rng, z, moved = np.random.default_rng(1), [], []
    grid = time_from_snr(np.geomspace(0.05, 60, 20)[::-1])
    for seed in range(10):
        n, side = int(rng.integers(60, 140)), int(rng.integers(1, 4))
        images = rng.standard_normal((n, side, 4))
        data = from_arrays(images)
        by = orbits(data, ["mirror"])
        seen = augmented(data.points, by, grid, blocks=4, seed=seed)
        for rows, m, into in ((seen.bounded, 2 * n, z), (seen.without, n, moved)):
            time = left_out_time(SCHEDULE, "collapse", "x", grid, rows.T)
            into.append(z_of_time(time, exact_collapse(4 * side, [m], [1.0], time.t)))
    for values in (z, moved):
        assert 0.3 < np.mean(np.square(values)) < 2.6
        assert abs(np.mean(values)) < 3.2 / np.sqrt(len(values))


def test_clones_under_the_exact_score_of_the_augmented_set():
    """They end on one image as often as the sum of the squared weights over all orbits says."""
    data = from_arrays(pictures(40, 4, seed=3, symmetric=4))
    by = orbits(data, ["mirror", "rot90"])
    every = written_out(data, by)
    times = np.geomspace(0.012, 0.06, 5)
    score = EmpiricalScore(every)
    grid = np.append(log_snr_times(5.0, 0.003, 149), 0.0)
    ends = run_clones(
        score, times, 1024, run=Run(grid, seed=5), training=score,
        classify=nearest_classes(score, np.zeros(len(every), dtype=int)),
    )  # fmt: skip
    seen = augmented(data.points, by, np.sort(ends.times), blocks=16)
    same = ends.agreement("same_point_probability")[:, np.argsort(ends.times)]
    gap = same.mean(axis=0) - seen.same_member[0]
    assert 0.2 < same.mean() < 0.8, same.mean(axis=0)
    spread = np.cov(same.T) / len(same) + np.diag(seen.same_member[1] ** 2)
    assert chi2.sf(gap @ np.linalg.solve(spread, gap), len(gap)) > 1e-3
    assert np.abs(gap / np.sqrt(np.diag(spread))).max() < 3.5
    # without the orbits it is another curve
    alone = sweep(prepare(data.points, np.zeros(40, int)), np.sort(ends.times), draws=4096).curves()
    far = (same.mean(axis=0) - alone["same_point_probability"]) / np.sqrt(np.diag(spread))
    assert np.abs(far).max() > 6


def test_analyze_says_how_far_the_collapse_is_moved():
    images, labels = pictures(90, 6, symmetric=0), np.arange(90) % 2
    analysis = dr.analyze(images, labels, augment="mirror, rotate90", draws=2048)
    found = analysis.augment
    assert found.words == ("mirror", "rotate90")
    assert (found.elements, found.members) == (8, 720)
    assert found.low < found.moved < found.high < 0
    assert found.moved == pytest.approx(found.time.t - found.without.t)
    one = analysis.time("collapse")
    assert one.low < found.without.t < one.high
    # the two share draws: their difference is surer than either
    assert found.high - found.low < 0.7 * (found.without.high - found.without.low)
    assert any(x.startswith("With mirror, rotate90 training sees 720") for x in
               analysis.verdict.sentences)  # fmt: skip
    again = type(analysis).from_dict(json.loads(analysis.to_json()))
    assert again.to_json() == analysis.to_json()
    plain = dr.analyze(images, labels, draws=2048)
    assert {**json.loads(plain.to_json()), "verdict": 0} == {
        k: 0 if k == "verdict" else v for k, v in json.loads(analysis.to_json()).items()
        if k != "augment"
    }  # fmt: skip


def test_images_that_are_all_symmetric_are_not_moved():
    images = pictures(80, 6, symmetric=80)
    found = dr.analyze(images, np.arange(80) % 2, augment=["mirror"], draws=1024).augment
    assert (found.elements, found.members) == (2, 80)
    assert found.moved == 0
    assert found.time == found.without


def test_mirror_images_that_are_both_there_count_once():
    images = pictures(60, 6, symmetric=0)
    both = np.concatenate([images, images[:, :, ::-1]])
    assert orbits(from_arrays(both), ["mirror"]).members == 120


def test_shifts_fill_with_black_and_lose_what_leaves():
    places, group = elements(["shift:1"], (2, 3, 1))
    assert not group
    assert places.shape == (9, 6)
    assert places[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert sorted(places[1:5].tolist()) == sorted(
        [[-1, -1, -1, 0, 1, 2], [3, 4, 5, -1, -1, -1], [-1, 0, 1, -1, 3, 4], [1, 2, -1, 4, 5, -1]]
    )
    images = np.random.default_rng(0).integers(1, 256, (20, 3, 3, 2)).astype(np.uint8)
    for scale, black in ((None, 0.0), ((-1, 1), -1.0)):
        data = from_arrays(images, pixel_range=scale)
        by = orbits(data, ["shift:2"])
        assert len(by.places) == 25
        shifted = by.moved(1, data.points).reshape(20, 3, 3, 2)
        before = data.points.reshape(20, 3, 3, 2)
        assert np.isin(shifted, [*before.ravel(), black]).all()
        assert (shifted == black).any()
        # colours go together
        lost = (shifted == black).any(axis=3)
        assert (lost == (shifted == black).all(axis=3)).all()


def test_what_cannot_be_done_is_refused(tmp_path):
    square, wide = from_arrays(pictures(20)), from_arrays(pictures(20)[:, :4])
    table = from_arrays(pictures(20).reshape(20, -1))
    for data, augment, said in (
        (square, "blur", r"names 'blur'; expected some of .*shift:N"),
        (square, " , ", r"expected some of mirror"),
        (square, "shift:6", r"names shift:6; expected one shift by 1 to 5 pixels of these 6 by 6"),
        (square, "shift:0", "shift by 1 to 5"),
        (square, "shift", "shift by 1 to 5"),
        (square, "shift:1,shift:2", "shift:1 and shift:2"),
        (square, "mirror,shift:-1", "shift:-1"),
        (wide, "rotate90", "4 by 6; expected square"),
        (wide, "shift:4", "1 to 3 pixels of these 4 by 6"),
        (table, "mirror", r"shape \(36,\): it is no image"),
        (table, "shift:2", "it is no image"),
    ):
        with pytest.raises(InputError, match=said):
            words_of(augment, data)
    np.save(tmp_path / "x.npy", pictures(20))
    far = dr.load(tmp_path / "x.npy", memory_mib=0)
    with pytest.raises(InputError, match="stay in their file"):
        words_of("mirror", far)

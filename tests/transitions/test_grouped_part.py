"""Parts of points in groups: groups of one are points, bursts are what they are copies of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import diffregimes as dr
from clouds import blobs, bursts, evidence_of, exact_collapse, z_of_time
from diffregimes.posterior.groups import dealt_sets
from diffregimes.transitions.grouped_part import GroupedPart
from diffregimes.transitions.part import Part
from diffregimes.transitions.windows import groups_of_points

CLASSES, SPECTRUM = SimpleNamespace(method="group-clone-loo"), SimpleNamespace(method="spectral")


def test_groups_of_one_are_points():
    """The same draws by another way, and the same sets without a group."""
    points, labels = blobs(160, 9, 3)
    data = dr.from_arrays(points, labels)
    evidence = evidence_of(data, 2)
    group = groups_of_points(evidence)
    alone = Part(evidence, group, 1.0, 5).seen(data.points, data, SimpleNamespace(method="clone"))
    seen = GroupedPart(evidence, np.arange(160), group, 1.0, 5).seen(data.points, data, CLASSES)
    np.testing.assert_allclose(seen.collapse.places, alone.collapse.places, atol=5e-3)
    assert alone.speciation.method == "clone-loo"
    np.testing.assert_allclose(seen.speciation.places, alone.speciation.places, atol=0.02)
    assert (seen.distinct, seen.draws) == (alone.distinct, alone.draws)


def test_bursts_have_the_times_of_their_different_points():
    """Exact theory at log of the groups."""
    rng = np.random.default_rng(0)
    many, labels, groups = bursts(rng.standard_normal((120, 6)), np.arange(120) % 2, 3, 1e-3)
    data = dr.from_arrays(many, labels)
    evidence, sets = evidence_of(data, 3), dealt_sets(int(groups.max()) + 1, 0)
    assert sorted(np.bincount(sets)) == [7] * 8 + [8] * 8
    seen = GroupedPart(evidence, groups, sets, 1.0, 1).seen(data.points, data, SPECTRUM)
    t, low, high = seen.collapse.t
    exact = exact_collapse(6, [120], [1.0], t)
    assert abs(z_of_time(SimpleNamespace(t=t, low=low, high=high), exact)) < 3.5


def test_patches_of_several_groups_count_once():
    """Two groups share each of their patches: half of the groups differ, and one by one no patch
    would be told from its twin."""
    rng = np.random.default_rng(1)
    points = np.repeat(rng.standard_normal((80, 5)), 4, axis=0)
    points[1::2] += 1e-3 * rng.standard_normal((160, 5))
    points[2::4], points[3::4] = points[::4], points[1::4]
    data = dr.from_arrays(points.astype(np.float32), np.arange(320) // 2 % 2)
    groups = np.arange(320) // 2  # two patches each, of two groups the same
    evidence = evidence_of(data, 3)
    one = GroupedPart(evidence, groups, dealt_sets(int(groups.max()) + 1, 0), 1.0, 1)
    seen = one.seen(data.points, data, CLASSES)
    assert seen.distinct == 80
    t, low, high = seen.collapse.t
    assert abs(z_of_time(SimpleNamespace(t=t, low=low, high=high),
                         exact_collapse(5, [80], [1.0], t))) < 3.5  # fmt: skip
    assert seen.speciation.why in ("no class shows", "the class stays open")


def test_the_error_of_lambda_leaves_whole_groups_out():
    """Frames of a burst are no more points: the error is that of the bursts."""
    rng = np.random.default_rng(3)
    points = 3 * rng.standard_normal((160, 3))
    many, _, groups = bursts(points, np.zeros(160, dtype=np.int64), 6)
    widths = []
    for values, codes in ((points.astype(np.float32), np.arange(160)), (many, groups)):
        data = dr.from_arrays(values)
        part = GroupedPart(evidence_of(data, 1), codes, dealt_sets(int(codes.max()) + 1, 0), 1.0, 1)
        t, low, high = part.seen(data.points, data, SPECTRUM).speciation.t
        assert t == pytest.approx(np.log(9) / 2, abs=0.2)
        widths.append(high - low)
    assert 0.6 < widths[1] / widths[0] < 1.6


def test_an_analysis_of_groups_has_windows():
    rng = np.random.default_rng(0)
    labels = np.arange(72) % 2
    images = rng.standard_normal((72, 4, 4))
    images[:, :, :2] += 1.2 * (2 * labels[:, None, None] - 1)
    many, classes, groups = bursts(images.reshape(72, 16), labels, 2)
    found = dr.analyze(many.reshape(-1, 4, 4), classes, groups=groups, draws=512, windows=[2, 4])
    small, whole = found.windows
    assert small.collapse.method == "group-free-energy"
    assert small.speciation.method == "group-clone-loo"
    assert (small.distinct == 72).all()
    assert float(whole.collapse.t[0]) == found.time("collapse").t
    assert 0 < small.collapse.mean < found.time("collapse").t
    t = small.map(small.speciation.t)
    assert np.isfinite(t[:, 0]).all()
    assert np.isnan(t[:, -1]).all()
    assert "no class shows" in " ".join(small.notes)

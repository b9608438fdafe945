"""Groups of points that count as one: against the points they are copies of, and exact theory."""

from __future__ import annotations

import json

import numpy as np
import pytest

import diffregimes as dr
from clouds import SCHEDULE, blobs, bursts, exact_collapse, z_of_time
from diffregimes.common.checks import InputError
from diffregimes.data import readers
from diffregimes.data.cloud import prepare
from diffregimes.posterior.by_group import by_group
from diffregimes.posterior.groups import GROUPS, dealt_whole
from diffregimes.posterior.moments import draw_block
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.transitions.grouped import collapse_time, speciation_time

TIMES = np.array([0.1, 0.3, 0.6, 1.0, 1.6, 2.4])


def test_groups_of_one_give_the_curves_of_points():
    """The same draws by another way: entropy, weights and class probabilities agree."""
    points, labels = blobs(150, 9, 3)
    cloud = prepare(points, labels)
    seen = by_group(cloud, cloud.order, TIMES, blocks=3, seed=2)
    curves = sweep(cloud, TIMES, draws=3 * 256, seed=2).curves()
    for value, name in (
        (seen.bounded[:, 0], "bounded_free_energy_over_log_n"),
        (seen.entropy[0], "excess_entropy_over_alpha"),
        (seen.same_group[0], "same_point_probability"),
        (seen.own[:, 0], "own_class_probability_loo"),
        (seen.confidence[:, 0], "same_class_probability_loo"),
    ):
        np.testing.assert_allclose(value, curves[name], atol=3e-5, err_msg=name)
    np.testing.assert_allclose(seen.entropy[1], curves.se["excess_entropy_over_alpha"], rtol=0.01)


def test_against_plain_sums_over_groups_of_any_size():
    """One block of draws in float64, groups that lie in two classes among them."""
    points, labels = blobs(60, 5, 2)
    cloud = prepare(points, labels)
    groups = np.random.default_rng(1).integers(0, 13, 60)
    groups = np.unique(groups, return_inverse=True)[1]
    count = groups.max() + 1
    seen = by_group(cloud, groups, TIMES, blocks=1, seed=5)
    parts = cloud.relabelled(np.unique(np.stack([cloud.labels.numpy(), groups]), axis=1,
                                       return_inverse=True)[1].ravel())  # fmt: skip
    drawn = draw_block(parts, 0, 5)
    x = cloud.coordinates.double().numpy() * cloud.scale
    row = {int(k): j for j, k in enumerate(cloud.order)}
    free, entropy, square, own, sure = (np.zeros(len(TIMES)) for _ in range(5))
    for mu, z in zip(parts.order[drawn.points.numpy()], drawn.noise.double().numpy(), strict=True):
        m = row[int(mu)]
        gap = x - x[m]
        for k, gamma in enumerate(snr(TIMES)):
            for sign in (1, -1):
                w = np.exp(-gamma / 2 * (gap**2).sum(1) + sign * np.sqrt(gamma) * gap @ z)
                of = np.bincount(groups, w, count)
                mine, others = of[groups[m]], of.sum() - of[groups[m]]
                s = others / mine
                free[k] += np.log((1 + count * s) / (count + s)) / 256
                p = of / of.sum()
                entropy[k] -= (p * np.log(np.maximum(p, 1e-300))).sum() / 256
                square[k] += (p**2).sum() / 256
                w[groups == groups[m]] = 0
                q = np.bincount(cloud.labels.numpy(), w, 2) / w.sum()
                own[k] += q[cloud.labels[m]] / 256
                sure[k] += (q**2).sum() / 256
    log = np.log(count)
    np.testing.assert_allclose(seen.bounded[:, 0], free / log, atol=1e-4)
    np.testing.assert_allclose(seen.entropy[0], entropy / log, atol=1e-4)
    np.testing.assert_allclose(seen.same_group[0], square, atol=1e-4)
    np.testing.assert_allclose(seen.own[:, 0], own, atol=1e-4)
    np.testing.assert_allclose(seen.confidence[:, 0], sure, atol=1e-4)


def test_bursts_of_random_laws_collapse_at_the_number_of_groups():
    """z^2 near 1 from both sides against exact theory at log of the groups."""
    rng, z = np.random.default_rng(2), []
    for seed in range(11):
        d, n, k = int(rng.integers(3, 20)), int(rng.integers(60, 160)), int(rng.integers(2, 5))
        points = rng.standard_normal((n, d))
        many, labels, groups = bursts(points, np.zeros(n, dtype=np.int64), k, seed=seed)
        labels = np.arange(len(many)) % 2  # a group that lies in two classes is left out whole
        cloud = prepare(many, labels)
        times = time_from_snr(np.geomspace(0.02, 60, 24)[::-1])
        seen = by_group(cloud, groups[cloud.order], times, blocks=3, seed=seed)
        time = collapse_time(seen, SCHEDULE)
        z.append(z_of_time(time, exact_collapse(d, [n], [1.0], time.t)))
    assert 0.4 < np.mean(np.square(z)) < 2.4
    assert abs(np.mean(z)) < 3.2 / np.sqrt(len(z))


def test_bursts_are_as_their_different_points():
    """Times, points at risk and verdict of 240 points that come three times each, a little moved;
    one by one the frames of a burst tell each other's class, and are told apart late."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 2
    points = (2 * labels[:, None] - 1) * 0.35 + rng.standard_normal((240, 24))
    points[7] *= 6
    plain = dr.analyze(points, labels)
    many, classes, groups = bursts(points, labels, 3)
    seen = dr.analyze(many, classes, groups=groups)
    assert seen.duplicates == ()
    assert seen.listed is None
    assert (seen.grouped.groups, seen.grouped.largest) == (240, 3)
    assert seen.recipe.headline.collapse == "group-free-energy"
    assert seen.recipe.headline.speciation == "group-clone-loo"
    one, two = plain.time("collapse"), seen.time("collapse")
    assert one.low < two.t < one.high
    assert two.low < one.t < two.high
    one, two = plain.time("speciation", "clone-loo"), seen.time("speciation")
    assert one.low < two.t < one.high or two.low < one.t < two.high
    # without the groups it would be this
    assert seen.time("speciation", "clone-loo").t > 1.2 * two.t
    assert seen.time("collapse", "bounded-free-energy").t < 0.01
    assert seen.verdict.generalizes == plain.verdict.generalizes
    assert any("720 points are in 240 groups" in x for x in seen.verdict.sentences)
    told = [int(groups[x.index]) for x in seen.points]
    assert len(set(told)) == len(told) == 12
    assert told[0] == plain.points[0].index == 7
    for x in seen.points:
        assert groups[x.nearest_index] != groups[x.index]
        assert x.nearest_distance > 0.1
    known = {x.index: x for x in plain.points}
    same = [(x, known[g]) for x, g in zip(seen.points, told, strict=True) if g in known]
    assert len(same) > 5
    z = [(x.t - y.t) / np.hypot(x.se, y.se) for x, y in same]
    assert np.abs(z).max() < 4
    again = type(seen).from_dict(json.loads(seen.to_json()))
    assert again.to_json() == seen.to_json()


def test_groups_of_one_change_no_bit():
    points, labels = blobs(120, 8)
    plain = dr.analyze(points, labels, draws=1024)
    alone = dr.analyze(points, labels, draws=1024, groups=np.arange(120))
    assert alone.to_json() == plain.to_json()


def test_near_copies_are_news_between_groups_alone():
    points, labels = blobs(120, 8)
    copies = np.concatenate([points, points[:6] + 1e-4])
    classes = np.append(labels, labels[:6])
    groups = np.append(np.arange(120), [0, 1, 2, 200, 201, 202])
    seen = dr.analyze(copies, classes, draws=1024, groups=groups)
    assert {(x.index, x.other) for x in seen.duplicates} == {(k, 120 + k) for k in (3, 4, 5)}
    assert (seen.listed.near, seen.dataset.n) == (3, 123)
    assert (seen.grouped.groups, seen.grouped.largest) == (120, 2)


def test_without_labels_and_in_a_file(tmp_path):
    points, labels = blobs(200, 8)
    many, _, groups = bursts(points, labels, 2, noise=0.05)
    near = dr.analyze(many, groups=groups, draws=512)
    assert near.recipe.headline.speciation == "spectral"
    np.save(tmp_path / "x.npy", many)
    np.save(tmp_path / "g.npy", groups)
    far = readers.load(tmp_path / "x.npy", group=str(tmp_path / "g.npy"), memory_mib=0)
    assert far.in_file
    seen = dr.analyze(far, draws=512)
    assert seen.time("collapse").t == pytest.approx(near.time("collapse").t, rel=1e-3)
    for x in seen.points:
        assert groups[x.nearest_index] != groups[x.index]
    assert len({int(groups[x.index]) for x in seen.points}) == len(seen.points)


def test_what_are_no_groups_is_refused():
    points, labels = blobs(60, 4)
    for groups, said in (
        (np.zeros(60, dtype=int), "all points are in one group"),
        (np.arange(60) % 3, "there are 3 groups"),
        (np.arange(59), r"\(59,\)"),
        (np.arange(61), r"\(61,\)"),
        (np.linspace(0, 1, 60), "float64"),
    ):
        with pytest.raises(InputError, match=said):
            dr.analyze(points, labels, groups=groups, draws=256)


def test_no_times_where_nothing_crosses():
    points, labels = blobs(80, 6)
    cloud = prepare(points, labels)
    seen = by_group(cloud, cloud.order // 2, np.array([3.0, 4.0, 5.0]), blocks=1)
    assert collapse_time(seen, SCHEDULE).t is None
    assert "cross" in speciation_time(seen, SCHEDULE, 0.775).warnings[0]
    assert collapse_time(None, SCHEDULE) is None


def test_sets_in_several_classes_are_left_out_whole():
    """Each point is dealt with all others of its set, of whatever class."""
    rng = np.random.default_rng(0)
    labels, sets = rng.integers(0, 3, 400), rng.integers(0, 40, 400)
    cells, of = np.unique(np.stack([labels, sets]), axis=1, return_inverse=True)
    cloud = prepare(rng.standard_normal((400, 2)).astype(np.float32), of.ravel())
    dealt = dealt_whole(cloud, cells[1], seed=3)
    counts = np.array([dealt.sizes[cells[1] == k].sum(0) for k in range(40)])
    assert ((counts > 0).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(counts.sum(1), np.bincount(sets))
    assert (np.bincount(counts.argmax(1), minlength=GROUPS) >= 2).all()

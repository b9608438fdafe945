"""Collapse given a condition: against exact theory at log n_c, and against each class alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

import diffregimes as dr
from clouds import SCHEDULE, blobs, exact_collapse, z_of_time
from diffregimes.common.checks import InputError
from diffregimes.data import readers
from diffregimes.data.cloud import prepare
from diffregimes.posterior import within as engine
from diffregimes.process import time_from_snr
from diffregimes.transitions.given import _time, conditions_of

GRID = time_from_snr(np.geomspace(0.01, 60, 40)[::-1])


def found(points, conditions, times=GRID, blocks=12, seed=0):
    """Packs of conditions with what is seen of them, as `given_of` asks for it."""
    cloud = prepare(np.asarray(points, dtype=np.float32), np.zeros(len(points), dtype=np.int64))
    return [
        (pack, engine.within(cloud, pack, times, blocks=blocks, seed=seed))
        for pack in engine.packs(np.asarray(conditions)[cloud.order])
    ]


def time_of(seen):
    return _time([x for _, x in seen], [len(x.rows) for x, _ in seen], GRID, SCHEDULE)


@pytest.mark.slow
def test_random_laws_collapse_at_their_own_number():
    """z^2 near 1 from both sides, of whole sets and of single conditions."""
    rng = np.random.default_rng(4)
    whole, single = [], []
    for seed in range(10):
        d, k = int(rng.integers(3, 24)), 2
        counts, spreads = rng.integers(40, 160, k), rng.uniform(0.5, 1.5, k)
        conditions = np.repeat(np.arange(k), counts)
        centres = 3 * rng.standard_normal((k, d))
        noise = rng.standard_normal((len(conditions), d))
        points = centres[conditions] + spreads[conditions, None] * noise
        seen = found(points, conditions, blocks=4, seed=seed)
        time, first = time_of(seen), time_of(seen[:1])
        whole.append(z_of_time(time, exact_collapse(d, counts, spreads, time.t)))
        single.append(z_of_time(first, exact_collapse(d, counts[:1], spreads[:1], first.t)))
    for z in (whole, single):  # 15/13 by the t law of a jackknife over 16 groups
        assert 0.4 < np.mean(np.square(z)) < 2.4
        assert abs(np.mean(z)) < 3.2 / np.sqrt(len(z))


@pytest.mark.parametrize("size", [3, 11])
def test_conditions_of_few_points_together(size):
    rng = np.random.default_rng(size)
    t, z = None, []
    for seed in range(5):
        conditions = np.arange(60 * size) % 60
        centres = 2 * rng.standard_normal((60, 8))
        points = centres[conditions] + rng.standard_normal((len(conditions), 8))
        seen = found(points, conditions, blocks=8, seed=seed)
        assert not any(pack.alone for pack, _ in seen)
        assert sorted(np.concatenate([x.rows for x, _ in seen])) == list(range(len(points)))
        t = t or exact_collapse(8, [size], [1.0], time_of(seen).t)
        z.append(z_of_time(time_of(seen), t))
    assert 0.2 < np.mean(np.square(z)) < 3.2
    assert abs(np.mean(z)) < 3.2 / np.sqrt(len(z))


def test_one_condition_in_a_pack_of_several_is_what_it_is_alone(monkeypatch):
    """The same draws by both ways: sums over sets of points, and over points one by one."""
    points, _ = blobs(60, 7)
    conditions = np.zeros(60, dtype=np.int64)
    ((pack, alone),) = found(points, conditions, blocks=3)
    assert pack.alone
    monkeypatch.setattr(engine, "MANY", 1000)
    assert not pack.alone
    cloud = prepare(points, conditions)
    packed = engine.within(cloud, pack, GRID, blocks=3)
    np.testing.assert_allclose(packed.bounded[:, 0], alone.bounded[:, 0], atol=2e-5)
    np.testing.assert_allclose(packed.entropy, alone.entropy, atol=2e-5)
    where = np.argsort(cloud.order)
    assert len(where) == 60
    np.testing.assert_allclose(
        np.sort(packed.own, axis=0), np.sort(alone.own, axis=0), atol=2e-5
    )  # fmt: skip


@pytest.mark.slow
def test_each_class_is_what_its_own_analysis_says():
    points, labels = blobs(400, 10, 3, seed=2)
    analysis = dr.analyze(points, labels, given="label")
    given = analysis.given
    assert given.conditions == 3
    assert given.alone == ()
    assert [x.n for x in given.collapse] == sorted(np.bincount(labels), reverse=True)
    for condition in given.collapse:
        own = dr.analyze(points[labels == int(condition.name)]).time("collapse")
        # the points are the same: the two differ by their draws, by less than both intervals
        width = (np.log(own.high / own.low), np.log(condition.time.high / condition.time.low))
        gap = np.log(condition.time.t / own.t)
        assert abs(gap) < 0.5 * np.hypot(*width)
    whole = analysis.time("collapse")
    assert given.time.t > whole.low
    assert any("its own condition alone" in x for x in analysis.verdict.sentences)
    log_n = np.log(np.bincount(labels)) @ np.bincount(labels) / len(labels)
    # H(index | x, class) / mean log n_c, by the chain rule of the pass without conditions
    chained = analysis.curves["within_class_entropy"] / log_n
    late = analysis.curves["class_entropy"] < 1e-3
    z = (given.entropy - chained)[late] / np.hypot(
        given.entropy_se, analysis.curves.se["within_class_entropy"] / log_n
    )[late]
    assert np.abs(z).max() < 4
    assert late.sum() > 2
    again = type(analysis).from_dict(json.loads(analysis.to_json()))
    assert again.to_json() == analysis.to_json()


def test_a_condition_that_all_share_changes_no_bit():
    points, labels = blobs(150, 8)
    plain = dr.analyze(points, labels, draws=1024)
    same = dr.analyze(points, labels, draws=1024, given=np.full(150, "one"))
    assert same.given.time == plain.time("collapse")
    np.testing.assert_array_equal(same.given.entropy, plain.curves["excess_entropy_over_alpha"])
    np.testing.assert_array_equal(same.given.point_times, plain.point_times)
    text = {**json.loads(same.to_json()), "given": None}
    assert text.pop("given") is None
    assert text == json.loads(plain.to_json())


def test_conditions_of_one_point_name_it():
    points, labels = blobs(120, 8)
    every = dr.analyze(points, labels, draws=1024, given=np.arange(120))
    assert every.given.alone == tuple(range(120))
    assert every.given.time.t is None
    assert not every.given.entropy.any()
    assert "every point is named" in every.verdict.headline
    some = np.arange(120) // 40
    some[[5, 77]] = 100, 101
    few = dr.analyze(points, labels, draws=1024, given=some)
    assert few.given.alone == (5, 77)
    assert few.given.conditions == 5
    assert "named" not in few.verdict.headline
    assert any(x.startswith("2 of 120 points share") for x in few.verdict.sentences)


def test_two_points_of_a_condition_have_no_t_C():
    points, labels = blobs(120, 8)
    given = dr.analyze(points, labels, draws=1024, given=np.arange(120) // 2).given
    assert given.time.t is None
    assert given.alone == ()
    (condition,) = given.collapse
    assert (condition.name, condition.count, condition.n) == ("of 2 points", 60, 120)
    assert "one rival" in condition.time.warnings[0]


def test_too_few_conditions_of_few_points_have_no_interval():
    """One of 30 beside one of 70: it is left out whole, and nothing is left."""
    points, labels = blobs(100, 8)
    given = dr.analyze(points, labels, draws=1024, given=np.arange(100) // 70).given
    many, few = given.collapse
    assert (many.n, few.n, few.name) == (70, 30, "of 16 to 31 points")
    assert many.time.low < many.time.t < many.time.high
    assert few.time.t is not None
    assert few.time.low is None
    assert "fewer than 16" in few.time.warnings[0]
    assert given.time.low < given.time.t < given.time.high


def test_points_listed_under_two_conditions_are_told():
    points, labels = blobs(120, 8)
    twice = np.concatenate([points, points[:3]])
    given = np.append(np.arange(120) % 2, [1, 1, 1])
    analysis = dr.analyze(twice, np.append(labels, labels[:3]), draws=1024, given=given)
    assert analysis.given.torn == 2  # the second has the same one
    assert any("2 points are listed under several" in x for x in analysis.verdict.sentences)


def test_points_in_a_file_are_those_in_memory(tmp_path):
    points, labels = blobs(300, 9, 2)
    np.save(tmp_path / "x.npy", points)
    np.save(tmp_path / "y.npy", labels)
    np.save(tmp_path / "site.npy", np.arange(300) % 3)
    read = {"labels": tmp_path / "y.npy", "given": tmp_path / "site.npy"}
    near = readers.load(tmp_path / "x.npy", **read)
    far = readers.load(tmp_path / "x.npy", memory_mib=0, **read)
    assert far.in_file
    one, two = (dr.analyze(x, draws=256).given for x in (near, far))
    assert two.time.t == pytest.approx(one.time.t, rel=1e-3)
    assert [x.n for x in two.collapse] == [100] * 3
    with pytest.raises(InputError, match=r"condition .* has 200 points, .* memory budget"):
        conditions_of(far, np.arange(300) // 200, 0.005, 300)


def test_what_is_no_condition_is_refused(tmp_path):
    points, labels = blobs(60, 4, 3)
    for given, said in (
        (np.arange(59), r"shape \(59,\) and dtype"),
        ([*["a"] * 59, " "], "1 of 60 points have none, the first in row 60"),
        (np.linspace(0, 1, 60), "float64"),
    ):
        with pytest.raises(InputError, match=said):
            dr.analyze(points, labels, given=given, draws=256)
    with pytest.raises(InputError, match="no labels"):
        dr.analyze(points, given="label", draws=256)
    # of the points that were listed, though some classes are left out
    seen = dr.analyze(points, labels, classes=[0, 1], given=np.arange(60), draws=256).given
    assert seen.alone == tuple(np.flatnonzero(labels < 2))


def test_conditions_are_read_as_columns_and_files(tmp_path):
    rows = ["x,y,kind,site"] + [f"{k % 7},{k},{'ab'[k % 2]},s{k % 3}" for k in range(60)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows))
    data = readers.load(table, labels="kind", given="site")
    assert data.d == 2
    assert data.given.tolist() == [f"s{k % 3}" for k in range(60)]
    both = readers.load(table, labels="kind", given="site", group="y")
    assert both.d == 1
    assert (
        readers.load(table, labels="kind", group="site", given="label").given.tolist()
        == ["a", "b"] * 30
    )
    assert (
        readers.load(table, labels="kind", group="site", given="kind").given.tolist()
        == ["a", "b"] * 30
    )
    np.save(tmp_path / "sites.npy", np.arange(60) // 20)
    aside = readers.load(table, labels="kind", group="site", given=str(tmp_path / "sites.npy"))
    assert aside.take(np.array([0, 59])).given.tolist() == [0, 2]
    with pytest.raises(InputError, match=r"given.*neither a column"):
        readers.load(table, labels="kind", given="colour")
    np.save(tmp_path / "few.npy", np.arange(59))
    with pytest.raises(InputError, match=r"given \(--given\) is .* 59 conditions for the 60"):
        readers.load(table, labels="kind", group="site", given=str(tmp_path / "few.npy"))
    table.write_text("\n".join(rows).replace("s2", ""))
    with pytest.raises(InputError, match="20 of 60 points have none"):
        readers.load(table, labels="kind", given="site")

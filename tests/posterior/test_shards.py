"""Points that stay in their file give the numbers of points in memory."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch
from PIL import Image

import diffregimes as dr
import diffregimes.posterior.sweep as sweep_module
import diffregimes.transitions.points as points_module
from diffregimes.data import filecloud, infile
from diffregimes.data.cloud import prepare
from diffregimes.data.filecloud import prepare_file
from diffregimes.data.infile import FilePoints
from diffregimes.data.spectrum import first_channel
from diffregimes.posterior import shards
from diffregimes.posterior.groups import Dealt, grouped, weights_of
from diffregimes.posterior.left_out import heated_log_odds, heated_same_point, left_out_means
from diffregimes.posterior.moments import products
from diffregimes.posterior.sweep import sweep

TIMES = np.array([0.2, 0.6, 1.1, 1.7])


def write(folder, dtype=np.uint8, n=700, shape=(8, 8), classes=3, seed=0):
    """Two files: pictures whose classes are mixed, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    means = rng.uniform(80, 170, (classes, *shape))
    values = means[labels] + 25 * rng.standard_normal((n, *shape))
    if np.dtype(dtype) == np.uint16:
        values *= 257
    elif np.dtype(dtype) == np.uint8:
        values = np.clip(values, 0, 255)
    np.save(folder / "x.npy", values.astype(dtype))
    np.save(folder / "y.npy", labels)
    return folder / "x.npy", folder / "y.npy"


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 64 points, so that every one holds a part of each class."""
    monkeypatch.setattr(filecloud, "_SHARD", 64)
    monkeypatch.setattr(infile, "_PART", 100 * 64 * 4)


def both(folder, budget=0, **options):
    """The same data in memory and in their file."""
    x, y = write(folder, **options)
    return dr.load(x, labels=y), dr.load(x, labels=y, memory_mib=budget)


def clouds(folder, **options):
    held, left = both(folder, **options)
    assert left.in_file
    assert not held.in_file
    assert left.fingerprint == held.fingerprint
    return prepare(held.points, held.labels), prepare_file(left.points, left.labels)


def test_rows_are_those_of_the_array(tmp_path, small_shards):
    held, left = both(tmp_path)
    rows = np.array([5, 2, 2, 699, 0])
    assert np.array_equal(left.points[rows], held.points[rows])
    assert np.array_equal(left.points[3], held.points[3])
    assert np.array_equal(left.points[10:20:3], held.points[10:20:3])
    assert np.array_equal(left.points[-4:], held.points[-4:])
    np.testing.assert_allclose(left.points.mean(axis=0), held.points.mean(axis=0, dtype=float))
    with pytest.raises(dr.InputError, match="larger memory_mib"):
        np.asarray(left.points)


@pytest.mark.parametrize(
    "use",
    [
        lambda data: prepare(data.points, data.labels),
        lambda data: data.points.reshape(-1),
        lambda data: np.linalg.norm(data.points),
        lambda data: first_channel(data),
        lambda data: dr.scores.EmpiricalScore(data.points),
    ],
)
def test_what_needs_all_points_at_once_says_so(tmp_path, small_shards, use):
    left = both(tmp_path, n=300)[1]
    with pytest.raises(dr.InputError, match="larger memory_mib"):
        use(left)


def test_a_cloud_is_that_of_the_array(tmp_path, small_shards):
    held, left = clouds(tmp_path)
    assert left.bounds == held.bounds
    assert left.scale == pytest.approx(held.scale, rel=1e-7)
    rows = torch.tensor([3, 600, 1])
    assert torch.allclose(left.coordinates[rows], held.coordinates[rows], rtol=1e-6, atol=1e-7)
    seen = np.zeros(held.n, dtype=int)
    for shard, inside in left.shards():
        seen[inside] += 1
        assert (np.diff(inside) > 0).all()
        assert torch.equal(shard.labels, held.labels[torch.from_numpy(inside)])
        assert np.array_equal(shard.order, held.order[inside])
        assert np.array_equal(np.repeat(np.arange(3), np.diff(shard.bounds)), shard.labels)
    assert (seen == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.uint16])
@pytest.mark.parametrize("compiled", [True, False])
def test_curves_are_those_of_the_array(tmp_path, small_shards, monkeypatch, dtype, compiled):
    monkeypatch.setattr("diffregimes.posterior.fused.worth", lambda *_: compiled)
    held, left = clouds(tmp_path, dtype=dtype)
    one, two = (sweep(x, TIMES, draws=1024) for x in (held, left))
    assert np.array_equal(one.points, two.points)
    for name, values in one.values.items():
        scale = np.abs(values).max() + 1e-3
        # float32 sums are taken in another order: 1e-6 of a mean, and more of a single draw
        np.testing.assert_allclose(two.values[name], values, atol=2e-5 * scale, err_msg=name)
        mean = values.mean(axis=0)
        np.testing.assert_allclose(two.values[name].mean(axis=0), mean, atol=1e-6 * scale)


@pytest.mark.parametrize("compiled", [True, False])
def test_means_without_groups_are_those_of_the_array(tmp_path, small_shards, monkeypatch, compiled):
    monkeypatch.setattr("diffregimes.posterior.fused.worth", lambda *_: compiled)
    held, left = clouds(tmp_path)
    places = {"same_class_probability_loo": TIMES, "loo_free_energy_over_log_n": TIMES[1:2]}
    one, two = (left_out_means(x, places, blocks=3) for x in (held, left))
    for name in places:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-6, atol=2e-6)
    beta = np.array([[1.0, 0.64]] * len(TIMES))
    one, two = (heated_log_odds(x, TIMES, beta, blocks=3) for x in (held, left))
    np.testing.assert_allclose(two.log_odds, one.log_odds, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(two.same_point, one.same_point, rtol=1e-5)
    one, two = (heated_same_point(x, TIMES, beta) for x in (held, left))
    np.testing.assert_allclose(two, one, rtol=1e-5)


def test_other_ranges_have_their_offset(tmp_path, small_shards):
    x, y = write(tmp_path)
    held = dr.load(x, labels=y, pixel_range=(-1, 3))
    left = dr.load(x, labels=y, pixel_range=(-1, 3), memory_mib=0)
    one, two = prepare(held.points, held.labels), prepare_file(left.points, left.labels)
    for shard, rows in two.shards():
        assert torch.allclose(shard.coordinates, one.coordinates[rows], rtol=1e-5, atol=1e-6)


def test_weights_of_shards_merge(tmp_path, small_shards):
    held, left = clouds(tmp_path)
    of_held, of_left = grouped(held), grouped(left)
    cpu = torch.device("cpu")
    scaled = np.array([0.1, 30.0, 900.0])
    one, two = Dealt(of_held, cpu, 1), Dealt(of_left, cpu, 1)
    drawn = shards.draw_blocks(of_held.cloud, [0], 0)
    whole = weights_of(
        *products(of_held.cloud, drawn), drawn.points, scaled, np.ones(len(scaled)), one
    )
    merged = shards.weights_over(of_left, drawn, scaled, np.ones(len(scaled)), two, 64)
    for a, b in zip(whole, merged, strict=True):
        assert torch.allclose(a.top, b.top, rtol=1e-5, atol=1e-4)
        unit = (b.top - a.top).exp()[..., None]  # the largest weight, rounded otherwise
        assert torch.allclose(unit * b.of_sets.double(), a.of_sets.double(), rtol=1e-3, atol=1e-6)
        assert torch.allclose(unit**2 * b.squares, a.squares, rtol=1e-3, atol=1e-6)
        assert torch.allclose(unit * b.logs, a.logs, rtol=1e-3, atol=1e-3)


# ---- the whole analysis


def compared(one, two):
    """Two analyses of the same points say the same."""
    np.testing.assert_allclose(two.curves.t, one.curves.t, rtol=1e-6)
    for name in one.curves.values:
        scale = np.abs(one.curves[name]).max()
        np.testing.assert_allclose(two.curves[name], one.curves[name], atol=3e-6 * scale)
    for a, b in zip(one.times, two.times, strict=True):
        assert a.method == b.method
        for x, y in ((a.t, b.t), (a.low, b.low), (a.high, b.high)):
            assert x == y if x is None else y == pytest.approx(x, rel=1e-4, abs=1e-6)
    assert two.verdict.headline == one.verdict.headline
    assert two.verdict.sentences == one.verdict.sentences
    assert two.dataset == one.dataset


@pytest.mark.parametrize("labelled", [pytest.param(False, marks=pytest.mark.slow), True])
def test_an_analysis_is_that_of_the_array(tmp_path, small_shards, labelled):
    x, y = write(tmp_path)
    y = y if labelled else None
    held, left = dr.load(x, labels=y), dr.load(x, labels=y, memory_mib=0)
    one, two = (dr.analyze(data, draws=1024) for data in (held, left))
    compared(one, two)
    assert any("of x.npy are read some at a time" in note for note in two.notes)
    two.save(tmp_path / "out", left)  # noised samples and points at risk are read for the page
    assert (tmp_path / "out" / "report.html").stat().st_size > 1e5


def test_points_at_risk_have_their_own_times(tmp_path, small_shards):
    held, left = both(tmp_path, n=300)
    one, two = (dr.analyze(data, draws=1024) for data in (held, left))
    known = {x.index: x for x in one.points}
    shared = [(known[x.index], x) for x in two.points if x.index in known]
    assert len(shared) >= 6  # all points were drawn
    for a, b in shared:
        assert b.t == pytest.approx(a.t, rel=1e-4)
        assert b.se == pytest.approx(a.se, rel=1e-2)
        square = ((held.points - held.points[b.index]) ** 2).sum(axis=1)
        square[b.index] = np.inf
        assert b.nearest_index == square.argmin()
        assert b.nearest_distance == pytest.approx(np.sqrt(square.min()), rel=1e-5)


@pytest.mark.parametrize("gap", [0.0, 3e-4, 1e-2])
@pytest.mark.parametrize("spare", [0, 8])
def test_nearest_points_are_exact(tmp_path, small_shards, monkeypatch, gap, spare):
    """Of clusters of near duplicates too, whose distances float32 products do not tell."""
    monkeypatch.setattr(filecloud, "_SPARE", spare)
    rng = np.random.default_rng(3)
    points = 5 + rng.standard_normal((400, 40)).astype(np.float32)
    if gap:
        points[100:130] = points[100] + gap * rng.standard_normal((30, 40)).astype(np.float32)
    np.save(tmp_path / "x.npy", points)
    np.save(tmp_path / "y.npy", np.arange(400) % 2)
    left = dr.load(tmp_path / "x.npy", labels=tmp_path / "y.npy", memory_mib=0)
    cloud = prepare_file(left.points, left.labels)
    rows = cloud.row_of[[3, 60, *range(100, 130), 399]]
    again = []
    real = filecloud.square_distances
    monkeypatch.setattr(
        filecloud, "square_distances", lambda a, b: again.append(len(a)) or real(a, b)
    )
    near, distance = filecloud.nearest(cloud, rows, 3)
    exact = np.sqrt(((points[cloud.order[rows], None].astype(float) - points) ** 2).sum(-1))
    exact[np.arange(len(rows)), cloud.order[rows]] = np.inf
    np.testing.assert_allclose(distance, np.sort(exact, axis=1)[:, :3], rtol=1e-3 if gap else 1e-5)
    chosen = np.take_along_axis(exact, cloud.order[near], axis=1)
    np.testing.assert_allclose(chosen, np.sort(exact, axis=1)[:, :3], rtol=2e-3)
    if spare and gap < 1e-2:  # those of the cluster were looked at again, others not
        assert set(again) == ({30} if gap else set())


def test_equal_points_count_once(tmp_path, small_shards):
    x, y = write(tmp_path, n=300)
    values, labels = np.load(x), np.load(y)
    np.save(x, np.concatenate([values, values[:20], values[:5]]))
    np.save(y, np.concatenate([labels, labels[:20], labels[:5]]))
    held, left = dr.load(x, labels=y), dr.load(x, labels=y, memory_mib=0)
    one, two = (dr.analyze(data, draws=1024) for data in (held, left))
    assert two.listed.exact == one.listed.exact == 25
    assert two.listed.left_out == one.listed.left_out
    assert two.listed.collapse.t == pytest.approx(one.listed.collapse.t, rel=1e-4)
    assert [(x.index, x.other) for x in two.duplicates] == [
        (x.index, x.other) for x in one.duplicates
    ]


def test_classes_are_chosen_and_pixels_added(tmp_path, small_shards):
    x, y = write(tmp_path)
    options = {
        "labels": y,
        "classes": ["2", "0"],
        "per_class": 80,
        "pad": 1,
        "pixel_range": (-1, 1),
    }
    held, left = dr.load(x, **options), dr.load(x, memory_mib=0, **options)
    assert left.in_file
    assert left.fingerprint == held.fingerprint
    assert left.sample_shape == held.sample_shape == (10, 10, 1)
    one, two = (prepare(held.points, held.labels), prepare_file(left.points, left.labels))
    a, b = (sweep(cloud, TIMES, draws=256).curves() for cloud in (one, two))
    np.testing.assert_allclose(b["mmse"], a["mmse"], rtol=1e-6)


def saved(folder, kind, values):
    if kind == "npz":
        np.savez(folder / "a.npz", images=values, labels=np.arange(len(values)) % 2)
        return folder / "a.npz", None
    if kind == "idx":
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
        (folder / "a-idx3-ubyte").write_bytes(head + values.tobytes())
        return folder / "a-idx3-ubyte", "none"
    from safetensors.numpy import save_file

    save_file({"images": values}, folder / "a.safetensors")
    return folder / "a.safetensors", None


@pytest.mark.parametrize("kind", ["npz", "idx", "safetensors"])
def test_every_file_whose_rows_can_be_reached(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 255, (50, 6, 6), dtype=np.uint8)
    path, labels = saved(tmp_path, kind, values)
    held, left = dr.load(path, labels=labels), dr.load(path, labels=labels, memory_mib=0)
    assert left.in_file
    assert left.fingerprint == held.fingerprint
    assert np.array_equal(left.points[[49, 3]], held.points[[49, 3]])


def test_what_cannot_be_reached_is_read_whole(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (50, 6, 6), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images=values, labels=np.arange(50) % 2)
    np.save(tmp_path / "a.npy", np.asfortranarray(values.astype(np.float32)))
    assert not dr.load(tmp_path / "a.npy", memory_mib=0).in_file
    options = {"classes": [1], "per_class": 20}
    held, left = (dr.load(tmp_path / "a.npz", memory_mib=x, **options) for x in (None, 0))
    assert left.points.stored.nbytes == 20 * 36  # bytes, of those chosen
    assert left.fingerprint == held.fingerprint
    assert np.array_equal(left.indices, held.indices)


def test_images_of_a_folder_stay_bytes(tmp_path, small_shards):
    values = np.random.default_rng(0).integers(0, 255, (300, 8, 8, 3), dtype=np.uint8)
    for k, value in enumerate(values):
        folder = tmp_path / "images" / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(value).save(folder / f"{k:03}.png")
    held, left = (dr.load(tmp_path / "images", memory_mib=x) for x in (None, 0))
    assert left.in_file
    assert left.points.stored.nbytes == values.nbytes
    assert left.fingerprint == held.fingerprint
    assert left.files == held.files
    compared(*(dr.analyze(data, draws=512, times=TIMES) for data in (held, left)))


def test_bad_values_are_told_by_their_place(tmp_path):
    values = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    values[37, 2] = np.nan
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(dr.InputError, match="index 37"):
        dr.load(tmp_path / "a.npy", memory_mib=0)
    np.save(tmp_path / "a.npy", np.ones((50, 6), dtype=np.float32))
    with pytest.raises(dr.InputError, match="identical"):
        dr.load(tmp_path / "a.npy", memory_mib=0)
    with pytest.raises(dr.InputError, match="standardize"):
        dr.load(tmp_path / "a.npy", memory_mib=0, standardize=True)


def test_a_file_that_changes_is_told(tmp_path, small_shards):
    x, y = write(tmp_path, n=300)
    left = dr.load(x, labels=y, memory_mib=0)
    with x.open("ab") as file:
        file.write(b"more")
    with pytest.raises(dr.InputError, match="changed while it was read"):
        dr.analyze(left, draws=512)
    x.write_bytes(x.read_bytes()[:5000])
    with pytest.raises(dr.InputError, match=r"x\.npy"):
        dr.analyze(left, draws=512)
    x.unlink()
    with pytest.raises(dr.InputError, match=r"x\.npy"):
        dr.analyze(left, draws=512)


# ---- pieces


def test_a_run_that_was_stopped_goes_on(tmp_path, small_shards, monkeypatch):
    _, left = both(tmp_path, n=300)
    whole = dr.analyze(left, draws=8192)

    class Stopped(BaseException):
        pass

    def stop(done, total, text):
        if text == "errors of the population" and done:
            raise Stopped

    with pytest.raises(Stopped):
        dr.analyze(left, draws=8192, keep=tmp_path / "kept", progress=stop)
    before = len(list((tmp_path / "kept").iterdir()))
    assert before >= 5  # the pilot, four rounds of the pass, one of the errors
    passes = []
    real = shards.moments_over
    for module in (sweep_module, points_module):
        monkeypatch.setattr(
            module, "moments_over", lambda *a, **k: passes.append(a) or real(*a, **k)
        )
    again = dr.analyze(left, draws=8192, keep=tmp_path / "kept")
    assert len(passes) == 1  # of the points at risk alone
    assert again.curves.t.tobytes() == whole.curves.t.tobytes()
    assert again.times == whole.times
    assert again.points == whole.points


def test_pieces_belong_to_their_data_and_options(tmp_path, small_shards):
    _, left = both(tmp_path, n=300)
    first = dr.analyze(left, draws=512, keep=tmp_path / "kept")
    dr.analyze(left, draws=512, times=first.curves.t, keep=tmp_path / "kept")
    other = dr.analyze(left, draws=512, seed=1, keep=tmp_path / "kept")
    assert other.times == dr.analyze(left, draws=512, seed=1).times
    assert other.times != first.times
    more = tmp_path / "more"
    more.mkdir()
    another = both(more, n=300, seed=5)[1]
    moved = dr.analyze(another, draws=512, times=first.curves.t, keep=tmp_path / "kept")
    alone = dr.analyze(another, draws=512, times=first.curves.t)
    assert moved.curves.t.tobytes() == first.curves.t.tobytes()  # all but the data are the same
    assert moved.times == alone.times
    for piece in (tmp_path / "kept").iterdir():  # as a disk that failed leaves them
        piece.write_bytes(piece.read_bytes()[:100])
    assert dr.analyze(left, draws=512, keep=tmp_path / "kept").times == first.times


@pytest.mark.slow
def test_times_by_a_spectrum_of_some_points_are_those_of_all(tmp_path, small_shards, monkeypatch):
    x, y = write(tmp_path, n=4000)
    held, left = dr.load(x, labels=y), dr.load(x, labels=y, memory_mib=0)
    monkeypatch.setattr("diffregimes.data.seen.SOME", 1000)
    one, two = (dr.analyze(data, draws=512) for data in (held, left))
    assert any("1000 of the 4000 points" in note for note in two.notes)
    known = {(x.transition, x.method): x for x in one.times}
    scores = []
    for b in two.times:
        a = known[b.transition, b.method]
        if a.t is not None and a.low is not None:
            width = np.hypot(a.high - a.low, b.high - b.low) / 3.92
            scores.append((b.t - a.t) / width)
    assert len(scores) >= 9
    assert np.abs(scores).max() < 3.5


def test_no_more_than_a_part_is_ever_read(tmp_path, small_shards, monkeypatch):
    _, left = both(tmp_path)
    monkeypatch.setattr("diffregimes.data.seen.SOME", 90)
    monkeypatch.setattr(infile, "SHOWN", 90)
    seen = []
    real = FilePoints.values
    monkeypatch.setattr(
        FilePoints, "values", lambda self, places: seen.append(len(places)) or real(self, places)
    )
    dr.analyze(left, draws=512)
    assert sum(seen) > 10 * left.n  # every pass reads all
    drawn = 512  # the pairs of a round have their own points
    assert max(seen) <= max(64, 100, 90, drawn)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path, small_shards, monkeypatch):
    _, left = both(tmp_path, n=300)
    real, written = np.savez, []

    def full(file, *arrays):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(file)
        real(file, *arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(dr.InputError, match="No space left on device"):
        dr.analyze(left, draws=512, times=TIMES, keep=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2

"""Copies in features: what an encoder takes for one image is one; bad encoders are told of."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import diffregimes as dr
from command import contents, runner
from diffregimes.auditing import Encoder, FeatureArrays, audit_samples
from diffregimes.auditing.encoders import comparable
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.scores import EmpiricalScore

N, M, SIDE = 100, 120, 12
RNG = np.random.default_rng(0)


def smooth(count, rng=RNG):
    spectrum = 1 / (1 + np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIDE) * SIDE] * 2)) ** 1.2)
    values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((count, SIDE, SIDE))) * spectrum).real
    return np.clip(128 + 60 * values / values.std(), 0, 255).astype(np.uint8)[..., None]


TRAIN, OTHER, LAW = smooth(N), smooth(300), smooth(M)
DATA, OTHERS = (from_arrays(x, np.arange(len(x)) % 2, pixel_range=(-1, 1)) for x in (TRAIN, OTHER))
WIDTH = torch.from_numpy(RNG.standard_normal((SIDE * SIDE, 20)).astype(np.float32))


def of(values):
    return from_arrays(values, pixel_range=(-1, 1))


def spectrum(images):
    """Does not change where an image is shifted."""
    return torch.fft.fft2(images).abs()[:, :, :, : SIDE // 2 + 1].flatten(1)


def projected(images):
    return (images.flatten(1) - 0.5) @ WIDTH


def mixed(values, share, rng=RNG):
    copied = np.arange(M) < round(share * M)
    return np.where(copied[:, None, None, None], values[rng.integers(0, N, M)], LAW)


@pytest.mark.parametrize("others", [OTHERS, pytest.param(None, marks=pytest.mark.slow)])
def test_shifted_copies_are_seen_by_features_that_do_not_shift(others):
    for share, kind in ((1.0, "memorises"), (0.2, "copies some"), (0.0, None)):
        made = of(mixed(np.roll(TRAIN, 4, axis=2), share))
        found = audit_samples(made, DATA, others, features=spectrum)
        assert found.copies.share.count <= 1
        view = found.in_features
        assert abs(view.copies.share.count - share * M) <= 2
        if kind is None:
            assert view.verdict.kind in ("does not copy", "open")
            assert found.verdict.kind not in ("copies in features", "memorises", "copies some")
        else:
            assert view.verdict.kind == kind, view.verdict
            assert found.verdict.kind == "copies in features"
            assert "spectrum" in found.verdict.headline
        told = json.loads(found.to_json())["features"]
        assert told["memorised"]["count"] == view.copies.share.count
        rows = found.samples()
        assert sum(rows["feature_copy"]) == view.copies.share.count
        assert rows["nearest_point"] == audit_samples(made, DATA, others).samples()["nearest_point"]


def test_distances_by_hand():
    """Euclidean between features of length 1, nearest over second nearest."""
    found = audit_samples(of(LAW), DATA, OTHERS, features=projected).in_features
    seen = [projected(torch.from_numpy((x / 255).astype(np.float32)).movedim(-1, 1)).numpy()
            for x in (TRAIN, LAW)]  # fmt: skip
    train, made = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in seen)
    gaps = cdist(made, train)
    near = np.sort(gaps, axis=1)
    np.testing.assert_allclose(found.copies.distance, near[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found.copies.second_distance, near[:, 1], rtol=1e-4)
    np.testing.assert_array_equal(found.copies.point, gaps.argmin(axis=1))
    np.testing.assert_allclose(near[:, 0] ** 2, 2 - 2 * (made @ train.T).max(axis=1), atol=1e-5)
    plain = audit_samples(of(LAW), DATA, OTHERS, features=Encoder("p", projected, direction=False))
    assert plain.in_features.distance == "Euclidean"
    gaps = np.sort(cdist(seen[1], seen[0]), axis=1)
    np.testing.assert_allclose(plain.in_features.copies.distance, gaps[:, 0], rtol=1e-4)


def test_arrays_say_what_the_function_says():
    made = of(mixed(np.roll(TRAIN, 4, axis=2), 0.3))
    images = [spectrum((torch.from_numpy(x.points).reshape(-1, 1, SIDE, SIDE) + 1) / 2).numpy()
              for x in (DATA, made, OTHERS)]  # fmt: skip
    one = audit_samples(made, DATA, OTHERS, features=spectrum).in_features
    two = audit_samples(made, DATA, OTHERS, features=FeatureArrays(*images)).in_features
    np.testing.assert_allclose(one.copies.ratio, two.copies.ratio, rtol=1e-4, atol=1e-6)
    assert one.copies.baseline == two.copies.baseline
    # held-out points that are left out are left out of their features as well
    both = from_arrays(np.concatenate([TRAIN[:20], OTHER]), np.arange(320) % 2, pixel_range=(-1, 1))
    arrays = FeatureArrays(images[0], images[1], np.concatenate([images[0][:20], images[2]]))
    again = audit_samples(made, DATA, both, features=arrays).in_features
    assert again.copies.baseline == two.copies.baseline


def test_mirrored_copies_under_the_mirror():
    made = of(mixed(TRAIN[:, :, ::-1], 1.0))
    for augment, count in (((), 0), (("mirror",), M)):
        found = audit_samples(made, DATA, OTHERS, features=projected, augment=augment)
        assert abs(found.in_features.copies.share.count - count) <= 2
    assert set(found.in_features.copies.moved) == {"mirror"}


def test_duplicates_in_features_count_as_one():
    """A shifted training image beside itself: one in features, two in pixels."""
    twice = np.concatenate([TRAIN, np.roll(TRAIN[:30], 3, axis=2)])
    data = from_arrays(twice, np.arange(130) % 2, pixel_range=(-1, 1))
    found = audit_samples(of(mixed(TRAIN, 1.0)), data, features=spectrum)
    assert not found.duplicates
    assert {(x.index, x.other) for x in found.in_features.duplicates} == {
        (k, N + k) for k in range(30)}  # fmt: skip
    assert found.in_features.copies.share.count == M


def test_groups_count_as_one():
    frames = np.concatenate([TRAIN, np.roll(TRAIN, 1, axis=1)])
    rng = np.random.default_rng(3)
    made = of(mixed(TRAIN, 1.0, rng))
    for groups in (None, np.tile(np.arange(N), 2)):
        data = from_arrays(frames, np.arange(2 * N) % 2, pixel_range=(-1, 1), groups=groups)
        found = audit_samples(made, data, OTHERS)
        near, second = found.copies.point, found.copies.second
        assert ((near % N) == (second % N)).mean() > 0.5 if groups is None else (
            (near % N) != (second % N)).all()  # fmt: skip
    seen = audit_samples(made, data, OTHERS, features=projected).in_features.copies
    assert ((seen.point % N) != (seen.second % N)).all()
    assert found.origins[0].group == str(data.groups[found.origins[0].index])
    assert audit_samples(of(smooth(40, rng)), data).verdict.kind in ("does not copy", "open")


def test_held_out_points_of_training_groups_are_left_out():
    groups = np.arange(N) // 4
    data = from_arrays(TRAIN, np.arange(N) % 2, pixel_range=(-1, 1), groups=groups)

    def held(names):
        return from_arrays(OTHER, np.arange(300) % 2, pixel_range=(-1, 1), groups=names)

    found = audit_samples(of(LAW), data, held(np.arange(300) // 3))
    assert found.held_out.n == 300 - 75
    assert any("75 of 300 held-out points are of groups" in x for x in found.notes)
    found = audit_samples(of(LAW), data, held(np.zeros(300, int)))
    assert found.held_out is None
    assert found.copies.baseline_of == "training points against one another"
    assert any("none is left" in x for x in found.notes)
    assert any("have no groups" in x for x in audit_samples(of(LAW), data, OTHERS).notes)
    clear = audit_samples(of(LAW), data, held(1000 + np.arange(300) // 3))
    assert clear.held_out.n == 300
    assert not any("groups" in x for x in clear.notes)
    whole = from_arrays(TRAIN, np.arange(N) % 2, pixel_range=(-1, 1), groups=np.zeros(N, int))
    with pytest.raises(InputError, match="1 different ones, by duplicates and the 1 groups"):
        audit_samples(of(LAW), whole)


def test_of_a_whole_audit_and_before_its_work(monkeypatch):
    data = from_arrays(RNG.standard_normal((60, 9)), np.arange(60) % 2)
    quick = {"samples": 32, "pairs": 16, "steps": 20, "draws": 32}
    found = dr.audit(EmpiricalScore(data.points), data, features=lambda x: x @ torch.ones(9, 5)
                     + x[:, :5], **quick)  # fmt: skip
    assert found.in_features.copies.share.count == 32
    assert found.verdict.kind == "memorises"
    assert found.in_parts is None  # points have no parts
    monkeypatch.setattr("diffregimes.auditing.audit._trajectories", None)
    for features, said in (
        (lambda x: x[:, :0], "expected numbers"),
        (FeatureArrays(data.points, data.points), "made by the audit"),
        (3, "expected a function of images"),
    ):
        with pytest.raises(InputError, match=said):
            dr.audit(EmpiricalScore(data.points), data, features=features, **quick)


# ---- almost constant features, and other states of ignorance


@pytest.mark.parametrize("part", [1e-2, 1e-4])
def test_features_that_are_almost_constant_tell_what_is_left_in_them(part):
    def weak(images):
        return 1 + part * projected(images)

    for share in (0.0, 1.0):
        found = audit_samples(of(mixed(TRAIN, share)), DATA, OTHERS, features=weak).in_features
        assert abs(found.copies.share.count - share * M) <= 2


def test_what_all_features_have_in_common_takes_no_digits():
    """Differences of 1e-7 of the features themselves are there in float32, too."""
    raw = 1 + 1e-7 * np.random.default_rng(0).standard_normal((50, 1, 8))
    compared = comparable(raw, False)(raw)
    assert compared.dtype == np.float32
    np.testing.assert_allclose(compared - compared[:1], raw - raw[:1], rtol=1e-3, atol=1e-13)


def test_a_sparse_answer_is_what_it_says():
    plain, thin = (
        audit_samples(of(LAW[:16]), DATA, features=f).in_features.copies.distance
        for f in (lambda x: x.flatten(1), lambda x: x.flatten(1).to_sparse())
    )
    np.testing.assert_array_equal(plain, thin)


def test_features_of_few_values_are_no_sign_of_copies():
    def coarse(images):
        return torch.nn.functional.one_hot((images.mean((1, 2, 3)) * 10).long(), 11).float()

    for others in (OTHERS, None):
        found = audit_samples(of(LAW), DATA, others, features=coarse)
        assert found.in_features.copies.baseline.value > 0.5
        assert found.in_features.verdict.kind in ("does not copy", "open")
        assert found.verdict.kind in ("does not copy", "open")


# ---- the command


ENCODERS = """
import torch
import numpy as np
def good(images): return torch.fft.fft2(images).abs().flatten(1)
def constant(images): return torch.ones(len(images), 4)
def flat(images): return images.flatten(1).sum(1)
def short(images): return images.flatten(1)[1:]
def none(images): return images.flatten(1) * float("nan")
def fails(images): raise OSError("weights.bin is missing")
def ends(images): raise SystemExit(7)
def noisy(images): return images.flatten(1) + torch.randn(len(images), 1)
def batched(images): return images.flatten(1) - images.flatten(1).mean(0)
def array(images): return np.asarray(images.flatten(1))
class Net: pass
number = 3
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", images=TRAIN, labels=np.arange(N) % 2, scene=np.arange(N) // 2)
    np.savez(tmp_path / "more.npz", images=OTHER, labels=np.arange(300) % 2)
    np.savez(tmp_path / "made.npz", images=mixed(np.roll(TRAIN, 4, axis=2), 0.5))
    (tmp_path / "encoders.py").write_text(ENCODERS)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    for name, rows in (("d", N), ("s", M), ("h", 300), ("short", M - 1)):
        np.save(tmp_path / f"{name}.npy", RNG.standard_normal((rows, 7)))
    np.save(tmp_path / "wide.npy", RNG.standard_normal((M, 8)))
    bad = RNG.standard_normal((M, 7))
    bad[5, 2] = np.inf
    np.save(tmp_path / "bad.npy", bad)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("encoders", "broken"):
        sys.modules.pop(name, None)


BASE = ("--samples-from", "made.npz", "--data", "data.npz")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("nowhere:f", "cannot be imported"),
        ("broken:f", "nothing_of_this_name"),
        ("encoders:missing", "cannot be imported"),
        ("encoders:Net", "a type; expected a function"),
        ("encoders:number", "a int; expected a function"),
        ("encoders", "expected package.module:function"),
        ("a:b:c", "expected package.module:function"),
        ("encoders:constant", "1 different ones"),
        ("encoders:flat", "have the shape (64,)"),
        ("encoders:short", "have the shape (63, 144)"),
        ("encoders:none", "NaN or infinite"),
        ("encoders:fails", "weights.bin is missing"),
        ("encoders:ends", "(SystemExit: 7)"),
        ("", "is ''; expected package.module:function"),
        ("./encoders.py:good", "expected package.module:function"),
        ("encoders:noisy", "eval mode"),
        ("encoders:batched", "eval mode"),
        ("vae", "samples alone have no model; expected the folder of a VAE"),
        ("d.npy", "names 1 file(s)"),
        ("d.npy,short.npy", "of the samples have the shape (119, 7)"),
        ("s.npy,s.npy", "of the data have the shape (120, 7)"),
        ("d.npy,wide.npy", "are 8 numbers, of the data 7"),
        ("d.npy,bad.npy", "hold NaN or infinite values, the first at index 5"),
        ("d.npy,s.npy,h.npy", "without such points"),
        ("d.npy,gone.npy", "gone.npy"),
    ],
)
def test_bad_features_write_nothing(place, monkeypatch, capfd, features, said):
    before = {k: v for k, v in contents(place).items() if "__pycache__" not in str(k)}
    ran = runner(monkeypatch, capfd)(*BASE, "--features", features, "--out", place / "out",
                                     command=("audit",))  # fmt: skip
    assert ran.code == 2, ran.err
    assert said in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    after = {k: v for k, v in contents(place).items() if "__pycache__" not in str(k)}
    assert after == before


@pytest.mark.parametrize("group", ["patient", "folder", "nowhere.csv", "images"])
def test_bad_groups_write_nothing(place, monkeypatch, capfd, group):
    before = contents(place)
    ran = runner(monkeypatch, capfd)(*BASE, "--group", group, "--out", place / "out",
                                     command=("audit",))  # fmt: skip
    assert ran.code == 2, ran.err
    assert "group (--group)" in " ".join(ran.err.split()) or "groups" in ran.err
    assert contents(place) == before


def test_the_command_writes_all_of_it(place, monkeypatch, capfd):
    ran = runner(monkeypatch, capfd)(
        *BASE, "--held-out", "more.npz", "--features", "encoders:good", "--out", place / "out",
        command=("audit",))  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads((place / "out" / "results.json").read_text())
    assert told["verdict"]["kind"] == "copies in features"
    assert told["features"]["of"] == "encoders:good"
    assert told["recipe"]["options"]["features"] == "encoders:good"
    head = (place / "out" / "samples.csv").read_text().splitlines()[0]
    assert {"copy", "feature_copy", "part", "part_point"} <= set(head.split(","))
    page = (place / "out" / "report.html").read_text("utf-8")
    assert "Copies in features" in page
    assert "Copied parts" in page
    assert "In the features encoders:good" in " ".join(ran.out.split())
    same = runner(monkeypatch, capfd)(
        *BASE, "--features", "encoders:array", "--group", "scene", "--out", place / "b",
        command=("audit",))  # fmt: skip
    assert same.code == 0, same.err
    assert json.loads((place / "b" / "results.json").read_text())["recipe"]["options"]["group"]

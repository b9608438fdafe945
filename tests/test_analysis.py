"""`analyze` from end to end: the contract of its result, and every option out of range."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch

import diffregimes as dr
from clouds import blobs, digits01, near_duplicates, prepared
from diffregimes import process
from diffregimes.posterior.observables import CURVES
from diffregimes.process import snr, time_from_snr
from diffregimes.transitions.criteria import METHODS


@pytest.fixture(scope="module")
def small():
    return dr.analyze(*blobs(120, 10), draws=1024)


@pytest.fixture(scope="module")
def digits():
    return dr.analyze(*digits01())


def numbers(value, path=""):
    """Every number in a tree of plain JSON types, with where it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item, path)
    elif isinstance(value, int | float):
        yield path, value


def test_the_contract_of_results_json(small):
    data = json.loads(small.to_json())
    assert data["format"].startswith("diffregimes")
    for key in ("source", "n", "d", "classes", "class_counts", "scale", "fingerprint"):
        assert key in data["dataset"]
    for key in ("largest", "largest_first_channel", "noise_edge", "eigenvalues"):
        assert key in data["spectrum"]
    # these images are grey, and in no groups
    colours = {
        ("speciation", "spectral-first-channel"),
        ("speciation", "group-clone-loo"),
        ("collapse", "group-free-energy"),
    }
    assert {(x["transition"], x["method"]) for x in data["times"]} == set(METHODS) - colours
    assert len(data["times"]) == len(METHODS) - 3
    for time in data["times"]:
        assert {"t", "low", "high", "ddpm_step", "sigma", "snr", "warnings"} <= time.keys()
        assert time["t"] is not None or time["warnings"]
    length = len(data["curves"]["t"])
    assert length == 40
    for name in CURVES:
        assert len(data["curves"][name]) == len(data["curves"][f"{name}_se"]) == length
    assert {len(x) for x in data["curves"].values()} == {length}
    assert data["curves"]["t"] == sorted(data["curves"]["t"])
    assert 0 < len(data["points"]) <= 12
    assert all(np.isfinite(x) for _, x in numbers(data))
    assert data["recipe"]["seed"] == 0
    assert data["recipe"]["versions"]["torch"] == torch.__version__


def test_nothing_is_lost_on_the_way_to_json_and_back(small):
    text = small.to_json()
    again = dr.Analysis.from_dict(json.loads(text))
    assert again.to_json() == text
    assert str(again) == str(small)
    np.testing.assert_array_equal(again.curves["mmse"], small.curves["mmse"])
    assert again.times == small.times
    assert again.verdict == small.verdict
    with pytest.raises(ValueError, match="format"):
        dr.Analysis.from_dict({"format": "other"})


def test_the_same_call_gives_the_same_bytes(small):
    assert dr.analyze(*blobs(120, 10), draws=1024).to_json() == small.to_json()
    other = dr.analyze(*blobs(120, 10), draws=1024, seed=1)
    assert other.curves["mmse"].tolist() != small.curves["mmse"].tolist()


def test_any_array_will_do(small):
    points, labels = blobs(120, 10)
    for given in (
        (torch.from_numpy(points), torch.from_numpy(labels)),
        (points.astype(np.float64), labels.tolist()),
        (dr.from_arrays(points, labels),),
    ):
        assert dr.analyze(*given, draws=1024).to_json() == small.to_json()


def test_the_headline_times(small):
    for transition, method in (("speciation", "clone-loo"), ("collapse", "bounded-free-energy")):
        assert small.time(transition).method == method
        assert small.time(transition, "clone").method == "clone"
    with pytest.raises(KeyError, match="there are: spectral"):
        small.time("speciation", "magic")
    assert "t_S (clone-loo) = " in str(small)


def test_without_labels_the_spectrum_is_the_headline():
    points, _ = blobs(120, 10)
    found = dr.analyze(points, draws=1024)
    assert found.time("speciation").method == "spectral"
    assert found.dataset.labelled is False
    assert any("no labels" in note for note in found.notes)


def test_three_classes():
    points, labels = blobs(150, 12, 3)
    names = np.array(["ant", "bee", "cat"])[labels]
    found = dr.analyze(points, names, draws=2048, times=np.geomspace(0.05, 6, 25))
    assert found.dataset.classes == ("ant", "bee", "cat")
    assert found.dataset.class_counts == tuple(np.bincount(labels))
    share = np.bincount(labels) / 150  # what is known of the class where nothing is seen
    blind = found.curves["same_class_probability"][-1], found.curves["class_entropy"][-1]
    expected = (share**2).sum(), -(share * np.log(share)).sum()
    assert blind == pytest.approx(expected, abs=1e-3)
    assert found.time("speciation").t is not None


def test_digits(digits):
    assert all(flag.ok for flag in digits.reliability), digits.reliability
    assert "at most 0.00" in digits.notes[-1]
    # brackets around two evaluations of the same curves, 0.5 apart in t
    assert 0.3 < digits.time("speciation").t < 0.7
    assert 0.05 < digits.time("collapse").t < 0.2
    for time in digits.times:
        if time.low is not None:
            assert time.low <= time.t <= time.high
    assert digits.duplicates == ()
    assert digits.verdict.generalizes is True
    assert [x[0][:3] for x in digits.verdict.regimes] == ["I: ", "II:", "III"]


def test_few_points_in_many_dimensions_cannot_generalize():
    points = np.random.default_rng(0).standard_normal((100, 400))
    points[:, 0] += np.repeat([-3, 3], 50)
    found = dr.analyze(points, np.repeat([0, 1], 50), draws=2048)
    assert found.time("collapse").t > found.time("speciation").t
    assert found.verdict.generalizes is False
    assert "no generalizing regime" in found.verdict.headline
    assert found.points_needed.log_n > np.log(100)
    assert any("would open a generalizing regime" in x for x in found.verdict.sentences)


def test_a_coarse_grid_is_told():
    """Two times far apart: the crossing between them is an interpolation, and says so."""
    points, labels = blobs(60, 4)
    found = dr.analyze(points, labels, times=[1e-3, 5.0], draws=512).time("collapse")
    assert found.t is not None
    assert any("interpolated between the times 0.001 and 5" in x for x in found.warnings)
    fine = dr.analyze(points, labels, draws=512).time("collapse")
    assert not any("interpolated" in x for x in fine.warnings)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_rescaled_data_have_the_same_curves_at_shifted_times(scale):
    points, labels = blobs(100, 8)
    times = np.linspace(0.05, 2, 15)
    shifted = time_from_snr(snr(times) / scale**2)
    one = dr.analyze(points, labels, times=times, draws=512)
    two = dr.analyze(points * np.float32(scale), labels, times=shifted, draws=512)
    for name, value in one.curves.values.items():
        unit = scale**2 if name.startswith("mmse") else 1
        size = max(1.0, np.abs(value).max())
        np.testing.assert_allclose(two.curves[name] / unit, value, atol=1e-5 * size)
    for a, b in zip(one.times, two.times, strict=True):
        if a.t is not None and b.t is not None:
            wanted = float(time_from_snr(snr(a.t) / scale**2))
            # (1/2) log Lambda alone is not a function of gamma
            if a.method != "spectral":
                assert b.t == pytest.approx(wanted, rel=1e-2), a.method


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_the_grid_finds_the_transitions_at_any_scale(scale):
    points, labels = blobs(100, 8)
    one = dr.analyze(points, labels, draws=2048)
    two = dr.analyze(points * np.float32(scale), labels, draws=2048)
    for transition in ("speciation", "collapse"):
        a, b = one.time(transition), two.time(transition)
        assert snr(b.t) * scale**2 == pytest.approx(float(snr(a.t)), rel=0.03)


def test_times_that_are_given_are_kept():
    found = dr.analyze(*blobs(60, 5), times=[0.1, 0.5, 2.0], draws=256)
    assert found.curves.t.tolist() == [0.1, 0.5, 2.0]
    assert found.recipe.times == "given"


def test_schedules_are_clocks_alone(small):
    cosine = dr.analyze(*blobs(120, 10), draws=1024, schedule="cosine")
    assert cosine.recipe.schedule == "cosine"
    clock = process.cosine_schedule()
    for a, b in zip(small.times, cosine.times, strict=True):
        assert a.t == b.t
        assert b.t is None or b.ddpm_step == clock.step(b.t)
    same = dr.analyze(*blobs(120, 10), draws=1024, schedule=clock)
    assert same.times == cosine.times


def test_progress_is_told_and_may_stop_the_run():
    seen = []
    dr.analyze(*blobs(60, 5), draws=512, progress=lambda *x: seen.append(x))
    assert {x[2] for x in seen} >= {"spectrum", "choosing times", "posterior pass"}
    assert all(0 <= done <= total for done, total, _ in seen)

    def stop(done, total, text):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        dr.analyze(*blobs(60, 5), draws=512, progress=stop)


# --- bad options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": 0}, "precision is 0; expected"),
        ({"precision": 2.0}, "precision is 2.0; expected"),
        ({"precision": float("nan")}, "precision is nan; expected"),
        ({"draws": 0}, "draws is 0; expected"),
        ({"draws": -5}, "draws is -5; expected"),
        ({"seed": -1}, "seed is -1; expected"),
        ({"memory_mib": 1}, "--memory-mib. is 1; expected"),
        ({"times": [0.5, 0.1]}, "increasing"),
        ({"times": [0.1, 0.1]}, "increasing"),
        ({"times": [0.0, 0.1]}, "positive"),
        ({"times": [0.1]}, "at least two"),
        ({"times": [0.1, float("inf")]}, "finite"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"schedule": "quadratic"}, "unknown schedule 'quadratic'"),
        ({"classes": [0, 7]}, "class '7' does not exist"),
        ({"pad": 2}, "not images"),
    ],
)
def test_options_out_of_range_say_so(options, message):
    with pytest.raises(dr.InputError, match=message):
        dr.analyze(*blobs(30, 4), **options)


def test_a_dataset_takes_no_further_preparation():
    dataset = dr.from_arrays(*blobs(30, 4))
    with pytest.raises(dr.InputError, match=r"came with labels, per_class"):
        dr.analyze(dataset, np.zeros(30), per_class=3)
    with pytest.raises(dr.InputError, match=r"came with classes, pad, white;"):
        dr.analyze(dataset, classes=np.array([0, 1]), pad=1, white=255)


@pytest.mark.parametrize("options", [{}, {"classes": [1]}])
def test_one_class_has_no_speciation_to_find(options):
    labels = np.arange(40) % 2 if options else np.ones(40, dtype=int)
    points = np.random.default_rng(0).standard_normal((40, 3))
    data = dr.from_arrays(points, labels, **options)  # enough for what asks for no classes
    assert data.class_names == ("1",)
    with pytest.raises(dr.InputError, match=r'one class only, 1; expected.*labels="none"'):
        dr.analyze(data)


def test_the_preparation_is_that_of_from_arrays():
    """Every keyword that prepares arrays, with its default, stands in both signatures."""
    known = inspect.signature(dr.from_arrays).parameters
    given = inspect.signature(dr.analyze).parameters
    prepares = [
        x for x in known if x not in ("points", "labels", "source", "notes", "files", "groups")
    ]
    assert {x: given[x].default for x in prepares} == {x: known[x].default for x in prepares}
    pixels = np.random.default_rng(0).integers(0, 100, (24, 3, 3)).astype(np.uint8)
    options = {
        "class_names": ["ant", "bee", "cat"],
        "classes": ["cat", "ant"],
        "per_class": 7,
        "pixel_range": (-1, 1),
        "pad": 1,
        "white": 99,
    }
    assert sorted([*options, "standardize"]) == sorted(prepares)
    labels = np.arange(24) % 3
    found = dr.analyze(pixels, labels, times=[0.1, 1.0], draws=256, **options)
    expected = dr.analyze(dr.from_arrays(pixels, labels, **options), times=[0.1, 1.0], draws=256)
    assert found.to_json() == expected.to_json()
    assert found.dataset.classes == ("cat", "ant")
    table = pixels.reshape(24, 9) * np.r_[1000, np.ones(8)]
    found = dr.analyze(table, labels, times=[0.1, 1.0], draws=256, standardize=True)
    assert found.dataset.standardized
    scaled = (table - table.mean(axis=0)) / table.std(axis=0)
    expected = dr.analyze(scaled, labels, times=[0.1, 1.0], draws=256)
    for one, two in zip(found.times, expected.times, strict=True):
        assert (one.t or 0) == pytest.approx(two.t or 0, rel=1e-4)


# --- odd data -----------------------------------------------------------------------------------


def sound(points, labels=None, **options):
    """Analyze, and check that what comes out is finite and can be written."""
    found = dr.analyze(points, labels, draws=256, **options)
    for name, value in found.curves.values.items():
        assert np.isfinite(value).all(), name
        assert np.isfinite(found.curves.se[name]).all(), name
    for time in found.times:
        assert time.t is not None or time.warnings, time
    found.to_json()
    return found


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


ODD = {
    "four points": (random(4, 5), [0, 0, 1, 1]),
    "five points": (random(5, 5), [0, 0, 1, 1, 1]),
    "four points, no labels": (random(4, 5), None),
    "one feature, four points": (random(4, 1), [0, 0, 1, 1]),
    "one feature": (random(100, 1), np.arange(100) % 2),
    "classes of two points repeated": (np.repeat(random(4, 10), 20, 0), np.repeat([0, 1], 40)),
    "four classes of one": (np.repeat(random(4, 10), 9, 0), np.repeat([0, 1, 2, 3], 9)),
    "a line": (np.outer(np.arange(60), np.ones(40)), np.arange(60) % 2),
    "one at the mean": (np.r_[random(40, 60), np.zeros((1, 60))], np.arange(41) % 2),
    "mostly zero": (random(300, 40) * (np.arange(300) % 5 == 0)[:, None], np.arange(300) % 2),
    "one-hot": (np.eye(40)[np.arange(120) % 40], np.arange(120) % 2),
    "the smallest values": (1e-28 * random(30, 40), np.arange(30) % 2),
    "a far outlier": (np.r_[[np.full(6, 1e6)], random(59, 6)], np.arange(60) % 2),
    "very many features": (random(50, 20_000), np.arange(50) % 2),
    "constant columns": (np.c_[random(60, 3), np.ones((60, 50))], np.arange(60) % 2),
    "all but one column constant": (np.c_[random(60, 1), np.ones((60, 9))], np.arange(60) % 2),
    "tiny values": (1e-15 * random(30, 4), np.arange(30) % 2),
    "huge values": (1e12 * random(30, 4), np.arange(30) % 2),
    "classes far apart": (random(60, 4) + np.repeat([-1e4, 1e4], 30)[:, None], [0] * 30 + [1] * 30),
    "two levels of grey": (np.sign(random(80, 6)), np.arange(80) % 2),
    "near-duplicates": near_duplicates(60, 20),
    "many small classes": (random(40, 5), np.repeat(np.arange(20), 2)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_are_analyzed(name):
    sound(*ODD[name])


@pytest.mark.parametrize("times", [[0.1, 1.0], [1e-9, 1e-3, 1.0], [9.0, 40.0, 100.0]])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_odd_times_are_analyzed(times, scale):
    sound(scale * random(30, 4), np.arange(30) % 2, times=times)


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (np.repeat(random(2, 4), 2, axis=0), [0, 1, 0, 1], "4 points came, of which 2 differ"),
        (np.repeat(random(3, 9), 9, 0), np.repeat([0, 1, 2], 9), "27 points .* of which 3 differ"),
        (np.tile(random(9, 4), (2, 1)), np.repeat([0, 1], 9), "all 9 points of class 1 are also"),
        (random(2, 5), [0, 1], "has 1 point"),
        (random(3, 5), [0, 0, 1], "has 1 point"),
        (random(3, 5), None, "stands alone"),
        (random(1, 5), [0], r"1 point\(s\)"),
        (np.ones((2, 4)), None, "identical"),
        (np.ones((9, 4)), [0, 1] * 4 + [0], "identical"),
    ],
)
def test_data_that_cannot_be_analyzed_say_so(points, labels, message):
    with pytest.raises(dr.InputError, match=message):
        dr.analyze(points, labels)


# --- real data ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "options", "speciation"),
    [
        ("mnist", {"classes": (1, 8), "per_class": 5000, "pad": 2}, 0.96),
        (
            "cifar10-auto-horse/cifar10_auto_horse_train.npz",
            {"classes": (1, 7), "per_class": 1500},
            0.97,
        ),
    ],
)
def test_real_images(real_data, source, options, speciation):
    found = dr.analyze(dr.load(real_data / source, **options), precision=0.003)
    when = found.time("speciation")
    assert when.low - 0.02 < speciation < when.high + 0.02
    assert all(flag.ok for flag in found.reliability), found.reliability
    if "cifar" in source:
        assert found.verdict.generalizes is False
        assert found.points_needed.log_n > np.log(3000)


def test_helper_prepares_what_analyze_prepares(small):
    """`clouds.prepared`, which the other tests build on, is the path of `analyze`."""
    _, _, _, spectrum = prepared(*blobs(120, 10))
    np.testing.assert_array_equal(spectrum.eigenvalues, small.spectrum.eigenvalues)

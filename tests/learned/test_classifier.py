"""Classifiers of end points: networks, training, what is stored, and phi judged by them."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from command import contents, runner, without_drawing
from diffregimes.auditing.findings import Share
from diffregimes.backward.clones import nearest_classes, run_clones, run_uturns
from diffregimes.backward.descent import Run
from diffregimes.backward.experiment import experiment
from diffregimes.backward.outcome import outcome
from diffregimes.common.checks import InputError
from diffregimes.common.rng import numpy_generator, torch_generator
from diffregimes.data import readers
from diffregimes.data.datasets import from_arrays
from diffregimes.learned.classifier import (
    Classifier,
    load_classifier,
    save_classifier,
    train_classifier,
)
from diffregimes.learned.fitting import fit, varied
from diffregimes.learned.resnet import ClassNetwork
from diffregimes.process import linear_schedule, variance
from diffregimes.scores import EmpiricalScore

QUICK = {"epochs": 20, "held_out": 0.25}


@pytest.fixture
def run(monkeypatch, capfd):
    without_drawing(monkeypatch)
    return lambda name, *arguments: runner(monkeypatch, capfd)(*arguments, command=(name,))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Sums over threads come in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits():
    return readers.load("digits", classes=["1", "8"])


@pytest.fixture(scope="module")
def judge(digits):
    return train_classifier(digits, **QUICK)


@pytest.fixture
def saved(judge, tmp_path):
    save_classifier(judge, tmp_path / "judge")
    return tmp_path / "judge"


# ---- the networks


@pytest.mark.parametrize(
    ("shape", "classes", "parameters"),
    [
        ((32, 32, 3), 10, 11_173_962),  # the ResNet-18 of CIFAR, as everyone counts it
        ((224, 224, 3), 1000, 11_689_512),  # that of ImageNet
    ],
)
def test_resnet_18_has_its_number_of_parameters(shape, classes, parameters):
    with torch.device("meta"):
        network = ClassNetwork(shape, classes)
    assert sum(x.numel() for x in network.parameters()) == parameters


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (3, 2, 1), (8, 8, 1), (15, 20, 3), (16, 16, 3), (33, 32, 1), (64, 70, 3), (1,)],
)
def test_every_shape_has_a_network(shape):
    network = ClassNetwork(shape, 5).eval()
    assert network(torch.zeros(2, *shape)).shape == (2, 5)


def test_images_come_to_the_network_channels_first():
    image = torch.randn((2, 9, 11, 3), generator=torch_generator(0, "image"))
    network, seen = ClassNetwork((9, 11, 3), 2).eval(), []
    network.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    network.spread.fill_(2.0)
    network.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(image)
    for channel in range(3):
        want = (image[..., channel] - (channel + 1)) / 2
        assert torch.equal(seen[0][:, channel], want)


def test_mean_and_spread_are_those_of_the_points():
    points = np.random.default_rng(0).normal(5, 3, (50, 8 * 8 * 2)).astype(np.float32)
    points[:, 1::2] = 7  # a channel that never varies
    network = fit(points, np.arange(50) % 2, (8, 8, 2), 2, epochs=1)
    first = points[:, ::2].astype(float)
    assert network.mean.tolist() == pytest.approx([first.mean(), 7])
    assert float(network.spread) == pytest.approx(math.sqrt(first.var() / 2))


def test_shifts_repeat_the_edges():
    images = torch.arange(2 * 32 * 8 * 3.0).reshape(2, 32, 8, 3)
    chosen = torch.tensor([0, 1] * 100)
    found = varied(images, chosen, torch_generator(0, "shifts"), 0.0)
    padded = np.pad(images.numpy(), ((0, 0), (2, 2), (1, 1), (0, 0)), mode="edge")
    shifts = {}
    for k, image in zip(chosen.tolist(), found.numpy(), strict=True):
        fits = [
            (i, j)
            for i in range(5)
            for j in range(3)
            if np.array_equal(padded[k, i : i + 32, j : j + 8], image)
        ]
        assert len(fits) == 1
        shifts[fits[0]] = shifts.get(fits[0], 0) + 1
    assert len(shifts) == 15


def test_noise_has_a_level_for_each_sample():
    points = torch.zeros(2000, 400)
    added = varied(points, torch.arange(2000), torch_generator(0, "noise"), 0.3)
    level = added.std(dim=1).double().numpy()
    assert level.max() < 0.33
    assert level.min() < 0.01
    # E = 0.15 of the uniform law from 0 to 0.3
    assert abs(level.mean() - 0.15) < 4 * 0.3 / math.sqrt(12 * 2000)


# ---- training


def test_digits_are_told_apart(judge):
    a = judge.accuracy
    assert a.of == 90  # a quarter of 182 and 174, rounded to even
    assert a.value >= 0.95
    assert a.low <= a.value <= a.high
    z, p, n = 1.959964, a.value, a.of
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert a.low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert a.high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)


def test_the_accuracy_is_that_of_points_never_trained_on(judge, digits):
    out = np.array([digits.place_of(k) for k in judge.recipe["held_out_indices"]])
    found = judge(torch.from_numpy(digits.points[out]), 0.0).numpy()
    assert (found == digits.labels[out]).sum() == judge.accuracy.count
    # what is held out does not matter to the training
    other = replace(digits, points=digits.points.copy())
    other.points[out] = 0.5
    again = train_classifier(other, **QUICK)
    assert again.digest == judge.digest


def test_a_seed_is_a_classifier(digits):
    state = torch.get_rng_state()
    first, again, other = (
        train_classifier(digits, epochs=1, seed=seed).digest for seed in (3, 3, 4)
    )
    assert torch.equal(state, torch.get_rng_state()), "the global generator is left alone"
    assert first == again
    assert first != other


def test_numbers_are_places_in_class_names():
    data = readers.load("digits", classes=["8", "1"])
    assert data.class_names == ("8", "1")
    found = train_classifier(data, **QUICK)
    assert found.class_names == ("8", "1")
    names = readers.load("digits", classes=["1", "8"])
    given = found(torch.from_numpy(names.points))
    right = [found.class_names[k] == names.class_names[c] for k, c in zip(given, names.labels)]  # noqa: B905
    assert np.mean(right) > 0.95


def test_classes_weigh_alike():
    """Two Gaussians at -1 and 1, nine of one to one of the other: the border stays in the middle,
    and does not go to log(9)/2 = 1.1."""
    labels = (np.arange(3000) % 10 == 0).astype(int)
    noise = np.random.default_rng(0).standard_normal((3000, 2))
    points = noise + np.array([1.0, 0]) * (2 * labels[:, None] - 1)
    found = train_classifier(from_arrays(points, labels))
    line = torch.linspace(-2, 2, 401)
    given = found(torch.stack([line, torch.zeros(401)], dim=1)).double()
    assert abs(float(2 - 4 * given.mean())) < 0.4


def test_nothing_learned_is_said(digits):
    rng = numpy_generator(0, "labels")
    shuffled = replace(digits, labels=rng.permutation(digits.labels))
    found = train_classifier(shuffled, epochs=1, held_out=0.5)
    a = found.accuracy
    assert abs(a.value - 0.5) < 4 * 0.5 / math.sqrt(a.of)
    (note,) = found.notes
    assert "below 95%" in note
    assert f"{a.value:.1%}" in note


@pytest.mark.parametrize(
    ("count", "of", "said"),
    [
        (990, 1000, None),
        (36, 36, "too few to know"),
        (940, 1000, "below 95%: phi is off by up to twice its error rate on end points, 0.12"),
        (30, 100, ", 1.00 if that is the same"),
    ],
)
def test_notes_state_the_bound(judge, count, of, said):
    notes = replace(judge, accuracy=Share.counted(count, of)).notes
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


# ---- asked about end points


def test_noise_of_end_points_changes_nothing(judge, digits):
    x = torch.from_numpy(digits.points)
    before = judge(x, 0.0)
    t = float(linear_schedule().times[0])
    z = torch.randn(x.shape, generator=torch_generator(0, "ends"))
    after = judge(x + math.sqrt(float(variance(t))) * z, t)
    assert torch.equal(after, before)
    far = judge(x + 10 * x.std() * z)  # the comparison can fail
    assert not torch.equal(far, before)


def test_a_state_is_judged_on_its_own(judge, digits):
    x = torch.from_numpy(digits.points)
    together = judge(x, 0.0)
    assert together.shape == (digits.n,)
    alone = torch.cat([judge(row[None], 0.3) for row in x[::7]])
    assert torch.equal(alone, together[::7])
    assert torch.equal(judge(x.double(), 0.0), together)
    assert judge(x[:0]).shape == (0,)
    with pytest.raises(InputError, match=r"expected \(m, 64\)"):
        judge(x[:, :63], 0.0)


def test_phi_agrees_with_that_of_the_nearest_points(judge, digits):
    """Under the exact score ends are training points, whose class is known."""
    setup = experiment(digits, classify=judge, grid="log-snr", steps=120, count=4)
    training = EmpiricalScore(digits.points)
    nearest = nearest_classes(training, digits.labels)
    run = Run(setup.grid, dtype=setup.dtype)
    same = {"run": run, "training": setup.training}
    ends = run_clones(setup.score, setup.times, 400, classify=setup.classify, **same)
    want = run_clones(setup.score, setup.times, 400, classify=nearest, **same)
    assert np.array_equal(ends.points, want.points)
    wrong = (ends.classes != want.classes).mean(axis=(0, 2))
    error = float((judge(torch.from_numpy(digits.points)).numpy() != digits.labels).mean())
    assert wrong.max() <= error + 4 * math.sqrt(max(error * (1 - error), 1 / 800) / 800)
    name = "same_class_probability"
    off = np.abs(ends.curves()[name] - want.curves()[name])
    assert (off <= 2 * wrong[::-1] + 1e-12).all()  # curves go by increasing time
    found = outcome(ends, setup)
    assert json.loads(found.to_json())["recipe"] == found.recipe
    told = {"sampler": "bridge", "steps": len(run.grid) - 1, "seed": 0, "branches": 2}
    assert {k: v for k, v in found.recipe.items() if k != "versions"} == told
    assert found.recipe["versions"]["torch"] == torch.__version__
    forward = found.forward[name]
    assert forward.min() < 0.7  # clones differ
    p = forward.clip(1 / 400, 1 - 1 / 400)
    se = np.hypot(np.sqrt(p * (1 - p) / 400), found.forward.se[name])
    assert ((np.abs(found.simulated[name] - forward) - 2 * error) / se).max() < 4


def test_a_wrong_judge_stays_within_the_bound(digits):
    """Labels that are wrong at a rate e, independently: 2e(1-e)(1-2 phi) more agree, |.| <= 2e."""
    setup = experiment(digits, whole=True, grid="log-snr", steps=50, count=4)
    ends = run_clones(
        setup.score, setup.times, 1000, run=Run(setup.grid, dtype=setup.dtype),
        classify=setup.classify,
    )  # fmt: skip
    rate, name = 0.2, "same_class_probability"
    flips = numpy_generator(0, "wrong").random(ends.classes.shape) < rate
    bad = replace(ends, classes=ends.classes ^ flips).curves()[name]
    phi, differ = ends.curves()[name], 2 * rate * (1 - rate)
    more = differ * (1 - 2 * phi)
    z = (bad - phi - more) / np.sqrt((differ - more**2) / 1000)
    assert np.abs(z).max() < 4
    assert np.abs(more).max() > 0.2
    assert (np.abs(bad - phi) <= 2 * rate).all()


def test_phi_under_the_law_of_a_mixture(run, tmp_path):
    """Its forward curves know of no training points; those of the classes hold for any judge that
    is nearly always right."""
    data = readers.load("gmm:d=64,n=500")
    judge = train_classifier(data, **QUICK)
    save_classifier(judge, tmp_path / "judge")
    ran = run(
        "clones", "gmm:d=64,n=500", "--classifier", tmp_path / "judge", "--grid", "log-snr",
        "--steps", 120, "--pairs", 500, "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())["curves"]
    assert "same_point_probability" not in found
    phi, se = (np.array(found[f"same_class_probability_forward{x}"]) for x in ("", "_se"))
    error = float((judge(torch.from_numpy(data.points)).numpy() != data.labels).mean())
    assert error < 0.01
    p = phi.clip(1 / 500, 1 - 1 / 500)
    off = np.abs(np.array(found["same_class_probability"]) - phi) - 2 * error
    assert (off / np.hypot(np.sqrt(p * (1 - p) / 500), se)).max() < 4


def test_uturns_are_judged_at_their_end(judge, digits):
    setup = experiment(digits, classify=judge, grid="log-snr", steps=100, count=3)
    ends = run_uturns(
        setup.score, setup.points, setup.labels, [1e-3], 300,
        run=Run(setup.grid, dtype=setup.dtype), classify=setup.classify,
    )  # fmt: skip
    assert ends.agreement("same_class_probability").mean() > 0.95


# ---- stored


def test_read_back_it_answers_the_same(judge, saved, digits):
    state = torch.get_rng_state()
    found = load_classifier(saved, digits)
    assert torch.equal(state, torch.get_rng_state())
    assert not found.module.training
    x = torch.from_numpy(digits.points).reshape(-1, 8, 8, 1)
    with torch.no_grad():
        assert torch.equal(found.module(x), judge.module(x))
    for name in ("class_names", "sample_shape", "scale", "accuracy", "notes", "digest", "facts"):
        assert getattr(found, name) == getattr(judge, name)
    assert found.recipe == judge.recipe
    assert sorted(x.name for x in saved.iterdir()) == ["classifier.json", "classifier.safetensors"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": ["8", "1"]}, "classes 1, 8, the data .* have 8, 1"),
        ({"classes": ["1", "7"]}, "classes 1, 8, the data .* have 1, 7"),
        ({"pad": 1}, r"\(8, 8, 1\), the data .* have \(10, 10, 1\)"),
        ({"pixel_range": (-1, 1)}, r"the scale \(0.0, 1.0\), the data .* have \(-1.0, 1.0\)"),
    ],
)
def test_other_data(saved, options, said):
    data = readers.load("digits", **{"classes": ["1", "8"], **options})
    with pytest.raises(InputError, match=said):
        load_classifier(saved, data)


def damaged(folder, **entries):
    path = folder / "classifier.json"
    known = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({k: v for k, v in known.items() if v != "gone"}))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": "diffregimes.classifier/9"}, "has the format 'diffregimes.classifier/9'"),
        ({"class_names": "gone"}, "class_names"),
        ({"class_names": ["1"]}, "class_names"),
        ({"sample_shape": [8, 8]}, "sample_shape"),
        ({"sample_shape": [8, -8, 1]}, "sample_shape"),
        ({"sample_shape": [10**6, 10**6, 3]}, "no weights of this classifier"),
        ({"scale": [0]}, "scale"),
        ({"scale": "gone"}, "scale"),
        ({"accuracy": {"count": 3, "of": 2}}, "garbles"),
        ({"accuracy": {"count": 0, "of": 0}}, "garbles"),
        ({"accuracy": {"count": 3}}, "of"),
        ({"accuracy": None}, "garbles"),
        ({"recipe": None}, "garbles"),
        ({"weights": "0" * 64}, "other weights"),
        ({"class_names": ["1", "8", "9"]}, "no weights of this classifier"),
    ],
)
def test_descriptions_that_are_none(saved, entries, said):
    damaged(saved, **entries)
    with pytest.raises(InputError, match=said):
        load_classifier(saved)


def test_weights_that_are_none(saved, tmp_path):
    path = saved / "classifier.safetensors"
    ran = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return ran.touch, ()

    good = path.read_bytes()
    path.write_bytes(pickle.dumps({"weights": Bad()}))
    with pytest.raises(InputError, match="holds no weights of this classifier"):
        load_classifier(saved)
    assert not ran.exists()
    path.write_bytes(good[:-100])
    with pytest.raises(InputError, match="holds no weights of this classifier"):
        load_classifier(saved)
    path.unlink()
    with pytest.raises(InputError, match="holds no weights of this classifier"):
        load_classifier(saved)


def test_weights_that_are_not_finite(judge, saved):
    from safetensors.torch import load_file, save_file

    path = saved / "classifier.safetensors"
    state = load_file(path)
    state["spread"] = torch.tensor(math.nan)
    save_file(state, path)
    with pytest.raises(InputError, match="NaN or infinite weights"):
        load_classifier(saved)


def test_folders_that_hold_no_classifier(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        load_classifier(tmp_path / "nothing")
    (tmp_path / "classifier.pt").write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"classifier\.pt can run code"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.json").write_text("[1")
    with pytest.raises(InputError, match="not JSON"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.json").write_text("[1]")
    with pytest.raises(InputError, match="has the format None"):
        load_classifier(tmp_path)


# ---- nonsense


def test_data_that_cannot_be_learned(digits):
    bare = from_arrays(digits.points.reshape(-1, 8, 8))
    with pytest.raises(InputError, match=r"have no labels.*--labels"):
        train_classifier(bare)
    with pytest.raises(InputError, match="one class only, 1"):
        train_classifier(replace(digits, labels=0 * digits.labels, class_names=("1",)))
    with pytest.raises(InputError, match="no points are left to train on of the class 8"):
        train_classifier(digits.take(np.flatnonzero(digits.labels == 0)))
    for name, value in (("held_out", 0), ("held_out", 1), ("epochs", 0), ("seed", -1)):
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')}"):
            train_classifier(digits, **{name: value})


# ---- the command line

TRAIN = "digits", "--classes", "1,8", "--epochs", 20
FEW = "digits", "--classes", "1,8", "--steps", 60, "--pairs", 100, "--times", "0.1,0.4"


def test_from_training_to_clones(run, tmp_path):
    out = tmp_path / "judge"
    ran = run("train-classifier", *TRAIN, "--held-out", 0.25, "--out", out)
    assert ran.code == 0, ran.err
    assert {x.name for x in tmp_path.rglob("*")} == {
        "judge", "classifier.json", "classifier.safetensors",
    }  # fmt: skip
    known = json.loads((out / "classifier.json").read_text())
    a = known["accuracy"]
    assert f"{a['count']} of 90 held-out points right" in ran.out
    assert known["recipe"]["options"]["classes"] == "1,8"
    assert "torch" in known["recipe"]["versions"]
    judged = []
    for kind in ("clones", "uturn"):
        ran = run(kind, *FEW, "--classifier", out, "--out", tmp_path / kind)
        assert ran.code == 0, ran.err
        found = json.loads((tmp_path / kind / "results.json").read_text())
        assert found["recipe"]["classifier"]["weights"] == known["weights"]
        assert found["recipe"]["classifier"]["folder"] == str(out)
        judged.append(found["curves"]["same_class_probability"])
    assert all(0.4 < x <= 1 for phi in judged for x in phi)


def test_doubts_go_into_phi(run, tmp_path):
    out = tmp_path / "judge"
    ran = run("train-classifier", *TRAIN[:-1], 1, "--held-out", 0.02, "--out", out)
    assert ran.code == 0, ran.err
    assert "note: the classifier is right on" in ran.out
    ran = run("clones", *FEW, "--classifier", out, "--out", tmp_path / "clones")
    assert ran.code == 0, ran.err
    assert "note: the classifier is right on" in ran.out
    found = json.loads((tmp_path / "clones" / "results.json").read_text())
    assert any("phi is off by up to twice" in x for x in found["notes"])


def test_blocks_judged_by_another(run, tmp_path, judge):
    """A run that was killed does not go on under another classifier."""
    for name, accuracy in (("one", judge), ("two", train_classifier_of_another_seed())):
        save_classifier(accuracy, tmp_path / name)
    common = *FEW, "--out", tmp_path / "clones"
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr("diffregimes.report.runs.write_outcome", killed)
        ran = run("clones", *common, "--classifier", tmp_path / "one")
        assert ran.code
    assert list((tmp_path / ".clones.unfinished").glob("block-*.npz"))
    ran = run("clones", *common, "--classifier", tmp_path / "two")
    assert ran.code == 2
    assert "other options" in ran.err
    ran = run("clones", *common, "--classifier", tmp_path / "one")
    assert ran.code == 0, ran.err


def train_classifier_of_another_seed():
    return train_classifier(readers.load("digits", classes=["1", "8"]), epochs=1, seed=1)


def test_a_folder_in_use_is_left_alone(run, tmp_path):
    out = tmp_path / "judge"
    assert run("train-classifier", *TRAIN[:-1], 1, "--out", out).code == 0
    before = contents(out)
    again = "train-classifier", *TRAIN[:-1], 1, "--seed", 1, "--out", out
    ran = run(*again)
    assert ran.code == 2
    assert "--force" in ran.err
    assert contents(out) == before
    assert run(*again, "--force").code == 0
    assert set(contents(out)) == set(before)
    assert contents(out) != before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("digits", "--labels", "none"), "no labels"),
        (("digits", "--classes", "1"), "one class only"),
        (("gmm:d=16,n=100", "--held-out", 0), "--held-out"),
        (("digits", "--held-out", 0.001), "expected two to train on and one held out"),
        (("digits", "--epochs", 0), "--epochs"),
        (("digits", "--seed", -1), "--seed"),
        (("digits", "--device", "abacus"), "abacus"),
        (("digits", "--range", "1"), "--range"),
        (("nothing-here.npz",), "nothing-here.npz"),
    ],
)
def test_messages(run, tmp_path, arguments, said):
    ran = run("train-classifier", *arguments, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["clones", "uturn"])
def test_classifiers_that_do_not_fit(run, tmp_path, saved, kind):
    out = "--out", tmp_path / "out"
    ran = run(kind, "digits", "--classes", "0,1", "--classifier", saved, *out)
    assert ran.code == 2
    assert "classes 1, 8" in ran.err.replace("\n", " ")
    ran = run(kind, *FEW, "--classifier", tmp_path / "nothing", *out)
    assert ran.code == 2
    assert "cannot read" in ran.err
    assert not (tmp_path / "out").exists()


def test_help_has_examples(run):
    ran = run("train-classifier", "--help")
    assert ran.code == 0
    assert "diffregimes train-classifier digits" in ran.out


def test_a_classifier_is_what_clones_take(judge):
    assert isinstance(judge, Classifier)
    assert isinstance(judge.accuracy, Share)

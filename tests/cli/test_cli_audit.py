"""`diffregimes audit`: what it writes, what it knows of a folder made by `train`, and messages."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from command import (
    MODELS,
    command_line,
    contents,
    killed,
    runner,
    untrained,
    without_drawing,
)
from diffregimes.data.readers import load
from diffregimes.learned.models import open_model

pytestmark = pytest.mark.usefixtures("few_forward_draws")

pytest.importorskip("diffusers")
FEW = ("--samples", 24, "--pairs", 16, "--steps", 12)


@pytest.fixture
def run(monkeypatch, capfd):
    return lambda *arguments: runner(monkeypatch, capfd)(*arguments, command=("audit",))


@pytest.fixture
def quick(monkeypatch):
    """The losses at three times, and no files of figures: most of the time of a small audit."""
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    without_drawing(monkeypatch)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network for zeros and ones, of which recipe.json holds a fifth out."""
    folder = untrained(tmp_path_factory.mktemp("models") / "net")
    data = zeros_and_ones()
    out = np.arange(0, data.n, 5).tolist()
    known = {"fingerprint": data.fingerprint, "held_out_indices": out, "scale": [-1, 1]}
    (folder / "recipe.json").write_text(json.dumps(known))
    return folder


def zeros_and_ones():
    return load("digits", classes=["0", "1"], pixel_range=(-1, 1))


def save(path, images, labels):
    np.savez(path, images=(images * (255 / 16)).astype(np.uint8), labels=labels)
    return path


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    return found.images, found.target


def test_what_is_written(run, model, monkeypatch, tmp_path):
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    out = tmp_path / "out"
    ran = run(model, "--data", "digits", "--classes", "0,1", *FEW, "--figures", "--out", out)
    assert ran.code == 0, ran.err
    assert {x.name for x in out.iterdir()} == {
        "report.html", "results.json", "samples.csv", "losses.csv", "entropy.csv", "clones.csv",
        "uturns.csv", "figures",
    }  # fmt: skip
    told = json.loads((out / "results.json").read_text())
    recipe = json.loads((model / "recipe.json").read_text())
    held_out = len(recipe["held_out_indices"])
    assert told["held_out"]["n"] == held_out
    assert told["dataset"]["n"] == 360 - held_out
    assert told["dataset"]["scale"] == [-1.0, 1.0]
    assert told["model"]["parameters"] > 1e4
    # nobody trained it
    assert (told["verdict"]["kind"], told["verdict"]["confidence"]) == ("open", None)
    assert not {x["name"]: x["ok"] for x in told["gate"]}["likeness"]
    assert told["verdict"]["headline"] in " ".join(ran.out.split())
    rows = list(csv.DictReader((out / "samples.csv").open()))
    assert len(rows) == 24
    assert "condition" not in rows[0]  # one and the same for all
    assert not list(tmp_path.glob(".*"))


def test_points_held_out_in_training_are_known(model):
    data = zeros_and_ones()
    opened = open_model(model, data)
    held_out = json.loads((model / "recipe.json").read_text())["held_out_indices"]
    np.testing.assert_array_equal(opened.held_out.points, data.points[held_out])
    both = np.concatenate([opened.training.points, opened.held_out.points])
    assert {x.tobytes() for x in both} == {x.tobytes() for x in data.points}
    assert len(both) == data.n
    assert not any("recipe" in x or "--range" in x for x in opened.notes)


def test_held_out_points_are_known_by_rows_and_by_names(model, tmp_path):
    """Rows of the data in recipes of before, their places in the source since then."""
    data, folder = zeros_and_ones(), tmp_path / "net"
    shutil.copytree(model, folder)
    recipe = json.loads((model / "recipe.json").read_text())
    names = data.indices[recipe["held_out_indices"]].tolist()
    assert names != recipe["held_out_indices"]
    named = {**recipe, "held_out_indices": names, "indexed": "source"}
    (folder / "recipe.json").write_text(json.dumps(named))
    before, since = open_model(model, data), open_model(folder, data)
    assert before.held_out.indices.tolist() == since.held_out.indices.tolist() == names
    np.testing.assert_array_equal(before.training.points, since.training.points)


def test_other_data_than_it_was_trained_on(model):
    data = load("digits", classes=["2", "3"], pixel_range=(0, 1))
    opened = open_model(model, data)
    assert opened.held_out is None
    assert opened.training.n == data.n
    assert any("not the data that recipe.json" in x for x in opened.notes)
    assert any("--range=-1,1" in x for x in opened.notes)


def test_folders_of_others(model, tmp_path):
    """A pipeline without recipe.json, or with one that means something else."""
    shutil.copytree(model, tmp_path / "net")
    for text in ('{"a": 1}', "[]", "not json"):
        (tmp_path / "net" / "recipe.json").write_text(text)
    data = zeros_and_ones()
    opened = open_model(tmp_path / "net", data)
    assert opened.held_out is None
    assert opened.training is data
    assert not any("recipe" in x for x in opened.notes)


@pytest.mark.usefixtures("quick")
def test_held_out_points_of_ones_own(run, model, digits, tmp_path):
    images, labels = digits
    mixed = save(tmp_path / "mixed.npz", images[190:300], labels[190:300])
    own = save(tmp_path / "own.npz", images[:200], labels[:200])
    out = tmp_path / "out"
    ran = run(model, "--data", own, "--held-out", mixed, *FEW, "--out", out)
    assert ran.code == 0, ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["held_out"]["n"] == 100
    assert any("10 of 110 held-out points are training points" in x for x in told["notes"])
    ran = run(model, "--data", own, "--held-out", own, *FEW, "--out", tmp_path / "none")
    assert ran.code == 2
    assert "not trained on" in ran.err
    assert not (tmp_path / "none").exists()


def _pickled_weights(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.with_suffix(".bin").write_bytes(pickle.dumps({"a": 1}))
    weights.unlink()


def _config(path, *without, **other):
    found = {k: v for k, v in json.loads(path.read_text()).items() if k not in without}
    path.write_text(json.dumps({**found, **other}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x: shutil.rmtree(x / "unet"), "unet"),
        (lambda x: (x / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config.json"),
        (_pickled_weights, "safe_serialization=True"),
        (lambda x: _config(x / "unet" / "config.json", "in_channels"), "as save_pretrained wrote"),
        (lambda x: _config(x / "scheduler" / "scheduler_config.json", prediction_type="colour"),
         "colour"),
    ],
)  # fmt: skip
def test_bad_folders(run, model, tmp_path, spoil, said):
    shutil.copytree(model, tmp_path / "net")
    spoil(tmp_path / "net")
    before = contents(tmp_path)
    ran = run(tmp_path / "net", "--data", "digits", *FEW, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert contents(tmp_path) == before


@pytest.fixture
def asked(run, monkeypatch):
    """A function that runs the command as far as the audit itself: what that would be asked."""

    class Asked(Exception):
        pass

    def told(score, training, held_out, *, model, notes, **_):
        raise Asked(training, held_out, notes, model)

    def prepared(*arguments):
        monkeypatch.setattr("diffregimes.auditing.audit.audit", told)
        with pytest.raises(Asked) as caught:
            run(*arguments)
        return caught.value.args

    return prepared


def alone(model, folder):
    """The model without its recipe."""
    return shutil.copytree(model, folder, ignore=lambda *_: ["recipe.json"])


def test_floats_stay_and_held_out_points_follow_the_data(asked, model, digits, tmp_path):
    """A copy among the held-out points is one to the last bit, however far the others reach."""
    images, labels = digits
    latents = ((images - 5) / 3).astype(np.float32)
    wide = np.concatenate([latents[40:140], 5 * latents[140:150]])
    np.savez(tmp_path / "own.npz", images=latents[:60], labels=labels[:60] % 2)
    np.savez(tmp_path / "more.npz", images=wide, labels=np.arange(110) % 2)
    net = alone(model, tmp_path / "net")
    files = net, "--data", tmp_path / "own.npz", "--held-out", tmp_path / "more.npz"
    for options in ((), ("--range", "none"), ("--range", "None")):
        training, held_out, notes, _ = asked(*files, *options)
        np.testing.assert_array_equal(training.points, latents[:60].reshape(60, -1))
        np.testing.assert_array_equal(held_out.points, wide.reshape(110, -1))
        assert training.scale is held_out.scale is None
        assert any("taken as they came: they are supposed to be" in x for x in notes)
    training, held_out, notes, _ = asked(*files, "--range=-1,1")
    low, high = latents[:60].min(), latents[:60].max()
    np.testing.assert_array_equal(held_out.points[:20], training.points[40:])
    for data, values in ((training, latents[:60]), (held_out, wide)):
        expected = 2 * (values.reshape(len(values), -1) - low) / (high - low) - 1
        np.testing.assert_allclose(data.points, expected, atol=2e-6)
    assert not any("as they came" in x for x in notes)


def test_held_out_points_of_another_kind_are_told_of(asked, run, model, digits, tmp_path):
    images, labels = digits
    own, more = save(tmp_path / "own.npz", images[:60], labels[:60]), tmp_path / "more.npz"
    pixels = images[60:160] * 15
    for kind in (np.int64, np.float32):
        np.savez(more, images=pixels.astype(kind), labels=labels[60:160])
        training, held_out, notes, _ = asked(model, "--data", own, "--held-out", more)
        assert held_out.scale == training.scale == (-1, 1)
        expected = pixels.reshape(100, -1) / 255 * 2 - 1
        np.testing.assert_allclose(held_out.points, expected, atol=2e-6)
        name = np.dtype(kind).name
        assert any(f"held-out points: {name} values from 0 to 240" in x for x in notes)
    np.savez(more, images=images[60:160] / 16, labels=labels[60:160])
    ran = run(model, "--data", own, "--held-out", more, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "same units" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("models") / "ten", classes=10)


def test_a_label_selects_its_class(asked, run, conditional, digits, tmp_path):
    threes = np.flatnonzero(digits[1] == 3)[:60]
    files = conditional, "--data", "digits", "--per-class", 60
    for options, note in (
        (("--label", 3), "its training points are the 60 of class 3"),
        (("--label", 3, "--classes", "3"), "its training points are the 60 of class 3"),
        (("--label", 7, "--classes", "3"), "label 7 of the model is taken as class 3, the only"),
    ):
        training, _, notes, _ = asked(*files, *options)
        assert training.class_names == ("3",)
        assert training.indices.tolist() == threes.tolist()
        assert any(note in x for x in notes)
    training, _, notes, _ = asked(*files[:3], "--labels", "none", "--label", 3)
    assert training.n == 1797
    assert any("label 3 and the data have no labels" in x for x in notes)
    for options, said in (
        (("--label", 3, "--classes", "1,8"), "is none of them"),
        (("--label", 3, "--classes", "3", "--classifier", tmp_path), "--classifier"),
    ):
        ran = run(*files, *options, "--out", tmp_path / "out")
        assert ran.code == 2
        assert said in " ".join(ran.err.split())


def test_held_out_points_are_of_the_class_too(asked, run, conditional, digits, tmp_path):
    images, labels = digits
    own = save(tmp_path / "own.npz", images[:600], labels[:600])
    more = save(tmp_path / "more.npz", images[600:900], labels[600:900])
    training, held_out, _, _ = asked(conditional, "--data", own, "--held-out", more, "--label", 3)
    assert training.n == (labels[:600] == 3).sum()
    assert held_out.indices.tolist() == np.flatnonzero(labels[600:900] == 3).tolist()
    none = save(tmp_path / "none.npz", images[labels < 2], labels[labels < 2])
    ran = run(conditional, "--data", own, "--held-out", none, "--label", 3)
    assert ran.code == 2
    assert "asked for class 3" in ran.err


@pytest.mark.usefixtures("quick")
def test_one_class_of_a_folder_is_audited(run, conditional, digits, tmp_path):
    """What needs two classes is left out, and said; points have their files."""
    images, labels = digits
    out, data = tmp_path / "out", tmp_path / "data"
    for k in range(40):
        folder = data / f"class-{labels[k] % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[k] * 15).astype(np.uint8)).save(folder / f"{k:02}.png")
    ran = run(conditional, "--data", data, "--label", 1, *FEW, "--out", out)
    assert ran.code == 0, ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["dataset"]["classes"] == ["class-1"]
    assert told["dataset"]["indexed"] == "source"
    assert any("phi and t_S, which need two" in x for x in told["notes"])
    assert told["speciation"] is None
    assert "same_class_probability" not in told["curves"]["clones"]
    assert "same_point_probability" in told["curves"]["clones"]
    paths = sorted(x.relative_to(data).as_posix() for x in data.glob("*/*.png"))
    rows = list(csv.DictReader((out / "samples.csv").open()))
    for row in rows:
        for which in ("nearest", "second"):
            assert paths[int(row[f"{which}_point"])] == row[f"{which}_file"]
            assert row[f"{which}_file"].startswith("class-1/")
    page = (out / "report.html").read_text("utf-8")
    assert "not asked: the data are one class" in page
    shown = f'#{rows[0]["nearest_point"]} <span class="soft">{rows[0]["nearest_file"]}</span>'
    assert shown in page


@pytest.mark.usefixtures("quick")
def test_every_point_under_its_own_class(run, conditional, digits, tmp_path):
    images, labels = digits
    out = tmp_path / "out"
    own = save(tmp_path / "own.npz", images[:60], labels[:60] % 3)
    ran = run(conditional, "--data", own, "--label", "own", *FEW, "--out", out)
    assert ran.code == 0, ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["recipe"]["options"]["label"] == "own"
    assert any("every point counts under its own class" in x for x in told["notes"])
    assert sorted(x["name"] for x in told["conditions"]) == ["0", "1", "2"]
    assert sum(x["copies"]["of"] for x in told["conditions"] if x["copies"]) == 24
    assert sum(x["n"] for x in told["conditions"]) == 60
    with (out / "samples.csv").open() as file:
        asked = Counter(row["condition"] for row in csv.DictReader(file))
    assert asked == {x["name"]: x["copies"]["of"] for x in told["conditions"]}
    page = (out / "report.html").read_text("utf-8")
    assert "Condition by condition" in page
    assert "not asked: the condition is given" in page
    more = save(tmp_path / "more.npz", images[60:90], labels[60:90] % 4)
    for data, options, said in (
        (own, ("--label", "mine"), "is no number of a class, nor own"),
        (own, ("--label", "own", "--held-out", more), "have the classes 3, which no training"),
        (own, ("--label", "own", "--labels", "none"), "have no labels"),
    ):
        ran = run(conditional, "--data", data, *options, "--out", tmp_path / "none")
        assert ran.code == 2
        assert said in " ".join(ran.err.split())
        assert not (tmp_path / "none").exists()


def test_a_checkpoint_knows_its_training(asked, run, model, tmp_path):
    home = tmp_path / "my-train"
    for name in ("step-00000010", "step-00000020"):
        alone(model, home / "checkpoints" / name)
    data = "--data", "digits", "--classes", "0,1"
    for left in ("nothing", "recipe.json"):
        # a training that was killed has checkpoints alone: they are named
        ran = run(home, *data)
        assert ran.code == 2, left
        for name in ("step-00000010", "step-00000020"):
            assert f"{home}/checkpoints/{name}" in "".join(ran.err.split())
        shutil.copy(model / "recipe.json", home)
    training, held_out, _, facts = asked(home / "checkpoints" / "step-00000010", *data)
    assert held_out.indices.tolist() == zeros_and_ones().indices[::5].tolist()
    assert training.n == 288
    assert facts["name"] == "my-train-step-00000010"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "gmm:d=63,n=100"), "of 64 numbers"),
        (("--data", "digits", "--pad", 1), "(10, 10, 1)"),
        (("--data", "nowhere.npz"), "nowhere.npz"),
        (("--data", "digits", "--held-out", "nowhere/"), "nowhere"),
        (("--data", "digits", "--samples", 3), "--samples"),
        (("--data", "digits", "--pairs", 3), "--pairs"),
        (("--data", "digits", "--steps", 3), "--steps"),
        (("--data", "digits", "--label", 3), "class"),
        (("--data", "digits", "--classifier", "nowhere"), "nowhere"),
        (("--data", "digits", "--device", "tpu"), "tpu"),
        (("--data", "digits", "--range", "1"), "--range"),
        (("--data", "digits", "--augment", "shear"), "mirror, flip, rot90, rot180"),
    ],
)
def test_nonsense(run, model, tmp_path, options, said):
    ran = run(model, *options, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["sample", "zero snr", "edm, little noise", "flow"])
def test_networks_of_every_kind(run, tmp_path, kind):
    """Untrained, their states may grow: a report in any case, and nothing left beside it."""
    name, options = MODELS[kind]
    folder = untrained(tmp_path / "net", name, **options)
    ran = run(folder, "--data", "digits", "--classes", "0,1", *FEW, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert {x.name for x in tmp_path.iterdir()} == {"net", "out"}
    assert json.loads((tmp_path / "out" / "results.json").read_text())["memorised"]["of"] == 24


def test_a_network_that_fails_inside(run, tmp_path):
    folder = untrained(tmp_path / "net", size=28, levels=4)
    ran = run(folder, "--data", "digits", "--pad", 10, *FEW, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "which 28 x 28 does not allow" in " ".join(ran.err.split())
    assert [x.name for x in tmp_path.iterdir()] == ["net"]


@pytest.mark.usefixtures("quick")
def test_kill_and_go_on(run, model, tmp_path):
    """The same files, too, as another run writes that nothing disturbs."""
    out = tmp_path / "out"
    arguments = [
        "audit", str(model), "--data", "digits", "--classes", "0,1", "--samples", "272",
        "--pairs", "16", "--steps", "10", "--out",
    ]  # fmt: skip
    store = tmp_path / ".out.unfinished"
    killed(command_line(*arguments, out), lambda: list(store.glob("samples/block-*.npz")))
    assert list(store.glob("samples/block-*.npz"))
    assert not out.exists()
    fresh = tmp_path / "fresh"
    for folder in (out, fresh):
        assert run(*arguments[1:], folder).code == 0
    assert not store.exists()
    assert contents(out) == contents(fresh)


# ---- trained networks


@pytest.mark.slow
def test_a_network_memorises_64_digits_and_not_before(run, digits, tmp_path):
    from typer.testing import CliRunner

    from diffregimes.cli.app import app

    images, labels = digits
    own = save(tmp_path / "own.npz", images[:64], labels[:64])
    other = save(tmp_path / "other.npz", images[64:464], labels[64:464])
    net, out = tmp_path / "net", tmp_path / "out"

    def verdict(steps):
        options = ["--steps", str(steps), "--every", "500", "--held-out", "0", "--device", "cpu"]
        trained = CliRunner().invoke(app, ["train", str(own), *options, "--out", str(net)])
        assert trained.exit_code == 0, trained.output
        few = "--samples", 128, "--pairs", 32, "--steps", 100
        ran = run(net, "--data", own, "--held-out", other, *few, "--out", out)
        assert ran.code == 0, ran.err
        return json.loads((out / "results.json").read_text())

    early, late = verdict(500), verdict(3500)
    assert early["verdict"]["kind"] == "does not copy"
    assert late["verdict"]["kind"] == "memorises"
    assert late["verdict"]["confidence"] > 0.95
    # it collapses, though nearer to the data than the exact score does
    times = {x["method"]: x for x in late["collapse"]}
    assert times["clone"]["t"] < times["clone"]["exact"]
    assert {x["method"]: x["t"] for x in early["collapse"]}["clone"] is None
    # and its law comes down to some nats from that of single points
    narrow, wide = (x["curves"]["entropy"]["value"][0] for x in (late, early))
    assert wide < -3
    assert narrow > wide / 3


@pytest.mark.slow
def test_a_network_of_all_digits_does_not_copy(run, tmp_path):
    from typer.testing import CliRunner

    from diffregimes.cli.app import app

    net, out = tmp_path / "net", tmp_path / "out"
    trained = CliRunner().invoke(
        app, ["train", "digits", "--steps", "1000", "--device", "cpu", "--out", str(net)]
    )
    assert trained.exit_code == 0, trained.output
    few = "--samples", 512, "--pairs", 32, "--steps", 100
    ran = run(net, "--data", "digits", *few, "--out", out)
    assert ran.code == 0, ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["verdict"]["kind"] == "does not copy"
    assert told["verdict"]["confidence"] > 0.9
    assert told["held_out"]["n"] > 100

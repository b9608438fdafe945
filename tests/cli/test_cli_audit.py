"""`diffregimes audit`: what it writes, what it knows of a folder made by `train`, and messages."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from command import contents, runner, untrained
from diffregimes.cli.audit import _apart
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load
from diffregimes.learned.models import open_model, trained_scale

pytest.importorskip("diffusers")
FEW = ("--samples", 24, "--pairs", 16, "--steps", 12)


@pytest.fixture
def run(monkeypatch, capfd):
    return lambda *arguments: runner(monkeypatch, capfd)(*arguments, command=("audit",))


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


def test_what_is_written(run, model, tmp_path):
    out = tmp_path / "out"
    ran = run(model, "--data", "digits", "--classes", "0,1", *FEW, "--out", out)
    assert ran.code == 0, ran.err
    assert {x.name for x in out.iterdir()} == {
        "report.html", "results.json", "samples.csv", "losses.csv", "entropy.csv", "clones.csv",
        "figures",
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
    assert len(list(csv.DictReader((out / "samples.csv").open()))) == 24
    assert not list(tmp_path.glob(".*"))
    # nothing that two runs could differ in
    again = tmp_path / "again"
    assert run(model, "--data", "digits", "--classes", "0,1", *FEW, "--out", again).code == 0
    assert contents(out) == contents(again)


def test_points_held_out_in_training_are_known(model):
    data = zeros_and_ones()
    opened = open_model(model, data)
    held_out = json.loads((model / "recipe.json").read_text())["held_out_indices"]
    np.testing.assert_array_equal(opened.held_out.points, data.points[held_out])
    both = np.concatenate([opened.training.points, opened.held_out.points])
    assert {x.tobytes() for x in both} == {x.tobytes() for x in data.points}
    assert len(both) == data.n
    assert not any("recipe" in x or "--range" in x for x in opened.notes)


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
        assert trained_scale(tmp_path / "net") == (-1, 1)
    data = zeros_and_ones()
    opened = open_model(tmp_path / "net", data)
    assert opened.held_out is None
    assert opened.training is data
    assert not any("recipe" in x for x in opened.notes)


def test_held_out_points_of_ones_own(run, model, digits, tmp_path):
    images, labels = digits
    other = save(tmp_path / "other.npz", images[1000:1100], labels[1000:1100])
    mixed = save(tmp_path / "mixed.npz", images[990:1100], labels[990:1100])
    own = save(tmp_path / "own.npz", images[:1000], labels[:1000])
    out = tmp_path / "out"
    ran = run(model, "--data", own, "--held-out", other, *FEW, "--out", out)
    assert ran.code == 0, ran.err
    assert json.loads((out / "results.json").read_text())["held_out"]["n"] == 100
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


def test_held_out_points_stretched_otherwise_are_told_of(digits):
    images, _ = digits
    one, two = (from_arrays(x / 16, pixel_range=(-1, 1)) for x in (images[:50], images[50:] / 2))
    _, said = _apart(two, one)
    assert said == ("held-out points: values from 0 to 0.5 mapped to [-1, 1]",)
    _, said = _apart(from_arrays(images[50:] / 16, pixel_range=(-1, 1)), one)
    assert said == ()


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


def test_kill_and_go_on(run, model, monkeypatch, tmp_path):
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    out = tmp_path / "out"
    arguments = [
        "audit", str(model), "--data", "digits", "--classes", "0,1", "--samples", "272",
        "--pairs", "16", "--steps", "10", "--out",
    ]  # fmt: skip
    command = [sys.executable, "-m", "diffregimes", *arguments, str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    store = tmp_path / ".out.unfinished"
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(store.glob("samples/block-*.npz")) and time.monotonic() < deadline:
        assert started.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert list(store.glob("samples/block-*.npz"))
    assert not out.exists()
    fresh = tmp_path / "fresh"
    for folder in (out, fresh):  # in this process: another would load everything anew
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

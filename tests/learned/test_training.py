"""`diffregimes train`: what a run leaves, recovery from kill -9 to the last bit, and messages."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from command import killed, runner
from diffregimes.common.checks import InputError
from diffregimes.data import readers
from diffregimes.data.groups import hold_out
from diffregimes.learned import checkpoints, training
from diffregimes.learned.adapters import load_score
from diffregimes.learned.checkpoints import WEIGHTS
from diffregimes.learned.networks import PRESETS, network
from diffregimes.learned.training import train
from diffregimes.process import linear_schedule

DIGITS = "digits", "--classes", "0,1", "--per-class", "40", "--device", "cpu"
SMALL = "--steps", "20", "--batch", "8", "--every", "5"
TINY = PRESETS["tiny"]
NARROW = replace(TINY, channels=(8, 16), groups=4)  # the same in all but size: a tenth of the time


@pytest.fixture
def run(monkeypatch, capfd):
    return lambda *arguments: runner(monkeypatch, capfd)(*arguments, command=("train",))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Sums over threads come in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "EVALUATED", 16)
        patch.setattr(training, "SAMPLER_STEPS", 5)
        patch.setitem(PRESETS, "tiny", NARROW)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits():
    return readers.load("digits", classes=["0", "1"], per_class=40, pixel_range=(-1, 1))


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A run without a break."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(digits, folder, steps=20, batch=8, every=5, device="cpu", memorised=4)


def weights(folder):
    """Every safetensors file below the last checkpoint, as bytes."""
    last = checkpoints.found(folder)[-1]
    return {x.relative_to(last).as_posix(): x.read_bytes() for x in last.rglob("*.safetensors")}


def test_a_run_leaves_everything(run, tmp_path, digits):
    out = tmp_path / "out"
    state = torch.get_rng_state()
    ran = run(*DIGITS, *SMALL, "--memorised", 4, "--out", out)
    assert ran.code == 0, ran.err
    assert torch.equal(state, torch.get_rng_state()), "the global generator is left alone"
    assert {x.name for x in out.iterdir()} == {
        "checkpoints", "loss.csv", "loss.png", "model_index.json", "recipe.json", "scheduler",
        "unet",
    }  # fmt: skip
    steps = [x.name for x in sorted((out / "checkpoints").iterdir())]
    assert steps == ["step-00000015", "step-00000020"]
    rows = list(csv.DictReader((out / "loss.csv").open()))
    assert [row["step"] for row in rows] == ["5", "10", "15", "20"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert 0 <= float(rows[-1]["memorised"]) <= 1
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["fingerprint"] == digits.fingerprint
    assert recipe["scale"] == [-1, 1]
    assert recipe["classes"] == ["0", "1"]
    assert len(recipe["held_out_indices"]) == 8
    assert recipe["points"] == digits.n - 8
    assert {"torch", "diffusers", "accelerate"} <= set(recipe["versions"])
    assert not [x for x in out.rglob("*") if x.suffix in (".bin", ".pt", ".pkl")]
    assert "held-out" in ran.out
    audit = f"diffregimes audit {out} --data digits --classes 0,1 --per-class 40"
    assert audit in " ".join(ran.out.split())


def test_diffusers_opens_the_folder(whole):
    from diffusers import DDPMPipeline

    folder, trained = whole
    found = DDPMPipeline.from_pretrained(checkpoints.found(folder)[-1], local_files_only=True)
    x = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = trained.pipeline.unet(x, torch.tensor([3, 500, 999])).sample
        assert torch.equal(found.unet(x, torch.tensor([3, 500, 999])).sample, want)
    assert found.scheduler.config.clip_sample_range == 1
    images = found(batch_size=2, num_inference_steps=2, output_type="np").images
    assert images.shape == (2, 8, 8, 1)


def test_the_schedule_is_that_of_the_process(whole):
    found = whole[1].pipeline.scheduler.alphas_cumprod.double().numpy()
    np.testing.assert_allclose(found, linear_schedule().alphas_cumprod, rtol=2e-5)


@pytest.mark.parametrize("predicts", ["noise", "velocity"])
def test_the_score_read_back_has_the_loss_of_the_last_row(
    predicts, whole, digits, tmp_path, monkeypatch
):
    """E|y - F|^2 by the adapter, in Ornstein-Uhlenbeck time, on the draws of the last row."""
    folder, trained = whole
    assert trained.recipe["preset"]["predicts"] == "velocity"
    if predicts == "noise":
        monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], predicts="noise"))
        folder = tmp_path
        trained = train(digits, folder, steps=4, batch=8, device="cpu")
    score = load_score(checkpoints.found(folder)[-1])
    draw = training.torch_generator(0, "evaluation")
    count = training.EVALUATED
    levels = (torch.arange(count) + torch.rand(count, generator=draw)) / count * 1000
    levels = levels.long()[torch.randperm(count, generator=draw)]
    noise = torch.randn((count, 64), generator=draw, dtype=torch.float32)
    held = np.array([digits.place_of(k) for k in trained.recipe["held_out_indices"]])
    points = torch.from_numpy(digits.points[held[np.arange(count) * len(held) // count]])
    times, total = linear_schedule().times, 0.0
    for a, z, k in zip(points, noise, levels, strict=True):
        t = float(times[k])
        e, n = np.exp(-t), np.sqrt(-np.expm1(-2 * t))
        x = (e * a + n * z)[None]
        y, found = z, score.noise(x, t)[0]
        if predicts == "velocity":
            y, found = e * z - n * a, e * found - n * score.denoise(x, t)[0]
        total += float((y - found).square().mean())
    assert trained.rows[-1]["held_out_loss"] == pytest.approx(total / count, rel=1e-3)


def test_killed_runs_go_on(whole, digits, tmp_path):
    folder, trained = whole
    out = tmp_path / "out"
    options = {"steps": 20, "batch": 8, "every": 5, "device": "cpu", "memorised": 4}
    slowly = {**options, "progress": lambda *x: time.sleep(0.05)}
    killed(lambda: train(digits, out, **slowly), lambda: checkpoints.found(out))
    assert 1 <= len(checkpoints.found(out)) <= 2
    assert checkpoints.found(out)[-1].name < "step-00000020"
    seen = []
    again = train(digits, out, **options, progress=lambda done, *_: seen.append(done))
    assert seen[0] > 5, "it went on, rather than begin again"
    assert again.rows == trained.rows
    assert weights(out) == weights(folder)
    assert (out / "loss.csv").read_bytes() == (folder / "loss.csv").read_bytes()
    assert (out / "recipe.json").read_bytes() == (folder / "recipe.json").read_bytes()


def test_any_break_changes_nothing(whole, digits, tmp_path):
    """Stopped between checkpoints, again and again, with something half-written in the way."""
    folder, trained = whole

    class Stop(Exception):
        pass

    def stop_at(step):
        def progress(done, total, text):
            if done == step:
                raise Stop

        return progress

    options = {"steps": 20, "batch": 8, "every": 5, "device": "cpu", "memorised": 4}
    for step in (3, 9, 15):
        with pytest.raises(Stop):
            train(digits, tmp_path, **options, progress=stop_at(step))
    (tmp_path / "checkpoints" / ".partial").mkdir()
    (tmp_path / "checkpoints" / ".partial" / "junk").write_text("half")
    assert train(digits, tmp_path, **options).rows == trained.rows
    assert weights(tmp_path) == weights(folder)
    assert not (tmp_path / "checkpoints" / ".partial").exists()


def test_more_steps_train_on(whole, digits, tmp_path):
    folder, _ = whole
    options = {"batch": 8, "every": 5, "device": "cpu", "memorised": 4}
    train(digits, tmp_path, steps=10, **options)
    train(digits, tmp_path, steps=20, **options)
    assert weights(tmp_path) == weights(folder)
    with pytest.raises(InputError, match="20 steps already"):
        train(digits, tmp_path, steps=10, **options)


@pytest.mark.parametrize("most", [0.998, 0.5, 0.0])
def test_the_network_kept_is_the_average_over_the_steps(most, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], average=most))
    train(digits, tmp_path, steps=14, batch=8, every=13, memorised=0, device="cpu")
    before, after = (
        (load_file(x / "unet" / WEIGHTS), load_file(x / checkpoints.LAST_STEP))
        for x in checkpoints.found(tmp_path)
    )
    share = 1 - min(most, 14 / 23)  # of the step after 13
    for name, value in after[0].items():
        expected = before[0][name] + share * (after[1][name] - before[0][name])
        torch.testing.assert_close(value, expected)
    assert all(torch.equal(x, after[1][k]) for k, x in after[0].items()) == (most == 0)


@pytest.mark.parametrize(
    "more", [("--seed", 1), ("--batch", 16), ("--classes", "0,2"), ("--range", "0,1")]
)
def test_another_run_in_the_folder(run, whole, more):
    folder, _ = whole
    before = weights(folder)
    ran = run(*DIGITS, *SMALL, "--memorised", 4, *more, "--out", folder)
    assert ran.code == 2
    assert "other data or options" in ran.err
    assert weights(folder) == before


def test_a_network_of_unknown_origin_is_left_alone(run, tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    ran = run(*DIGITS, *SMALL, "--out", tmp_path)
    assert ran.code == 2
    assert "no recipe.json" in ran.err
    assert (tmp_path / "model_index.json").read_text() == "{}"


def test_held_out_shares():
    labels = np.array([0] * 40 + [1] * 20)
    kept, out = hold_out(labels, 0.1)
    assert np.bincount(labels[out]).tolist() == [4, 2]
    assert np.array_equal(np.sort([*kept, *out]), np.arange(60))
    assert not np.array_equal(out, hold_out(labels, 0.1, seed=1)[1])
    assert len(hold_out(labels, 0)[1]) == 0
    for share in (-0.1, 1, float("nan"), 0.001, 0.99):
        with pytest.raises(InputError, match="held-out"):
            hold_out(labels, share)


def test_nothing_held_out(digits, tmp_path):
    trained = train(digits, tmp_path, steps=2, batch=4, held_out=0, memorised=0, device="cpu")
    assert trained.rows[-1]["held_out_loss"] is None
    assert (tmp_path / "loss.csv").read_text().splitlines()[-1].endswith(",")


def test_the_network_of_the_paper():
    assert PRESETS["paper"].predicts == "noise"
    count = sum(x.numel() for x in network(PRESETS["paper"], (32, 32, 3)).parameters())
    assert count == pytest.approx(25.7e6, rel=0.01)


def test_weights_belong_to_the_seed():
    first, same, other = (network(TINY, (8, 8, 1), seed).conv_in.weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--preset", "huge"), "tiny, small, paper"),
        (("--steps", 0), "--steps"),
        (("--batch", -1), "--batch"),
        (("--every", 0), "--every"),
        (("--held-out", 1), "--held-out"),
        (("--memorised", -1), "--memorised"),
        (("--seed", -1), "--seed"),
        (("--range", "1"), "--range"),
        (("--device", "abacus"), "abacus"),
        (("--preset", "paper", "--pad", 1), "--pad 3"),
        (("--pad", 1, "--preset", "small"), "10 x 10"),
    ],
)
def test_messages(run, tmp_path, arguments, said):
    ran = run(*DIGITS[:-2], *arguments, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_vectors(run, tmp_path):
    ran = run("gmm:d=16,n=50", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "vectors of 16 numbers" in ran.err
    points = np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32)
    np.savez(tmp_path / "vectors.npz", points=points, labels=np.arange(20) % 2)
    ran = run(tmp_path / "vectors.npz", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "vectors of 16 numbers" in ran.err


@pytest.mark.parametrize("package", ["diffusers", "accelerate"])
def test_missing_packages(run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    ran = run(*DIGITS, *SMALL, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "pip install 'diffregimes[diffusers]'" in ran.err
    assert not (tmp_path / "out").exists()


def test_help_has_examples(run):
    ran = run("--help")
    assert ran.code == 0
    assert "diffregimes train digits" in ran.out


@pytest.mark.slow
def test_processes_share_one_batch(digits, tmp_path, monkeypatch):
    """Two processes give the numbers of one, up to rounding."""
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m",
        "diffregimes", "train", *DIGITS, *SMALL, "--out",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = tmp_path / "two"
    done = subprocess.run([*command, out], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [float(x["loss"]) for x in csv.DictReader((out / "loss.csv").open())]
    one = train(digits, tmp_path / "one", steps=20, batch=8, every=5, device="cpu")
    np.testing.assert_allclose(found, [x["loss"] for x in one.rows], rtol=1e-3)
    assert (out / "unet" / "config.json").exists()


@pytest.mark.slow
def test_the_network_learns_digits(tmp_path, monkeypatch):
    """It beats the best predictor that knows mean and covariance alone: a Gaussian's."""
    monkeypatch.setattr(training, "EVALUATED", 512)
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    digits = readers.load("digits", pixel_range=(-1, 1))
    rows = train(digits, tmp_path, steps=1500, every=500, device="cpu").rows
    spectrum = np.linalg.eigvalsh(np.cov(digits.points.T.astype(np.float64)))
    left = linear_schedule().alphas_cumprod[:, None]
    gaussian = (spectrum / (left * spectrum + 1 - left)).mean()  # |v - E[v|x]|^2 a pixel and step
    held = [x["held_out_loss"] for x in rows]
    assert held == sorted(held, reverse=True)
    assert held[-1] < 0.9 * gaussian

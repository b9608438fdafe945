"""`diffregimes clones`, `uturn` and `generate`: outputs, recovery from kill -9, and messages."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from command import MODELS, command_line, contents, killed, runner, untrained, without_drawing
from diffregimes.backward.experiment import experiment
from diffregimes.backward.samplers import SAMPLERS
from diffregimes.data.readers import load
from diffregimes.learned.adapters import load_score
from diffregimes.process import schedule

pytestmark = pytest.mark.usefixtures("few_forward_draws")

DIGITS = ("digits", "--classes", "0,1", "--steps", "60")


@pytest.fixture
def drawing(monkeypatch, capfd):
    def call(name, *arguments):
        return runner(monkeypatch, capfd)(*arguments, command=(name,))

    return call


@pytest.fixture
def run(drawing, monkeypatch):
    without_drawing(monkeypatch)
    return drawing


@pytest.mark.parametrize("kind", ["clones", "uturn"])
def test_curves_beside_the_forward_pass(drawing, tmp_path, kind):
    run = drawing
    out = tmp_path / "out"
    ran = run(kind, *DIGITS, "--pairs", 300, "--times", "0.5,0.1", "--out", out)
    assert ran.code == 0, ran.err
    assert {x.name for x in out.iterdir()} == {
        f"{kind}.png",
        f"{kind}.svg",
        f"{kind}.csv",
        "results.json",
    }
    found = json.loads((out / "results.json").read_text())
    assert found["kind"] == kind
    assert found["pairs"] == 300
    assert found["recipe"]["times"] == [0.5, 0.1]
    rows = list(csv.DictReader((out / f"{kind}.csv").open()))
    assert len(rows) == 2
    for row in rows:
        for name in ("same_class_probability", "same_point_probability"):
            low, value, high = (float(row[name + x]) for x in ("_low", "", "_high"))
            assert low <= value <= high
            # 60 steps leave a bias of some hundredths
            assert abs(value - float(row[f"{name}_forward"])) < 0.12
    assert "largest |z|" in ran.out
    assert not list(tmp_path.glob(".*")), "the store is gone when the run is done"


def test_mixture_under_its_own_score(run, tmp_path):
    ran = run(
        "clones", "gmm:d=256,n=200", "--grid", "log-snr", "--steps", 200, "--pairs", 600,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    z = np.array(found["curves"]["same_class_probability_z"])
    assert len(z) == 12
    assert np.abs(z).max() < 4
    assert "same_point_probability" not in found["curves"]


def test_generate_under_the_exact_score_copies(drawing, tmp_path):
    run = drawing
    ran = run("generate", *DIGITS, "--samples", 16, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    names = {x.name for x in (tmp_path / "out").iterdir()}
    assert names == {"generated.png", "last-changes.png", "generated.csv", "results.json"}
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["memorised"]["share"] == 1
    rows = list(csv.DictReader((tmp_path / "out" / "generated.csv").open()))
    assert len(rows) == 16
    assert {row["class"] for row in rows} <= {"0", "1"}
    assert all(float(row["ratio"]) < 1 / 3 for row in rows)


def test_generate_under_the_law_is_new(run, tmp_path):
    arguments = "gmm:d=16,n=300", "--steps", 60, "--samples", 16, "--out", tmp_path / "out"
    assert run("generate", *arguments).code == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["memorised"]["share"] < 0.2


def test_batches_change_nothing(run, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    common = (*DIGITS, "--pairs", 40, "--times", "0.1,0.3,1")
    assert run("clones", *common, "--out", one).code == 0
    assert run("clones", *common, "--batch", 7, "--memory-mib", 16, "--out", two).code == 0
    assert (one / "clones.csv").read_bytes() == (two / "clones.csv").read_bytes()


def test_killed_runs_go_on(run, tmp_path):
    out = tmp_path / "out"
    arguments = (
        "clones", "digits", "--per-class", "30", "--steps", "60", "--pairs", "600",
        "--times", "0.1,0.5", "--out",
    )  # fmt: skip
    store = tmp_path / ".out.unfinished"
    killed(command_line(*arguments, out), lambda: list(store.glob("block-*.npz")))
    kept = {x.name: x.stat().st_mtime_ns for x in store.glob("block-*.npz")}
    assert kept
    assert not out.exists()
    fresh = tmp_path / "fresh"
    for folder in (out, fresh):
        assert run(*arguments, folder).code == 0
    assert not store.exists()
    assert contents(out) == contents(fresh)


def test_unfinished_run_of_other_options(run, tmp_path):
    store = tmp_path / ".out.unfinished"
    store.mkdir()
    (store / "recipe.json").write_text("{}")
    (store / "block-000003.npz").write_bytes(b"hours of work")
    few = "--pairs", 4, "--times", "0.5", "--out", tmp_path / "out"
    ran = run("clones", *DIGITS, *few)
    assert ran.code == 2
    assert "other options" in ran.err
    assert (store / "block-000003.npz").exists()
    (store / "block-000003.npz").unlink()  # without a finished block there is nothing to lose
    assert run("clones", *DIGITS, *few).code == 0
    assert not store.exists()


def test_a_run_that_cannot_be_ended_blocks_no_other(run, tmp_path, monkeypatch):
    step = SAMPLERS["bridge"].step

    def blown(score, x, t, s, z):
        x = step(score, x, t, s, z)
        return x * float("inf") if s == 0 and len(x) < 50 else x  # the last block alone

    few = "--pairs", 300, "--times", "0.5", "--out", tmp_path / "out"
    monkeypatch.setitem(SAMPLERS, "bridge", replace(SAMPLERS["bridge"], step=blown))
    ran = run("uturn", *DIGITS, "--batch", 256, *few)
    assert ran.code == 2
    assert "infinite or NaN" in ran.err
    assert not list(tmp_path.iterdir())


FEW = {
    "generate": ("--samples", 4, "--steps", 12),
    "clones": ("--pairs", 4, "--steps", 12),
    "uturn": ("--pairs", 4, "--steps", 12),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    made = {}

    def model(kind):
        if kind not in made:
            name, options = MODELS[kind]
            made[kind] = untrained(tmp_path_factory.mktemp("model"), name, **options)
        return made[kind]

    return model


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *(("generate", kind) for kind in MODELS),
        ("clones", "edm, little noise"),
        ("uturn", "zero snr"),
    ],
)
def test_the_grid_follows_the_model(run, tmp_path, models, command, kind):
    """Whatever the network predicts and however little noise it knows: its own levels."""
    out = tmp_path / "out"
    ran = run(command, *DIGITS[:3], "--model", models(kind), *FEW[command], "--out", out)
    assert ran.code == 0, ran.err
    assert {x.name for x in tmp_path.iterdir()} == {"out"}
    found = json.loads((out / "results.json").read_text())
    latest = found["recipe"]["model"]["latest"]
    times = found["recipe"]["times"]
    assert 0 < min(times) <= max(times) <= latest
    if command == "generate":
        changes = [
            float(row[f"last_{x}_change"])
            for row in csv.DictReader((out / "generated.csv").open())
            for x in ("point", "class")
        ]
        assert max(changes) <= latest
    config = models(kind) / "scheduler" / "scheduler_config.json"
    own = experiment(load("digits", classes=["0", "1"]), network=load_score(models(kind))).grid
    levels = schedule(str(config)).finite_times
    assert own[0] <= latest
    np.testing.assert_allclose(own, np.append(levels[::-1], 0), rtol=1e-3, atol=1e-7)


def test_a_grid_beyond_the_model_is_told_before_the_work(run, tmp_path, models):
    out = "--out", tmp_path / "out"
    ran = run("generate", *DIGITS, "--model", models("latent"), "--grid", "linear", *out)
    assert ran.code == 2
    assert "grid (--grid) is 'linear', which starts at t = 4.5" in ran.err
    assert "at t = 2.687; leave it out" in ran.err
    assert not list(tmp_path.iterdir())


def test_a_network_that_fails_inside_is_told_before_the_work(run, tmp_path):
    """Three halvings of 28 x 28: 28, 14, 7, and back comes 8."""
    folder = untrained(tmp_path / "net", size=28, levels=4)
    for command in ("generate", "clones", "uturn"):
        ran = run(
            command, *DIGITS[:3], "--pad", 10, "--model", folder, "--out", tmp_path / "out",
        )  # fmt: skip
        assert ran.code == 2
        said = " ".join(ran.err.split())
        assert "the network fails on one state of the shape (28, 28, 1) at t = 5e-05" in said
        assert "It halves its images 3 times, which 28 x 28 does not allow" in said
        assert {x.name for x in tmp_path.iterdir()} == {"net"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("pipeline"))


@pytest.mark.parametrize("kind", ["clones", "uturn", "generate"])
def test_a_network_in_place_of_the_score(run, tmp_path, pipeline, kind):
    ran = run(
        kind, *DIGITS, "--model", pipeline, "--out", tmp_path / "out",
        *(("--samples", 8) if kind == "generate" else ("--pairs", 8, "--times", "0.5")),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(found["recipe"]["model"]["weights"]) == 64
    assert not any("--range" in note for note in found["notes"])
    if kind == "generate":  # it has learned nothing, so that it copies nothing
        assert found["memorised"]["share"] < 0.5


def test_the_scale_of_a_network_is_asked_about(run, tmp_path, pipeline):
    few = "--pairs", 4, "--times", "0.5", "--out", tmp_path / "out"
    ran = run("clones", *DIGITS, "--range", "0,1", "--model", pipeline, *few)
    assert ran.code == 0, ran.err
    assert "--range=-1,1" in ran.out.replace("\n", " ")


def test_points_that_were_held_out_in_training_are_none_of_the_model(run, tmp_path, pipeline):
    data = load("digits", classes=["0", "1"], pixel_range=(-1, 1))
    known = {"fingerprint": data.fingerprint, "held_out_indices": [3, 5], "scale": [-1, 1]}
    folder = tmp_path / "net"
    shutil.copytree(pipeline, folder)
    (folder / "recipe.json").write_text(json.dumps(known))
    few = "--samples", 8, "--out", tmp_path / "out"
    assert run("generate", *DIGITS, "--model", folder, *few).code == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    kept = data.take(np.setdiff1d(np.arange(data.n), [3, 5]))
    assert found["recipe"]["fingerprint"] == kept.fingerprint != data.fingerprint


@pytest.mark.parametrize("kind", ["clones", "uturn", "generate"])
def test_a_label_is_run_beside_its_class(run, tmp_path, kind):
    """The points of one class, by their names; what needs two classes is left out, and said."""
    net = untrained(tmp_path / "ten", classes=10)
    few = ("--samples", 8) if kind == "generate" else ("--pairs", 8, "--times", "0.3,0.6")
    digits = "digits", "--per-class", 40, "--grid", "log-snr", "--steps", 12, *few
    ran = run(kind, *digits, "--model", net, "--label", 3, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    threes = load("digits", per_class=40, pixel_range=(-1, 1)).only("3")
    assert found["recipe"]["fingerprint"] == threes.fingerprint
    assert any("the 40 of class 3" in x for x in found["notes"])
    assert any("phi and t_S, which need two" in x for x in found["notes"])
    assert "phi and t_S" in " ".join(ran.out.split())
    if kind == "generate":
        rows = list(csv.DictReader((tmp_path / "out" / "generated.csv").open()))
        assert {int(x["nearest_point"]) for x in rows} <= set(threes.indices.tolist())
        assert {x["class"] for x in rows} == {"3"}
        assert "last_class_change" not in {*rows[0], *found}
        assert "class" not in found["forward"]
        assert "point" in found["forward"]
        assert "last change of the class" not in ran.out
    else:
        assert "same_point_probability" in found["curves"]
        assert "same_class_probability" not in found["curves"]


def test_generated_points_are_named_by_their_files(run, tmp_path):
    for k in range(12):
        folder = tmp_path / "data" / f"class-{k % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 255, (4, 4)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:02}.png")
    data, out = tmp_path / "data", tmp_path / "out"
    few = "--samples", 8, "--grid", "log-snr", "--steps", 12
    assert run("generate", data, "--classes", "class-2,class-1", *few, "--out", out).code == 0
    paths = sorted(x.relative_to(data).as_posix() for x in data.glob("*/*.png"))
    for row in csv.DictReader((out / "generated.csv").open()):
        assert paths[int(row["nearest_point"])] == row["nearest_file"]
        assert not row["nearest_file"].startswith("class-0/")
        assert row["nearest_file"].startswith(row["class"])  # the nearest point gives the class


def test_networks_that_do_not_fit(run, tmp_path, pipeline):
    out = "--out", tmp_path / "out"
    ran = run("clones", "digits", "--pad", 1, "--model", pipeline, *out)
    assert ran.code == 2
    assert "(10, 10, 1)" in ran.err
    ran = run("clones", "digits", "--model", pipeline, "--score", "empirical", *out)
    assert ran.code == 2
    assert "exclude each other" in ran.err
    ran = run("clones", "digits", "--label", 1, *out)
    assert ran.code == 2
    assert "--label" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("clones", *DIGITS, "--times", "0.5,9"), "beyond the sampler's grid"),
        (("clones", *DIGITS, "--times", "a,b"), "--times"),
        (("clones", *DIGITS, "--pairs", 1), "--pairs"),
        (("clones", *DIGITS, "--branches", 1), "--branches"),
        (("clones", *DIGITS, "--sampler", "ddim"), "without noise"),
        (("clones", *DIGITS, "--sampler", "leapfrog"), "leapfrog"),
        (("clones", *DIGITS, "--grid", "sideways"), "sideways"),
        (("clones", *DIGITS, "--score", "population"), "law of these data is not known"),
        (("clones", *DIGITS, "--score", "learned"), "empirical, population"),
        (("uturn", *DIGITS, "--device", "abacus"), "abacus"),
        (("uturn", *DIGITS, "--batch", 0), "batch"),
        (("uturn", *DIGITS, "--seed", -1), "--seed"),
        (("generate", *DIGITS, "--samples", 1), "--samples"),
        (("generate", "nothing-here.npz"), "nothing-here.npz"),
        (("generate", *DIGITS, "--range", "1"), "--range"),
        (("clones", "digits", "--steps", 0), "steps"),
        (("clones", "digits", "--steps", 100000), "steps"),
    ],
)
def test_messages(run, tmp_path, arguments, said):
    ran = run(*arguments, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["clones", "uturn", "generate"])
def test_help_has_examples(run, kind):
    ran = run(kind, "--help")
    assert ran.code == 0
    assert f"diffregimes {kind} digits" in ran.out

"""The command: what every option means, and what is said about input that cannot be used."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import diffregimes
from command import (
    QUICK,
    TIMES,
    command_line,
    contents,
    killed,
    pixels,
    runner,
    save_pixels,
    without_report,
)
from diffregimes import from_arrays
from diffregimes.cli import app as cli
from diffregimes.cli.options import source_name
from diffregimes.common.readable import short
from diffregimes.results import Analysis

IMAGES, LABELS = pixels()


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    without_report(monkeypatch)
    return runner(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path):
    return save_pixels(tmp_path / "pixels.npz")


SEEN: dict[tuple[str, ...], dict] = {}  # of runs on the same file, which several tests ask for


@pytest.fixture
def results(run, source):
    """A function of options: the results of a quick run with them."""

    def get(*options, of=None):
        alike = of is None and not any(Path(x).exists() for x in options)  # names no other file
        if alike and options in SEEN:
            return SEEN[options]
        found = run(of or source.name, *QUICK, "--format", "json", *options).results
        return SEEN.setdefault(options, found) if alike else found

    return get


def image_folder(folder, sizes=((3, 4), (3, 4)), each=10):
    for k, size in enumerate(sizes):
        place = folder / "ab"[k]
        place.mkdir(parents=True)
        for j in range(each):
            Image.fromarray(IMAGES[3 * j + 2 * k]).resize(size).save(place / f"{j}.png")
    return folder


def eigenvalues(points):
    flat = np.asarray(points, dtype=np.float64).reshape(len(points), -1)
    return np.linalg.eigvalsh(np.cov(flat.T))[::-1]


# the data


def test_labels_are_a_key_a_file_or_left_out(results, source, tmp_path):
    assert results()["dataset"]["classes"] == ["3", "5", "8"]
    other = save_pixels(tmp_path / "other.npz", kind=np.array(["old", "new"])[LABELS % 2])
    assert results("--labels", "kind", of=other)["dataset"]["class_counts"] == [40, 20]
    (tmp_path / "names.csv").write_text("\n".join(["even", "odd"][x % 2] for x in LABELS))
    assert results("--labels", "names.csv")["dataset"]["classes"] == ["even", "odd"]
    without = results("--labels", "none")
    assert without["dataset"]["classes"] == ["PC1-", "PC1+"]
    assert without["dataset"]["labelled"] is False
    assert any("no labels" in note for note in without["notes"])
    assert without["recipe"]["headline"]["speciation"] == "spectral"


def test_labels_are_a_column(results, tmp_path):
    path = tmp_path / "table.npy"
    np.save(path, np.column_stack([IMAGES.reshape(60, 12), LABELS]).astype(np.float32))
    found = results("--labels", "-1", of=path)["dataset"]
    assert (found["d"], found["classes"]) == (12, ["3", "5", "8"])


def test_key_names_the_data(results, run, tmp_path):
    path = tmp_path / "two.npz"
    np.savez(path, first=IMAGES, second=IMAGES[:, :2], labels=LABELS)
    assert results("--key", "second", of=path)["dataset"]["d"] == 6
    found = run(path, *QUICK)
    assert found.code == 2
    assert "first, second" in found.err
    assert "--key" in found.err


def test_classes_and_per_class_choose_points(results):
    found = results("--classes", "8, 3", "--per-class", "15")["dataset"]
    assert (found["classes"], found["class_counts"]) == (["8", "3"], [15, 15])
    chosen = np.sort(np.concatenate([np.flatnonzero(x == LABELS)[:15] for x in (8, 3)]))
    expected = from_arrays(IMAGES[chosen], LABELS[chosen], classes=(8, 3))
    assert found["fingerprint"] == expected.fingerprint


def test_range_scales_the_pixels(results, tmp_path):
    plain, wide = results(), results("--range=-1,1")
    assert (plain["dataset"]["scale"], wide["dataset"]["scale"]) == ([0, 1], [-1, 1])
    assert wide["recipe"]["options"]["range"] == [-1, 1]
    expected = eigenvalues(IMAGES / 255)
    np.testing.assert_allclose(plain["spectrum"]["eigenvalues"], expected, atol=1e-6)
    np.testing.assert_allclose(wide["spectrum"]["eigenvalues"], 4 * expected, atol=1e-6)
    floats = save_pixels(tmp_path / "floats.npz", images=IMAGES.astype(np.float32))
    as_they_are = results(of=floats)
    assert as_they_are["dataset"]["scale"] is None
    np.testing.assert_allclose(as_they_are["spectrum"]["largest"], expected[0] * 255**2, rtol=1e-5)
    assert results("--range", "0,2", of=floats)["dataset"]["scale"] == [0, 2]


def test_pad_adds_pixels_that_change_no_eigenvalue(results):
    plain, padded = results(), results("--pad", "2")
    assert padded["dataset"]["sample_shape"] == [8, 7, 1]
    assert padded["dataset"]["d"] == 56
    np.testing.assert_allclose(
        padded["spectrum"]["eigenvalues"][:12], plain["spectrum"]["eigenvalues"], atol=1e-6
    )


def test_unreadable_images_are_left_out_on_request(run, tmp_path):
    folder = image_folder(tmp_path / "images")
    (folder / "a" / "torn.png").write_bytes(b"\x89PNG\r\n")
    stopped = run(folder, *QUICK)
    assert stopped.code == 2
    assert "torn.png" in stopped.err
    assert "--skip-unreadable" in stopped.err
    found = run(folder, *QUICK, "--skip-unreadable", "--format", "json").results
    assert found["dataset"]["class_counts"] == [10, 10]
    assert any("1 images could not be read" in note for note in found["notes"])
    assert "note: 1 images could not be read" in run(folder, *QUICK, "--skip-unreadable").out


# the computation


def largest_error(found):
    names = "excess_entropy_over_alpha", "same_point_probability", "same_class_probability"
    return max(max(found["curves"][f"{name}_se"]) for name in names)


def test_draws_go_on_to_the_precision_or_are_fixed(run, source):
    common = source, *QUICK[2:], "--format", "json"
    rough = run(*common, "--precision", "0.02").results
    fine = run(*common, "--precision", "0.003").results
    fixed = run(*common, "--draws", "700").results
    assert largest_error(rough) <= 0.022
    assert largest_error(fine) <= 0.0033
    assert fine["draws"] > rough["draws"]
    assert fixed["draws"] == fixed["recipe"]["draws"] == 768  # three blocks of 256
    assert (fine["recipe"]["precision"], fixed["recipe"]["precision"]) == (0.003, None)


def test_times_are_those_asked_for_or_cover_the_transitions(run, source, results):
    assert results()["curves"]["t"] == pytest.approx(TIMES, rel=1e-12)
    assert results()["recipe"]["times"] == "given"
    found = run(source, "--draws", "512", "--format", "json").results
    assert found["recipe"]["times"] == "adaptive"
    t, same = found["curves"]["t"], found["curves"]["same_point_probability"]
    assert (np.diff(t) > 0).all()
    assert same[0] > 0.99
    assert same[-1] < 0.1


def test_the_seed_makes_the_draws(results):
    one, again, other = results(), results("--seed", "0"), results("--seed", "1")
    assert one == again
    assert other["recipe"]["seed"] == 1
    name = "same_point_probability"
    apart = np.subtract(one["curves"][name], other["curves"][name])
    error = np.hypot(one["curves"][f"{name}_se"], other["curves"][f"{name}_se"])
    assert (apart != 0).any()
    assert (np.abs(apart) < 5 * error + 1e-9).all()


def test_the_memory_budget_changes_no_number(results):
    small, large = results("--memory-mib", "16"), results("--memory-mib", "2048")
    for name, values in small["curves"].items():
        np.testing.assert_allclose(values, large["curves"][name], atol=1e-6, rtol=1e-6)
    for one, two in zip(small["times"], large["times"], strict=True):
        assert one["t"] == (None if two["t"] is None else pytest.approx(two["t"], rel=1e-6))
    assert small["recipe"] == large["recipe"]


def test_the_device_is_used_and_recorded(results, run, source):
    assert results("--device", "cpu:0")["recipe"]["device"] == "cpu:0"
    found = run(source, *QUICK, "--device", "nosuch")
    assert found.code == 2
    assert "'nosuch'" in found.err
    assert "try cpu" in found.err


def linear(start, end, steps):
    return np.linspace(start, end, steps)


def cosine(steps):
    grid = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - grid[1:] / grid[:-1], 0.999)


EDM = {
    "_class_name": "EDMEulerScheduler",
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "rho": 7.0,
    "sigma_schedule": "karras",
    "num_train_timesteps": 100,
}


def test_the_steps_of_a_model_without_ddpm_steps(results, tmp_path):
    (tmp_path / "scheduler_config.json").write_text(json.dumps(EDM))
    found = results("--schedule", "scheduler_config.json")
    assert found["recipe"]["schedule"] == "EDMEulerScheduler in scheduler_config.json"
    ramp = np.linspace(0.002 ** (1 / 7), 80 ** (1 / 7), 101) ** 7
    for time in found["times"]:
        assert time["clock"] == "EDM step"
        if time["t"] is not None:
            level = np.sqrt(np.expm1(2 * time["t"]))
            nearest = np.abs(0.5 * np.log1p(ramp**2) - time["t"]).argmin() + 1
            assert time["ddpm_step"] == nearest
            assert level == pytest.approx(time["sigma"])
    read = Analysis.from_dict(found)
    assert read.clock == "EDM step"
    there = next(x for x in read.times if x.t is not None)
    assert f"EDM step {there.ddpm_step}" in str(there)


CONFIG = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.01,
    "beta_end": 0.04,
    "num_train_timesteps": 200,
}


@pytest.mark.parametrize(
    ("schedule", "betas"),
    [
        ("linear", linear(1e-4, 0.02, 1000)),
        ("cosine", cosine(1000)),
        ("scheduler_config.json", linear(0.1, 0.2, 200) ** 2),
    ],
)
def test_the_schedule_counts_the_steps(results, tmp_path, schedule, betas):
    (tmp_path / "scheduler_config.json").write_text(json.dumps(CONFIG))
    found = results("--schedule", schedule)
    assert found["recipe"]["schedule"] == schedule
    clock = -0.5 * np.log(np.cumprod(1 - betas))
    exist = [x for x in found["times"] if x["t"] is not None]
    assert len(exist) >= 5
    for x in exist:
        assert x["ddpm_step"] == 1 + np.argmin(np.abs(clock - x["t"]))
        assert x["snr"] == pytest.approx(1 / (np.exp(2 * x["t"]) - 1), rel=1e-9)
        assert x["sigma"] == pytest.approx(x["snr"] ** -0.5, rel=1e-9)


def test_the_default_schedule_is_linear(results):
    assert results()["times"] == results("--schedule", "linear")["times"]


def test_no_global_state_is_changed(run, source):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    python, old = np.random.get_state(), np.geterr()  # noqa: NPY002
    assert run(source, *QUICK, "--memory-mib", "512").code == 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    after = np.random.get_state()  # noqa: NPY002
    assert python[0] == after[0]
    np.testing.assert_array_equal(python[1], after[1])
    assert np.geterr() == old
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_default_dtype() == torch.float32


# the output


def test_out_and_its_default(run, source, tmp_path):
    said = run(source, *QUICK)
    assert (tmp_path / "runs" / "pixels" / "results.json").is_file()
    assert "runs/pixels/report.html" in said.out
    assert run("pixels.npz", *QUICK, "--out", "deep/er").code == 0
    assert (tmp_path / "deep" / "er" / "results.json").is_file()


def test_the_folder_is_named_for_the_data(tmp_path, monkeypatch):
    (tmp_path / "images.v2" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "images.v2" / "a")
    given = "digits", "../cars.npz", "..", ".", str(tmp_path / "images.v2") + "/", "/"
    names = "digits", "cars", "images.v2", "a", "images.v2", "dataset"
    assert tuple(map(source_name, given)) == names


def test_json_is_alone_on_stdout_and_the_same_as_the_file(run, source, tmp_path):
    said = run(source, *QUICK, "--format", "json")
    assert said.out == (tmp_path / "runs" / "pixels" / "results.json").read_text()
    assert said.err == ""


def test_json_on_stdout_is_utf8_whatever_the_locale(run, tmp_path, monkeypatch):
    path = tmp_path / "pixels.npz"
    save_pixels(path, labels=np.array(["été", "über", "x"])[np.arange(60) % 3])
    printed = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
        assert run(path, *QUICK, "--format", "json").code == 0
        assert "été" in json.loads(printed.getvalue().decode())["dataset"]["classes"]


def test_the_summary_says_what_the_results_hold(run, source, tmp_path):
    said = run(source, *QUICK)
    assert said.err == ""
    found = json.loads((tmp_path / "runs" / "pixels" / "results.json").read_text())
    text = " ".join(said.out.split())
    assert "pixels.npz: 60 points in 12 dimensions, 3 classes; values in [0, 1]" in text
    for words in (found["verdict"]["headline"], *found["verdict"]["sentences"], *found["notes"]):
        assert " ".join(words.split()) in text
    for x in found["times"]:
        value = "none" if x["t"] is None else short(x["t"])
        mark = r"\* " if found["recipe"]["headline"][x["transition"]] == x["method"] else "  "
        row = re.search(rf"^{mark}{x['method']} +{value}(.*)$", said.out, re.MULTILINE)
        assert row, x
        if x["t"] is not None and x["low"] is not None:
            assert f"{short(x['low'])} to {short(x['high'])}" in row[1]
        assert all(" ".join(warning.split()) in text for warning in x["warnings"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.18, "0.180"),
        (12.3456, "12.346"),
        (0.001234, "0.00123"),
        (0, "0.000"),
        (5.2e21, "5.2e+21"),
    ],
)
def test_numbers_of_the_table(value, text):
    assert short(value) == text


def test_the_summary_fits_a_narrow_terminal(run, source, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    said = run(source, *QUICK)
    lines = [x for x in said.out.splitlines() if not x.startswith("report:")]
    assert max(map(len, lines)) <= 60
    assert "…" not in said.out
    assert "gaussian-bound" in said.out


def test_a_dry_run_writes_nothing(run, source, tmp_path):
    before = contents(tmp_path)
    said = run(source, "--dry-run", "--out", "deep/er", "--classes", "3,8", "--draws", "512")
    assert said.code == 0
    assert contents(tmp_path) == before
    for words in ("40 points", "class 3: 20", "class 8: 20", "[0, 1]", "512", "deep/er"):
        assert words in said.out
    assert "standard errors reach 0.005" in run(source, "--dry-run").out
    assert "figures/" not in said.out
    assert "report.html, figures/" in run(source, "--dry-run", "--figures").out


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--out", "pixels.npz"], "is a file"), (["--classes", "4,5"], "'4'")],
)
def test_a_dry_run_checks_everything(run, source, options, words):
    said = run(source, "--dry-run", *options)
    assert said.code == 2
    assert words in said.err


def test_results_that_cannot_be_printed(run, source, monkeypatch, tmp_path):
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        flush = isatty = lambda self: False
        encoding, errors = "utf-8", "strict"

    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "argv", ["diffregimes", "analyze", str(source), *QUICK])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert (tmp_path / "runs" / "pixels" / "results.json").is_file()


# the command itself


def test_version(run):
    assert run("--version", command=()).out == f"diffregimes {diffregimes.__version__}\n"


def test_help_names_every_option_and_its_examples_hold(run):
    text = run("--help").out
    options = (
        "labels key classes per-class range pad precision draws times seed device memory-mib "
        "schedule out figures format dry-run skip-unreadable help"
    )
    for option in options.split():
        assert f"--{option}" in text
    for default in ("0,1 for integer pixels", "0.005", "1024", "linear", "runs/NAME"):
        assert default in text
    examples = [shlex.split(x) for x in text.splitlines() if x.startswith("   diffregimes")]
    assert len(examples) >= 4
    for words in examples:
        assert words[1] == "analyze"
        assert all(x.split("=")[0] in text for x in words if x.startswith("--"))
    assert "analyze" in run("--help", command=()).out


@pytest.mark.parametrize("arguments", [[], ["--nosuch"], ["digits", "digits"]])
def test_a_command_that_cannot_be_parsed(run, arguments):
    said = run(*arguments)
    assert said.code == 2
    assert "--help" in said.err


# input that cannot be used


def idx(array):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def floats(value):
    return {"images": np.where(np.arange(60)[:, None, None] == 7, value, IMAGES / 255.0)}


def bad_source(kind, folder):
    path = folder / "bad.npz"
    arrays = {
        "nan": floats(np.nan),
        "inf": floats(np.inf),
        "one point": {"images": IMAGES[:1], "labels": LABELS[:1]},
        "lonely class": {"labels": np.where(np.arange(60) == 9, 1, LABELS)},
        "constant": {"images": np.full_like(IMAGES, 9)},
        "label count": {"labels": LABELS[:50]},
        "pickle": {"images": np.array([{}] * 60)},
    }
    if kind in arrays:
        return save_pixels(path, **arrays[kind])
    if kind == "sizes":
        return image_folder(folder / "bad", sizes=((3, 4), (3, 5)))
    if kind == "unreadable":
        torn = image_folder(folder / "bad") / "b" / "torn.png"
        torn.write_bytes(b"no image")
        return folder / "bad"
    (folder / "mnist").mkdir()
    (folder / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(IMAGES)[:300])
    packed = gzip.compress(idx(LABELS.astype(np.uint8)))
    (folder / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(packed)
    return folder / "mnist"


@pytest.mark.parametrize(
    ("kind", "came", "expected", "way_out"),
    [
        ("nan", "index 7", "finite", "Remove or repair"),
        ("inf", "index 7", "finite", "Remove or repair"),
        ("one point", "1 point", "at least 2", "n the number of points"),
        ("lonely class", "class 1 has 1 point", "at least 2", "leave it out"),
        ("constant", "60 points are identical", "vary", "Check"),
        ("label count", "(50,) for 60 points", "(60,)", "one label for each"),
        ("pickle", "pickle", "dtype", "Save"),
        ("sizes", "a/0.png is 3×4 and b/0.png is 3×5", "one size", "Resize"),
        ("unreadable", "torn.png", ".png", "--skip-unreadable"),
        ("truncated", "train-images-idx3-ubyte", "720 bytes", "again"),
    ],
)
def test_data_that_cannot_be_used(run, tmp_path, kind, came, expected, way_out):
    source = bad_source(kind, tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("earlier")
    before = contents(tmp_path)
    said = run(source, *QUICK, "--out", "out")
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("diffregimes: ")
    assert "Traceback" not in said.err
    for words in (came, expected, way_out):
        assert words in said.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--classes 3,4", ("'4' does not exist", "3, 5, 8", "Choose")),
        ("--classes 3", ("one class only", "at least two", "Choose")),
        ("--classes ''", ("''", "3, 5, 8")),
        ("--per-class 0", ("--per-class", "0", "positive")),
        ("--per-class 1", ("1 point", "at least 2", "--per-class")),
        ("--labels nosuch", ("'nosuch'", "labels", "Name one")),
        ("--key nosuch", ("'nosuch'", "images", "Name one")),
        ("--range 1", ("'1'", "two numbers", "--range=-1,1")),
        ("--range=1,0", ("(1.0, 0.0)", "lower one first")),
        ("--range=0,nan", ("nan", "finite")),
        ("--range=low,high", ("'low,high'", "numbers", "--range=-1,1")),
        ("--pad -1", ("-1", "0 or more")),
        ("--times 3,2,1", ("3. 2. 1.", "increasing", "sort")),
        ("--times 0,1", ("0. 1.", "positive")),
        ("--times 1", ("1 value", "at least two")),
        ("--times soon", ("'soon'", "numbers", "--times 0.1,0.5,1")),
        ("--draws 0", ("draws is 0", "from 2")),
        ("--draws many", ("--draws", "integer")),
        ("--precision 0", ("precision is 0", "0.0001 to 0.5")),
        ("--precision nan", ("precision is nan", "0.0001 to 0.5")),
        ("--seed -1", ("seed is -1", "from 0")),
        ("--memory-mib 1", ("--memory-mib) is 1", "from 16")),
        ("--schedule nosuch", ("'nosuch'", "linear, cosine", "scheduler_config.json")),
        ("--schedule no.json", ("no.json", "cannot read")),
        ("--format xml", ("xml", "json")),
        ("--out pixels.npz", ("pixels.npz is a file", "--out")),
        ("--out pixels.npz/below/it", ("pixels.npz is a file", "--out")),
    ],
)
def test_options_that_make_no_sense(run, source, tmp_path, options, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("earlier")
    before = contents(tmp_path)
    said = run(source, *QUICK, "--out", "out", *shlex.split(options))
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    flat = " ".join(said.err.replace("│", " ").split())
    for word in words:
        assert word in flat
    assert contents(tmp_path) == before


@pytest.mark.parametrize("given", ["nosuch", "empty.npz", "notes.txt", "folder", "face.mat"])
def test_sources_that_are_none(run, tmp_path, given):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.npz").touch()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "face.mat").write_bytes(b"MATLAB")
    said = run(given, *QUICK)
    assert said.code == 2
    assert given in said.err
    assert "expected" in said.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory(run, source, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("diffregimes.analysis.analyze", fails)
    said = run(source, *QUICK)
    assert said.code == 2
    assert "--memory-mib" in said.err


def test_a_slip_of_our_own_is_not_hidden(run, source, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr("diffregimes.analysis.analyze", fails)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        run(source, *QUICK)


@pytest.fixture
def large(tmp_path):
    """Points that take 18 MiB as floats: more than the least budget."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    values = rng.integers(0, 200, (400, 64, 64, 3)) + 20 * labels[:, None, None, None]
    np.save(tmp_path / "x.npy", values.astype(np.uint8))
    np.save(tmp_path / "y.npy", labels)
    return tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--memory-mib", 16


def test_points_beyond_the_budget_stay_in_their_file(run, large, tmp_path):
    found = run(*large, *QUICK, "--format", "json", "--out", tmp_path / "out").results
    assert any("some at a time" in x for x in found["notes"])
    assert not (tmp_path / ".out.unfinished").exists()


@pytest.mark.slow
def test_a_killed_run_on_points_in_a_file_goes_on(run, large, tmp_path):
    arguments = *large, "--draws", 4096, "--times", "0.5,1.0,2.0"
    store, out = tmp_path / ".out.unfinished", tmp_path / "out"
    killed(
        command_line("analyze", *arguments, "--out", out),
        lambda: len(list(store.glob("*.npz"))) > 1,
    )
    kept = {x.name: x.stat().st_mtime_ns for x in store.glob("*.npz")}
    assert not (out / "results.json").exists()
    again = run(*arguments, "--out", out)
    assert again.code == 0, again.err
    assert kept
    assert not store.exists()
    fresh = run(*arguments, "--out", tmp_path / "fresh")
    assert fresh.code == 0
    one, two = (json.loads((x / "results.json").read_text()) for x in (out, tmp_path / "fresh"))
    assert one["times"] == two["times"]

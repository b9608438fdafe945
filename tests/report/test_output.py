"""The output folder: what is in it, and that it is complete or as it was, whatever happens."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import diffregimes
from command import (
    QUICK,
    command_line,
    contents,
    killed,
    pixels,
    runner,
    save_pixels,
    without_drawing,
    without_report,
)
from diffregimes import Analysis, InputError, from_arrays
from diffregimes.cli.options import source_name
from diffregimes.posterior.observables import CURVES
from diffregimes.report.folder import check_target, staged
from diffregimes.report.tables import curves_csv
from diffregimes.report.terminal.analysis import print_summary
from diffregimes.transitions.criteria import METHODS
from sample_analysis import make_analysis, with_theory

FILES = {"results.json", "curves.csv", "report.html"}
# without colours and groups
GREY = [x for x in METHODS if "first-channel" not in x[1] and "group" not in x[1]]


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    save_pixels(tmp_path / "pixels.npz")
    return runner(monkeypatch, capfd)


FIRST: dict[str, bytes | None] = {}  # what one run wrote, for all the tests that start from it


@pytest.fixture
def earlier(run, tmp_path, monkeypatch):
    """An output folder of an earlier run, with another seed, and its contents."""
    if not FIRST:
        with monkeypatch.context() as patch:
            without_report(patch)
            assert run("pixels.npz", *QUICK, "--seed", "7", "--out", "out").code == 0
        FIRST.update(contents(tmp_path / "out"))
    (tmp_path / "out").mkdir(exist_ok=True)
    for name, data in FIRST.items():
        assert data is not None
        (tmp_path / "out" / name).write_bytes(data)
    assert contents(tmp_path / "out") == FIRST
    return dict(FIRST)


def hidden(folder):
    return [x for x in contents(folder) if any(p.startswith(".") for p in Path(x).parts)]


# what a run writes


def test_the_contract(run, tmp_path, monkeypatch):
    quick = *QUICK, "--out", "out", "--per-class", "15"
    assert run("pixels.npz", *quick, "--figures").code == 0
    files = contents(tmp_path / "out")
    assert set(files) > FILES
    figures = {Path(x).suffix for x in files if x.startswith("figures/")}
    assert figures == {".png", ".svg"}
    assert all(x is None or len(x) > 100 for x in files.values())
    assert not hidden(tmp_path)

    found = json.loads(files["results.json"])
    assert found["format"] == "diffregimes.analysis/1"
    images, labels = pixels()
    expected = from_arrays(images, labels, per_class=15)
    facts = found["dataset"]
    assert facts["source"] == "pixels.npz"
    assert (facts["n"], facts["d"], facts["classes"]) == (45, 12, ["3", "5", "8"])
    assert (facts["class_counts"], facts["scale"]) == ([15, 15, 15], [0, 1])
    assert facts["fingerprint"] == expected.fingerprint

    recipe = found["recipe"]
    assert (recipe["command"], recipe["seed"], recipe["draws"]) == ("analyze", 0, 512)
    assert recipe["options"]["per_class"] == 15
    assert recipe["options"]["source"] == "pixels.npz"
    assert recipe["versions"]["diffregimes"] == diffregimes.__version__
    assert set(recipe["versions"]) >= {"python", "torch", "numpy"}

    spectrum = found["spectrum"]
    assert spectrum["largest"] == spectrum["eigenvalues"][0] == max(spectrum["eigenvalues"])
    assert spectrum["largest_first_channel"] == pytest.approx(spectrum["largest"])  # grey
    assert 0 < spectrum["noise_edge"] < spectrum["largest"]

    assert [(x["transition"], x["method"]) for x in found["times"]] == GREY
    keys = {"transition", "method", "t", "low", "high", "ddpm_step", "sigma", "snr", "warnings"}
    assert all(set(x) == keys for x in found["times"])
    assert all(x["t"] is not None or x["warnings"] for x in found["times"])

    curves = found["curves"]
    length = len(QUICK[-1].split(","))
    for name in CURVES:
        for column in (name, f"{name}_se"):
            assert len(curves[column]) == length
            assert all(map(math.isfinite, curves[column]))
    assert len(curves["t"]) == length

    assert found["points"]
    keys = {"index", "label", "t", "se", "nearest_index", "nearest_distance"}
    assert all(set(x) == keys and 0 <= x["index"] < 45 for x in found["points"])
    assert {x["name"] for x in found["reliability"]} >= {"nishimori", "two-entropies", "i-mmse"}
    assert Analysis.from_dict(found).to_json() + "\n" == files["results.json"].decode()

    rows = list(csv.reader(files["curves.csv"].decode().splitlines()))
    assert rows[0] == list(curves)
    np.testing.assert_array_equal(np.array(rows[1:], dtype=float).T, list(curves.values()))
    assert found["verdict"]["headline"].split(".")[0] in files["report.html"].decode()
    assert facts["fingerprint"][:12] in files["report.html"].decode()

    # that the figures are the same bytes as well: test_report.py
    without_drawing(monkeypatch)
    assert run("pixels.npz", *QUICK, "--out", "again", "--per-class", "15").code == 0
    again = contents(tmp_path / "again")
    for name in FILES - {"report.html"}:
        assert again[name] == files[name]
    assert set(again) == FILES


def test_a_known_law_is_compared_with_its_theory(run, tmp_path, monkeypatch):
    """The folder is named for the law; the table has exact times and z and fits 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    without_drawing(monkeypatch)
    said = run("gmm:d=16,n=200,mu=1.5", "--draws", "512")
    assert said.code == 0
    files = contents(tmp_path / "runs" / "gmm-d16-n200-mu1.5")
    found = json.loads(files["results.json"])
    theory = found["theory"]
    assert Analysis.from_dict(found).to_json() + "\n" == files["results.json"].decode()
    assert set(theory) == {"low", "high", "z", "times"}
    for side in ("low", "high", "z"):
        assert set(theory[side]) <= set(found["curves"])
        assert {len(x) for x in theory[side].values()} == {len(found["curves"]["t"])}
    keys = {"transition", "method", "t", "z"}
    # a standard error where the exact time was sampled
    assert all(keys <= set(x) <= keys | {"se"} for x in theory["times"])

    lines = [x for x in said.out.splitlines() if not x.startswith("report:")]
    assert max(map(len, lines)) <= 80
    assert "…" not in said.out
    assert next(x for x in lines if "interval" in x).split()[:3] == ["t", "exact", "z"]
    for known in theory["times"]:
        # `clone` is a method of both transitions
        rows = [x.split() for x in lines if x[2:].startswith(f"{known['method']} ")]
        assert any(f"{known['t']:.3f}" in row for row in rows)
    assert "exact theory: " in said.out
    assert "largest |z|" in said.out
    assert "Against the exact theory" in files["report.html"].decode()


@pytest.mark.parametrize("columns", [40, 70])
def test_a_summary_with_theory_loses_nothing_on_a_narrow_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for z, words in ((1.25, "largest |z| 1.2 (mmse)"), (None, "too few points")):
        print_summary(with_theory(make_analysis(), z), Path("out"))
        out = capsys.readouterr().out
        assert "…" not in out
        assert words in " ".join(out.split())
        for text in ("0.951", "0.333", "none"):
            assert text in out


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("gmm:d=1024,n=20000", "gmm-d1024-n20000"),
        ("gmm: d = 2, n = 50,", "gmm-d2-n50"),
        ("gmm:d=1e3,n=50,mu=1e-3,sigma=.5", "gmm-d1e3-n50-mu1e-3-sigma.5"),
        ("gmm:d=../../x", "gmm-d..-..-x"),
    ],
)
def test_the_folder_of_a_law_is_named_for_its_numbers(source, name):
    assert source_name(source) == name


def test_the_same_command_writes_the_same_bytes_whatever_the_times(run, tmp_path, monkeypatch):
    without_report(monkeypatch)
    for out in ("one", "two"):
        assert run("pixels.npz", "--draws", "512", "--out", out).code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_files_of_others_stay(run, earlier, tmp_path, monkeypatch):
    without_report(monkeypatch)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert run("pixels.npz", *QUICK, "--out", "out").code == 0
    after = contents(tmp_path / "out")
    assert after["notes.txt"] == b"mine"
    assert after["results.json"] != earlier["results.json"]
    assert run("pixels.npz", *QUICK, "--out", ".").code == 0  # the working folder itself
    assert (tmp_path / "results.json").read_bytes() == after["results.json"]
    assert not hidden(tmp_path)


# killed, stopped, out of space


# The command, with a file that says that a hundred blocks are drawn: all modules are loaded then.
DRAWING = """
import sys
from pathlib import Path
from diffregimes import cli
import diffregimes.posterior.sweep
sweep, calls = sys.modules["diffregimes.posterior.sweep"], []
draw = sweep.draw_blocks
def told(*given, **more):
    calls.append(1)
    if len(calls) == 100:
        Path("drawing").touch()
    return draw(*given, **more)
sweep.draw_blocks = told
cli.main()
"""


def start(*arguments):
    """The command in a process of its own, once it is at work on its hidden folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRAWING, "analyze", *arguments, "--out", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background may have been told to ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    limit = time.monotonic() + 300  # modules load slowly on a busy machine
    while not hidden(Path.cwd()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)
    return process


def test_a_killed_run_leaves_no_trace_once_it_is_repeated(run, earlier, tmp_path, monkeypatch):
    without_report(monkeypatch)
    command = ["pixels.npz", "--draws", "6000", *QUICK[2:]]
    assert run(*command, "--out", "undisturbed").code == 0
    killed(command_line("analyze", *command, "--out", "out"), lambda: hidden(tmp_path))
    left = contents(tmp_path / "out")
    assert {k: v for k, v in left.items() if not k.startswith(".")} == earlier
    assert hidden(tmp_path)
    assert run(*command, "--out", "out").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    assert not hidden(tmp_path)


def test_ctrl_c_in_the_draws(run, earlier, tmp_path, monkeypatch):
    """Once, in this process, where the modules are loaded; twice, in one of its own, below."""
    sweep = sys.modules["diffregimes.posterior.sweep"]
    draw, calls = sweep.draw_blocks, []

    def told(*given, **more):
        calls.append(1)
        if len(calls) == 100:
            os.kill(os.getpid(), signal.SIGINT)
        assert len(calls) < 10_000, "it goes on as if nothing had been"
        return draw(*given, **more)

    monkeypatch.setattr(sweep, "draw_blocks", told)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        said = run("pixels.npz", "--draws", "100000000", *QUICK[2:], "--out", "out")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (said.code, said.out) == (2, "")
    assert "stopped" in said.err
    assert "Traceback" not in said.err
    assert contents(tmp_path / "out") == earlier
    assert not hidden(tmp_path)


def test_ctrl_c_twice_ends_at_once_with_a_message(earlier, tmp_path):
    process = start("pixels.npz", "--draws", "100000000", *QUICK[2:])
    # well into the draws: an interrupt while modules load may get lost in a callback of theirs
    limit = time.monotonic() + 300  # modules load slowly on a busy machine
    while not Path("drawing").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)  # the draws asked for would take hours
    assert process.returncode == 2
    assert out == ""
    assert "stopped" in err
    assert "Traceback" not in err
    assert contents(tmp_path / "out") == earlier
    assert not hidden(tmp_path)


@pytest.mark.parametrize("target", ["out", "new/folder"])
def test_a_full_disk(run, earlier, tmp_path, monkeypatch, target):
    written = []

    def write(path, data):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr("diffregimes.report.page.analysis.write_atomically", write)
    without_drawing(monkeypatch)
    said = run("pixels.npz", *QUICK, "--out", target, "--figures")
    assert said.code == 2
    assert "No space left on device" in said.err
    assert "--out" in said.err
    assert len(written) == 3
    assert contents(tmp_path / "out") == earlier
    assert not hidden(tmp_path)
    assert not (tmp_path / "new" / "folder").exists()


def test_a_disk_that_is_really_full(run, earlier, tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "diffregimes-test", str(disk)]
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        # the mount point itself as the target: nothing beside it is on the same disk
        with monkeypatch.context() as patch:
            without_report(patch)
            assert run("pixels.npz", *QUICK, "--seed", "7", "--out", "disk").code == 0
        before = contents(disk)
        assert before == earlier
        large = b'<svg viewBox="0 0 1 1"></svg>' + 40_000 * b" "  # as a figure drawn
        monkeypatch.setattr("diffregimes.report.figures.style._saved", lambda *_: large)
        for target in ("disk", "disk/new"):
            said = run("pixels.npz", *QUICK, "--out", target, "--figures")
            assert said.code == 2
            assert "No space left on device" in said.err
            assert contents(disk) == before
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# the folder itself


def fill(stage, text="new"):
    (stage / "figures").mkdir()
    for name in ("results.json", "report.html", "figures/spectrum.svg", "tables.csv"):
        (stage / name).write_text(text)


def test_nothing_moves_before_the_block_has_ended_well(tmp_path):
    out = tmp_path / "a" / "out"
    with staged(out) as stage:
        fill(stage)
        assert not out.exists()
    assert len(contents(out)) == 5
    before = contents(tmp_path)
    with suppress(ZeroDivisionError), staged(out) as stage:
        fill(stage, "half")
        raise ZeroDivisionError
    assert contents(tmp_path) == before


def test_results_json_is_moved_last(tmp_path, monkeypatch):
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(b).name), replace(a, b)))
    with staged(tmp_path / "out") as stage:
        fill(stage)
    assert len(moved) == 4
    assert moved[-1] == "results.json"


@pytest.mark.parametrize("in_the_way", ["report.html/folder", "figures"])
def test_what_is_in_the_way_is_found_before_anything_is_moved(tmp_path, in_the_way):
    out = tmp_path / "out"
    obstacle = out / in_the_way
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("in the way")
    (out / "curves.csv").write_text("earlier")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="cannot write to"), staged(out) as stage:
        fill(stage)
    assert {k: v for k, v in contents(tmp_path).items() if k != "out/figures"} == {
        k: v for k, v in before.items() if k != "out/figures"
    }


def test_a_folder_that_cannot_be_made_or_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at" / "all")
    for name in ("file", "file/below", "file/far/below", "dangling"):
        with pytest.raises(InputError, match=r"is a file.*--out"):
            check_target(tmp_path / name)
        with pytest.raises(InputError, match=r"is a file.*--out"), staged(tmp_path / name):
            pytest.fail("the block must not be entered")
    before = contents(tmp_path)
    check_target(tmp_path / "new" / "folder")
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    for name in ("closed", "closed/new"):
        with pytest.raises(InputError, match="may not write"):
            check_target(tmp_path / name)


def test_a_write_that_is_refused_by_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"may not write.*--out"):
        check_target(tmp_path / "out")


def test_only_the_folders_of_ended_runs_are_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    out = tmp_path / "out[1]"
    out.mkdir()
    stale = [
        tmp_path / f".{out.name}.partial-{ended.pid}",
        out / f".{out.name}.partial-{ended.pid}",
        out / f".{out.name}.partial-{os.getpid()}",  # the number of a run in another container
    ]
    alive = [
        tmp_path / f".{out.name}.partial-{os.getppid()}",
        tmp_path / f".{out.name}.partial-mine",
        tmp_path / f".other.partial-{ended.pid}",
    ]
    for folder in stale + alive:
        folder.mkdir()
        (folder / "half").touch()
    with staged(out) as stage:
        fill(stage)
        assert [x.name for x in stage.iterdir() if x.name == "half"] == []
    assert not any(x.exists() for x in stale)
    assert all((x / "half").exists() for x in alive)


def test_curves_survive_csv_exactly():
    t = np.array([0.1, 1 / 3, 2.5])
    noisy = {"mmse": np.array([1e-300, math.pi, 1e5 / 7])}
    curves = diffregimes.Curves(t, noisy, {"mmse": t / 7}, 4)
    rows = list(csv.reader(curves_csv(curves).splitlines()))
    assert rows[0] == ["t", "mmse", "mmse_se"]
    np.testing.assert_array_equal(np.array(rows[1:], dtype=float).T, [t, noisy["mmse"], t / 7])

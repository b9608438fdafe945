"""The commands `theory phase-diagram`, `reproduce` and `points-needed`."""

from __future__ import annotations

import csv
import functools
import json
import math
import shlex

import numpy as np
import pytest

from command import contents, runner, without_drawing
from diffregimes import theory
from diffregimes.reproduce import figure_2, figure_3
from diffregimes.theory import TwoGaussians, collapse_time, points_needed, speciation_times

PHASE = ("theory", "phase-diagram")
SMALL = ("--d", "10,1e4", "--n", "100,1e9")
FILES = {"phase-diagram.png", "phase-diagram.svg", "phase-diagram.csv", "results.json"}


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("diffregimes.common.numerics.RESAMPLES", 40)
    monkeypatch.setattr("diffregimes.transitions.scaling.RESAMPLES", 40)
    monkeypatch.setattr(figure_2, "DIMENSIONS", (256, 1024))
    monkeypatch.setattr(figure_2, "STEPS", 20)
    monkeypatch.setattr(figure_3, "DIMENSIONS", {16: (512, 0.01)})
    tiny = functools.partial(figure_3.reproduce, n=300)
    monkeypatch.setattr(figure_3, "reproduce", tiny)
    full = theory.phase_diagram

    def coarse(law, d, log_n):  # 11 by 11
        return full(law, d[::6], log_n[::6])

    monkeypatch.setattr(theory, "phase_diagram", coarse)
    return runner(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    points = rng.normal(size=(600, 6)) + 2.0 * labels[:, None]
    np.savez(tmp_path / "cloud.npz", images=points.astype(np.float32), labels=labels)
    return "cloud.npz"


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fits(text, width):
    """Whether every line but those with a path fits, and nothing was cut off."""
    lines = [x for x in text.splitlines() if "phase-diagram.png" not in x and "figure-" not in x]
    return max(map(len, lines)) <= width and "…" not in text


# theory phase-diagram


def test_phase_diagram(run, tmp_path):
    said = run(*SMALL, "--mark", "3072,50000", "--mark", "12,1e8", command=PHASE)
    assert (said.code, said.err) == (0, "")
    folder = tmp_path / "runs" / "phase-diagram"
    assert {x.name for x in folder.iterdir()} == FILES
    rows = table(folder / "phase-diagram.csv")
    assert list(rows[0]) == ["d", "log_n", "t_s", "t_c", "log_n_at_t_s"]
    assert len(rows) == 11 * 11
    d, log_n = (np.array([float(row[k]) for row in rows]) for k in ("d", "log_n"))
    assert (d.min(), d.max()) == pytest.approx((10, 1e4))
    assert (log_n.min(), log_n.max()) == pytest.approx((math.log(100), math.log(1e9)))
    for row in rows[::13]:
        law = TwoGaussians(float(row["d"]))
        t_s = speciation_times(law)["clone"]
        assert float(row["t_s"]) == pytest.approx(t_s)
        assert float(row["t_c"]) == pytest.approx(collapse_time(law, float(row["log_n"])))
        assert float(row["log_n_at_t_s"]) == pytest.approx(float(points_needed(law, t_s)))
    results = json.loads((folder / "results.json").read_text())
    assert results["format"] == "diffregimes.phase-diagram/1"
    assert results["law"] == {"mu": 1.0, "sigma": 1.0, "weight": 0.5}
    assert (results["d"], results["n"]) == ([10, 1e4], [100, 1e9])
    for mark, (d, n) in zip(results["marks"], [(3072, 5e4), (12, 1e8)], strict=True):
        assert mark["d"] == d
        assert mark["t_c"] == pytest.approx(collapse_time(TwoGaussians(d), math.log(n)))
        assert f"d = {d}, n = " in said.out
        assert f"t_S = {mark['t_s']:.3f}, t_C = {mark['t_c']:.3f}, a generalizing" in said.out
    lines = said.out.splitlines()
    starts = ["   10", "  100", "1 000", "10 000"]
    assert all(any(x.lstrip().startswith(k.strip() + " ") for x in lines) for k in starts)
    assert "runs/phase-diagram/phase-diagram.png" in said.out


def test_close_classes_collapse_first(run):
    said = run(*SMALL, "--mu", "0.2", "--mark", "3072,50000", command=PHASE)
    assert "collapse precedes speciation" in said.out


def test_points_that_coincide_have_no_collapse(run, tmp_path):
    said = run(*SMALL, "--sigma", "0", "--mark", "100,1000", "--out", "x", command=PHASE)
    assert said.code == 0
    assert "t_S = 2.308, t_C = none\n" in said.out
    assert {row["t_c"] for row in table(tmp_path / "x" / "phase-diagram.csv")} == {""}
    assert json.loads((tmp_path / "x" / "results.json").read_text())["marks"][0]["t_c"] is None


@pytest.mark.parametrize("options", ["--d 2,1e12 --n 1.01,1e308", "--d 200,900.5 --mark 300,1e300"])
def test_ranges_wide_and_narrow(run, options):
    said = run(*shlex.split(options), command=PHASE)
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--d 10", ("--d is '10'", "two numbers", "--d 2,1e6")),
        ("--d 10,5", ("--d is '10,5'", "lower end first")),
        ("--d 5,5", ("--d", "lower end first")),
        ("--d 0.5,10", ("--d is 0.5", "from 1 to 1e+12")),
        ("--d 10,1e13", ("--d is 1", "from 1 to 1e+12")),
        ("--d few,many", ("'few,many'", "--d 2,1e6")),
        ("--n nan,5", ("--n is nan", "from 1.01")),
        ("--n 2,1e309", ("--n is inf", "1e+308")),
        ("--n 1,5", ("--n is 1.0", "from 1.01")),
        ("--n 1,2,3", ("--n is '1,2,3'", "two numbers")),
        ("--mark 10", ("--mark is '10'", "--mark 3072,50000")),
        ("--mark 0,10", ("--mark: d is 0.0", "from 1")),
        ("--mark 10,1", ("--mark: n is 1.0", "from 1.01")),
        ("--mark 10,1e400", ("--mark: n is inf",)),
        ("--mu -1", ("mu is -1.0", "from 0")),
        ("--mu nan", ("mu is nan",)),
        ("--sigma -0.1", ("sigma is -0.1", "from 0")),
        ("--weight 2", ("weight is 2.0", "share of the class")),
        ("--weight 0", ("weight is 0.0",)),
        ("--mu big", ("--mu", "number")),
        ("--nosuch", ("--nosuch",)),
        ("--out taken", ("taken is a file", "--out")),
        ("--out taken/below", ("taken is a file", "--out")),
    ],
)
def test_phase_diagrams_that_make_no_sense(run, tmp_path, options, words):
    check(run, tmp_path, PHASE, options, words)


def check(run, folder, command, options, words):
    """Exit status 2, a message with these words, and nothing written."""
    (folder / "taken").write_text("a file")
    before = contents(folder)
    said = run(*shlex.split(options), command=command)
    assert (said.code, said.out) == (2, "")
    flat = " ".join(said.err.replace("│", " ").split())
    assert "Traceback" not in flat
    for word in words:
        assert word in flat
    assert contents(folder) == before


# reproduce


def test_figure_2(run, tmp_path):
    said = run("--pairs", "200", "--out", "here", command=("reproduce", "figure-2"))
    assert (said.code, said.err) == (0, "")
    results = json.loads((tmp_path / "here" / "results.json").read_text())
    assert results["recipe"]["pairs"] == 200
    names = {f"figure-2{x}" for x in (".png", ".svg", ".csv", "-table.csv")}
    assert {x.name for x in (tmp_path / "here").iterdir()} == names | {"results.json"}
    assert_printed(said.out, results)


def assert_printed(out, results):
    flat = " ".join(out.split())
    for row in results["rows"]:
        assert f"{row['quantity']} {row['ours']:.4f} {row['se']:.4f}" in flat
    for sentence in results["sentences"]:
        assert " ".join(sentence.split()) in flat
    assert "-0.0 " not in out
    assert "nan" not in out


def test_figure_3(run, tmp_path):
    said = run("--draws-share", "0.01", "--seed", "5", command=("reproduce", "figure-3"))
    assert (said.code, said.err) == (0, "")
    results = json.loads((tmp_path / "runs" / "figure-3" / "results.json").read_text())
    assert (results["recipe"]["share"], results["recipe"]["seed"]) == (0.01, 5)
    assert_printed(said.out, results)
    assert "runs/figure-3/figure-3.png" in said.out


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("figure-2", "--pairs 1", ("--pairs is 1", "from 100")),
        ("figure-2", "--pairs many", ("--pairs", "integer")),
        ("figure-2", "--seed -1", ("--seed is -1", "from 0")),
        ("figure-2", "--out taken", ("taken is a file", "--out")),
        ("figure-3", "--draws-share 0", ("--draws-share is 0.0", "from 0.001")),
        ("figure-3", "--draws-share nan", ("--draws-share is nan",)),
        ("figure-3", "--seed 1e3", ("--seed", "integer")),
        ("figure-3", "--out taken/below", ("taken is a file",)),
        ("figure-6", "", ("figure-6",)),
    ],
)
def test_reproductions_that_make_no_sense(run, tmp_path, command, options, words):
    check(run, tmp_path, ("reproduce", command), options, words)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_leaves_what_was_there(run, tmp_path, monkeypatch, error):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "figure-2.csv").write_text("earlier")
    before = contents(tmp_path)

    def stops(*_, **__):
        raise error

    monkeypatch.setattr(figure_2, "crossing", stops)
    said = run("--pairs", "100", "--out", "out", command=("reproduce", "figure-2"))
    assert said.code == 2
    assert contents(tmp_path) == before
    monkeypatch.setattr("diffregimes.reproduce.tables.png_bytes", stops)
    monkeypatch.setattr("diffregimes.report.runs.svg_bytes", stops)
    said = run("--draws-share", "0.01", "--out", "out", command=("reproduce", "figure-3"))
    assert said.code == 2
    assert contents(tmp_path) == before
    said = run(*SMALL, "--out", "out", command=PHASE)
    assert said.code != 0
    assert contents(tmp_path) == before


# points-needed


def test_a_mixture_has_an_exact_number(run, tmp_path):
    said = run("gmm:d=64,n=300", "--at", "0.5", command=("points-needed",))
    assert (said.code, said.err) == (0, "")
    assert "300 points in 64 dimensions" in said.out
    log_ten = float(points_needed(TwoGaussians(64), 0.5)) / math.log(10)
    assert f"n = {10**log_ten:.1g}: information of the population" in said.out
    bound = next(x for x in said.out.splitlines() if "at most: Gaussian bound" in x)
    assert float(bound.split()[2]) > 10**log_ten
    assert contents(tmp_path) == {}


def test_a_file_is_fitted(run, source):
    said = run(source, "--at", "0.3", "--seed", "3", command=("points-needed",))
    assert (said.code, said.err) == (0, "")
    assert "cloud.npz: 600 points in 6 dimensions" in said.out
    assert "collapse of subsets of 37 to 600 points, fitted" in " ".join(said.out.split())
    assert "at most: Gaussian bound" in said.out


def test_the_data_are_chosen_as_in_analyze(run):
    said = run("digits", "--at", "0.1", "--per-class", "60", "--pad", "1", "--range=-1,1",
               "--classes", "0,1,2,3,4,5,6,7,8", command=("points-needed",))  # fmt: skip
    assert "540 points in 100 dimensions" in said.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("cloud.npz", ("--at",)),
        ("--at 1", ("SOURCE",)),
        ("cloud.npz --at 0", ("--at is 0.0", "from 1e-09 to 300")),
        ("cloud.npz --at nan", ("--at is nan",)),
        ("cloud.npz --at soon", ("--at", "number")),
        ("cloud.npz --at 1 --seed -1", ("--seed is -1",)),
        ("cloud.npz --at 1 --range 1", ("--range is '1'", "--range=-1,1")),
        ("cloud.npz --at 1 --classes 0,7", ("'7' does not exist",)),
        ("cloud.npz --at 1 --per-class 100", ("200 points came", "expected 512 or more", "bound")),
        ("nosuch.npz --at 1", ("nosuch.npz",)),
        ("gmm:d=5 --at 1", ("lacks n",)),
    ],
)
def test_questions_that_make_no_sense(run, source, tmp_path, options, words):
    check(run, tmp_path, ("points-needed",), options, words)


# the terminal


def once(call):
    """The same result whatever is asked for, computed the first time."""
    found = []

    def told(*given, **more):
        if not found:
            found.append(call(*given, **more))
        return found[0]

    return told


def test_everything_fits_the_terminal(run, monkeypatch):
    """What is printed hangs on the width, what is computed does not."""
    without_drawing(monkeypatch)
    for figure in (figure_2, figure_3):
        monkeypatch.setattr(figure, "reproduce", once(figure.reproduce))
    commands = [
        (PHASE, (*SMALL, "--mark", "3072,50000")),
        (("reproduce", "figure-2"), ("--pairs", "100")),
        (("reproduce", "figure-3"), ("--draws-share", "0.01")),
        (("points-needed",), ("gmm:d=64,n=300", "--at", "0.5")),
    ]
    for command, options in commands:
        for width in (60, 80, 120):
            monkeypatch.setenv("COLUMNS", str(width))
            said = run(*options, command=command)
            assert said.code == 0, said.err
            assert fits(said.out, width), said.out


@pytest.mark.parametrize(
    "command", [PHASE, ("reproduce", "figure-2"), ("reproduce", "figure-3"), ("points-needed",)]
)
def test_help_has_examples_that_hold(run, command):
    text = run("--help", command=command).out
    assert "Example" in text
    examples = [x[x.index("diffregimes ") :] for x in text.splitlines() if "diffregimes " in x]
    assert examples
    for words in map(shlex.split, (x.split(" #")[0].rstrip(" │") for x in examples)):
        assert tuple(words[1 : 1 + len(command)]) == command
        assert all(x.split("=")[0] in text for x in words if x.startswith("--"))


def test_the_groups_name_their_commands(run):
    assert "phase-diagram" in run("--help", command=("theory",)).out
    text = run("--help", command=("reproduce",)).out
    assert "figure-2" in text
    assert "figure-3" in text
    everything = run("--help", command=()).out
    assert all(word in everything for word in ("theory", "reproduce", "points-needed"))

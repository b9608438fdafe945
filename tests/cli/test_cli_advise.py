"""The command `advise`: from data or from a run, and what it cannot take."""

from __future__ import annotations

import json

import numpy as np
import pytest

from command import contents, pixels, runner, save_pixels, without_drawing, without_report


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "90")
    without_report(monkeypatch)
    without_drawing(monkeypatch)
    return runner(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path):
    return save_pixels(tmp_path / "pixels.npz")


ANALYZED: dict[str, bytes] = {}


def analyzed(run, source, folder):
    """A run of analyze in `folder`, made once for all tests."""
    if not ANALYZED:
        run(source, "--draws", 256, "--out", folder)
        ANALYZED.update({k: v for k, v in contents(folder).items() if v is not None})
    folder.mkdir(exist_ok=True)
    for name, data in ANALYZED.items():
        (folder / name).write_bytes(data)


def test_data_are_analyzed_and_a_run_is_read(run, source, tmp_path):
    run(source, "--out", "a", "--steps", 5, command=("advise",))
    first = json.loads((tmp_path / "a/advice.json").read_text())
    assert first["format"] == "diffregimes.advice/1"
    assert (tmp_path / "a/results.json").is_file()
    text = run("a", "--scheduler", "cosine", "--steps", 5, command=("advise",)).out
    again = json.loads((tmp_path / "a/advice.json").read_text())
    assert (first["schedule"], again["schedule"]) == ("linear", "cosine")
    for item in again["items"]:
        assert item["question"] in text
    assert "set_timesteps" in text
    assert "advice.html" in text
    page = (tmp_path / "a/advice.html").read_text()
    assert "set_timesteps" in page
    for item in again["items"]:
        assert item["question"] in page


def test_held_out_points_and_a_pilot(run, source, tmp_path):
    images, labels = pixels(seed=1)
    np.savez(tmp_path / "more.npz", images=images, labels=labels)
    rows = [f"{k},0.5,{0.5 + 0.01 * max(k - 900, 0) / 100}" for k in range(100, 2100, 100)]
    (tmp_path / "loss.csv").write_text("\n".join(["step,train,held_out", *rows]) + "\n")
    told = ("--held-out", "more.npz", "--pilot", "loss.csv", "--pilot-points", 30)
    run(source, *told, "--out", "a", command=("advise",))
    items = {x["name"]: x for x in json.loads((tmp_path / "a/advice.json").read_text())["items"]}
    assert len(items["danger zone"]["lists"]["weight"]) > 10
    found = items["training length"]["numbers"]
    assert found["n"] == 60
    assert found["low"] <= 1800 <= found["high"]


def test_json_is_what_lies_in_the_folder(run, source, tmp_path):
    analyzed(run, source, tmp_path / "a")
    before = contents(tmp_path / "a")
    text = run("a", "--format", "json", "--out", "b", command=("advise",)).out
    assert json.loads(text) == json.loads((tmp_path / "b/advice.json").read_text())
    assert contents(tmp_path / "a") == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("a", "--classes", "0,1"), "no options of the data"),
        (("a", "--steps", 1), "--steps"),
        (("a", "--epsilon", 0), "--epsilon"),
        (("a", "--scheduler", "nowhere"), "unknown schedule"),
        (("a", "--scheduler", "."), "scheduler_config.json"),
        (("other",), "not that of an analysis"),
        (("broken",), "results.json"),
        (("nowhere.npz",), "nowhere.npz"),
        (("bare",), "bare"),
        (("a", "--held-out", "pixels.npz"), "Give the data"),
        (("pixels.npz", "--held-out", "tall.npz"), "sample_shape of the held-out points"),
        (("a", "--pilot", "bare"), "no loss.csv"),
        (("a", "--pilot", "loss.csv", "--pilot-points", 9), "no column held_out"),
        (("a", "--pilot-points", 9), "without a pilot"),
    ],
)
def test_what_it_cannot_take(run, source, tmp_path, options, said):
    analyzed(run, source, tmp_path / "a")
    for name, text in (("other", '{"format": "x"}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text)
    (tmp_path / "bare").mkdir()
    (tmp_path / "loss.csv").write_text("step,train\n1,0.5\n")
    images, labels = pixels()
    np.savez(tmp_path / "tall.npz", images=images[:, :3], labels=labels)
    before = contents(tmp_path)
    found = run(*options, command=("advise",))
    assert found.code == 2
    assert said in found.err
    assert contents(tmp_path) == before

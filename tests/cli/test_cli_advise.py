"""The command `advise`: from data or from a run, and what it cannot take."""

from __future__ import annotations

import json

import pytest

from command import contents, runner, save_pixels, without_report


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "90")
    without_report(monkeypatch)
    return runner(monkeypatch, capfd)


@pytest.fixture
def source(tmp_path):
    return save_pixels(tmp_path / "pixels.npz")


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


def test_json_is_what_lies_in_the_folder(run, source, tmp_path):
    run(source, "--draws", 256, "--out", "a")
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
    ],
)
def test_what_it_cannot_take(run, source, tmp_path, options, said):
    run(source, "--draws", 256, "--out", "a")
    for name, text in (("other", '{"format": "x"}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text)
    before = contents(tmp_path)
    found = run(*options, command=("advise",))
    assert found.code == 2
    assert said in found.err
    assert contents(tmp_path) == before

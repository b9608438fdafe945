"""Figures 1 and 5: backward runs under the exact score, beside the forward pass."""

from __future__ import annotations

import json

import numpy as np
import pytest

from command import runner
from diffregimes import InputError, load
from diffregimes.reproduce import figure_1, figure_5, sources
from diffregimes.reproduce.tables import write


@pytest.fixture(scope="module")
def digits():
    return load("digits", classes=["0", "1"], per_class=60)


@pytest.fixture(scope="module")
def first():
    return figure_1.reproduce(trajectories=24)


@pytest.fixture(scope="module")
def fifth(digits):
    return figure_5.reproduce([sources.halved(digits), digits], pairs=200, steps=150)


def test_trajectories_start_as_noise_and_end_on_training_points(first):
    t, x = np.array(first.numbers["t"]), np.array(first.numbers["coordinate"])
    start, end = x[t == t.max()], x[t == t.min()]
    assert len(start) == len(end) == 24
    assert abs(start.mean()) < 4 / np.sqrt(24)
    assert 0.5 < start.std() < 1.6
    data = load("digits", classes=["0", "1"])
    centred = data.points.astype(float) - data.points.mean(axis=0, dtype=float)
    along = centred[data.labels == 1].mean(axis=0) - centred[data.labels == 0].mean(axis=0)
    known = centred @ along / np.linalg.norm(along)
    # at t = 0.001 the noise left is sqrt(0.002) wide
    assert np.abs(end[:, None] - known).min(axis=1).max() < 5 * np.sqrt(0.002)
    classes = np.array(first.numbers["final_class"])[t == t.min()]
    middle = 0.5 * sum(known[data.labels == k].mean() for k in (0, 1))
    assert ((end > middle) == (classes == 1)).mean() > 0.9


def test_the_table_of_figure_1_holds_both_times(first):
    assert [row.quantity[:3] for row in first.rows] == ["t_S", "t_C"]
    assert first.rows[0].ours > first.rows[1].ours


def test_clones_of_figure_5_agree_with_the_forward_pass(fifth):
    columns = fifth.numbers
    assert set(columns["dataset"]) == {"4x4", "8x8"}
    z = np.array(columns["same_point_probability_z"])
    assert np.abs(z).max() < 4
    assert {"mean last change, 8x8", "t_C by clone, 4x4"} <= {x.quantity for x in fifth.rows}
    # fewer pixels hide the points for longer
    last = {x.quantity: x.ours for x in fifth.rows}
    assert last["mean last change, 8x8"] > last["mean last change, 4x4"]
    assert all("100% of the samples are copies" in x for x in fifth.sentences)


def test_halving_takes_means_over_four_pixels(digits):
    small = sources.halved(digits)
    assert small.sample_shape == (4, 4, 1)
    image, half = digits.points[3].reshape(8, 8), small.points[3].reshape(4, 4)
    np.testing.assert_allclose(half[1, 2], image[2:4, 4:6].mean(), rtol=1e-6)


@pytest.mark.parametrize("name", ["first", "fifth"])
def test_everything_is_written(name, request, tmp_path):
    found = request.getfixturevalue(name)
    write(found, tmp_path)
    endings = ".png", ".svg", ".csv", "-table.csv"
    expected = {f"{found.name}{x}" for x in endings} | {"results.json"}
    assert {x.name for x in tmp_path.iterdir()} == expected
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["format"] == "diffregimes.reproduction/1"
    assert stored["recipe"]["seed"] == 0


def test_commands(monkeypatch, capfd, tmp_path, digits):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFREGIMES_DATA", raising=False)
    run = runner(monkeypatch, capfd)
    said = run("--trajectories", 6, "--out", "one", command=("reproduce", "figure-1"))
    assert said.code == 0, said.err
    assert (tmp_path / "one" / "figure-1.png").is_file()
    said = run(command=("reproduce", "figure-5"))
    assert said.code == 2
    assert "DIFFREGIMES_DATA" in said.err
    images = digits.points.reshape(-1, 8, 8)
    np.savez(tmp_path / "small.npz", images=images, labels=digits.labels)
    options = "small.npz", "--pairs", 20, "--steps", 30, "--out", "five"
    said = run(*options, command=("reproduce", "figure-5"))
    assert said.code == 0, said.err
    assert "mean last change, 8x8" in said.out
    said = run(*options, "--score", "learned", command=("reproduce", "figure-5"))
    assert said.code == 2
    assert "--score" in said.err


def test_images_that_cannot_be_halved(tmp_path):
    vectors = load("gmm:d=16,n=50")
    with pytest.raises(InputError, match="images"):
        sources.halved(vectors)

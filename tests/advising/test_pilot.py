"""Where the gap of a pilot opens: losses with a known step, and tables as they come."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffregimes.advising import pilot
from diffregimes.advising.pilot import Pilot
from diffregimes.common.checks import InputError

STEPS = np.arange(100.0, 4001, 100)


def losses(tau, seed=0, noise=0.01, slope=4e-4, points=100):
    """Both fall; their log ratio is flat at 0.03, and a line from tau on that bends in the end."""
    rng = np.random.default_rng(seed)
    train = 0.1 + np.exp(-STEPS / 400)
    shaken = noise * rng.standard_normal(len(STEPS) + 1)
    shaken = (shaken[1:] + shaken[:-1]) / np.sqrt(2)  # rows hang together
    rise = slope * np.maximum(STEPS - tau, 0)
    gap = 0.03 + np.minimum(rise, 0.5 + rise / 4) + shaken
    return Pilot("made up", points, STEPS, train, train * np.exp(gap))


def test_the_interval_holds_the_step():
    """In 95 of 100 tables, by their binomial error."""
    found = [pilot.opening(losses(1230, seed)) for seed in range(60)]
    held = [x.low <= 1230 <= x.high for x in found]
    assert np.mean(held) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 60)
    steps = np.array([x.step for x in found])
    assert abs(steps.mean() - 1230) < 3 * steps.std() / np.sqrt(60) + 12.5  # of the grid of steps
    assert np.mean([x.high - x.low for x in found]) < 500


def test_a_level_that_is_not_zero_is_no_gap():
    """Held-out points may be harder throughout: a pilot in which nothing is memorised."""
    for seed in range(20):
        found = pilot.opening(losses(1e9, seed))
        assert found.step is None
        assert found.low == 4000


def test_a_gap_that_is_open_from_the_first_rows():
    found = pilot.opening(losses(0.0, slope=2e-4))
    assert found.low == 0


def test_scaled_to_the_points_of_the_data(analysis):
    item = analysis.advise(pilot=losses(1230, points=50))["training length"]
    n = analysis.dataset.n
    assert item.answered
    assert item.numbers["steps"] == pytest.approx(item.numbers["pilot"] * n / 50)
    assert item.numbers["low"] < item.numbers["steps"] < item.numbers["high"]
    closed = analysis.advise(pilot=losses(1e9, points=50))["training length"]
    assert closed.numbers["at least"] == pytest.approx(4000 * n / 50)
    assert "at least" in closed.answer
    assert "--pilot" in analysis.advise()["training length"].answer


def written(folder, heads="step,train,held_out", rows=None, recipe=None, name="loss.csv"):
    made = losses(1230)
    if rows is None:
        rows = [
            f"{s:.0f},{a},{b}" for s, a, b in zip(STEPS, made.train, made.held_out, strict=True)
        ]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([heads, *rows]) + "\n")
    if recipe is not None:
        (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def test_a_folder_of_train_and_a_table(tmp_path):
    recipe = {"points": 80, "sample_shape": [5]}
    folder = written(tmp_path / "a", "step,train_loss,held_out_loss", recipe=recipe)
    found = pilot.read(folder)
    assert (found.points, found.shape) == (80, (5,))
    np.testing.assert_allclose(found.held_out, losses(1230).held_out)
    assert pilot.read(folder, 80).points == 80
    table = pilot.read(folder / "loss.csv", 30)
    assert (table.points, table.shape) == (30, None)
    more = [f"0.5,{s:.0f}, {a} ,{b}" for s, a, b in zip(
        STEPS, found.train, found.held_out, strict=True)]  # fmt: skip
    other = pilot.read(written(tmp_path / "b", "loss,step,train,held_out", more) / "loss.csv", 9)
    np.testing.assert_allclose(other.train, found.train)


FLAT = [f"{k},0.5,0.5" for k in range(1, 20)]


@pytest.mark.parametrize(
    ("heads", "rows", "match"),
    [
        ("step,loss,held_out", None, "no column train"),
        ("step,train_loss,held_out_loss", [f"{k},0.5," for k in range(20)], "--held-out"),
        ("step,train,held_out", FLAT[:5], "--every"),
        ("step,train,held_out", FLAT[::-1], "increasing steps"),
        ("step,train,held_out", [*FLAT, "20,x,0.5"], "a number in each row"),
        ("step,train,held_out", [*FLAT, "20,0,0.5"], "above 0"),
        ("step,train,held_out", [*FLAT, "20,nan,0.5"], "finite"),
    ],
)
def test_tables_that_say_nothing(tmp_path, heads, rows, match):
    folder = written(tmp_path / "a", heads, rows)
    with pytest.raises(InputError, match=match):
        pilot.read(folder / "loss.csv", 50)


def test_how_many_points_must_be_known(tmp_path, analysis):
    bare = written(tmp_path / "a")
    with pytest.raises(InputError, match="--pilot-points N0"):
        pilot.read(bare)
    folder = written(tmp_path / "b", recipe={"points": 80, "sample_shape": [7]})
    with pytest.raises(InputError, match="trained on 80"):
        pilot.read(folder, 81)
    with pytest.raises(InputError, match="--pilot-points"):
        pilot.read(folder, 1)
    with pytest.raises(InputError, match="shape"):
        analysis.advise(pilot=folder)
    with pytest.raises(InputError, match="without a pilot"):
        analysis.advise(pilot_points=5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no loss\.csv"):
        pilot.read(tmp_path / "empty")
    with pytest.raises(InputError, match="nowhere"):
        pilot.read(tmp_path / "nowhere.csv", 3)

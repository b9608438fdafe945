"""Windows and groups on the page, in the terminal and in files."""

from __future__ import annotations

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
from typer.testing import CliRunner

import diffregimes as dr
from diffregimes.cli.app import app
from diffregimes.report.folder import staged
from diffregimes.report.page.analysis import full_page
from diffregimes.report.page.windows import figures, meaning
from diffregimes.report.runs import maps
from diffregimes.report.terminal.analysis import print_summary
from diffregimes.report.words import part_rows
from diffregimes.results import PartTimes, Windows
from pages import Loads, visible
from sample_analysis import digits, make_analysis, plain_points


def times(method, t):
    t = np.array(t, dtype=float)
    known = t[np.isfinite(t)]
    if not len(known):
        return PartTimes(method, t, t, t, None, None, None)
    mean = float(known.mean())
    return PartTimes(method, t, 0.9 * t, 1.1 * t, mean, 0.95 * mean, 1.05 * mean)


def squares(width, side, per_row, scale=1.0, none=()):
    """Windows of images: times that rise along a row."""
    at = np.linspace((width - 1) / 2, side - (width + 1) / 2, per_row)
    rows, columns = (x.ravel() for x in np.meshgrid(at, at, indexing="ij"))
    t = 0.02 * scale * (1 + np.arange(len(rows)))
    t[list(none)] = np.nan
    sizes = np.full(len(rows), float(width**2))
    return Windows(
        width, rows, columns, (), sizes, np.full(len(rows), 99.0), times("clone-loo", 2 * t),
        times("bounded-free-energy", t), 512, ("t_C is none in 1 (constant) of 9 windows",),
    )  # fmt: skip


def groups():
    none = np.empty(0)
    return Windows(
        None, none, none, ("body <b>", "heart"), np.array([2.0, 3.0]), np.array([60.0, 60.0]),
        times("clone-loo", [0.4, np.nan]), times("bounded-free-energy", [0.1, 0.2]), 256,
    )  # fmt: skip


@cache
def of_images():
    data = digits(0, 1)
    found = make_analysis(data)
    return dataclasses.replace(found, windows=(squares(2, 8, 4, none=(0,)), squares(4, 8, 3, 3.0)))


def test_results_keep_them():
    found = dataclasses.replace(of_images(), windows=(*of_images().windows, groups()))
    back = dr.Analysis.from_dict(json.loads(found.to_json()))
    assert back.to_json() == found.to_json()
    np.testing.assert_array_equal(back.windows[0].collapse.t, found.windows[0].collapse.t)
    assert back.windows[2].names == ("body <b>", "heart")
    assert "windows" not in json.loads(dataclasses.replace(found, windows=()).to_json())


def test_maps_lie_as_the_windows_do():
    held = maps((*of_images().windows, groups()))
    assert held["t_C_2"].shape == (4, 4)
    assert np.isnan(held["t_C_2"][0, 0])
    assert held["t_C_2"][1, 2] == pytest.approx(0.02 * 7)
    assert held["t_S_low_4"][2, 1] == pytest.approx(0.9 * 2 * 0.06 * 8)
    assert held["columns_4"].tolist() == [1.5, 3.5, 5.5]
    assert held["groups"].tolist() == ["body <b>", "heart"]
    assert held["t_C_groups"].tolist() == [0.1, 0.2]


def test_maps_of_an_earlier_run_do_not_stay(tmp_path):
    out = tmp_path / "run"
    for names, left in ((("maps.npz", "results.json"), True), (("results.json",), False)):
        with staged(out) as stage:
            for name in names:
                (stage / name).write_text("{}")
        assert (out / "maps.npz").exists() is left


def test_the_page_says_what_it_means():
    page = full_page(of_images(), digits(0, 1))
    text = visible(page)
    assert "Where in the sample?" in text
    assert "patches of that size are copied while the whole is still new" in text
    assert "2 × 2 at t = 0.180, 4 × 4 at t = 0.300" in text
    assert "2 × 2: tC is none in 1 (constant) of 9 windows." in text
    loads = Loads()
    loads.feed(page)
    assert not [x for x in loads.sources if not x.startswith(("data:", "#"))]
    assert len(loads.ids) == len(set(loads.ids))


def test_groups_are_escaped_and_stand_alone():
    found = dataclasses.replace(make_analysis(plain_points()), windows=(groups(),))
    page = full_page(found, None)
    assert "body &lt;b&gt;" in page
    assert "body <b>" not in page
    assert not meaning(found)
    assert [*figures(found, None)] == ["feature_groups"]


def test_windows_of_features_are_lines():
    square = squares(2, 5, 2)
    lines = dataclasses.replace(square, rows=np.empty(0))
    found = dataclasses.replace(make_analysis(plain_points()), windows=(lines,))
    drawn = figures(found, None)
    assert [*drawn] == ["windows", "sizes"]
    assert len(drawn["windows"].axes) == 2
    assert "stretches of that size" in meaning(found)


def test_one_colour_is_one_time_in_all_maps():
    drawn = figures(of_images(), digits(0, 1))["windows"]
    images = [ax.get_images()[0].get_array() for ax in drawn.axes if ax.get_images()]
    assert len(images) == 4
    # at a place where the mean image is black, 0.12 in the maps of both widths: windows 5 and 1
    small, large = (np.asarray(x) for x in images[2:])
    step = len(small) // 8
    t2, t4 = (x.map(x.collapse.t) for x in of_images().windows)
    assert t2[1, 1] == pytest.approx(t4[0, 1])
    grey = digits(0, 1).points.mean(axis=0).reshape(8, 8)
    one, other = small[3 * step, 3 * step] - 0.2 * grey[3, 3], large[0, 3 * step] - 0.2 * grey[0, 3]
    np.testing.assert_allclose(one, other, atol=0.01)
    assert np.ptp(small[0, 0]) < 1e-9  # without a time: grey, and pale
    assert small[0, 0].min() > 0.65


def test_maps_without_any_time():
    none = squares(4, 8, 3, none=range(9))
    found = dataclasses.replace(of_images(), windows=(none,))
    assert figures(found, digits(0, 1))["windows"].axes
    assert part_rows(found)[0][2:] == ("none", "", "none", "")


def test_the_terminal_has_a_row_for_each(capsys, tmp_path):
    found = dataclasses.replace(of_images(), windows=(*of_images().windows, groups()))
    print_summary(found, tmp_path)
    out = capsys.readouterr().out
    assert "parts of the samples" in out
    rows = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert "0.180" in rows["2 × 2"]
    assert "0.171 to 0.189" in rows["2 × 2"]
    assert "none" in rows["heart"]
    assert "3 features" in rows["heart"]
    whole = found.time("collapse").t
    assert f"{whole:.2f}"[:4] in rows["whole"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--windows", "9"], "a width of 9 pixels, and a sample has 8 x 8"),
        (["--windows", "0"], "a width of 0 pixels"),
        (["--windows", "2.5"], "expected one or more widths in pixels"),
        (["--windows", "two"], "expected numbers separated by commas"),
        (["--groups", "no-such.csv"], "no-such.csv"),
    ],
)
def test_the_command_refuses_before_it_computes(options, said, tmp_path):
    command = ["analyze", "digits", "--classes", "0,1", "--dry-run", "--out", str(tmp_path / "x")]
    result = CliRunner().invoke(app, [*command, *options])
    assert isinstance(result.exception, dr.InputError), result.output
    assert said in str(result.exception)


def test_the_command_end_to_end(tmp_path):
    """Groups and windows of a table, by the names of its columns."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((120, 4))
    points[:, :2] += 1.5 * (np.arange(120) % 2)[:, None]
    rows = ["a,b,c,d,label", *(",".join([*(f"{x:.6f}" for x in row), "xy"[k % 2]])
                               for k, row in enumerate(points))]  # fmt: skip
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    (tmp_path / "groups.csv").write_text("a,first\nb,first\nc,second\n")
    out = tmp_path / "run"
    command = ["analyze", str(tmp_path / "cells.csv"), "--labels", "label", "--draws", "512"]
    command += ["--windows", "2", "--groups", str(tmp_path / "groups.csv"), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads((out / "results.json").read_text())
    windows, named = found["windows"]
    assert windows["width"] == 2
    assert len(windows["columns"]) == 3
    assert named["names"] == ["first", "second"]
    assert named["speciation"]["t"][0] > 0
    assert named["speciation"]["t"][1] is None
    assert found["recipe"]["options"]["windows"] == "2"
    assert (out / "maps.npz").is_file()
    assert "Where in the sample?" in (out / "report.html").read_text()

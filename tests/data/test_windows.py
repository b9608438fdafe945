"""Parts of samples: which features a window or a group holds, and what is no part."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import diffregimes as dr
from diffregimes.data.windows import parts_of


def images(height=6, width=8, channels=3, n=8):
    rng = np.random.default_rng(0)
    shape = (n, height, width, channels)
    return dr.from_arrays(rng.random(shape).astype(np.float32), np.arange(n) % 2)


def table(d=7, n=8):
    rng = np.random.default_rng(0)
    return dr.from_arrays(rng.standard_normal((n, d)).astype(np.float32), np.arange(n) % 2)


@pytest.mark.parametrize(("height", "width", "p"), [(6, 8, 4), (7, 9, 3), (5, 5, 5), (6, 7, 1)])
def test_windows_are_the_pixels_of_their_squares(height, width, p):
    data = images(height, width)
    (kind,) = parts_of(data, [p], None)
    pixels = data.points.reshape(data.n, height, width, 3)
    seen = np.zeros((height, width), dtype=int)
    for part in kind.parts:
        row, column = (round(x - (p - 1) / 2) for x in part.centre)
        square = pixels[:, row : row + p, column : column + p]
        np.testing.assert_array_equal(data.points[:, part.features], square.reshape(data.n, -1))
        seen[row : row + p, column : column + p] += 1
    assert seen.min() >= 1  # every pixel is seen
    corners = {part.centre for part in kind.parts}
    assert ((p - 1) / 2, (p - 1) / 2) in corners
    assert (height - (p + 1) / 2, width - (p + 1) / 2) in corners  # the last ends with the image
    rows = sorted({x for x, _ in corners})
    assert max(np.diff(rows), default=0) <= max(p // 2, 1)  # half a width apart


def test_windows_of_neighbouring_features():
    (kind,) = parts_of(table(7), [4], None)
    assert [x.features.tolist() for x in kind.parts] == [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]
    assert [x.centre for x in kind.parts] == [(1.5,), (3.5,), (4.5,)]


def test_widths_come_in_order_and_once():
    assert [x.width for x in parts_of(table(7), [4, 2, 4.0], None)] == [2, 4]


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([0], "a width of 0 features"),
        ([8], "a width of 8 features, and a sample has 7; expected widths from 1 to 7"),
        ([-3, 2], "a width of -3"),
        ([2.5], "expected one or more widths in features"),
        ([], "expected one or more widths"),
        (["a"], "expected one or more widths"),
        ([float("inf")], "expected one or more widths"),
        ([float("nan")], "expected one or more widths"),
    ],
)
def test_what_is_no_width(windows, said):
    with pytest.raises(dr.InputError, match=said):
        parts_of(table(7), windows, None)


def test_a_window_larger_than_the_image():
    with pytest.raises(dr.InputError, match=r"has 6 x 8; expected widths from 1 to 6"):
        parts_of(images(6, 8), [7], None)


def named(tmp_path):
    path = tmp_path / "cells.csv"
    rows = ["height,weight,pulse,label"]
    rows += [f"{k},{k % 3},{k % 5},{'ab'[k % 2]}" for k in range(12)]
    path.write_text("\n".join(rows))
    return dr.load(path, labels="label")


def test_groups_by_name_and_by_number(tmp_path):
    data = named(tmp_path)
    assert data.columns == ("height", "weight", "pulse")
    path = tmp_path / "groups.csv"
    path.write_text("feature,group\nheight,body\n1,body\n pulse , heart \n")
    (kind,) = parts_of(data, None, path)
    assert [(x.name, x.features.tolist()) for x in kind.parts] == [("body", [0, 1]), ("heart", [2])]
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"body": ["height", 1], "heart": [2]}))
    (same,) = parts_of(data, None, path)
    assert [x.features.tolist() for x in same.parts] == [[0, 1], [2]]
    (again,) = parts_of(data, None, {"body": ("weight", "height"), "heart": ["pulse"]})
    assert [x.features.tolist() for x in again.parts] == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"a": ["nose"]}, "names feature 'nose', .* from 0 to 2, or a name: height, weight, pulse"),
        ({"a": [3]}, "names feature 3, which the data do not have; expected a number from 0 to 2"),
        ({"a": [-1]}, "names feature -1"),
        ({"a": [True]}, "names feature True"),
        ({"a": [1.5]}, "names feature 1.5"),
        ({"a": ["height"], "b": [0]}, "has feature 'height' in both 'a' and 'b'"),
        ({"a": []}, "has no features for group 'a'"),
        ({"a": "height"}, "has 'height' for group 'a'; expected a list"),
        ({"a": 2}, "has 2 for group 'a'; expected a list"),
        ({}, "holds no groups"),
        ({"a": [0, 1, 2]}, "puts all 3 features into group 'a'"),
    ],
)
def test_what_is_no_group(tmp_path, groups, said):
    with pytest.raises(dr.InputError, match=said):
        parts_of(named(tmp_path), None, groups)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "height,body,more\n", "has the row 'height,body,more'"),
        ("a.csv", "height,\n", "has the row 'height,'"),
        ("a.csv", "", "holds no groups"),
        ("a.csv", "feature,group\n", "holds no groups"),
        ("a.csv", "height,a\nheight,b\n", "in both 'a' and 'b'"),
        ("a.json", "[1, 2]", "holds a list; expected"),
        ("a.json", "{", "is not JSON"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_what_is_no_file_of_groups(tmp_path, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(dr.InputError, match=said):
        parts_of(named(tmp_path), None, path)


def test_points_in_a_file_are_refused(tmp_path):
    path = tmp_path / "many.npy"
    np.save(path, np.random.default_rng(0).standard_normal((60_000, 80)).astype(np.float32))
    data = dr.load(path, memory_mib=16)
    assert data.in_file
    with pytest.raises(dr.InputError, match="stay in their file; raise memory_mib"):
        parts_of(data, [4], None)
    assert parts_of(data, None, None) == ()


def test_points_that_count_as_groups_have_windows():
    points = np.random.default_rng(0).random((6, 4, 4))
    dataset = replace(dr.from_arrays(points), groups=np.array([0, 0, 1, 1, 2, 2]))
    (kind,) = parts_of(dataset, [2], None)
    assert len(kind.parts) == 9

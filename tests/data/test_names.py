"""A point keeps its name, its place in the source and its file, whatever part of it is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from diffregimes.analysis import analyze
from diffregimes.data.datasets import Dataset, from_arrays
from diffregimes.data.readers import load

LABELS = np.array([3, 1, 8, 3, 1, 8, 3, 1, 8, 3, 1, 8])
POINTS = np.arange(12)[:, None] * np.ones((1, 2)) + np.array([0, 0.5])


def places(data: Dataset) -> list[int]:
    """Where the points stand in POINTS, by their values."""
    return [round(float(x[0])) for x in data.points]


@pytest.mark.parametrize(
    "options",
    [{}, {"classes": [8, 1]}, {"per_class": 2}, {"classes": "3", "per_class": 3}],
)
def test_indices_are_those_of_the_source(options):
    data = from_arrays(POINTS, LABELS, **options)
    assert data.indices.tolist() == places(data)
    part = data.take(np.array([2, 0]))
    assert part.indices.tolist() == places(part) == [places(data)[2], places(data)[0]]
    name = data.class_names[-1]
    alone = data.only(name)
    assert alone.indices.tolist() == places(alone)
    assert set(LABELS[alone.indices]) == {int(name)}
    assert alone.class_names == (name,)
    assert alone.class_counts == (alone.n,)
    assert alone.conditions == (int(name),)
    for row, index in enumerate(data.indices):
        assert data.place_of(int(index)) == row
    assert data.place_of(99) is None


def test_without_labels_they_count_all():
    assert from_arrays(POINTS).indices.tolist() == list(range(12))
    assert Dataset(POINTS, LABELS * 0, ("a",), (2,)).indices.tolist() == list(range(12))


@pytest.fixture
def folder(tmp_path):
    """Three images of each of ant, bee and cow: image k of class c has the grey level 10 c + k."""
    for c, name in enumerate(("ant", "bee", "cow")):
        (tmp_path / name).mkdir()
        for k in range(3):
            pixels = np.full((2, 2), 10 * c + k, np.uint8)
            pixels[0, 0] = 99
            Image.fromarray(pixels).save(tmp_path / name / f"{k}.png")
    return tmp_path


def check(data: Dataset) -> None:
    levels = np.round(data.points[:, 1] * 255).astype(int)
    assert data.indices.tolist() == [3 * (x // 10) + x % 10 for x in levels]
    for row, level in enumerate(levels):
        assert data.file_of(row) == f"{('ant', 'bee', 'cow')[level // 10]}/{level % 10}.png"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"classes": ["cow", "bee"]},
        {"per_class": 2},
        {"classes": ["bee"], "per_class": 2},
        {"classes": ["cow", "ant"], "skip_unreadable": True},
        {"labels": "none", "skip_unreadable": True},
    ],
)
def test_images_are_named_by_their_files(folder, options):
    if "skip_unreadable" in options:
        for name in ("ant/1.png", "bee/0.png"):
            (folder / name).write_bytes(b"broken")
    data = load(folder, **options)
    check(data)
    check(data.take(np.array([1, 0])))
    check(data.only(data.class_names[0]))
    if data.labelled:
        assert data.conditions == tuple(["ant", "bee", "cow"].index(x) for x in data.class_names)


def test_a_table_of_labels_numbers_the_classes(folder):
    (folder / "l.csv").write_text(
        "\n".join(f"{x}/{k}.png,{7 - i}" for i, x in enumerate(("ant", "bee", "cow"))
                  for k in range(3))
    )  # fmt: skip
    data = load(folder, labels=folder / "l.csv", classes=[5, 7])
    check(data)
    assert data.conditions == (5, 7)


def test_classes_have_the_numbers_of_the_source():
    assert from_arrays(POINTS, LABELS, classes=[8, 1]).conditions == (8, 1)
    names = np.array(["x", "a", "q"])[np.arange(12) % 3]
    assert from_arrays(POINTS, names).conditions == (0, 1, 2)
    assert from_arrays(POINTS, names, classes=["x", "a"]).conditions == (2, 0)
    named = from_arrays(POINTS, LABELS, class_names=[f"c{k}" for k in range(9)], classes=["c8"])
    assert named.conditions == (8,)
    assert from_arrays(POINTS).conditions == ()


def test_a_lone_point_is_named_by_its_file(folder):
    for path in folder.glob("*/*.png"):
        Image.fromarray(np.full((2, 2), 200 * (path.parent.name == "bee"), np.uint8)).save(path)
    for k in (1, 2):
        (folder / "bee" / f"{k}.png").unlink()
    with pytest.raises(ValueError, match=r"point bee/0\.png stands alone"):
        load(folder, labels="none")


def test_results_name_points_by_the_source():
    """A duplicate pair and a far point, planted at known places, of a part of the points."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 4)).astype(np.float32)
    labels = np.arange(60) % 3
    points[31] = points[7]  # both of class 1
    points[53] += 40  # of class 2
    part = from_arrays(points, labels, classes=[1, 2], per_class=19)
    assert part.place_of(53) not in (None, 53)
    found = analyze(part, draws=512, times=[0.001, 0.01, 0.1, 0.5, 1, 2, 4])
    twins = {(x.index, x.other) for x in found.duplicates}
    assert (7, 31) in twins
    assert found.points[0].index == 53
    gaps = np.linalg.norm(part.points - points[53], axis=1)
    gaps[part.place_of(53)] = np.inf
    assert found.points[0].nearest_index == part.indices[gaps.argmin()]
    assert {x.label for x in found.points if labels[x.index] == 2} == {1}
    assert found.dataset.indexed == "source"
    files = tuple(f"f{i}.png" for i in part.indices)
    named = analyze(replace(part, files=files), draws=512, times=[0.001, 0.01, 0.1, 0.5, 1, 2, 4])
    for x in named.points:
        assert (x.file, x.nearest_file) == (f"f{x.index}.png", f"f{x.nearest_index}.png")
    assert [(x.file, x.other_file) for x in named.duplicates if x.kind == "exact"] == [
        ("f7.png", "f31.png")
    ]
    # arrays of one's own: the indices of these arrays
    whole = analyze(points, labels, draws=512, times=[0.001, 0.01, 0.1, 0.5, 1, 2, 4])
    assert whole.points[0].index == 53

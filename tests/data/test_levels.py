"""Levels of labels: files, mappings, folders, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import diffregimes as dr
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.levels import by_folders, groupings

CLASSES = ("cat", "dog", "car", "bus")
ROWS = "cat,animal,furry\ndog,animal,furry\ncar,thing,hard\nbus,thing,long\n"


@pytest.mark.parametrize("head", ["", "class,kind,feel\n", "\ufeffclass,kind,feel\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table(tmp_path, head, end):
    path = tmp_path / "levels.csv"
    path.write_text((head + ROWS).replace("\n", end), encoding="utf-8", newline="")
    one, two = groupings(path, CLASSES)
    assert (one.name, two.name) == (("kind", "feel") if head else ("level 1", "level 2"))
    assert one.names == ("animal", "thing")
    assert one.of_class.tolist() == [0, 0, 1, 1]
    assert two.of_class.tolist() == [0, 0, 1, 2]
    assert groupings(str(path), CLASSES[::-1])[0].of_class.tolist() == [0, 0, 1, 1]


def test_a_mapping_and_rows_that_repeat():
    level = groupings({"kind": {"cat": "a", "dog": "a", "car": "t", "bus": "t"}}, CLASSES)[0]
    assert level.of_class.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (ROWS + "cat,thing,furry\n", "'cat' into both 'animal' and 'thing'"),
        (ROWS + "cow,animal,furry\n", "one for cow"),
        ("cat,animal\ndog,animal\ncar,thing\n", "none for bus"),
        ("cat,animal\ndog,animal\ncar,thing\nlorry,thing\n", "none for bus and one for lorry"),
        ("cat,animal\ndog,\ncar,thing\nbus,thing\n", "none for dog"),
        ("cat,x\ndog,x\ncar,x\nbus,x\n", "all classes into 'x'"),
        ("cat\ndog\n", "rows of 1 columns"),
        ("cat,a\ndog,a,b\n", "rows of 2, 3 columns"),
        ("", "rows of no columns"),
        ("\n\n", "rows of no columns"),
    ],
)
def test_what_is_no_level(tmp_path, text, wrong):
    path = tmp_path / "levels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"levels\.csv") as error:
        groupings(path, CLASSES)
    assert wrong in str(error.value)


def test_no_file_and_no_text(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError):
            groupings(path, CLASSES)
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00cat")
    with pytest.raises(InputError, match=r"odd\.csv"):
        groupings(tmp_path / "odd.csv", CLASSES)


def test_folders_within_folders(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("animal/cat", "animal/dog", "thing/car", "thing/bus/long"):
        for k in range(3):
            path = tmp_path / "set" / name / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8)).save(path)
    dataset = dr.load(tmp_path / "set")
    assert dataset.class_names == ("animal", "thing")
    changed, levels = by_folders(dataset)
    assert changed.class_names == ("animal/cat", "animal/dog", "thing/bus/long", "thing/car")
    assert changed.class_counts == (3, 3, 3, 3)
    one, two = groupings(levels, changed.class_names)
    assert one.names == ("animal", "thing")
    assert two.of_class.tolist() == [0, 1, 2, 3]
    for name, label in zip(changed.files, changed.labels, strict=True):
        assert changed.class_names[label] in name
    flat = dr.load(tmp_path / "set" / "animal")
    with pytest.raises(InputError, match="folders within folders"):
        by_folders(flat)
    with pytest.raises(InputError, match="folders within folders"):
        by_folders(from_arrays(np.eye(4), [0, 0, 1, 1]))

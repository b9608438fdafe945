"""Folders of images as people have them: what is a class, a part, a mask, and where labels lie."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load

N = 12
COLOUR = np.random.default_rng(2).integers(0, 256, (N, 5, 5, 3), dtype=np.uint8)
WORDS = np.array(["ant", "bee", "cow"] * 4)


def same(data, points, labels):
    expected = from_arrays(points, labels)
    np.testing.assert_array_equal(data.points, expected.points)
    np.testing.assert_array_equal(data.labels, expected.labels)
    assert data.class_names == expected.class_names


def noted(data, text):
    return any(text in x for x in data.notes)


def put(folder, names, images=COLOUR):
    for name, pixels in zip(names, images, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


LAYOUTS = {  # names of the images by number, class, half (0, 1): classes, note
    "MVTec": ("{c}/train/good/{k}.png {c}/test/bad/{k}.png {c}/ground_truth/bad/{k}_mask.png",
              "AB", "the part train was read"),
    "class first": ("{c}/train/{k}.png {c}/test/x{k}.png", "AB", "train"),
    "Intel": ("seg_train/{c}/{k}.png seg_test/{c}/{k}.png seg_pred/{k}.png", "AB", "seg_pred left"),
    "Kaggle": ("training_set/{c}/{k}.png test_set/{c}/{k}.png", "AB", "test left out"),
    "COCO": ("train2017/{k}.png val2017/x{k}.png", None, "validation left out"),
    "CycleGAN": ("trainA/{k}.png trainB/{k}.png testA/{k}.png", ("trainA", "trainB"), "test left"),
    "vehicles": ("train/{c}/{k}.png car/{c}/{k}.png bus/{c}/{k}.png", ("bus", "car", "train"), ""),
    "YOLO": ("images/train/{k}.png images/val/x{k}.png", None, "validation left out"),
    "Roboflow": ("train/images/{k}.png valid/images/x{k}.png", None, "tells no class"),
    "Carvana": ("train/{k}.png train_masks/{k}_mask.png", None, "train_masks/ left out"),
    "masks": ("images/{k}.png masks/{k}.png", None, "masks/ left out"),
    "gear": ("masks/m{k}.png gloves/g{k}.png", ("gloves", "masks"), ""),
    "faces": ("with_mask/{k}.png without_mask/{k}.png", ("with_mask", "without_mask"), ""),
    "HAM10000": ("HAM_part_{h}/{k}.png", None, "number the images and are no classes"),
    "NIH": ("images_00{h}/images/{k}.png", None, "number the images and are no classes"),
    "folds": ("fold_{h}/{c}/{k}.png", "AB", "the classes are the folders in them"),
    "StateFarm": ("imgs/train/c{h}/{k}.png imgs/test/{k}.png", ("c0", "c1"), "imgs/train/"),
    "pets": ("images/{c}_{k}.png", None, "one folder, images/, which tells no class"),
    "domains": ("photo/{c}/{k}.png sketch/{c}/{k}.png", ("photo", "sketch"), "deeper: A, B"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_people_have(tmp_path, layout):
    written, classes, said = LAYOUTS[layout]
    names = [x.format(k=f"{k:04d}", c="AB"[k % 2], h=k % 4 // 2)
             for k in range(12) for x in written.split()]  # fmt: skip
    pixels = np.random.default_rng(1).integers(0, 256, (len(names), 5, 4, 3), dtype=np.uint8)
    data = load(put(tmp_path, names, pixels))
    assert data.labelled == (classes is not None)
    assert not classes or data.class_names == tuple(classes)
    assert not said or noted(data, said)
    assert not any("mask.png" in x or "test" in x or "val" in x for x in data.files)


def test_labels_that_lie_beside_and_are_not_taken(tmp_path):
    put(tmp_path, [f"img/{k:02d}.png" for k in range(N)])
    (tmp_path / "list_attr.txt").write_text("x")
    data = load(tmp_path)
    assert noted(data, "no labels were taken from list_attr.txt")
    assert f"--labels {tmp_path}/FILE:COLUMN" in " ".join(data.notes)


LISTS = {
    "Caffe": ("img/{k:02d}.png {c}", ""),
    "spaces": ("{k:02d}.png black {c}", ""),
    "tabs": ("{k:02d}.png\tblack {c}", ""),
    "identities of CelebA": ("{k:02d} {c}", ""),
    "attributes of CelebA": ("{k:02d}.png -1  {c} ", ":Smiling"),
    "header": ("{k:02d},{c},7", ":Smiling"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_names_and_labels(tmp_path, kind):
    row, column = LISTS[kind]
    put(tmp_path / "set", [f"img/{k:02d}.png" for k in range(N)])
    lines = [row.format(k=k, c=WORDS[k]) for k in reversed(range(N))]
    head = {"attributes of CelebA": [str(N), "Young Smiling"], "header": ["id,Smiling,Young"]}
    (tmp_path / "list.txt").write_text("\n".join([*head.get(kind, []), *lines]) + "\n")
    data = load(tmp_path / "set", labels=f"{tmp_path}/list.txt{column}")
    black = "black " if "black" in row else ""
    same(data, COLOUR, np.array([black + x for x in WORDS]))
    for wanted in ("labels.txt", "ordered.txt"):  # in the order of the images, as before
        (tmp_path / wanted).write_text("\n".join(WORDS))
        same(load(tmp_path / "set", labels=str(tmp_path / wanted)), COLOUR, WORDS)

"""What a model's folder and its label say of the data: classes, scale, held-out points."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffregimes.common import serial
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.pixels import MODELS, Scaling
from diffregimes.learned.models import class_of_label, model_name, trained_scaling

POINTS = np.random.default_rng(1).standard_normal((24, 3)).astype(np.float32)


def labelled(values, **options):
    return from_arrays(POINTS, np.array(values)[np.arange(24) % len(values)], **options)


@pytest.mark.parametrize(
    ("data", "label", "name"),
    [
        (labelled([1, 7]), 7, "7"),
        (labelled([1, 7]), 1, "1"),
        (labelled(["bee", "ant", "cow"]), 0, "ant"),
        (labelled(["bee", "ant", "cow"], classes=["cow", "bee"]), 2, "cow"),
        (labelled(["bee", "ant", "cow"], classes=["cow", "bee"]), 1, "bee"),
        (labelled(["0", "1", "2"]), 2, "2"),
        (labelled([0, 1, 2], class_names=["x", "y", "z"]), 2, "z"),
        (labelled(["1", "2"], classes=["2"]), 0, "2"),
        (labelled([5, 6], classes=[6]), 6, "6"),
    ],
)
def test_the_class_that_a_label_means(data, label, name):
    found, said = class_of_label(data, label)
    assert found == name
    assert f"label {label} of the model" in said
    assert f"class {name}" in said


@pytest.mark.parametrize(
    ("data", "label", "said"),
    [
        # names in the order of text: the second of 1, 10, 2 is 10
        (labelled(["1", "10", "2"]), 1, "in that place, 1, 10"),
        (labelled([1, 7]), 0, "none of them"),
        (labelled(["bee", "ant", "cow"], classes=["cow", "bee"]), 0, "none of them"),
    ],
)
def test_a_label_that_means_none_or_two_is_asked_about(data, label, said):
    with pytest.raises(InputError, match=rf"{said}.*--classes"):
        class_of_label(data, label)


def test_data_without_labels_are_taken_whole():
    found, said = class_of_label(from_arrays(POINTS), 3)
    assert found is None
    assert "no labels" in said


def write(folder, **recipe):
    known = {"fingerprint": "f", "held_out_indices": []}
    (folder / "recipe.json").write_text(json.dumps(known | recipe))


def test_the_scale_of_the_training_is_that_of_its_recipe(tmp_path):
    assert trained_scaling(tmp_path) == MODELS == Scaling((-1, 1), None)
    stretched = from_arrays(POINTS, pixel_range=(0, 2)).pixel_map
    kept = from_arrays(POINTS).pixel_map
    pixels = from_arrays((POINTS > 0).astype(np.uint8), pixel_range=(0, 2)).pixel_map
    for done, expected in (
        (stretched, Scaling((0, 2), stretched)),
        (kept, Scaling((-1, 1), kept)),
        (pixels, Scaling((0, 2), None)),
    ):
        write(tmp_path, scale=done.scale, pixel_map=serial.plain(done))
        assert trained_scaling(tmp_path) == expected
        # part of the same floats is prepared as the whole was
        part = from_arrays(POINTS[:9], pixel_range=trained_scaling(tmp_path))
        if done is not pixels:
            whole = from_arrays(POINTS, pixel_range=done)
            np.testing.assert_array_equal(part.points, whole.points[:9])
    # of before maps were written: floats were stretched with the pixels
    write(tmp_path, scale=[0, 2])
    assert trained_scaling(tmp_path) == Scaling((0, 2), (0, 2))
    write(tmp_path, scale=None)
    assert trained_scaling(tmp_path) == MODELS


def test_a_checkpoint_is_called_by_its_training(tmp_path):
    step = tmp_path / "mine" / "checkpoints" / "step-00000500"
    step.mkdir(parents=True)
    assert model_name(step) == "mine-step-00000500"
    assert model_name(f"{step}/") == "mine-step-00000500"
    assert model_name(tmp_path / "mine") == "mine"
    write(tmp_path / "mine", scale=[0, 3])
    assert trained_scaling(step).integers == (0, 3)
    other = tmp_path / "mine" / "others" / "step-00000500"
    other.mkdir(parents=True)
    assert trained_scaling(other) == MODELS

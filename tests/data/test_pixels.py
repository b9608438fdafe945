"""One map for all that is compared: against the affine formula in float64, and what is told."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from diffregimes.common import serial
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.pixels import MODELS, PixelMap, Scaling
from diffregimes.data.readers import load

RNG = np.random.default_rng(5)
LABELS = np.arange(12) % 2
LATENTS = (2 * RNG.standard_normal((12, 5))).astype(np.float32)
OTHERS = (2.5 * RNG.standard_normal((12, 5))).astype(np.float32)
PIXELS = RNG.integers(0, 256, (12, 4, 3)).astype(np.uint8)
MORE = RNG.integers(0, 200, (12, 4, 3)).astype(np.uint8)


def affine(values, source, scale):
    values = values.reshape(len(values), -1).astype(np.float64)
    share = (values - source[0]) / (source[1] - source[0])
    return scale[0] + share * (scale[1] - scale[0])


@pytest.mark.parametrize("scale", [(-1, 1), (0, 1), (-3.5, 0.25)])
@pytest.mark.parametrize(("ours", "theirs"), [(LATENTS, OTHERS), (PIXELS, MORE)])
def test_what_is_compared_is_prepared_by_the_map_of_the_data(ours, theirs, scale):
    data = from_arrays(ours, LABELS, pixel_range=scale)
    top = (0, 255) if ours.dtype == np.uint8 else (ours.min(), ours.max())
    np.testing.assert_allclose(data.points, affine(ours, top, scale), atol=2e-6)
    other = from_arrays(theirs, LABELS, pixel_range=data.pixel_map)
    np.testing.assert_allclose(other.points, affine(theirs, top, scale), atol=2e-6)
    assert other.pixel_map == data.pixel_map
    assert other.scale == data.scale == scale
    assert other.notes == data.notes  # nothing new is to be told
    assert str(data.pixel_map) in data.notes
    # the same image is the same point, to the last bit
    again = from_arrays(ours[:3], LABELS[:3] * 0, pixel_range=data.pixel_map)
    np.testing.assert_array_equal(again.points, data.points[:3])
    alone = from_arrays(theirs, LABELS, pixel_range=scale)
    assert (alone.points == other.points).all() == (ours.dtype == np.uint8)


def test_a_map_is_the_same_after_a_file():
    data = from_arrays(LATENTS, LABELS, pixel_range=(-1, 1))
    back = serial.build(json.loads(json.dumps(serial.plain(data.pixel_map))), PixelMap, "map")
    assert back == data.pixel_map == PixelMap(**asdict(data.pixel_map))


@pytest.mark.parametrize("values", [LATENTS, PIXELS, PIXELS.astype(np.int64) - 300, PIXELS > 99])
def test_none_takes_values_as_they_came(values):
    data = from_arrays(values, LABELS, pixel_range="none")
    np.testing.assert_array_equal(data.points, values.reshape(12, -1).astype(np.float32))
    assert data.scale is None


def test_a_default_for_pixels_leaves_floats_alone():
    assert from_arrays(PIXELS, LABELS, pixel_range=MODELS).scale == (-1, 1)
    assert from_arrays(PIXELS > 99, LABELS, pixel_range=MODELS).scale == (-1, 1)
    floats = from_arrays(LATENTS, LABELS, pixel_range=MODELS)
    np.testing.assert_array_equal(floats.points, LATENTS)
    assert floats.scale is None
    one = Scaling((0.0, 2.0), PixelMap("float32", (0.0, 4.0), (0.0, 1.0)))
    np.testing.assert_allclose(from_arrays(LATENTS, LABELS, pixel_range=one).points, LATENTS / 4)
    assert from_arrays(PIXELS, LABELS, pixel_range=one).scale == (0, 2)


def test_pads_are_black_by_the_map_of_the_data():
    images = LATENTS.reshape(12, 5, 1)
    for given in (None, (-1, 1)):
        data = from_arrays(images, LABELS, pixel_range=given, pad=1)
        black = LATENTS.min() if given is None else -1
        other = from_arrays(images + 7, LABELS, pixel_range=data.pixel_map, pad=1)
        for points in (data.points, other.points):
            assert (points.reshape(12, 7, 3)[:, 0] == np.float32(black)).all()


@pytest.mark.parametrize(
    ("ours", "white", "theirs", "their_white", "said"),
    [
        (PIXELS, None, MORE.astype(np.int64), None, "int64 values from 0 to"),
        (PIXELS, None, MORE.astype(np.float32), None, "float32 values from 0 to"),
        (PIXELS, None, MORE, 220, "220 is white"),
        (LATENTS, None, OTHERS.astype(np.float64), None, "float64 values from"),
        (MORE // 16, 16, MORE // 16, None, "255 is white"),
    ],
)
def test_another_dtype_or_white_is_told(ours, white, theirs, their_white, said):
    data = from_arrays(ours, LABELS, white=white, pixel_range=(-1, 1))
    other = from_arrays(theirs, LABELS, white=their_white, pixel_range=data.pixel_map)
    told = [x for x in other.notes if x not in data.notes]
    assert len(told) == 1
    assert said in told[0]
    assert str(data.pixel_map) in told[0]
    np.testing.assert_allclose(
        other.points, affine(theirs, data.pixel_map.source, (-1, 1)), atol=2e-6
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (PIXELS, PIXELS / np.float32(255)),
        (PIXELS, PIXELS / np.float32(127.5) - 1),
        (PIXELS, PIXELS.astype(np.uint16) * 257),
        (PIXELS / np.float32(255), PIXELS),
    ],
)
def test_other_units_are_refused(ours, theirs):
    data = from_arrays(ours, LABELS, pixel_range=(-1, 1))
    with pytest.raises(InputError, match=r"same units.*Save both in one dtype"):
        from_arrays(theirs, LABELS, pixel_range=data.pixel_map)


def test_dark_pixels_are_not_other_units():
    data = from_arrays(PIXELS, LABELS)
    dark = from_arrays((PIXELS // 40).astype(np.int64), LABELS, pixel_range=data.pixel_map)
    assert dark.points.max() == np.float32((255 // 40) / 255)


def test_a_law_has_nothing_to_stretch():
    law = load("gmm:d=4,n=20")
    for kept in ("none", MODELS, law.pixel_map):
        np.testing.assert_array_equal(load("gmm:d=4,n=20", pixel_range=kept).points, law.points)
    with pytest.raises(InputError, match="names a known law"):
        load("gmm:d=4,n=20", pixel_range=(-1, 1))


def test_maps_that_put_the_same_image_onto_the_same_point():
    eight, sixteen = (PixelMap(x, (0, y), (0, 1)) for x, y in (("uint8", 255), ("uint16", 65535)))
    one, two = (PixelMap("float32", (0, y), (0, 1)) for y in (1, 2))
    kept, other = (PixelMap("float32", (0, y), None) for y in (1, 2))
    assert eight.agrees(sixteen)
    assert kept.agrees(other)
    assert one.agrees(one)
    assert not one.agrees(two)
    assert not one.agrees(eight)
    assert not one.agrees(kept)

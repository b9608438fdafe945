"""Arrays to datasets: scaling, classes, the split without labels, and every message."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 4, 5), dtype=np.uint8)
LABELS = np.array([3, 1, 8] * 4)
POINTS = RNG.standard_normal((12, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535), (np.bool_, 1)]
)
def test_integer_pixels_are_divided_by_the_range_of_their_dtype(dtype, white):
    pixels = RNG.integers(0, white + 1, (6, 4, 5)).astype(dtype)
    data = from_arrays(pixels, [0, 1] * 3)
    expected = (pixels.astype(np.float64) / white).astype(np.float32)
    np.testing.assert_array_equal(data.points, expected.reshape(6, 20))
    assert data.points.dtype == np.float32
    assert data.scale == (0.0, 1.0)
    assert data.sample_shape == (4, 5, 1)


@pytest.mark.parametrize(("peak", "white"), [(200, 255), (4095, 4095)])
def test_other_integers_are_divided_by_255_or_their_largest_value(peak, white):
    values = RNG.integers(0, peak, (6, 3))
    values[2, 1] = peak
    data = from_arrays(values, [0, 1] * 3)
    np.testing.assert_allclose(data.points, values / white, rtol=1e-7)
    assert any(f"{white} is taken as white" in note for note in data.notes)


def test_white_may_be_given_and_must_not_be_exceeded():
    data = from_arrays(PIXELS // 16, LABELS, white=15)
    np.testing.assert_array_equal(data.points, (PIXELS // 16 / np.float32(15)).reshape(12, -1))
    with pytest.raises(InputError, match="white is 7 but the pixels go up to 15"):
        from_arrays(PIXELS // 16, LABELS, white=7)


def test_a_dark_image_set_is_remarked_on():
    assert any("the largest pixel is 15 of 255" in x for x in from_arrays(PIXELS // 16).notes)
    assert not any("largest pixel" in x for x in from_arrays(PIXELS).notes)


def test_integers_go_to_the_pixel_range():
    data = from_arrays(PIXELS, LABELS, pixel_range=(-1, 1))
    np.testing.assert_allclose(data.points, PIXELS.reshape(12, -1) / 127.5 - 1, atol=1e-6)
    assert data.scale == (-1.0, 1.0)


def test_floats_are_taken_as_they_are():
    data = from_arrays(POINTS * 7, LABELS)
    np.testing.assert_array_equal(data.points, POINTS * 7)
    assert data.scale is None
    assert data.sample_shape == (3,)
    assert not data.is_image
    assert data.d == 3


def test_floats_are_mapped_from_their_own_range_whatever_classes_are_chosen():
    full = from_arrays(POINTS, LABELS, pixel_range=(-1, 1))
    assert full.points.min() == -1
    assert full.points.max() == 1
    part = from_arrays(POINTS, LABELS, pixel_range=(-1, 1), classes=[1, 8])
    np.testing.assert_array_equal(part.points, full.points[LABELS != 3])
    assert any("mapped to [-1, 1]" in note for note in full.notes)


@given(
    pixels=hnp.arrays(
        np.uint8, st.tuples(st.integers(4, 6), st.integers(1, 4), st.integers(1, 4), st.just(3))
    ),
    pad=st.integers(0, 3),
    low=st.sampled_from([-1.0, 0.0, 0.5]),
)
def test_padding_frames_the_scaled_image(pixels, pad, low):
    pixels[0, 0, 0, 0], pixels[1, 0, 0, 0] = 0, 255
    data = from_arrays(pixels, [0, 1, 0, 1, 1, 1][: len(pixels)], pixel_range=(low, 1), pad=pad)
    plain = low + pixels / 255 * (1 - low)
    expected = np.pad(plain, [(0, 0), (pad, pad), (pad, pad), (0, 0)], constant_values=low)
    np.testing.assert_allclose(data.points.reshape(expected.shape), expected, atol=1e-6)
    assert data.sample_shape == expected.shape[1:]


def test_padding_of_untouched_floats_is_their_minimum():
    images = RNG.standard_normal((6, 2, 2))
    data = from_arrays(images, [0, 1] * 3, pad=1)
    assert data.points[0, 0] == np.float32(images.min())


def test_torch_tensors_and_lists_are_arrays_too():
    expected = from_arrays(POINTS, LABELS)
    tensor = torch.from_numpy(POINTS).requires_grad_()
    assert from_arrays(tensor, torch.from_numpy(LABELS)).fingerprint == expected.fingerprint
    assert from_arrays(POINTS.tolist(), LABELS.tolist()).fingerprint == expected.fingerprint
    assert from_arrays(tensor.bfloat16(), LABELS).n == 12


def test_input_is_neither_changed_nor_shared():
    before = POINTS.copy()
    data = from_arrays(POINTS, LABELS, pixel_range=(0, 1))
    np.testing.assert_array_equal(POINTS, before)
    assert not np.shares_memory(from_arrays(POINTS, LABELS).points, POINTS)
    assert data.points.flags.c_contiguous


def test_classes_keep_the_order_given_and_the_points_theirs():
    data = from_arrays(POINTS, LABELS, classes=["8", 3])
    chosen = LABELS != 1
    np.testing.assert_array_equal(data.points, POINTS[chosen])
    assert data.class_names == ("8", "3")
    assert data.labels.tolist() == [{8: 0, 3: 1}[x] for x in LABELS[chosen]]
    assert from_arrays(POINTS, LABELS, classes="8,3").fingerprint == data.fingerprint
    assert from_arrays(POINTS, LABELS).class_names == ("1", "3", "8")


def test_per_class_takes_the_first_of_each():
    labels = np.array([0, 0, 0, 1, 1, 0, 2, 2, 2, 2, 1, 0])
    data = from_arrays(POINTS, labels, per_class=4)
    np.testing.assert_array_equal(data.points, POINTS[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
    assert data.class_counts == (4, 3, 4)
    assert "all points taken of classes with fewer than 4: 1 (3)" in data.notes


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        LABELS.astype(float),
        LABELS.astype(object),
        LABELS.astype(np.uint8),
        LABELS.astype(str),
        LABELS.astype("S"),
        LABELS.astype(str).astype(object),
    ],
)
def test_labels_of_many_kinds(labels):
    assert from_arrays(POINTS, labels).labels.tolist() == [1, 0, 2] * 4
    assert from_arrays(POINTS, labels).labels.dtype == np.int64


def test_boolean_labels():
    assert from_arrays(POINTS, LABELS == 3).class_names == ("0", "1")


def test_class_names_by_index_or_in_sorted_order():
    ten = [f"c{k}" for k in range(10)]
    assert from_arrays(POINTS, LABELS, class_names=ten).class_names == ("c1", "c3", "c8")
    three = ["one", "three", "eight"]
    data = from_arrays(POINTS, LABELS, class_names=three, classes=["eight", 1])
    assert data.class_names == ("eight", "one")


def test_a_name_goes_before_a_label_that_looks_like_it():
    data = from_arrays(POINTS, [0, 1] * 6, class_names=["1", "0"], classes=["1", "0"])
    assert data.labels.tolist() == [0, 1] * 6
    data = from_arrays(POINTS, [0, 1] * 6, class_names=["1", "0"], classes=[1, 0])
    assert data.labels.tolist() == [1, 0] * 6


@pytest.mark.parametrize("shape", [(200, 2), (200, 30), (40, 60)])
def test_without_labels_the_classes_are_the_sides_of_the_first_component(shape):
    points = np.random.default_rng(5).standard_normal(shape) + 40
    side = np.arange(len(points)) % 2
    points[:, 1] += 12.0 * side
    data = from_arrays(points)
    np.testing.assert_array_equal(data.labels, side)
    assert data.class_names == ("PC1-", "PC1+")
    assert not data.labelled
    assert any("first principal component" in note for note in data.notes)
    assert from_arrays(points).fingerprint == data.fingerprint


def test_without_labels_one_feature_is_split_at_its_mean():
    assert from_arrays([[0.0], [1.0], [5.0], [6.0]]).labels.tolist() == [0, 0, 1, 1]


def test_float64_far_from_zero_is_remarked_on():
    data = from_arrays(POINTS.astype(np.float64) / 100 + 300, LABELS)
    assert any("a constant was taken off" in note for note in data.notes)
    off = data.points * 100 - POINTS
    np.testing.assert_allclose(off, np.tile(off[0], (12, 1)), atol=1e-5)


def broken(value):
    points = POINTS.copy()
    points[5, 1] = value
    return points


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (broken(np.nan), "1 of 12 points hold NaN or infinite.* index 5"),
        (broken(np.inf), "NaN or infinite"),
        (broken(1e20), "lie 1e.20 apart.*less than 1e.15"),
        (POINTS[:1], r"1 point\(s\).*at least 2"),
        (POINTS[:0], r"0 point\(s\)"),
        (np.zeros((4, 0)), "empty"),
        (np.zeros((4, 3)), "all 4 points are identical"),
        (np.full((4, 3, 3), 7, np.uint8), "all 4 points are identical"),
        (POINTS[:, 0], r"shape \(12,\); expected \(n, d\)"),
        (np.zeros((2, 2, 2, 2, 2)), "expected .n, d., .n, H, W. or"),
        (np.zeros((2, 3, 8, 8)), "channels first.*permute"),
        (np.zeros((32, 48, 3), np.uint8), "one image in colours.*stack"),
        (POINTS.astype(object), "dtype object"),
        (POINTS.astype(complex), "dtype complex"),
        (np.array([["a", "b"], ["c", "d"]]), "dtype <U1"),
        ([[1.0, 2.0], [3.0]], "same shape for every sample"),
        (np.array([[-1, 2], [3, 4]]), "go down to -1"),
        ([[0.0], [0.1], [0.2], [90.0]], "3 and 1: point 3 stands alone"),
    ],
)
def test_points_that_cannot_be_analysed(points, message):
    with pytest.raises(InputError, match=message):
        from_arrays(points)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:5], r"labels have the shape \(5,\) for 12 points"),
        (np.full((12, 12), 1 / 12), "argmax"),
        ([0] * 11 + [1], "class 1 has 1 point"),
        ([0.5] * 12, "not all integers or all strings"),
        ([np.nan] * 12, "not all integers or all strings"),
        (np.array([None, "a"] * 6), "the first is None"),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(InputError, match=message):
        from_arrays(POINTS, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": [1, 7]}, "class '7' does not exist; the data have the classes 1, 3, 8"),
        ({"classes": ["1", 1]}, "class '1' comes twice"),
        ({"classes": []}, "is empty"),
        ({"per_class": 0}, "per_class.*is 0; expected a positive"),
        ({"per_class": 2.5}, "positive integer"),
        ({"per_class": True}, "positive integer"),
        (
            {"per_class": 1},
            "class 1 has 1 point .so have 2 others.; expected at least 2.*raise `per_class`",
        ),
        ({"pad": -1}, "pad .--pad. is -1"),
        ({"pad": 1}, "not images"),
        ({"pixel_range": (1, 0)}, "two finite numbers, the lower one first"),
        ({"pixel_range": (0, np.inf)}, "two finite numbers"),
        ({"pixel_range": (0, 1, 2)}, "two finite numbers"),
        ({"pixel_range": 3}, "two finite numbers"),
        ({"class_names": ["a", "b"]}, "2 names for 3 classes"),
        ({"class_names": ["a", "a", "b"]}, "repeats a name"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(InputError, match=message):
        from_arrays(POINTS, LABELS, **options)


@pytest.mark.parametrize("options", [{"classes": [0, 1]}, {"per_class": 3}])
def test_without_labels_there_is_nothing_to_choose_by(options):
    with pytest.raises(InputError, match="no labels to choose by"):
        from_arrays(POINTS, **options)


def test_long_lists_of_classes_are_cut_off():
    points = RNG.standard_normal((100, 2))
    with pytest.raises(InputError, match=r"\(50 in all\)"):
        from_arrays(points, np.arange(100) // 2, classes=["x"])


def test_masked_values_are_not_taken_for_values():
    masked = np.ma.masked_greater(POINTS, np.sort(POINTS.ravel())[-3])
    with pytest.raises(InputError, match="points: 2 values are masked"):
        from_arrays(masked)
    assert from_arrays(np.ma.masked_array(POINTS)).n == len(POINTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_that_no_longer_tell_labels_apart(dtype):
    digits = np.finfo(dtype).nmant + 1
    labels = np.arange(len(POINTS)) % 2
    near = from_arrays(POINTS, (2**digits - 1 - labels).astype(dtype))
    assert near.class_names == (str(2**digits - 2), str(2**digits - 1))
    for far in (2**digits, 1e19, -1e30):
        with pytest.raises(InputError, match=f"less than 2\\^{digits}"):
            from_arrays(POINTS, (labels * far).astype(dtype))
    large = np.array([2**64 + int(x) for x in labels], dtype=object)
    assert from_arrays(POINTS, large).class_names == (str(2**64), str(2**64 + 1))


@pytest.mark.parametrize("kind", [int, float, bool, np.uint8])
def test_one_hot_labels_are_classes(kind):
    rows = np.eye(3)[LABELS.argsort() % 3].astype(kind)
    assert np.array_equal(from_arrays(POINTS, rows).labels, LABELS.argsort() % 3)
    for other in (
        1 - rows.astype(int),
        np.ones_like(rows),
        rows * 0,
    ):  # of several classes, or none
        with pytest.raises(InputError, match="one label for each point"):
            from_arrays(POINTS, other)

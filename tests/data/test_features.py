"""What float32 would round: far columns, tiny and huge data, features of different units."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffregimes.common import serial
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import describe, from_arrays
from diffregimes.data.features import UNLIKE, measured, offset_of
from diffregimes.data.pixels import MODELS, PixelMap
from diffregimes.data.readers import load

RNG = np.random.default_rng(3)
TABLE = RNG.standard_normal((60, 4))
LABELS = np.arange(60) % 2


def differences(points):
    points = np.asarray(points, dtype=np.float64)
    return points - points.mean(axis=0)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint32, np.int32])
@pytest.mark.parametrize("width", [1e2, 1e5])
def test_a_column_of_times_keeps_its_differences(dtype, width):
    """Seconds since 1970: what is kept is the spread to float32's seven digits."""
    table = np.column_stack([1.7e9 + width * TABLE[:, 0], 50 + 9 * TABLE[:, 1]]).astype(dtype)
    data = from_arrays(table, LABELS, pixel_range="none")
    np.testing.assert_allclose(
        differences(data.points), differences(table), atol=3e-7 * width, rtol=3e-7
    )
    assert data.pixel_map.offset[1] == 0
    assert sum("feature 0" in x and "taken off" in x for x in data.notes) == 1
    # held-out points get the same
    other = from_arrays(table[:9] + 3, LABELS[:9], pixel_range=data.pixel_map)
    apart = other.points.astype(float) - data.points[:9]
    np.testing.assert_allclose(apart, 3, atol=1e-6 * width)
    assert not any("taken off" in x for x in other.notes)


def test_what_is_not_far_stays_as_it_came():
    near = TABLE + 40
    data = from_arrays(near, LABELS)
    np.testing.assert_array_equal(data.points, near.astype(np.float32))
    assert data.pixel_map.offset is None
    edge = measured(np.array([[100 - 1.0], [100]]))  # a width of 1 up to a hundred
    assert offset_of(edge, np.zeros((2, 1)), []) is None
    beyond = measured(np.array([[100], [100 + 1.0]]))
    assert offset_of(beyond, np.zeros((2, 1)), []) == (100 + 0.5,)


def test_constant_columns_are_let_alone_unless_float32_cannot_hold_them():
    table = np.column_stack([TABLE, np.full(60, 1.7e9), np.full(60, 1e300)])
    data = from_arrays(table, LABELS)
    assert np.isfinite(data.points).all()
    assert data.pixel_map.offset[:5] == (0,) * 5


@pytest.mark.parametrize(("width", "what"), [(1e3, "differences are lost"), (1e5, None)])
def test_float32_that_lost_it_is_refused(width, what):
    """Steps of 128 around 1.7e9."""
    table = np.column_stack([1.7e9 + width * TABLE[:, 0], TABLE[:, 1]]).astype(np.float32)
    if what:
        with pytest.raises(InputError, match=rf"feature 0 .*steps are 203.*{what}.*float64"):
            from_arrays(table, LABELS)
        return
    data = from_arrays(table, LABELS)
    assert any("came as float32, whose steps are 203" in x for x in data.notes)
    np.testing.assert_array_equal(data.points, table)


def test_images_far_from_zero_lose_one_number_for_all():
    images = 300 + 0.01 * RNG.standard_normal((60, 3, 3))
    data = from_arrays(images, LABELS, pad=1)
    assert len(data.pixel_map.offset) == 1
    inner = data.points.reshape(60, 5, 5)[:, 1:-1, 1:-1].reshape(60, 9)
    apart = inner.astype(float) - (images.reshape(60, 9) - data.pixel_map.offset[0])
    assert abs(apart).max() < 1e-8
    black = images.min() - data.pixel_map.offset[0]
    np.testing.assert_allclose(data.points.reshape(60, 5, 5)[:, 0], black, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
def test_a_range_is_reached_before_float32(scale):
    data = from_arrays(scale * (1e4 + TABLE), LABELS, pixel_range=(-1, 1))
    want = 2 * (TABLE - TABLE.min()) / np.ptp(TABLE) - 1
    np.testing.assert_allclose(data.points, want, atol=2e-7 + 3e-12 * 1e4)


@pytest.mark.parametrize(("scale", "ok"), [(1e-32, False), (1e-28, True), (1e13, True),
                                           (1e16, False)])  # fmt: skip
def test_scales_that_float32_cannot_hold_are_refused(scale, ok):
    if ok:
        assert np.isfinite(from_arrays(scale * TABLE, LABELS).points).all()
        return
    with pytest.raises(InputError, match=r"apart; expected .*Rescale .*standardize"):
        from_arrays(scale * TABLE, LABELS)
    data = from_arrays(scale * TABLE, LABELS, standardize=True)
    np.testing.assert_allclose(data.points.std(axis=0), 1, rtol=1e-5)


def test_standardized_features_have_mean_0_and_variance_1():
    table = np.column_stack([TABLE * [1e-9, 1.0, 1e6, 3], np.full(60, 7.0), 1.7e9 + TABLE[:, 0]])
    data = from_arrays(table, LABELS, standardize=True)
    want = (TABLE - TABLE.mean(axis=0)) / TABLE.std(axis=0)
    np.testing.assert_allclose(data.points[:, :4], want, atol=1e-6)
    np.testing.assert_array_equal(data.points[:, 4], 0)
    np.testing.assert_allclose(data.points[:, 5], want[:, 0], atol=1e-6)
    assert data.standardized
    assert describe(data).standardized
    assert data.scale is None
    assert any("each feature was standardized" in x and "1 constant" in x for x in data.notes)
    assert not any("differ in spread" in x for x in data.notes)


def test_held_out_points_are_standardized_by_the_training_data():
    data = from_arrays(TABLE * 5 + 2, LABELS, standardize=True)
    other = from_arrays(TABLE[:7] * 5 + 3, LABELS[:7], pixel_range=data.pixel_map)
    step = 1 / (5 * TABLE.std(axis=0))
    np.testing.assert_allclose(other.points - data.points[:7], np.tile(step, (7, 1)), atol=1e-6)
    assert other.pixel_map == data.pixel_map
    back = serial.build(json.loads(json.dumps(serial.plain(data.pixel_map))), PixelMap, "map")
    assert back == data.pixel_map
    assert back.agrees(data.pixel_map)
    assert not back.agrees(from_arrays(TABLE, LABELS, standardize=True).pixel_map)
    assert not back.agrees(from_arrays(TABLE, LABELS).pixel_map)


def test_standardize_with_what_contradicts_it():
    plain = from_arrays(TABLE, LABELS)
    with pytest.raises(InputError, match="one of the two"):
        from_arrays(TABLE, LABELS, standardize=True, pixel_range=(0, 1))
    with pytest.raises(InputError, match="did not standardize"):
        from_arrays(TABLE, LABELS, standardize=True, pixel_range=plain.pixel_map)
    with pytest.raises(InputError, match="images; expected"):
        from_arrays(TABLE.reshape(60, 2, 2), LABELS, standardize=True)
    with pytest.raises(InputError, match=r"standardize .*known law"):
        load("gmm:d=4,n=30", standardize=True)
    ready = from_arrays(TABLE, LABELS, standardize=True, pixel_range=MODELS)
    assert ready.standardized  # the default of what trains models


@pytest.mark.parametrize("columns", [2, 3, 4, 5, 12])
def test_features_in_other_units_are_told(columns):
    table = RNG.standard_normal((60, columns))
    told = [any("differ in spread" in x for x in from_arrays(table * size, LABELS).notes)
            for size in (1.0, np.r_[2.0 * UNLIKE, np.ones(columns - 1)],
                         np.r_[0.5 * UNLIKE, np.ones(columns - 1)])]  # fmt: skip
    assert told == [False, True, False]
    if columns in (3, 4):  # one that is lost among wide ones
        size = np.r_[np.full(columns - 1, 3.0 * UNLIKE), 1]
        assert any("differ in spread" in x for x in from_arrays(table * size, LABELS).notes)


def test_flat_images_are_no_table_of_other_units():
    """The pixels of digits at the border hardly vary."""
    from sklearn.datasets import load_digits

    found = load_digits()
    assert not any("differ in spread" in x for x in from_arrays(found.data, found.target).notes)


def test_integers_beyond_any_pixel_are_numbers():
    table = np.column_stack([10**6 + np.arange(60), np.arange(60)])
    data = from_arrays(table, LABELS)
    np.testing.assert_array_equal(np.ptp(data.points, axis=0), [59, 59])
    assert any("taken for numbers, not pixels" in x for x in data.notes)
    assert from_arrays(table % 256, LABELS).scale == (0, 1)
    assert from_arrays(table, LABELS, pixel_range=(0, 1)).scale == (0, 1)

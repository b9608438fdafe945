"""Where a curve with an error band crosses a level: the ends in order, and none invented."""

from __future__ import annotations

import numpy as np
import pytest

from diffregimes.process import time_from_snr
from diffregimes.transitions.crossing import band_crossing

TIMES = np.asarray(time_from_snr(np.exp(np.linspace(4, -4, 33))))  # log gamma from 4 to -4


def band(slope, half=1.0):
    """A straight line in log gamma through 0 at gamma = 1, with a band of `half` about it."""
    value = slope * np.linspace(4, -4, 33)
    return np.stack([value, value + half, value - half])


@pytest.mark.parametrize("slope", [2.0, -2.0])
def test_the_ends_are_in_order_whichever_way_the_curve_goes(slope):
    found = band_crossing(TIMES, band(slope), 0.0)
    np.testing.assert_allclose(found, time_from_snr(np.exp([0.0, 0.5, -0.5])), rtol=1e-6)


@pytest.mark.parametrize("slope", [2.0, -2.0])
def test_an_end_that_does_not_cross_is_none(slope):
    low_end, high_end = band(slope, half=9.0)[1:]
    found = band_crossing(TIMES, np.stack([band(slope)[0], low_end, high_end]), 0.0)
    assert found[0] == pytest.approx(float(time_from_snr(1.0)))
    assert found[1:] == (None, None)
    assert band_crossing(TIMES, band(slope) + 100, 0.0) == (None, None, None)

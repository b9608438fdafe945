"""The scale "log-snr": t to the coordinate and back, and ticks that follow limits and width."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from diffregimes import process
from diffregimes.report.figures.logsnr import TIMES, ClockLocator, even_times, position
from diffregimes.report.figures.timeaxis import time_axis

WINDOWS = [(1e-3, 6.0), (0.02, 2.5), (1e-6, 0.3), (1.5, 12.0)]


def drawn(width=4.6, low=1e-3, high=6.0):
    figure = Figure(figsize=(width, 2.5), layout="constrained")
    ax = figure.add_subplot()
    time_axis(ax, low, high)
    figure.draw_without_rendering()
    return ax


def places(ax):
    """The ticks from left to right, in inches."""
    ticks = [(t, 0) for t in ax.get_xticks()]
    return ax.get_xaxis_transform().transform(ticks)[:, 0] / ax.figure.dpi


def test_the_scale_goes_to_minus_log_snr_and_back():
    t = np.geomspace(1e-7, 20, 200)
    scale = drawn().xaxis.get_transform()
    there = scale.transform(t)
    assert (np.diff(there) > 0).all()
    np.testing.assert_allclose(there, -np.log(process.snr(t)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scale.inverted().transform(there), t, rtol=1e-9)


def test_even_times_are_even_on_the_axis():
    times = even_times(0.01, 3.0, 9)
    np.testing.assert_allclose(times[[0, -1]], [0.01, 3.0])
    np.testing.assert_allclose(np.diff(position(times), 2), 0, atol=1e-9)


@pytest.mark.parametrize("width", [2.0, 3.2, 4.6, 10.4])
@pytest.mark.parametrize(("low", "high"), WINDOWS)
def test_ticks_lie_within_the_limits_and_keep_their_gap(width, low, high):
    ax = drawn(width, low, high)
    assert len(ax.get_xticks()) >= 2
    assert set(ax.get_xticks()) <= set(TIMES)
    assert all(low <= t <= high for t in ax.get_xticks())
    assert np.diff(places(ax)).min() >= 0.43
    labels = [x.get_text() for x in ax.get_xticklabels()]
    assert labels == [f"{t:g}".replace("-", "−") for t in ax.get_xticks()]
    boxes = [x.get_window_extent() for x in ax.get_xticklabels() if "e" not in x.get_text()]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_ticks_follow_the_limits():
    ax = drawn(low=1e-3, high=6.0)
    before = list(ax.get_xticks())
    ax.set_xlim(0.5, 0.01)
    after = list(ax.get_xticks())
    assert after != before
    assert len(after) >= 3
    assert all(0.01 <= t <= 0.5 for t in after)


@pytest.mark.parametrize("limits", [(0.39, 0.33), (0.74, 0.71), (45.0, 41.0)])
def test_a_deep_zoom_still_has_two_ticks_in_view(limits):
    ax = drawn()
    ax.set_xlim(*limits)
    assert sum(limits[1] <= t <= limits[0] for t in ax.get_xticks()) >= 2


def test_a_wider_figure_has_more_ticks():
    ax = drawn(3.2)
    few = len(ax.get_xticks())
    ax.figure.set_size_inches(10, 2.5)
    ax.figure.draw_without_rendering()
    assert len(ax.get_xticks()) > few


def test_limits_stay_above_zero():
    ax = drawn()
    ax.plot([0.1, 1.0], [0, 1])
    ax.set_xlim(2, 0)
    left, right = ax.get_xlim()
    assert left == 2
    assert 0 < right <= 0.1


def test_a_clock_of_another_name_is_spaced_in_time():
    sigma = ClockLocator([1.0, 0.1, 10.0, 2.0], lambda s: process.time_from_snr(1 / s**2), gap=1)
    low, high = process.time_from_snr(np.array([100.0, 0.01]))
    # 2 lies 0.6 inches from 1
    assert sigma.spaced((float(high) + 1e-9, float(low) - 1e-9), 4.0) == [10.0, 1.0, 0.1]


def test_a_figure_can_be_pickled():
    again = pickle.loads(pickle.dumps(drawn().figure)).axes[0]
    assert list(again.get_xticks()) == list(drawn().get_xticks())


def test_importing_the_figures_registers_the_scale_for_pyplot():
    code = """
import warnings
warnings.simplefilter("error")
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import diffregimes.report.figures.logsnr
figure, axes = plt.subplots(1, 2, sharex=True)
axes[0].plot([0.01, 0.1, 1, 3], [0, 1, 2, 3])
axes[0].set_xscale("log-snr")
figure.canvas.draw()
low, high = axes[1].get_xlim()
print(axes[1].get_xscale(), 0 < low < 0.01, 3 < high < 4, len(axes[0].get_xticks()) >= 3)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["log-snr", "True", "True", "True"]

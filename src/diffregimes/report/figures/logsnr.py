"""The matplotlib scale "log-snr", with its ticks: the time axis of every figure.

It is even in log-SNR, log(e^{-2t} / (1 - e^{-2t})): linear in t where noise dominates and
logarithmic in t near the data, so that both transitions have room. Data coordinates and tick
labels are t. Importing this module registers the scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.scale import FuncTransform, ScaleBase, register_scale
from matplotlib.ticker import Locator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

LEAST = 1e-250  # smaller t, and t <= 0, are drawn at the data end


def position(t: Any) -> Any:
    """-log SNR, the coordinate of the axis."""
    return np.log(np.expm1(2 * np.clip(np.asarray(t, dtype=float), LEAST, 300)))


def time_at(place: Any) -> Any:
    """t at a coordinate of the axis, the inverse of `position`."""
    return 0.5 * np.log1p(np.exp(np.clip(np.asarray(place, dtype=float), -600, 600)))


def even_times(low: float, high: float, count: int) -> np.ndarray:
    """`count` times from low to high, even on the axis."""
    return np.asarray(time_at(np.linspace(float(position(low)), float(position(high)), count)))


def nice_numbers(low: int, high: int) -> list[float]:
    return [float(f"{m}e{k}") for m in (1, 2, 5, 3) for k in sorted(range(low, high + 1), key=abs)]


# data come in any unit: these reach from one to the other end of what float32 holds
TIMES = [*nice_numbers(-250, 0), *(float(x) for x in (4, 6, 8, 10, 20, 40, 15, 30, 12, 14, 60))]


class ClockLocator(Locator):
    """Of the values of a clock, in order of preference, those whose labels keep `gap` inches."""

    def __init__(
        self, values: Sequence[float], to_t: Callable[[float], Any] = float, gap: float = 0.46
    ) -> None:
        self.values, self.to_t, self.gap = values, to_t, gap
        self._places = position(np.array([to_t(value) for value in values]))

    def spaced(self, limits: tuple[float, float], width: float) -> list[float]:
        """Those within the limits in t, from left to right, on an axis so many inches wide."""
        left, right = (float(position(t)) for t in limits)
        kept: list[tuple[float, float]] = []
        places = (self._places - left) / (right - left) * width
        for value, place in zip(self.values, places.tolist(), strict=True):
            if 0 <= place <= width and all(abs(place - other) >= self.gap for other, _ in kept):
                kept.append((place, value))
        return [value for _, value in sorted(kept)]

    def __call__(self) -> Any:
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Any:
        assert isinstance(self.axis, Axis)
        ax = self.axis.axes  # measured as `Axis.get_tick_space` does
        inches = Bbox.unit().transformed(ax.transAxes - ax.figure.dpi_scale_trans).width
        ticks = self.spaced((vmin, vmax), inches)
        # zoomed in so far that no two of them are left: even numbers
        return ticks if len(ticks) > 1 else MaxNLocator(4).tick_values(vmin, vmax)


class LogSNR(ScaleBase):
    name = "log-snr"

    def __init__(self, *_axis: object) -> None:  # given by matplotlib before 3.11 alone
        pass

    def get_transform(self) -> FuncTransform:
        return FuncTransform(position, time_at)

    def limit_range_for_scale(self, vmin: float, vmax: float, minpos: float) -> tuple[float, float]:
        least = minpos if np.isfinite(minpos) else LEAST
        return (vmin if vmin > 0 else least), (vmax if vmax > 0 else least)

    def set_default_locators_and_formatters(self, axis: Axis) -> None:
        axis.set_major_locator(ClockLocator(TIMES, gap=0.435))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_locator(NullLocator())


register_scale(LogSNR)

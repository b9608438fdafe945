"""How values become points: which ones are stretched to a range, and which stay as they came.

A network lives on the scale of its training points, and so does the clock (t -> t + log(scale) at
large t). The map of one set of points is therefore kept with it, and given to every set that is
compared with it: stretched between their own extremes the same images would be other points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..common.checks import InputError

Scale = tuple[float, float]
_PEAK = 1e15  # of values; more where millions are squared and summed would not be a float32
_APART = 8  # times as wide as the values of the map's own data: other units


@dataclass(frozen=True)
class PixelMap:
    """Values of `dtype` from `source[0]` to `source[1]` become points on `scale`, by one offset and
    one factor; with scale None they stay as they came."""

    dtype: str
    source: Scale
    scale: Scale | None

    @property
    def whole(self) -> bool:
        """Whether it is of integers."""
        return np.dtype(self.dtype).kind in "bui"

    @property
    def black(self) -> float:
        """What a pixel has that is added around an image."""
        return self.source[0] if self.scale is None else self.scale[0]

    def apply(self, values: np.ndarray) -> None:
        """Map a float32 array in place."""
        (bottom, top), scale = self.source, self.scale
        if scale is None or top <= bottom:  # equal: constant data, refused by the caller
            return
        if bottom != 0:
            values -= np.float32(bottom)
        values /= np.float32(top - bottom)
        if scale != (0.0, 1.0):
            values *= np.float32(scale[1] - scale[0])
            values += np.float32(scale[0])

    def agrees(self, other: PixelMap) -> bool:
        """Whether both put the same image onto the same point: whole numbers have a white of their
        own, floats that were stretched say nothing of it."""
        return self.scale == other.scale and (
            self.scale is None or (self.whole and other.whole) or self.source == other.source
        )

    def __str__(self) -> str:
        low, high = self.source
        came = f"values from {low:g} to {high:g}"
        if self.whole and self.scale is not None:
            came = f"{self.dtype} values {int(low)}..{int(high)}"
        if self.scale is None:
            return f"{self.dtype} {came} taken as they came"
        return f"{came} mapped to [{self.scale[0]:g}, {self.scale[1]:g}]"


@dataclass(frozen=True)
class Scaling:
    """Where integers (0..white) and floats (from their smallest to their largest) go: the two ends,
    the map of other data, or None for values as they came."""

    integers: Scale | PixelMap | None = (0.0, 1.0)
    floats: Scale | PixelMap | None = None


MODELS = Scaling(integers=(-1.0, 1.0))  # as in diffusers' own pipelines
Range = Scale | Literal["none"] | PixelMap | Scaling | None


def scaling(pixel_range: Range) -> Scaling:
    """What `pixel_range` of `from_arrays` means for integers and for floats."""
    if pixel_range is None:
        return Scaling()
    if isinstance(pixel_range, Scaling):
        return pixel_range
    if isinstance(pixel_range, PixelMap):
        return Scaling(pixel_range, pixel_range)
    if isinstance(pixel_range, str) and pixel_range == "none":
        return Scaling(None, None)
    both = _checked_range(pixel_range)
    return Scaling(both, both)


def of_all(dtype: np.dtype, wanted: Scaling, white: int | None) -> bool:
    """Whether the map follows from the extremes of all values of a source, whatever is chosen."""
    whole = dtype.kind in "bui"
    scale = wanted.integers if whole else wanted.floats
    return isinstance(scale, tuple) and not (whole and _known_white(dtype, white) is not None)


def map_of(
    dtype: np.dtype, extremes: Scale, wanted: Scaling, white: int | None, said: list[str]
) -> PixelMap:
    """The map of values of `dtype` between `extremes`; what a reader must know of it is added to
    `said`."""
    whole = dtype.kind in "bui"
    low, high = extremes
    chosen = wanted.integers if whole else wanted.floats
    scale = chosen.scale if isinstance(chosen, PixelMap) else chosen
    if whole and scale is not None:
        _check_pixels(dtype, low)
    else:
        _check_magnitude(low, high, dtype, said)
    if isinstance(chosen, PixelMap):
        said += _other(dtype, (low, high), white, chosen)
        out = chosen
    elif whole and scale is not None:
        top = _white(dtype, high, white, said)
        out = PixelMap(str(dtype), (0.0, float(top)), scale)
    else:
        out = PixelMap(str(dtype), (float(low), float(high)), scale)
    if out.scale is not None:
        said.append(str(out))
    return out


def _other(dtype: np.dtype, came: Scale, white: int | None, given: PixelMap) -> list[str]:
    """A note where values of another kind are prepared by the map `given`; raise where they cannot
    hold the same units."""
    known, whole = _known_white(dtype, white), dtype.kind in "bui"
    another = whole and given.whole and known is not None and known != given.source[1]
    if str(dtype) == given.dtype and not another:
        return []
    what = f"{dtype} values from {came[0]:g} to {came[1]:g}"
    what += f" ({known} is white)" if another and given.scale is not None else ""
    if given.scale is not None:
        width, own = came[1] - came[0], given.source[1] - given.source[0]
        # a dark image is dark in any integers; floats of a hundredth are other units
        if width > _APART * own or (whole != given.whole and _APART * width < own):
            raise InputError(
                f"{what} came, to be prepared as the data that they are compared with "
                f"({given}); expected the same units. Save both in one dtype and scale."
            )
    return [f"{what}, prepared as the data that they are compared with ({given})"]


def _checked_range(pixel_range: object) -> Scale:
    try:
        low, high = (float(x) for x in pixel_range)  # type: ignore[attr-defined]
        good = low < high
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            f"pixel_range (--range) is {pixel_range!r}; expected two finite numbers, the lower "
            "one first, such as (0, 1) or (-1, 1) (--range=-1,1), or none for values as they came."
        )
    if not (max(abs(low), abs(high)) <= _PEAK and high - low >= 1 / _PEAK):
        raise InputError(
            f"pixel_range (--range) is {low:g} to {high:g}; expected ends of no more than "
            f"{_PEAK:g} that lie {1 / _PEAK:g} or more apart, since squared distances must stay "
            "finite in float32. Rescale."
        )
    return low, high


def _check_pixels(dtype: np.dtype, low: float) -> None:
    if low < 0:
        raise InputError(
            f"{dtype} values go down to {low}; expected integer pixels of 0 or more. Convert the "
            "array to float32 if its values are to be taken as they are, or set pixel_range to "
            '"none" (--range none).'
        )


def _known_white(dtype: np.dtype, white: int | None) -> int | None:
    """The integer that is white, where it is given or follows from the dtype."""
    if white is not None:
        return white
    if dtype.kind == "b":
        return 1
    return int(np.iinfo(dtype).max) if dtype.kind == "u" and dtype.itemsize <= 2 else None


def _white(dtype: np.dtype, high: float, white: int | None, said: list[str]) -> float:
    """The integer that stands for the upper end of the pixel range."""
    if white is None and dtype.kind == "b":
        return 1
    given = _known_white(dtype, white)
    known: float = 255 if high <= 255 else high
    if given is not None:
        known = given
    else:
        said.append(f"{known} is taken as white: the largest of the {dtype} values is {high}")
    if known < 1 or high > known:
        raise InputError(
            f"white is {known} but the pixels go up to {high}; expected the largest value that a "
            "pixel can have. Raise it, or leave it out."
        )
    if 8 * high < known:
        said.append(
            f"the largest pixel is {high} of {known}: if {high} is white, the data are scaled too "
            "small and every time is shifted (pass white=..., or save the array as floats)"
        )
    return known


def _check_magnitude(low: float, high: float, dtype: np.dtype, said: list[str]) -> None:
    peak = max(abs(low), abs(high))
    if peak > _PEAK:
        raise InputError(
            f"values reach {peak:.3g}; expected less than 1e15, since squared distances must stay "
            "finite in float32. Rescale the data, or set pixel_range (--range)."
        )
    if dtype.itemsize > 4 and 0 < high - low < 1e-2 * peak:
        said.append(
            f"values lie between {low:.9g} and {high:.9g}, far from zero for their spread: float32 "
            "blurs their differences (subtract a constant first)"
        )

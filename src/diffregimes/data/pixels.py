"""How values become points: which ones are stretched to a range, and which stay as they came.

A network lives on the scale of its training points, and so does the clock (t -> t + log(scale) at
large t). The map of one set of points is therefore kept with it, and given to every set that is
compared with it: stretched between their own extremes the same images would be other points.

Points are float32, which knows seven digits: what is far from zero for its spread has an offset
taken off before (`features`), for only differences count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..common.checks import InputError
from .features import measured, offset_of, standardizing

Scale = tuple[float, float]
_PEAK = 1e15  # of values; more where millions are squared and summed would not be a float32
_ROWS = 1024  # points at a time that are held in float64
_DEEPEST = 65535  # a pixel has no larger value
_APART = 8  # times as wide as the values of the map's own data: other units


@dataclass(frozen=True)
class PixelMap:
    """Values of `dtype` from `source[0]` to `source[1]` become points on `scale`, by one offset and
    one factor; with scale None they stay as they came, but for an `offset` of each feature (or one
    of all), and what each is divided by, `spread` (0: left at 0), where they are standardized."""

    dtype: str
    source: Scale
    scale: Scale | None
    offset: tuple[float, ...] | None = None
    spread: tuple[float, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is of integers."""
        return np.dtype(self.dtype).kind in "bui"

    @property
    def black(self) -> float:
        """What a pixel has that is added around an image."""
        if self.scale is not None:
            return self.scale[0]
        return self.source[0] - (0.0 if self.offset is None else self.offset[0])

    @property
    def affine(self) -> tuple[float, float] | None:
        """Factor and offset that make points of values, where float32 holds these."""
        (bottom, top), scale = self.source, self.scale
        if scale is None:
            return (
                (1.0, 0.0) if self.offset is None and np.dtype(self.dtype).itemsize <= 4 else None
            )
        if not self.whole or top <= bottom or top > _DEEPEST:
            return None
        factor = (scale[1] - scale[0]) / (top - bottom)
        return factor, scale[0] - bottom * factor

    def points(self, values: np.ndarray, pad: int = 0) -> np.ndarray:
        """Values (n, d), (n, H, W) or (n, H, W, C) as points (n, d), float32, with `pad` pixels
        added to each side of images."""
        row = sample_shape(values.shape, pad)
        out = np.full((len(values), *row), self.black, dtype=np.float32)
        inner = values if values.ndim != 3 else values[..., None]
        self.fill(out[:, pad:-pad, pad:-pad] if pad else out, inner)
        return out.reshape(len(out), -1)

    def fill(self, out: np.ndarray, values: np.ndarray) -> None:
        """Put values into a float32 array of the same shape, whose rows are points.

        Integers are cast straight into it and scaled there: nothing as large as the data is ever
        held in float64. Of other values some rows are, for float32 would round what is far from
        zero before it is taken off.
        """
        (bottom, top), scale = self.source, self.scale
        if scale is not None and bottom == 0 and self.whole:
            out[...] = values
            if top > bottom:  # equal: constant data, refused by the caller
                out /= np.float32(top)
                out *= np.float32(scale[1] - scale[0])
                out += np.float32(scale[0])
        elif scale is None and self.offset is None:
            out[...] = values
        else:
            for k in range(0, len(out), _ROWS):
                out[k : k + _ROWS] = self._mapped(values[k : k + _ROWS].astype(np.float64))

    def _mapped(self, values: np.ndarray) -> np.ndarray:
        """Values in float64 as points."""
        (bottom, top), scale = self.source, self.scale
        if scale is not None:
            share = (values - bottom) / (top - bottom if top > bottom else 1.0)
            return scale[0] + share * (scale[1] - scale[0])
        values = values - np.asarray(self.offset)
        if self.spread is None:
            return values
        size = np.asarray(self.spread)
        return np.asarray(np.divide(values, size, out=np.zeros_like(values), where=size > 0))

    def agrees(self, other: PixelMap) -> bool:
        """Whether both put the same image onto the same point: whole numbers have a white of their
        own, floats that were stretched say nothing of it."""
        one, two = ((x.scale, x.offset, x.spread) for x in (self, other))
        return one == two and (
            self.scale is None or (self.whole and other.whole) or self.source == other.source
        )

    def __str__(self) -> str:
        low, high = self.source
        came = f"values from {low:g} to {high:g}"
        if self.whole and self.scale is not None:
            came = f"{self.dtype} values {int(low)}..{int(high)}"
        if self.spread is not None:
            return f"{self.dtype} {came}, each feature standardized"
        if self.scale is None and self.offset is not None:
            return f"{self.dtype} {came} taken as they came, a constant taken off"
        if self.scale is None:
            return f"{self.dtype} {came} taken as they came"
        return f"{came} mapped to [{self.scale[0]:g}, {self.scale[1]:g}]"


def sample_shape(shape: tuple[int, ...], pad: int = 0) -> tuple[int, ...]:
    """(d,) or (H, W, C) of points that come in this shape, so many pixels added to each side."""
    row = tuple(int(x) for x in shape[1:])
    if len(row) == 1:
        return row
    return (row[0] + 2 * pad, row[1] + 2 * pad, *(row[2:] or (1,)))


@dataclass(frozen=True)
class Scaling:
    """Where integers (0..white) and floats (from their smallest to their largest) go: the two ends,
    the map of other data, None for values as they came, or each feature to mean 0 and variance 1.
    """

    integers: Scale | PixelMap | Literal["standardized"] | None = (0.0, 1.0)
    floats: Scale | PixelMap | Literal["standardized"] | None = None


MODELS = Scaling(integers=(-1.0, 1.0))  # as in diffusers' own pipelines
Range = Scale | Literal["none"] | PixelMap | Scaling | None


def scaling(pixel_range: Range, standardize: bool = False) -> Scaling:
    """What `pixel_range` and `standardize` of `from_arrays` mean for integers and for floats."""
    if standardize:
        return _standardized(pixel_range)
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


def _standardized(pixel_range: Range) -> Scaling:
    """Each feature over its own spread, or as it was done to other data."""
    given = pixel_range.floats if isinstance(pixel_range, Scaling) else pixel_range
    if isinstance(given, PixelMap):
        if given.spread is None:
            raise InputError(
                f"standardize (--standardize) came with the map of other data ({given}), which did "
                "not standardize them; expected one map for both. Leave it out."
            )
        return Scaling(given, given)
    if given is not None:
        raise InputError(
            f"standardize (--standardize) came with pixel_range (--range) {given!r}; expected one "
            "of the two: a range is for pixels, which have one unit. Leave one out."
        )
    return Scaling("standardized", "standardized")


def map_of(
    values: np.ndarray, extremes: Scale, wanted: Scaling, white: int | None, said: list[str]
) -> PixelMap:
    """The map of the chosen `values`, of a source between `extremes`; what a reader must know of it
    is added to `said`."""
    whole = values.dtype.kind in "bui"
    low, high, dtype = *extremes, values.dtype.newbyteorder("=")
    came = float(low), float(high)
    chosen = wanted.integers if whole else wanted.floats
    if isinstance(chosen, PixelMap):
        if whole and chosen.scale is not None:
            _check_pixels(dtype, low)
        said += _other(dtype, (low, high), white, chosen)
        out = chosen
    elif chosen == "standardized":
        out = PixelMap(str(dtype), came, None, *standardizing(values, said))
    elif whole and chosen is not None and not _numbers(values, high, wanted, white, said):
        _check_pixels(dtype, low)
        top = _white(dtype, high, white, said)
        out = PixelMap(str(dtype), (0.0, float(top)), chosen)
    elif chosen is None or whole:
        out = PixelMap(str(dtype), came, None, offset_of(measured(values), values, said))
    else:
        out = PixelMap(str(dtype), came, chosen)
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
        good = bool(np.isfinite([low, high]).all() and low < high)
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


def _numbers(
    array: np.ndarray, high: float, wanted: Scaling, white: int | None, said: list[str]
) -> bool:
    """Whether integers are numbers of a table and no pixels, where nobody says what they are."""
    asked = wanted.floats is not None or _known_white(array.dtype, white) is not None
    if asked or array.ndim != 2 or high <= _DEEPEST:
        return False
    said.append(
        f"{array.dtype} values up to {high} are taken for numbers, not pixels, and as they came"
    )
    return True


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
    if white is None and high == 1:
        said.append(f"1 is taken as white: the {dtype} values are 0 and 1")
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

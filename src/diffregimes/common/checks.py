"""What may go wrong with the input, said in one voice.

Every message says what came, what was expected and the way out. `InputError` is
the one exception of the package for things a user can mend; the command line turns it
into exit status 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

TIMES = 1e-30, 300.0  # between which no number of the computation overflows
_AS_FLOATS = "np.asarray(points, dtype=np.float32)"
_NUMBERS = {  # by kind of dtype, where that fails or loses something
    "V": "np.column_stack([points[x] for x in points.dtype.names if x != 'label']), with "
    "labels=points['label']",
    "c": "points.view(points.real.dtype), real and imaginary parts side by side",
    "M": "(points - points.min()).astype(np.float64)",
    "m": "points.astype(np.float64)",
}


class InputError(ValueError):
    """Something about the input can be mended by the user; the message says how."""


class MissingFile(InputError):
    """A file that an option names is not there."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had: Python's and a GPU's own error, or that of torch's allocator
    on a CPU, a plain RuntimeError that nothing but its text tells from others."""
    if isinstance(error, MemoryError):
        return True
    from torch import OutOfMemoryError  # late: --help must not wait for it

    plain = isinstance(error, RuntimeError) and "allocate" in str(error)
    return plain or isinstance(error, OutOfMemoryError)


def finite_points(
    points: np.ndarray, what: str = "points", indices: np.ndarray | None = None
) -> None:
    """Raise unless every value is finite; name the first sample that is not, by its place or, where
    they are given, by `indices`."""
    bad = ~np.isfinite(points).reshape(len(points), -1).all(axis=1)
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        first = place if indices is None else int(indices[place])
        raise InputError(
            f"{int(bad.sum())} of {len(points)} {what} hold NaN or infinite values, the first at "
            f"index {first}; expected finite numbers. Remove or repair these samples."
        )


def check_real(dtype: np.dtype) -> None:
    """Raise unless points of `dtype` are real numbers."""
    if dtype.kind not in "buif":
        raise InputError(
            f"points have the dtype {dtype}; expected integers or real floats. Convert them "
            f"first, for example by {_NUMBERS.get(dtype.kind, _AS_FLOATS)}."
        )


def in_range(name: str, value: float, low: float, high: float, hint: str = "") -> None:
    """Raise unless low <= value <= high."""
    if not low <= value <= high:
        bounds = f"from {_plain(low)} to {_plain(high)}"
        big = isinstance(value, int) and abs(value) > 10**100  # too long to be written out
        shown = f"about 2^{math.log2(abs(value)):.0f}" if big else repr(value)
        raise InputError(f"{name} is {shown}; expected a number {bounds}. {hint}".strip())


def _plain(value: float) -> str:
    """10 000 000 rather than 1e+07."""
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:g}"


def increasing(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The values as a float64 array; raise unless finite, positive, increasing and at least two."""
    out = np.asarray(values, dtype=np.float64)
    if out.ndim != 1 or out.size < 2:
        raise InputError(f"{name} holds {out.size} value(s); expected at least two, increasing.")
    if not np.isfinite(out).all() or (out <= 0).any() or (np.diff(out) <= 0).any():
        raise InputError(
            f"{name} = {np.array2string(out, threshold=6)} is not a list of finite, positive, "
            "increasing times; sort it and drop repeated values."
        )
    in_range(f"the first of {name}", float(out[0]), *TIMES)
    in_range(f"the last of {name}", float(out[-1]), *TIMES, "Beyond, nothing of the data is left.")
    return out

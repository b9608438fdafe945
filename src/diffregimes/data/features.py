"""Features in float64: how far from zero they lie, how wide they are, and what that asks for.

Points are float32, whose steps are 6e-8 of a value: of a column of times around 1.7e9 seconds they
keep two minutes. Distances, and so all times, are those of differences: the constant goes first.
Features of very different spread are a matter of units: the widest decide every distance, and
whether that is meant is for the user to say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..common.checks import InputError

FAR = 100  # times its width that a feature lies from zero: there an offset is taken off
UNLIKE = 30  # times as wide as one in four of the others: other units
LARGEST, SMALLEST = 1e15, 1e-30  # between which float32 holds squares and differences
_LOST, _BLURRED = 1e-2, 1e-4  # of the width, the step of the dtype at that distance from zero
_HUGE = 1e150
_ROWS = 1024


@dataclass(frozen=True)
class Measured:
    """The ends (k,) of each feature; of all together (1,) where they are pixels."""

    low: np.ndarray
    high: np.ndarray

    @property
    def width(self) -> np.ndarray:
        return np.asarray(self.high - self.low)

    @property
    def peak(self) -> np.ndarray:
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))


def measured(array: np.ndarray) -> Measured:
    """The ends of the values; raises `InputError` where float32 cannot hold their differences."""
    axis = 0 if array.ndim == 2 else None
    low, high = (np.atleast_1d(x(axis=axis)).astype(np.float64) for x in (array.min, array.max))
    seen = Measured(low, high)
    widest = float(seen.width.max())
    if not widest <= LARGEST:
        raise InputError(
            f"values of one feature lie {widest:.3g} apart; expected less than {LARGEST:g}, since "
            "squared distances must stay finite in float32. Rescale the data, set pixel_range "
            "(--range), or standardize (--standardize)."
        )
    if 0 < widest < SMALLEST:
        raise InputError(
            f"values of one feature lie at most {widest:.3g} apart; expected {SMALLEST:g} or more, "
            "below which float32 has no digits. Rescale the data, or standardize (--standardize)."
        )
    return seen


def offset_of(seen: Measured, array: np.ndarray, said: list[str]) -> tuple[float, ...] | None:
    """What is to be taken off each feature before float32 rounds it; None for nothing."""
    width, peak = seen.width, seen.peak
    far = (peak > FAR * width) & ((width > 0) | (peak > LARGEST))  # constant ones do no harm
    if array.ndim == 2:
        _note_units(array, said)
        _note_symmetric(array, said)
    if not far.any():
        return None
    share = np.divide(width, peak, out=np.ones_like(peak), where=far & (width > 0))
    worst = int(np.argmin(share))
    where = f"feature {worst}" if array.ndim == 2 else "the values"
    lies = f"{where} from {seen.low[worst]:.12g} to {seen.high[worst]:.12g}"
    if array.dtype.kind == "f":
        step = float(np.finfo(array.dtype).eps * peak[worst])
        if step > _LOST * width[worst] > 0:
            raise InputError(
                f"{lies} came as {array.dtype}, whose steps are {step:.3g} there: differences "
                "are lost. Take a constant off before the data become "
                f"{array.dtype}, or pass them as float64."
            )
        if step > _BLURRED * width[worst] > 0:
            said.append(f"{lies} came as {array.dtype}, whose steps are {step:.3g} there")
    if array.dtype.itemsize <= 4 and array.dtype.kind == "f":
        return None  # float32 holds them as they are
    count = f"{int(far.sum())} features lie" if far.sum() > 1 else "it lies"
    said.append(
        f"{lies}: {count} far from zero for the spread, and a constant was taken off, which moves "
        "no time"
    )
    return tuple(np.where(far, (seen.low + seen.high) / 2, 0.0).tolist())


def standardizing(
    array: np.ndarray, said: list[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each feature, 0 for constant ones."""
    if array.ndim != 2:
        raise InputError(
            f"standardize (--standardize) came with points of the shape {array.shape}, images; "
            "expected (n, d), features of different units. Pixels have one unit: leave it out, or "
            "flatten the images if it is meant."
        )
    if not (float(array.max()) < _HUGE and float(array.min()) > -_HUGE):
        raise InputError(
            f"values reach {_HUGE:g}; expected less, since their squares must be finite in "
            "float64. Rescale the data."
        )
    mean, spread = _moments(array)
    constant = int((spread == 0).sum())
    kept = spread[spread > 0]
    if len(kept):
        said.append(
            f"each feature was standardized: its mean taken off, divided by its standard deviation "
            f"({kept.min():.3g} to {kept.max():.3g})"
            + (f"; {constant} constant ones left at 0" if constant else "")
        )
    return tuple(mean.tolist()), tuple(spread.tolist())


def _moments(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (d,) of the features in float64, some rows at a time."""
    n, first = len(array), array[0].astype(np.float64)
    shift, square = np.zeros_like(first), np.zeros_like(first)
    for k in range(0, n, _ROWS):
        shift += (array[k : k + _ROWS].astype(np.float64) - first).sum(axis=0) / n
    for k in range(0, n, _ROWS):
        part = array[k : k + _ROWS].astype(np.float64) - first
        square += np.square(part - shift).sum(axis=0) / n
    constant = array.min(axis=0) == array.max(axis=0)
    return first + shift, np.where(constant, 0.0, np.sqrt(square))


def _note_units(array: np.ndarray, said: list[str]) -> None:
    """A note where the features seem to be in different units."""
    _, spread = _moments(array)
    kept = np.flatnonzero(spread)
    if len(kept) < 2:
        return
    usual = float(np.quantile(spread[kept], 0.25, method="lower"))
    widest = int(kept[np.argmax(spread[kept])])
    if spread[widest] > UNLIKE * usual:
        said.append(
            f"features differ in spread by a factor of {spread[widest] / usual:.2g} (feature "
            f"{widest}: {spread[widest]:.3g}, one in four no more than {usual:.3g}): the widest "
            "decide every distance. standardize=True (--standardize) divides each by its spread, "
            "if they are in different units"
        )


def _note_symmetric(array: np.ndarray, said: list[str]) -> None:
    """A note where the rows are not those of points but of a matrix between them."""
    if array.shape[0] == array.shape[1] > 2 and np.allclose(array, array.T):
        said.append(
            f"the array {array.shape} is symmetric: if it is a covariance, or holds distances or "
            "products of points, its rows are no points, and nothing here speaks of your data"
        )

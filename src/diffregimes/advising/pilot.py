"""How long a training may go on, from one on fewer points.

A network learns the law first and single points later. The step tau at which its loss on held-out
points comes apart from that on training points grows with their number,

    tau(n) = tau(n_0) n/n_0

(Bonnaire, Urfin, Biroli and Mezard 2025, arXiv 2505.17638: the time to memorise is proportional to
n at fixed network, rate and batch), so that a pilot on n_0 points tells it for n.

The log of the ratio of the losses is flat while nothing is memorised (not at zero: they are means
over different points), and then grows. tau is where a broken line

    log(held-out/training) = c + b (step - tau)_+,   b > 0,

fits the rows best, up to the one where half of the largest gap is reached: beyond it the gap bends.
Rows are made with the same noise and hang together, so that the interval is of a bootstrap of
blocks of residuals, and never narrower than a row to either side.

What this leaves open: whether the exponent is 1 for this network, and when copies are made: later.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..common import numerics
from ..common.checks import InputError, in_range
from ..common.numerics import Z95
from ..common.readable import number
from ..common.reading import check_regular, read_json, readable
from ..common.rng import numpy_generator
from ..results import Analysis
from .told import Item

LONG = "How long may I train?"
COLUMNS = {"step": ("step",), "train": ("train", "train_loss"),
           "held_out": ("held_out", "held_out_loss")}  # fmt: skip
FEWEST, BEFORE = 8, 3  # rows in all, and before the gap opens
BENDS = 0.5  # of the largest gap, up to which rows are fitted
_TABLE = "a table with the columns step, train and held_out, as loss.csv of diffregimes train is"
NO_PILOT = (
    "It takes a training on fewer points that was watched: --pilot FOLDER of diffregimes train, or "
    "a loss.csv with the columns step, train and held_out."
)


@dataclass(frozen=True)
class Pilot:
    """Losses at increasing `step` (R,), of a training on so many `points`; `shape` of a sample,
    where it is known."""

    name: str
    points: int
    step: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Opening:
    """The step at which the gap opens with the ends of its 95 % interval, None where it has not
    opened; `low` 0 where it may have been open at the first rows. `gap` (R,) and the `line` (F,)
    that fits its first rows."""

    step: float | None
    low: float
    high: float
    gap: np.ndarray
    line: np.ndarray


def read(source: str | Path, points: int | None = None) -> Pilot:
    """The folder of `diffregimes train`, or a .csv; `points` it was trained on, where no recipe
    beside it says so. Raises `InputError` for others."""
    path = Path(source).expanduser()
    file = path / "loss.csv" if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise InputError(
            f"{source} holds no loss.csv; expected a folder of diffregimes train, or {_TABLE}."
        )
    table = _table(file)
    shape, known = _recipe(file.parent / "recipe.json") if path.is_dir() else (None, None)
    if points is not None:
        in_range("pilot points (--pilot-points)", points, 2, 10**12)
        if known not in (None, points):
            raise InputError(
                f"pilot points (--pilot-points) is {points}, and {source} was trained on {known}; "
                "leave it out, or give the pilot that it is of."
            )
    points = points or known
    if points is None:
        raise InputError(
            f"{source} does not say on how many points it was trained; give their number: "
            "--pilot-points N0."
        )
    return Pilot(str(source), points, table["step"], table["train"], table["held_out"], shape)


def _recipe(path: Path) -> tuple[tuple[int, ...] | None, int | None]:
    """Shape of a sample and number of training points, as far as the recipe has them."""
    if not path.is_file():
        return None, None
    found = read_json(path, "the recipe of diffregimes train")
    told: Mapping[str, Any] = found if isinstance(found, dict) else {}
    shape, points = told.get("sample_shape"), told.get("points")
    return tuple(shape) if shape else None, points if isinstance(points, int) else None


def _table(path: Path) -> dict[str, np.ndarray]:
    """The columns by the names of `COLUMNS`, checked."""
    check_regular(path, _TABLE)
    with readable(path, _TABLE):
        reader = csv.DictReader(path.read_text("utf-8-sig").splitlines())
        rows, heads = list(reader), [x.strip() for x in reader.fieldnames or ()]
    out = {}
    for name, names in COLUMNS.items():
        place = next((heads.index(x) for x in names if x in heads), None)
        if place is None:
            watched = "; watch the pilot on points it is not trained on" * (name == "held_out")
            raise InputError(
                f"{path} has no column {name} (it has {', '.join(heads) or 'none'}); expected "
                f"{_TABLE}{watched}."
            )
        head = (reader.fieldnames or ())[place]
        cells = [(x.get(head) or "").strip() for x in rows]
        if name == "held_out" and not any(cells):
            raise InputError(
                f"{path} holds no held-out loss; the pilot must be watched on points that it is "
                "not trained on: diffregimes train --held-out 0.1."
            )
        out[name] = _numbers(path, name, cells)
    if len(rows) < FEWEST or (np.diff(out["step"]) <= 0).any():
        raise InputError(
            f"{path} has {len(rows)} rows; expected {FEWEST} or more, of increasing steps. Watch "
            "the pilot more often: diffregimes train --every N."
        )
    return out


def _numbers(path: Path, name: str, cells: list[str]) -> np.ndarray:
    try:
        values = np.array([float(x) for x in cells])
    except ValueError as error:
        raise InputError(
            f"{path}, column {name}: {error}; expected a number in each row."
        ) from error
    if not (np.isfinite(values).all() and (values > 0 if name != "step" else values >= 0).all()):
        raise InputError(f"{path}, column {name}: expected finite numbers above 0.")
    return values


def opening(pilot: Pilot, seed: int = 0) -> Opening:
    """Where the gap opens, by the broken line of the module."""
    gap = np.log(pilot.held_out / pilot.train)
    rows = _until_bend(gap)
    step, some = pilot.step[:rows], gap[:rows]
    (at,), (slope,), (line,) = _broken(step, some[None])
    left = some - line
    noise = max(float(np.sqrt((left**2).mean())), 1e-12)
    after = step > at
    # the gap at the end of the line over its own scatter: a line through noise bends a little
    rise = slope * float(step[-1] - at)
    if not slope > 0 or after.sum() < 2 or rise < 2 * Z95 * noise:
        return Opening(None, float(pilot.step[-1]), math.inf, gap, line)
    size = max(2, round(rows ** (1 / 3)))
    starts = numpy_generator(seed, "pilot").integers(
        0, rows - size + 1, (numerics.RESAMPLES, -(-rows // size))
    )
    again = left[(starts[:, :, None] + np.arange(size)).reshape(len(starts), -1)[:, :rows]]
    low, high = np.quantile(_broken(step, line + again)[0], [0.025, 0.975])
    k = int(np.searchsorted(step, at))
    low = min(low, step[max(k - 1, 0)])
    high = max(high, step[min(k + 1, rows - 1)])
    if (step < at).sum() < BEFORE:  # the flat part was hardly seen
        low = 0.0
    return Opening(float(at), float(low), float(high), gap, line)


def _until_bend(gap: np.ndarray) -> int:
    """Rows up to the first from which half of the largest gap is exceeded for good."""
    base = float(np.median(gap[:BEFORE]))
    below = np.flatnonzero(gap - base < BENDS * (gap[-BEFORE:].mean() - base))
    return max(FEWEST, int(below[-1]) + 2) if len(below) else len(gap)


def _broken(step: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """tau (B,) and b (B,) of the least-squares broken lines through `gaps` (B, R), and the lines
    (B, R); tau between the first and the last but one row."""
    at = _candidates(step)
    rest = np.maximum(step - at[:, None], 0)
    x = rest - rest.mean(axis=1, keepdims=True)
    mean = gaps.mean(axis=1, keepdims=True)
    size = (x**2).sum(axis=1)
    slope = np.maximum((gaps - mean) @ x.T / size, 0)
    best = np.argmax(slope**2 * size, axis=1)  # what the line takes from the sum of squares
    slope = np.take_along_axis(slope, best[:, None], axis=1)
    return at[best], slope[:, 0], mean + slope * x[best]


def _candidates(step: np.ndarray) -> np.ndarray:
    """Four between each two rows."""
    places = np.arange(0, len(step) - 1.75, 0.25)
    return np.asarray(np.interp(places, np.arange(len(step)), step))


def training_length(analysis: Analysis, pilot: Pilot | None) -> Item:
    """The step at which the gap opens for the points of the analysis; unanswered without pilot."""
    if pilot is None:
        return Item("training length", LONG, NO_PILOT, answered=False)
    shape = tuple(analysis.dataset.sample_shape)
    if pilot.shape not in (None, shape):
        raise InputError(
            f"the pilot {pilot.name} was trained on samples of the shape {pilot.shape}, and the "
            f"data have {shape}; expected a pilot on some of the same data."
        )
    n, found = analysis.dataset.n, opening(pilot)
    factor = n / pilot.points
    lists = {"step": pilot.step.tolist(), "gap": found.gap.tolist(), "line": found.line.tolist()}
    numbers = {"n0": float(pilot.points), "n": float(n)}
    of = f"the pilot on {pilot.points} points"
    if found.step is None:
        numbers["at least"] = found.low * factor
        return _item(
            f"For {_three(found.low * factor)} steps at least: the gap has not opened within the "
            f"{_three(found.low)} steps of {of}, times n/n0 = {factor:.3g}. Train the pilot longer "
            "to know more.",
            numbers, lists,
        )  # fmt: skip
    numbers |= {
        "pilot": found.step, "pilot low": found.low, "pilot high": found.high,
        "steps": found.step * factor, "low": found.low * factor, "high": found.high * factor,
    }  # fmt: skip
    early = ""
    if found.low == 0:
        early = " It may have been open at the first rows: watch the pilot more often (--every)."
    return _item(
        f"For about {_three(found.step * factor)} steps ({_three(found.low * factor)} to "
        f"{_three(found.high * factor)}): in {of} held-out points lose more than training points "
        f"from step {_three(found.step)} on, times n/n0 = {factor:.3g}.{early}",
        numbers, lists,
    )  # fmt: skip


def _three(steps: float) -> str:
    """To three digits."""
    return number(float(f"{steps:.3g}"))


def _item(answer: str, numbers: dict[str, float], lists: dict[str, list[float]]) -> Item:
    return Item(
        "training length",
        LONG,
        answer,
        numbers=numbers,
        lists=lists,
        formula="τ(n) = τ(n₀) n/n₀; log(held-out/training loss) = c + b (step − τ)₊",
        assumes="the exponent of n is 1; the same network, batch and learning rate as in the "
        "pilot, whose points are some of these, and all n trained on",
        unknown="the exponent for this network: docs/advice.md has what was measured; the interval "
        "is that of τ(n₀) alone. Copies come later than the gap",
    )

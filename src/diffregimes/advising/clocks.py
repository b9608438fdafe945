"""A noise level in every unit, and where curves that are known within a band cross a level.

A share of the steps is k/N for step k of N: what `strength` counts in diffusers' image-to-image
pipelines, whose timesteps are evenly spaced, and 1 minus what `start` and `stop` of its guiders do.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..common.checks import InputError
from ..common.numerics import Z95
from ..common.reading import read_json
from ..process import FLOW_STEP, Schedule, flow_time, schedule, sigma
from ..results import TransitionTime
from ..transitions.crossing import band_crossing
from .told import Level, Setting


def scheduler(given: str | Path | Schedule) -> Schedule:
    """By name, or that of a scheduler_config.json, or in the folder of a scheduler or pipeline."""
    if isinstance(given, Schedule):
        return given
    path = Path(given).expanduser()
    if not path.is_dir():
        return _of_file(str(given))
    for file in (path / "scheduler_config.json", path / "scheduler" / "scheduler_config.json"):
        if file.is_file():
            return _of_file(str(file))
    raise InputError(
        f"{given} holds no scheduler_config.json; expected the folder of a diffusers pipeline or "
        "of its scheduler, as save_pretrained writes it, or linear or cosine."
    )


def _of_file(name: str) -> Schedule:
    """By name or from a config. One whose shift depends on the image has levels, but the steps that
    are sampled are others: shares of the steps would be wrong."""
    found = schedule(name)
    if found.clock == FLOW_STEP and read_json(
        Path(name).expanduser(), "a scheduler_config.json"
    ).get("use_dynamic_shifting"):
        raise InputError(
            f"{name}: use_dynamic_shifting moves the steps by the size of the image, so that their "
            'shares are not known. Give a config with "use_dynamic_shifting": false and as "shift" '
            "that of your images, exp(mu) of the pipeline's calculate_shift."
        )
    return found


def level(t: float, clock: Schedule) -> Level:
    """t on every clock."""
    step = clock.step(t)
    part = None if step is None else clock.place(t) / len(clock.times)
    return Level(t, float(sigma(t)), float(flow_time(t)), step, part)


def setting(
    name: str, clock: Schedule, t: float | None, low: float | None = None, high: float | None = None
) -> Setting:
    """t (None: there is none) with the ends of its interval."""
    if t is None or not math.isfinite(t):
        return Setting(name, None)
    ends = [None if x is None or x <= 0 else level(x, clock) for x in (low, high)]
    return Setting(name, level(t, clock), *ends)


def of_time(name: str, time: TransitionTime, clock: Schedule) -> Setting:
    """A transition time."""
    return setting(name, clock, time.t, time.low, time.high)


def crossing(
    name: str,
    clock: Schedule,
    t: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    errors: tuple[np.ndarray, np.ndarray],
    at: float,
) -> Setting:
    """Where the middle of a curve that lies between two `ends` (T,) crosses `at`; the interval is
    that of both ends and their errors, down to where the data say nothing where one does not cross.
    """
    low, high = np.minimum(*ends), np.maximum(*ends)
    wide = Z95 * np.maximum(*errors)
    band = np.stack([(low + high) / 2, low - wide, high + wide])
    best, first, last = band_crossing(t, band, at)
    known = [x for x in (first, last) if x is not None]
    if best is not None and len(known) < 2:
        return setting(name, clock, best, None, max([best, *known]))
    return setting(name, clock, best, *known)


def steps_of(found: Setting, clock: Schedule) -> str:
    """A setting in words, in the units of the schedule."""
    at = found.at
    if at is None:
        return "none"
    where = f"t = {at.t:.3g}, sigma {at.sigma:.3g}"
    return where if at.step is None else f"{clock.clock} {at.step} of {len(clock.times)}, {where}"

"""The forward process and its clocks.

Ornstein-Uhlenbeck: dx = -x dt + sqrt(2) dW, so x_t = e^{-t} a + sqrt(Delta_t) z with
Delta_t = 1 - e^{-2t} and z ~ N(0, I). t = 0 is data, t -> infinity is noise; generation runs t
downwards. Every other clock is reached through the signal-to-noise ratio
gamma(t) = e^{-2t} / Delta_t, which alone decides what can be told from x_t. No other module turns
one clock into another but the time axis of figures, which cuts -log gamma off at both ends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .common.checks import InputError

Times = float | np.ndarray


def signal(t: Times) -> Any:
    """e^{-t}, the factor on the data."""
    return np.exp(-np.asarray(t, dtype=np.float64))


def variance(t: Times) -> Any:
    """Delta_t = 1 - e^{-2t}, the variance of the noise in each dimension."""
    return -np.expm1(-2 * np.asarray(t, dtype=np.float64))


def snr(t: Times) -> Any:
    """gamma(t) = e^{-2t} / Delta_t = 1 / (e^{2t} - 1)."""
    return 1 / np.expm1(2 * np.asarray(t, dtype=np.float64))


def time_from_snr(gamma: Times) -> Any:
    """t = (1/2) log(1 + 1/gamma), the inverse of `snr`."""
    return 0.5 * np.log1p(1 / np.asarray(gamma, dtype=np.float64))


def sigma(t: Times) -> Any:
    """gamma^{-1/2}: the noise level of the variance-exploding process at the same gamma."""
    return np.sqrt(np.expm1(2 * np.asarray(t, dtype=np.float64)))


def flow_time(t: Times) -> Any:
    """s of the rectified flow x = (1 - s) a + s z at the same gamma = ((1 - s)/s)^2."""
    level = sigma(t)
    return level / (1 + level)


@dataclass(frozen=True)
class Schedule:
    """A DDPM schedule: step k = 1..N has t_k = -(1/2) log alphas_cumprod[k - 1].

    Steps count from 1 as in the literature; array indices (and diffusers' `timesteps`) from 0.
    """

    name: str
    alphas_cumprod: np.ndarray

    @property
    def times(self) -> np.ndarray:
        """Ornstein-Uhlenbeck time of every step, increasing."""
        return np.asarray(-0.5 * np.log(self.alphas_cumprod))

    def step(self, t: float) -> int | None:
        """The step whose time is nearest to t; None where t lies beyond the last step."""
        times = self.times
        last_gap = times[-1] - times[-2]
        if t > times[-1] + last_gap / 2:
            return None
        return int(np.argmin(np.abs(times - t))) + 1


def linear_schedule(
    steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2, name: str = "linear"
) -> Schedule:
    """beta_k from beta_start to beta_end, evenly (Ho et al. 2020); ends at t = 5.06."""
    return Schedule(name, np.cumprod(1 - np.linspace(beta_start, beta_end, steps)))


def cosine_schedule(steps: int = 1000, name: str = "cosine") -> Schedule:
    """alpha-bar follows cos^2 with offset 0.008 and beta <= 0.999 (Nichol and Dhariwal 2021)."""
    grid = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return Schedule(name, np.cumprod(1 - np.minimum(1 - grid[1:] / grid[:-1], 0.999)))


def schedule_from_config(path: str | Path) -> Schedule:
    """Read the beta schedule of a diffusers scheduler_config.json.

    Known `beta_schedule`: linear, scaled_linear (linear in sqrt beta), squaredcos_cap_v2 and
    `trained_betas`. Raises `InputError` for anything else.
    """
    path = Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot read the schedule {path}: {error.strerror}; expected linear, cosine or the "
            "path of a diffusers scheduler_config.json."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} is not JSON ({error}); expected a diffusers scheduler_config.json."
        ) from error
    if not isinstance(config, dict):
        raise InputError(
            f"{path} holds no JSON object; expected a diffusers scheduler_config.json."
        )
    name = path.name
    try:
        if config.get("trained_betas") is not None:
            betas = np.asarray(config["trained_betas"], dtype=np.float64)
            out = Schedule(name, np.cumprod(1 - betas))
        else:
            kind = config["beta_schedule"]
            steps = int(config["num_train_timesteps"])
            if kind == "squaredcos_cap_v2":
                out = cosine_schedule(steps, name)
            else:
                ends = float(config["beta_start"]), float(config["beta_end"])
                if kind == "linear":
                    out = linear_schedule(steps, *ends, name=name)
                elif kind == "scaled_linear":
                    betas = np.linspace(ends[0] ** 0.5, ends[1] ** 0.5, steps) ** 2
                    out = Schedule(name, np.cumprod(1 - betas))
                else:
                    raise InputError(
                        f"{path}: beta_schedule is {kind!r}; known are linear, scaled_linear, "
                        "squaredcos_cap_v2, or a list trained_betas."
                    )
    except KeyError as error:
        raise InputError(
            f"{path} has no key {error}; expected a diffusers scheduler_config.json with "
            "beta_schedule, num_train_timesteps, beta_start and beta_end."
        ) from error
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: {error}; expected numbers for the beta schedule.") from error
    valid = out.alphas_cumprod
    if len(valid) < 2 or not (np.isfinite(valid).all() and (valid > 0).all() and (valid < 1).all()):
        raise InputError(
            f"{path}: the betas give a signal outside (0, 1); expected at least two betas, "
            "each between 0 and 1."
        )
    return out


def schedule(name: str) -> Schedule:
    """`linear`, `cosine`, or the path of a diffusers scheduler_config.json."""
    if name == "linear":
        return linear_schedule()
    if name == "cosine":
        return cosine_schedule()
    if not name.endswith(".json"):
        raise InputError(
            f"unknown schedule {name!r}; expected linear, cosine or the path of a "
            "scheduler_config.json of diffusers."
        )
    return schedule_from_config(name)

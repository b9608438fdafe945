"""The forward process and its clocks.

Ornstein-Uhlenbeck: dx = -x dt + sqrt(2) dW, so x_t = e^{-t} a + sqrt(Delta_t) z with
Delta_t = 1 - e^{-2t} and z ~ N(0, I). t = 0 is data, t -> infinity is noise; generation runs t
downwards. Every other clock is reached through the signal-to-noise ratio
gamma(t) = e^{-2t} / Delta_t, which alone decides what can be told from x_t. No other module turns
one clock into another but the time axis of figures, which cuts -log gamma off at both ends.

A scheduler numbers its noise levels; `Schedule` holds them as times, so that a t can be told as a
step of a model's own: of DDPM, of EDM or of a flow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .common.checks import InputError, in_range
from .common.reading import read_json, readable

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


# Schedulers of diffusers, by what their networks are given. Those of the first family see DDPM's
# states and whole steps, and differ in how they sample.
DDPM_FAMILY = (
    "DDPMScheduler",
    "DDPMParallelScheduler",
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DDIMInverseScheduler",
    "PNDMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverMultistepInverseScheduler",
    "DPMSolverSinglestepScheduler",
    "DPMSolverSDEScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LMSDiscreteScheduler",
)
EDM_FAMILY = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
FLOW_FAMILY = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
VE_FAMILY = ("ScoreSdeVeScheduler", "KarrasVeScheduler")
SCHEDULERS = (*DDPM_FAMILY, *EDM_FAMILY, *FLOW_FAMILY, *VE_FAMILY)
# of the first family, those that know no rescale_betas_zero_snr, and pass over it in a config that
# another class wrote; and those in which a signal of 0 is 2^-24
_NEVER_RESCALED = {x for x in DDPM_FAMILY if x.startswith(("PNDM", "DEIS", "SA", "Heun", "KDPM2"))}
_NEVER_RESCALED |= {"LMSDiscreteScheduler", "DPMSolverMultistepInverseScheduler"}
_NEVER_RESCALED |= {"DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler"}
_NEARLY_ZERO = {"EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"}
_NEARLY_ZERO |= {"DPMSolverMultistepScheduler", "UniPCMultistepScheduler"}
# a setting by which a scheduler serves networks of a clock that is not known here
OTHER_CLOCKS = {"invert_sigmas": True}
DDPM_STEP, EDM_STEP, FLOW_STEP, VE_STEP = "DDPM step", "EDM step", "flow step", "VE step"
_KARRAS_LEVELS = 1000  # of KarrasVe, whose config counts none


@dataclass(frozen=True)
class Schedule:
    """The noise levels of a scheduler: step k = 1..N has t_k = -(1/2) log alphas_cumprod[k - 1].

    Steps count from 1, the least noise, as in the literature; array indices (and diffusers'
    `timesteps`) from 0. `clock` is what is counted: DDPM steps, or the sigmas of an EDM or flow
    scheduler. The last entry may be 0, no signal at all, which is t = infinity.
    """

    name: str
    alphas_cumprod: np.ndarray
    clock: str = DDPM_STEP

    @property
    def times(self) -> np.ndarray:
        """Ornstein-Uhlenbeck time of every step, increasing."""
        with np.errstate(divide="ignore"):
            return np.asarray(-0.5 * np.log(self.alphas_cumprod))

    @property
    def finite_times(self) -> np.ndarray:
        """The same without a last step of no signal."""
        return np.asarray(self.times[np.isfinite(self.times)])

    def place(self, t: float) -> float:
        """The step at t as a real number, linear in t between the steps."""
        times = self.finite_times
        return float(np.interp(t, times, np.arange(1, len(times) + 1)))

    def step(self, t: float) -> int | None:
        """The step whose time is nearest to t; None where t lies beyond the last step."""
        times = self.finite_times
        if len(times) < len(self.times):  # pure noise comes next: half the signal is between
            if t > times[-1] + math.log(2):
                return len(self.times)
        elif t > times[-1] + (times[-1] - times[-2]) / 2:
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


def _count(config: Mapping[str, Any]) -> int:
    """How many noise levels a config has."""
    steps = int(config["num_train_timesteps"])
    in_range("num_train_timesteps", steps, 0, 10**6)
    return steps


def _betas(config: Mapping[str, Any]) -> np.ndarray:
    """The betas of a config of the DDPM family (N,); KeyError, TypeError, ValueError for others."""
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], dtype=np.float64)
    kind, steps = config["beta_schedule"], _count(config)
    if kind == "squaredcos_cap_v2":
        kept = cosine_schedule(steps).alphas_cumprod
        return np.asarray(1 - kept / np.append(1, kept[:-1]))
    first, last = float(config["beta_start"]), float(config["beta_end"])
    if kind == "linear":
        return np.linspace(first, last, steps)
    if kind == "scaled_linear":
        return np.linspace(first**0.5, last**0.5, steps) ** 2
    if kind == "sigmoid":
        return first + (last - first) / (1 + np.exp(-np.linspace(-6, 6, steps)))
    raise InputError(
        f"beta_schedule is {kind!r}; known are linear, scaled_linear, squaredcos_cap_v2, sigmoid, "
        "or a list trained_betas."
    )


def _ddpm_signal(config: Mapping[str, Any], scheduler: str) -> np.ndarray:
    """alphas_cumprod of a config of the DDPM family."""
    betas = _betas(config)
    kept = np.cumprod(1 - betas)
    if len(betas) < 2 or not ((betas > 0).all() and (betas[:-1] < 1).all() and betas[-1] <= 1):
        raise InputError(
            "the betas give a signal outside (0, 1); expected at least two betas, each between 0 "
            "and 1."
        )
    if config.get("rescale_betas_zero_snr") and scheduler not in _NEVER_RESCALED:
        # Lin et al. 2024: the signal is shifted to end at 0, and scaled to begin where it did
        root = np.sqrt(kept)
        kept = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        kept[-1] = 2.0**-24 if scheduler in _NEARLY_ZERO else 0.0
    return kept


def _edm_signal(config: Mapping[str, Any], scheduler: str) -> np.ndarray:
    """1/(1 + sigma^2) of the sigmas between sigma_min and sigma_max: even in sigma^(1/rho) (Karras
    et al. 2022) or in log sigma."""
    low, high, rho = (float(config[x]) for x in ("sigma_min", "sigma_max", "rho"))
    steps = _count(config)
    if not (0 < low < high < math.inf and rho > 0 and steps > 1):
        raise InputError(
            f"sigma_min, sigma_max, rho and num_train_timesteps are {low:g}, {high:g}, {rho:g} and "
            f"{steps}; expected 0 < sigma_min < sigma_max, a rho above 0 and two steps or more."
        )
    # the one class has both ends and num_train_timesteps steps between them, the other so many ends
    part = np.linspace(0, 1, steps + (scheduler == "EDMEulerScheduler"))
    kind = config["sigma_schedule"]
    if kind not in ("karras", "exponential"):
        raise InputError(f"sigma_schedule is {kind!r}; known are karras and exponential.")
    if kind == "karras":
        level = (low ** (1 / rho) + part * (high ** (1 / rho) - low ** (1 / rho))) ** rho
    else:
        level = np.exp(math.log(low) + part * math.log(high / low))
    return np.asarray(1 / (1 + level**2))


def _flow_signal(config: Mapping[str, Any], _: str) -> np.ndarray:
    """(1 - s)^2 / ((1 - s)^2 + s^2) of s = k/N, moved by a constant `shift`. One that depends on
    the image (use_dynamic_shifting) moves the s that are sampled, not these."""
    steps = _count(config)
    fixed = config["flow_shift"] if config.get("use_flow_sigmas") else config["shift"]
    shift = 1.0 if config.get("use_dynamic_shifting") else float(fixed)
    if not (0 < shift < math.inf and steps > 2):
        raise InputError(
            f"shift and num_train_timesteps are {shift:g} and {steps}; expected a shift above 0 "
            "and three steps or more."
        )
    even = np.arange(1, steps + 1) / steps
    s = shift * even / (1 + (shift - 1) * even)
    s[-1] = 1.0
    return np.asarray((1 - s) ** 2 / ((1 - s) ** 2 + s**2))


def _ve_signal(config: Mapping[str, Any], scheduler: str) -> np.ndarray:
    """1/(1 + sigma^2) of sigmas even in log sigma; those of KarrasVe lie between the squares of its
    ends, as its set_timesteps has them."""
    low, high = float(config["sigma_min"]), float(config["sigma_max"])
    steps = {"num_train_timesteps": _KARRAS_LEVELS}
    if scheduler == "KarrasVeScheduler":
        low, high = low**2, high**2
    else:
        steps["num_train_timesteps"] = _count(config)
    ends = {"sigma_min": low, "sigma_max": high, "rho": 1, "sigma_schedule": "exponential"}
    return _edm_signal({**ends, **steps}, scheduler)


def log_sigma_steps(config: Mapping[str, Any]) -> bool:
    """Whether the networks of a scheduler of the DDPM family are given log(sigma)/4 for a step."""
    there = config.get("timestep_type") == "continuous"
    return there and config.get("prediction_type") == "v_prediction"


def _reader(config: Mapping[str, Any], scheduler: str | None) -> tuple[Any, str]:
    """What reads the signal of a config, and the clock that it counts."""
    if scheduler in EDM_FAMILY:
        return _edm_signal, EDM_STEP
    if scheduler in FLOW_FAMILY or config.get("use_flow_sigmas"):
        return _flow_signal, FLOW_STEP
    if scheduler in VE_FAMILY:
        return _ve_signal, VE_STEP
    if log_sigma_steps(config) and None not in (config.get("sigma_min"), config.get("sigma_max")):
        # ends of its own, as those of EDM with Karras's rho
        return lambda x, _: _edm_signal({"rho": 7, "sigma_schedule": "karras", **x}, ""), EDM_STEP
    if scheduler is None or scheduler in DDPM_FAMILY or "beta_schedule" in config:
        return _ddpm_signal, DDPM_STEP
    raise InputError(f"the scheduler is {scheduler}; known are {', '.join(SCHEDULERS)}.")


def scheduler_schedule(config: Mapping[str, Any], name: str, scheduler: str | None) -> Schedule:
    """The noise levels of a diffusers scheduler, from its config.

    scheduler : its class, one of `SCHEDULERS`; None, or another class with betas, is taken for one
        of the DDPM family

    How it spaces the steps that it samples (karras sigmas, trailing, a dynamic shift) changes
    nothing: these are the levels that its network is trained on. Raises `InputError` for others.
    """
    read, clock = _reader(config, scheduler)
    other = [k for k, v in OTHER_CLOCKS.items() if config.get(k) == v]
    if other:
        raise InputError(
            f"the scheduler is {scheduler} with {', '.join(other)}, which serves networks of "
            f"another clock; known are {', '.join(SCHEDULERS)} without {', '.join(OTHER_CLOCKS)}."
        )
    try:
        with np.errstate(all="ignore"):  # what overflows is found below
            kept = read(config, scheduler or "")
    except KeyError as error:
        raise InputError(
            f"the config has no key {error}; expected that of a diffusers scheduler, as "
            "save_pretrained writes it: with beta_schedule, num_train_timesteps, beta_start and "
            "beta_end for the DDPM family."
        ) from error
    except (TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{error}; expected numbers for the noise levels.") from error
    # a last signal that was set to nearly nothing may lie above the one before
    if not ((kept >= 0).all() and kept[0] < 1 and (np.diff(kept[:-1]) < 0).all()):
        raise InputError(
            "the noise levels of the config do not rise from step to step as floats; expected "
            "numbers of a usual size."
        )
    return Schedule(name, kept, clock)


def schedule_from_config(path: str | Path) -> Schedule:
    """The noise levels in a diffusers scheduler_config.json, by `scheduler_schedule`."""
    with readable(path, "a path", "expected a user that exists after ~."):
        path = Path(path).expanduser()
    config = read_json(path, "linear, cosine or a scheduler_config.json of diffusers")
    if not isinstance(config, dict):
        raise InputError(
            f"{path} holds no JSON object; expected a diffusers scheduler_config.json."
        )
    kind = config.get("_class_name")
    name = path.name if kind is None else f"{kind} in {path.name}"
    try:
        return scheduler_schedule(config, name, kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


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

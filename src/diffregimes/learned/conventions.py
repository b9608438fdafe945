"""What networks are given and what they answer: DDPM, flow matching and EDM in one form.

A network answers F(scale x, step) to a state x_t = e^{-t} a + sqrt(Delta) z, and its denoiser is

    E[a | x_t = x] = skip x + out F(scale x, step).

With e = e^{-t}, n = sqrt(Delta_t), sigma = n/e, D = sigma_data and R^2 = sigma^2 + D^2:

    predicts                 scale      skip        out            step
    DDPM: noise z            1          1/e         -n/e           k
          denoised a         1          0           1              k
          velocity e z - n a 1          e           -n             k
          score              1          1/e         n^2/e          k
    flow: velocity z - a     1/(e + n)  1/(e + n)   -s             N s
    EDM                      1/(e R)    D^2/(e R^2) +-sigma D/R    log(sigma)/4

k counts from 0, e^{-2t} = alphas_cumprod[k], and runs linearly in t between the steps, so that the
score is smooth. The flow is x = (1 - s) a + s z over N steps. EDM (Karras et al. 2022) is
x = a + sigma z, with the minus where its scheduler says v_prediction.

Ends: below its first noise level (`earliest`) a network is asked at that level, with the factors of
the t asked for: its error is then no more than noise of that level. Beyond its last one (`latest`:
half a step after the last of DDPM, sigma_max of EDM, none of a flow) it has learned nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..common.checks import InputError
from ..process import (
    EDM_FAMILY,
    FLOW_FAMILY,
    OTHER_CLOCKS,
    SCHEDULERS,
    Schedule,
    flow_time,
    scheduler_schedule,
    sigma,
    signal,
    time_from_snr,
    variance,
)
from ..scores import PREDICTIONS


@dataclass(frozen=True)
class Convention:
    """The table above for one network.

    factors : t -> (scale, skip, out)
    step : t -> the step, a real number, for t from `earliest` on
    earliest, latest : the times that it was trained between
    schedule : the noise levels that it was trained on
    """

    factors: Callable[[float], tuple[float, float, float]]
    step: Callable[[float], float]
    earliest: float
    latest: float
    schedule: Schedule


def ddpm_convention(schedule: Schedule, predicts: str) -> Convention:
    """`predicts` is one of `scores.PREDICTIONS`; `InputError` for another."""
    if predicts not in PREDICTIONS:
        raise InputError(f"predicts is {predicts!r}; expected one of {', '.join(PREDICTIONS)}.")
    times = schedule.finite_times

    def factors(t: float) -> tuple[float, float, float]:
        e, n = float(signal(t)), math.sqrt(float(variance(t)))
        return {
            "noise": (1.0, 1 / e, -n / e),
            "denoised": (1.0, 0.0, 1.0),
            "velocity": (1.0, e, -n),
            "score": (1.0, 1 / e, n**2 / e),
        }[predicts]

    def step(t: float) -> float:
        return schedule.place(t) - 1

    latest = times[-1] + (times[-1] - times[-2]) / 2
    return Convention(factors, step, float(times[0]), float(latest), schedule)


def flow_convention(steps: int, first: float, schedule: Schedule) -> Convention:
    """Flow matching over `steps` steps, the first at s = `first`."""

    def factors(t: float) -> tuple[float, float, float]:
        shrunk = 1 / (float(signal(t)) + math.sqrt(float(variance(t))))
        return shrunk, shrunk, -float(flow_time(t))

    def step(t: float) -> float:
        return steps * float(flow_time(t))

    earliest = float(time_from_snr(((1 - first) / first) ** 2))
    return Convention(factors, step, earliest, math.inf, schedule)


def edm_convention(
    spread: float, first: float, last: float, sign: float, schedule: Schedule
) -> Convention:
    """EDM with sigma_data = `spread`, trained for sigma from `first` to `last`."""

    def factors(t: float) -> tuple[float, float, float]:
        e, level = float(signal(t)), float(sigma(t))
        root = math.hypot(level, spread)
        return 1 / (e * root), (spread / root) ** 2 / e, sign * level * spread / root

    def step(t: float) -> float:
        return 0.25 * math.log(float(sigma(t)))

    earliest, latest = (float(time_from_snr(1 / level**2)) for level in (first, last))
    return Convention(factors, step, earliest, latest, schedule)


def scheduler_convention(scheduler: Any) -> Convention:
    """Of the networks that a diffusers scheduler samples from; `InputError` if it is not known."""
    name, config = type(scheduler).__name__, getattr(scheduler, "config", None)
    other = [k for k, v in OTHER_CLOCKS.items() if getattr(config, k, None) == v]
    if config is None or name not in SCHEDULERS or other:
        raise InputError(
            f"the scheduler is {name}{''.join(f' with {x}' for x in other)}; known are "
            f"{', '.join(SCHEDULERS)} without {', '.join(OTHER_CLOCKS)}. For another network write "
            "a function of t and take scores.CallableScore."
        )
    if name in FLOW_FAMILY:
        levels = scheduler_schedule(config, name, name)
        return flow_convention(config.num_train_timesteps, scheduler.sigma_min, levels)
    if name in EDM_FAMILY:
        sign = _meaning(config, {"epsilon": 1.0, "v_prediction": -1.0})
        levels = scheduler_schedule(config, name, name)
        spread, ends = config.sigma_data, (config.sigma_min, config.sigma_max)
        return edm_convention(spread, *ends, sign, levels)
    predicts = _meaning(
        config, {"epsilon": "noise", "sample": "denoised", "v_prediction": "velocity"}
    )
    product = torch.as_tensor(scheduler.alphas_cumprod).double().cpu().numpy()
    return ddpm_convention(Schedule(name, product), predicts)


def _meaning(config: Any, known: dict[str, Any]) -> Any:
    if config.prediction_type not in known:
        raise InputError(
            f"prediction_type is {config.prediction_type!r}; known are {', '.join(known)}."
        )
    return known[config.prediction_type]

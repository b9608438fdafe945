"""What networks are given and what they answer: DDPM, flow matching and EDM in one form.

A network answers F(scale x, step) to a state x_t = e^{-t} a + sqrt(Delta) z, and its denoiser is

    E[a | x_t = x] = skip x + out F(scale x + shift, step).

With e = e^{-t}, n = sqrt(Delta_t), sigma = n/e, D = sigma_data and R^2 = sigma^2 + D^2:

    predicts                 scale      skip        out            step
    DDPM: noise z            1          1/e         -n/e           k
          denoised a         1          0           1              k
          velocity e z - n a 1          e           -n             k
          score              1          1/e         n^2/e          k
    flow: velocity z - a     1/(e + n)  1/(e + n)   -s             N s
        noise z              1/(e + n)  1/e         -n/e           N s
        denoised a           1/(e + n)  0           1              N s
    EDM                      1/(e R)    D^2/(e R^2) +-sigma D/R    log(sigma)/4
    VE: score of a + sigma z 1/e        1/e         sigma^2        sigma
        Karras et al.        1/(2 e)    1/e         sigma          sigma/2

shift is 1/2 in the last row and 0 elsewhere: pixels in [0, 1] there. DDPM's velocity can have the
step log(sigma)/4 (Euler's timestep_type "continuous").

k counts from 0, e^{-2t} = alphas_cumprod[k], and runs linearly in t between the steps, so that the
score is smooth. The flow is x = (1 - s) a + s z over N steps. EDM (Karras et al. 2022) is
x = a + sigma z, with the minus where its scheduler says v_prediction. VE is Song et al. 2021.

Ends: below its first noise level (`earliest`) a network is asked at that level, with the factors of
the t asked for: its error is then no more than noise of that level. Beyond its last one (`latest`:
half a step after the last of DDPM, the last sigma of EDM and VE, none of a flow) it has learned
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..common.checks import InputError
from ..process import (
    EDM_FAMILY,
    FLOW_FAMILY,
    OTHER_CLOCKS,
    SCHEDULERS,
    VE_FAMILY,
    Schedule,
    flow_time,
    log_sigma_steps,
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
    shift : added to what it is given
    """

    factors: Callable[[float], tuple[float, float, float]]
    step: Callable[[float], float]
    earliest: float
    latest: float
    schedule: Schedule
    shift: float = 0.0


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


def flow_convention(
    steps: int, first: float, schedule: Schedule, predicts: str = "flow"
) -> Convention:
    """Flow matching over `steps` steps, the first at s = `first`; it predicts the velocity z - a
    ("flow"), "noise" or "denoised"."""

    def factors(t: float) -> tuple[float, float, float]:
        e, n = float(signal(t)), math.sqrt(float(variance(t)))
        shrunk = 1 / (e + n)
        return {
            "flow": (shrunk, shrunk, -float(flow_time(t))),
            "noise": (shrunk, 1 / e, -n / e),
            "denoised": (shrunk, 0.0, 1.0),
        }[predicts]

    def step(t: float) -> float:
        return steps * float(flow_time(t))

    earliest = float(time_from_snr(((1 - first) / first) ** 2))
    return Convention(factors, step, earliest, math.inf, schedule)


def ve_convention(schedule: Schedule, kind: str) -> Convention:
    """Networks of Song et al. ("score") and of Karras et al. ("karras"), who halve what they are
    given, at the sigmas of a schedule."""
    half = 0.5 if kind == "karras" else 1.0

    def factors(t: float) -> tuple[float, float, float]:
        e, level = float(signal(t)), float(sigma(t))
        return half / e, 1 / e, level if kind == "karras" else level**2

    def step(t: float) -> float:
        return half * float(sigma(t))

    first, last = (float(x) for x in schedule.times[[0, -1]])
    return Convention(factors, step, first, last, schedule, 1 - half)


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


def scheduler_class(name: str) -> Any:
    """A scheduler of diffusers by its name; one of them it keeps in a corner."""
    import diffusers

    home: Any = diffusers
    if name == "KarrasVeScheduler":
        from diffusers.schedulers.deprecated import scheduling_karras_ve as home
    return getattr(home, name)


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
    levels = scheduler_schedule(config, name, name)
    if name in FLOW_FAMILY:
        return flow_convention(config.num_train_timesteps, scheduler.sigma_min, levels)
    if getattr(config, "use_flow_sigmas", False):
        predicts = _meaning(
            config, {"flow_prediction": "flow", "epsilon": "noise", "sample": "denoised"}
        )
        first = float(flow_time(levels.times[0]))
        return flow_convention(config.num_train_timesteps, first, levels, predicts)
    if name in VE_FAMILY:
        return ve_convention(levels, "karras" if name == "KarrasVeScheduler" else "score")
    if name in EDM_FAMILY:
        sign = _meaning(config, {"epsilon": 1.0, "v_prediction": -1.0})
        spread, ends = config.sigma_data, (config.sigma_min, config.sigma_max)
        return edm_convention(spread, *ends, sign, levels)
    predicts = _meaning(
        config, {"epsilon": "noise", "sample": "denoised", "v_prediction": "velocity"}
    )
    if log_sigma_steps(config):
        plain = ddpm_convention(levels, predicts)
        return replace(plain, step=lambda t: 0.25 * math.log(float(sigma(t))))
    product = torch.as_tensor(scheduler.alphas_cumprod).double().cpu().numpy()
    return ddpm_convention(Schedule(name, product), predicts)


def _meaning(config: Any, known: dict[str, Any]) -> Any:
    if config.prediction_type not in known:
        raise InputError(
            f"prediction_type is {config.prediction_type!r}; known are {', '.join(known)}."
        )
    return known[config.prediction_type]

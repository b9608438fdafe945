"""Steps of the backward process, from x_t to x_s with s < t, and grids of times to take them on.

Generation is dx = [x + 2 score] dtau + sqrt(2) dW, tau = -t, or without noise the probability flow
dx = [x + score] dtau, whose marginals are the same. Each step says its formula below, with
h = t - s, a the denoised mean E[a|x_t] and e the predicted noise; `SAMPLERS` declares them.

Weak errors are of first order in the step but for heun's, of second; how large they are for data is
measured in docs/samplers.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..common.checks import InputError, in_range
from ..process import Schedule, signal, snr, time_from_snr, variance

if TYPE_CHECKING:  # --help lists the samplers and must not wait for torch
    from torch import Tensor

    from ..scores import AbstractScore

Step: TypeAlias = "Callable[[AbstractScore, Tensor, float, float, Tensor | None], Tensor]"


@dataclass(frozen=True)
class Sampler:
    """A way from x_t to x_s.

    step : (score, x, t, s, z) -> x_s, z standard normal of the shape of x, None where not `noisy`
    order : of the weak error in the step
    noisy : takes noise on the way; two branches of the others are one
    scores : evaluations of the score a step, the last one to s = 0 apart
    words : for --help
    """

    step: Step
    order: int
    noisy: bool
    scores: int
    words: str


def euler_maruyama(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """x + h (x + 2 score) + sqrt(2h) z."""
    h = t - s
    return x + h * (x + 2 * score.score(x, t)) + math.sqrt(2 * h) * _given(z)


def ddpm(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """e^h (x - (Delta_h/sqrt(Delta_t)) e) + sqrt(Delta_h) z: ancestral with the step's
    beta = Delta_h = 1 - e^{-2h} as variance (Ho et al. 2020, "fixed_large"); no noise at s = 0."""
    beta = float(variance(t - s))
    mean = x - beta / math.sqrt(float(variance(t))) * score.noise(x, t)
    mean = math.exp(t - s) * mean
    return mean if s == 0 else mean + math.sqrt(beta) * _given(z)


def bridge(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """A draw from q(x_s | x_t, a), exact given a (ancestral with "fixed_small"): mean
    [e^{-h} Delta_s x + e^{-s} Delta_h a]/Delta_t, variance Delta_h Delta_s/Delta_t; a at s = 0."""
    a = score.denoise(x, t)
    if s == 0:
        return a
    now, then, between = (float(variance(u)) for u in (t, s, t - s))
    mean = (float(signal(t - s)) * then * x + float(signal(s)) * between * a) / now
    return mean + math.sqrt(between * then / now) * _given(z)


def ddim(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """e^{-s} a + sqrt(Delta_s) e: the flow, exact given a and e (Song et al. 2021)."""
    a = score.denoise(x, t)
    noise = x - float(signal(t)) * a
    return float(signal(s)) * a + math.sqrt(float(variance(s)) / float(variance(t))) * noise


def flow_euler(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """x + h (x + score)."""
    return x + (t - s) * (x + score.score(x, t))


def flow_heun(score: AbstractScore, x: Tensor, t: float, s: float, z: Tensor | None) -> Tensor:
    """x + h times the mean of the slopes x + score at both ends; `flow_euler` at s = 0."""
    slope = x + score.score(x, t)
    guess = x + (t - s) * slope
    if s == 0:
        return guess
    return x + 0.5 * (t - s) * (slope + guess + score.score(guess, s))


SAMPLERS = {
    "euler-maruyama": Sampler(euler_maruyama, 1, True, 1, "the paper's"),
    "ddpm": Sampler(ddpm, 1, True, 1, "ancestral, with the step's beta as variance"),
    "bridge": Sampler(bridge, 1, True, 1, "ancestral, exact given the denoised mean"),
    "ddim": Sampler(ddim, 1, False, 1, "the flow, exact given the denoised mean"),
    "flow-euler": Sampler(flow_euler, 1, False, 1, "the flow by Euler"),
    "flow-heun": Sampler(flow_heun, 2, False, 2, "the flow by Heun"),
}
STEPS = {name: x.step for name, x in SAMPLERS.items()}  # the steps alone


def sampler(name: str) -> Sampler:
    """The sampler of that name; `InputError` for another."""
    if name not in SAMPLERS:
        raise InputError(f"sampler is {name!r}; expected one of {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]


def noisy() -> list[str]:
    """The samplers by which two clones part."""
    return [name for name, x in SAMPLERS.items() if x.noisy]


def described(names: list[str]) -> str:
    """The samplers with what they are, for --help."""
    return "; ".join(f"{name}: {SAMPLERS[name].words}" for name in names)


def uniform_times(start: float, end: float, steps: int) -> np.ndarray:
    """steps + 1 times from `start` down to `end` >= 0, evenly in t."""
    _check_range(start, end, steps, 0.0)
    return np.linspace(start, end, steps + 1)


def log_snr_times(start: float, end: float, steps: int) -> np.ndarray:
    """steps + 1 times from `start` down to `end` > 0, evenly in log-SNR."""
    _check_range(start, end, steps, 1e-12)
    first, last = np.log(snr(np.array([start, end])))
    out = np.asarray(time_from_snr(np.exp(np.linspace(first, last, steps + 1))))
    out[0], out[-1] = start, end
    return out


def ddpm_times(schedule: Schedule, steps: int | None = None) -> np.ndarray:
    """The times of a schedule from its last step to its first, and 0: N + 1 of them. A last step
    that is pure noise, at t = infinity, is left out.

    `steps` < N takes every so many-th step, counted from the first as diffusers' "leading" spacing.
    """
    every = schedule.finite_times
    if steps is not None:
        in_range("steps", steps, 1, len(every))
        every = every[:: len(every) // steps][:steps]
    return np.append(every[::-1], 0.0)


def scheduler_times(scheduler: object) -> np.ndarray:
    """The times of a diffusers scheduler after `set_timesteps`, and 0."""
    import torch

    try:
        kept = scheduler.alphas_cumprod  # type: ignore[attr-defined]
        chosen = scheduler.timesteps  # type: ignore[attr-defined]
        steps = torch.as_tensor(chosen)
        if steps.is_floating_point():  # between the steps: another clock
            raise TypeError
        kept_signal = torch.as_tensor(kept).double()[steps.long()].numpy()
    except (AttributeError, IndexError, TypeError) as error:
        raise InputError(
            f"{type(scheduler).__name__} has no alphas_cumprod and integer timesteps; expected a "
            "diffusers scheduler of the DDPM family after set_timesteps(...)."
        ) from error
    return np.append(Schedule(type(scheduler).__name__, kept_signal).times, 0.0)


def decreasing(times: np.ndarray) -> np.ndarray:
    """The times as float64; raise unless finite, decreasing, at least two, the last >= 0."""
    out = np.asarray(times, dtype=np.float64)
    if out.ndim != 1 or out.size < 2 or not np.isfinite(out).all():
        raise InputError("times must be a list of at least two finite numbers.")
    if (np.diff(out) >= 0).any() or out[-1] < 0:
        raise InputError(
            "times must decrease, from noise (large t) to the data, and end at 0 or above; "
            f"these go from {out[0]:.4g} to {out[-1]:.4g}."
        )
    return out


def _check_range(start: float, end: float, steps: int, least: float) -> None:
    in_range("steps", steps, 1, 10**7)
    if not (math.isfinite(start) and least <= end < start):
        raise InputError(
            f"times from {start!r} to {end!r}; expected the larger first and the end at "
            f"{least:g} or above."
        )


def _given(z: Tensor | None) -> Tensor:
    if z is None:
        raise InputError("this sampler needs noise: pass z, standard normal, of the shape of x.")
    return z

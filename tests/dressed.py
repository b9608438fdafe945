"""Exact denoisers dressed as networks of every kind, for the tests of whatever takes a network.

`Dressed` is written from the definitions of the predictions and clocks, or by diffusers' own
functions, not from the factors of the adapter.
"""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffregimes.common.rng import torch_generator
from diffregimes.process import time_from_snr
from diffregimes.scores import EmpiricalScore

diffusers = pytest.importorskip("diffusers")

IMAGE = (4, 6, 3)  # (H, W, C), all different: a wrong order shows
KINDS = {
    "ddpm epsilon": ("DDPMScheduler", {"prediction_type": "epsilon"}),
    "ddpm sample": ("DDPMScheduler", {"prediction_type": "sample"}),
    "ddpm v": ("DDPMScheduler", {"prediction_type": "v_prediction"}),
    "ddim cosine v": (
        "DDIMScheduler",
        {"prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"},
    ),
    "ddim zero snr": (
        "DDIMScheduler",
        {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    ),
    "dpm-solver epsilon": ("DPMSolverMultistepScheduler", {"beta_schedule": "scaled_linear"}),
    "euler epsilon": ("EulerDiscreteScheduler", {}),
    "edm epsilon": ("EDMEulerScheduler", {}),
    "edm v": ("EDMEulerScheduler", {"prediction_type": "v_prediction", "sigma_data": 1.0}),
    "edm dpm-solver": ("EDMDPMSolverMultistepScheduler", {"sigma_data": 0.3}),
    "flow": ("FlowMatchEulerDiscreteScheduler", {}),
    "flow shifted": ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
}


def made(kind: str):
    name, options = KINDS[kind]
    return getattr(diffusers, name)(**options)


@cache
def exact() -> EmpiricalScore:
    points = torch.randn(60, math.prod(IMAGE), generator=torch_generator(0, "images"))
    return EmpiricalScore(points)


def config(shape=IMAGE, **options):
    size = {"in_channels": shape[2], "out_channels": shape[2], "sample_size": shape[:2]}
    return SimpleNamespace(**{**size, **options})


class Dressed(torch.nn.Module):
    """The exact denoiser as the network that a scheduler was made for: (m, C, H, W), steps (m,)."""

    def __init__(self, scheduler, score=None, shape=IMAGE, **options):
        super().__init__()
        self.scheduler, self.score = scheduler, score or exact()
        self.config, self.seen = config(shape, **options), []

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        assert len(set(steps.tolist())) == 1
        step, theirs = float(steps[0]), self.scheduler
        self.seen.append((tuple(x.shape), x.dtype, steps.dtype, step))
        y, name = x.double(), type(theirs).__name__
        if name.startswith("Flow"):
            s = step / theirs.config.num_train_timesteps
            a = self.clean(y / (1 - s), s / (1 - s))
            return ((y - (1 - s) * a) / s - a).to(x)
        if name.startswith("EDM"):
            level = math.exp(4 * step)
            y = y / theirs.precondition_inputs(1.0, level)
            skipped = theirs.precondition_outputs(y, torch.zeros(()), level)
            factor = theirs.precondition_outputs(0.0, 1.0, level)
            return ((self.clean(y, level) - skipped) / factor).to(x)
        product = theirs.alphas_cumprod.double().numpy()
        times = -0.5 * np.log(product[product > 0])
        t = float(np.interp(step, np.arange(len(times)), times))
        alpha, sigma = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
        a = self.clean(y / alpha, sigma / alpha)
        z = (y - alpha * a) / sigma
        kind = theirs.config.prediction_type
        return {"epsilon": z, "sample": a, "v_prediction": alpha * z - sigma * a}[kind].to(x)

    def clean(self, y: Tensor, level: float) -> Tensor:
        """E[a | a + level z = y]."""
        t = float(time_from_snr(1 / level**2))
        flat = y.permute(0, 2, 3, 1).reshape(len(y), -1) * math.exp(-t)
        height, width, channels = self.score_shape()
        found = self.score.denoise(flat, t).reshape(-1, height, width, channels)
        return found.permute(0, 3, 1, 2)

    def score_shape(self):
        return (*self.config.sample_size, self.config.in_channels)

"""Denoisers of other libraries, told by their attributes: none of them is imported.

azula               Denoiser: posterior(x_t, t).mean with a schedule t -> (alpha, sigma)
lucidrains          GaussianDiffusion: a network with alphas_cumprod and an objective;
                    ElucidatedDiffusion: preconditioned_network_forward(x, sigma)
smalldiffusion      predict_eps(x, sigma) = E[(x - a)/sigma], x = a + sigma z
EDM (NVlabs)        net(x, sigma, class_labels) = E[a | x], between sigma_min and sigma_max
"""

from __future__ import annotations

from typing import Any

from ..common.checks import InputError
from .score import LearnedScore


def known_elsewhere(model: Any, asked: dict[str, Any]) -> LearnedScore:
    raise InputError(
        f"{type(model).__name__} came without a scheduler; expected a folder, a diffusers "
        "pipeline, a network with its scheduler (load_score(model, scheduler)), or a denoiser of "
        "azula, smalldiffusion, denoising_diffusion_pytorch or EDM. For another module take "
        "module_score(module, schedule, predicts=..., shape=...)."
    )

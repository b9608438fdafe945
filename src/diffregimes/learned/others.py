"""Denoisers of other libraries, told by their attributes: none of them is imported.

    azula               posterior(alpha x + sigma z, t).mean with a schedule t -> (alpha, sigma)
    lucidrains          GaussianDiffusion: a network with alphas_cumprod and an objective;
                        ElucidatedDiffusion: preconditioned_network_forward(x, sigma) = E[a | x]
    smalldiffusion      predict_eps(x, sigma) = E[z | x]
    EDM (NVlabs)        net(x, sigma, class_labels) = E[a | x]

x = a + sigma z in the last three. What each gives is a row of the table in conventions.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, in_range
from ..process import VE_STEP, Schedule, sigma, signal, time_from_snr
from .conditions import OWN, Condition
from .conventions import Convention, ddpm_convention
from .score import LearnedScore, OwnConditions

LEVELS = 1000  # told apart between the ends of libraries that have no steps
SMALLEST, LARGEST = 0.002, 80.0  # sigma, where a network has no ends of its own (EDM's sampler)
_OBJECTIVES = {"pred_noise": "noise", "pred_x0": "denoised", "pred_v": "velocity"}


class Called(torch.nn.Module):
    """A network behind the call that a score makes."""

    def __init__(self, inner: Any, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.call = call

    def forward(self, x: Tensor, timestep: Tensor, **told: Any) -> Tensor:
        return self.call(x, timestep, **told)


def known_elsewhere(
    model: Any, asked: dict[str, Any], shape: tuple[int, ...] | None
) -> LearnedScore:
    """The score of a denoiser of another library.

    Raises `InputError` for what none of these attributes tells, for a shape that is not known, and
    for a condition that the denoiser does not take.
    """
    label, batch = asked["label"], asked["batch"]
    known = _of_edm(model, label) or _plain(model)
    if known is None:
        raise InputError(
            f"{type(model).__name__} came without a scheduler; expected a folder, a pipeline of "
            "diffusers, a network with its scheduler (load_score(model, scheduler)), or a denoiser "
            "of azula, smalldiffusion, denoising_diffusion_pytorch or EDM. For another module take "
            "module_score(module, schedule, predicts=..., shape=...)."
        )
    call, convention, own, condition = known
    odd = [x for x in ("label", "prompt", "guidance", "null_label") if asked[x] is not None]
    if condition is None and odd:
        raise InputError(f"{odd[0]} came, but {type(model).__name__} takes none; leave it out.")
    if asked["null_label"] is not None:
        raise InputError(
            f"null_label came, and {type(model).__name__} is told of no class by zeros; leave it "
            "out."
        )
    if asked["prompt"] is not None:
        raise InputError(f"prompt came, but {type(model).__name__} takes no text; leave it out.")
    if own is None and shape is None:
        raise InputError(
            f"{type(model).__name__} does not tell the shape of its states; expected it, too: "
            "load_score(model, shape=(channels, height, width)), or shape=(d,)."
        )
    kind = OwnConditions if label == OWN else LearnedScore
    return kind(
        Called(model, call), convention, shape or own or (), label=label, condition=condition,
        guidance=asked["guidance"], batch=batch,
    )  # fmt: skip


_Known = tuple[Callable[..., Any], Convention, tuple[int, ...] | None, Condition | None]


def _plain(model: Any) -> _Known | None:
    """Call, convention and shape of what takes no condition."""
    name = type(model).__name__
    if hasattr(model, "alphas_cumprod") and getattr(model, "objective", None) in _OBJECTIVES:
        _check_plain(model)
        levels = Schedule(name, model.alphas_cumprod.double().cpu().numpy())
        convention = ddpm_convention(levels, _OBJECTIVES[model.objective])
        return model.model, convention, _sized(model.channels, model.image_size), None
    if hasattr(model, "preconditioned_network_forward"):
        _check_plain(model)
        convention = sigma_convention(name, model.sigma_min, model.sigma_max, noise=False)
        size = _sized(model.channels, model.image_size)
        return model.preconditioned_network_forward, convention, size, None
    if hasattr(model, "predict_eps"):
        if "PredFlow" in name:
            raise InputError(
                f"{name} predicts the velocity of a flow under the name of noise; expected noise. "
                "Give it to module_score(model, FlowMatchEulerDiscreteScheduler(), shape=...), "
                "which asks it at 1000 s: divide by 1000 in a function of your own."
            )
        own = getattr(model, "input_dims", None)
        convention = sigma_convention(name, SMALLEST, LARGEST, noise=True)
        # a level of its own for each state would meet the wrong axis
        return lambda x, s: model.predict_eps(x, s[0]), convention, own and tuple(own), None
    if callable(getattr(model, "schedule", None)):
        return lambda x, s: model(x, s[0]).mean, azula_convention(model.schedule), None, None
    return None


def _check_plain(model: Any) -> None:
    if getattr(model, "self_condition", False):
        raise InputError(
            f"this {type(model).__name__} is given its own last answer (self_condition), and has "
            "no score of the state alone; expected one trained without. Of its samples alone "
            "auditing.audit_samples finds the copies."
        )


def _sized(channels: int, size: Any) -> tuple[int, ...]:
    return (channels, *((size, size) if isinstance(size, int) else size))


def _of_edm(model: Any, label: int | str | None) -> _Known | None:
    """Networks of Karras et al. 2022, and their VP and VE forms: all answer E[a | x]."""
    names = "img_resolution", "img_channels", "sigma_min", "sigma_max", "round_sigma"
    if not all(hasattr(model, x) for x in names):
        return None
    classes = int(getattr(model, "label_dim", 0))
    condition = None
    if classes:
        if label is None:
            raise InputError("label is None; expected a class number: the model is conditional.")
        if label == OWN:
            row = torch.eye(classes)
        elif not isinstance(label, int):
            raise InputError(f"label is {label!r}; expected a class number, or {OWN!r}.")
        else:
            in_range("label", label, 0, classes - 1, "It is a class of the model.")
            row = torch.nn.functional.one_hot(torch.tensor([label]), classes).float()
        condition = Condition({"class_labels": row}, {"class_labels": torch.zeros(1, classes)})
    convention = sigma_convention(
        type(model).__name__, max(model.sigma_min, SMALLEST), min(model.sigma_max, LARGEST),
        noise=False,
    )  # fmt: skip
    return model, convention, _sized(model.img_channels, model.img_resolution), condition


def sigma_convention(name: str, low: float, high: float, *, noise: bool) -> Convention:
    """Of a network that is given a + sigma z and sigma, and predicts z or else a."""
    levels = np.geomspace(low, high, LEVELS)
    schedule = Schedule(name, 1 / (1 + levels**2), VE_STEP)

    def factors(t: float) -> tuple[float, float, float]:
        e = float(signal(t))
        return (1 / e, 1 / e, -float(sigma(t))) if noise else (1 / e, 0.0, 1.0)

    first, last = (float(x) for x in schedule.times[[0, -1]])
    return Convention(factors, lambda t: float(sigma(t)), first, last, schedule)


def azula_convention(theirs: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Convention:
    """Of a denoiser that is given alpha a + sigma z and the time in [0, 1] that has them."""

    def pair(s: float) -> tuple[float, float]:
        alpha, noise = theirs(torch.tensor(s, dtype=torch.float64))
        return float(alpha), float(noise)

    def place(t: float) -> float:
        """Where sigma/alpha, which rises, is that of t."""
        low, high, level = 0.0, 1.0, float(sigma(t))
        for _ in range(60):
            middle = (low + high) / 2
            alpha, noise = pair(middle)
            low, high = (middle, high) if noise < level * alpha else (low, middle)
        return (low + high) / 2

    def factors(t: float) -> tuple[float, float, float]:
        return pair(place(t))[0] / float(signal(t)), 0.0, 1.0

    every = [pair(s) for s in np.linspace(0, 1, LEVELS + 1)]
    known = [(a, n) for a, n in every if a > 0 and n > 0]
    schedule = Schedule("azula", np.array([a**2 / (a**2 + n**2) for a, n in known]), VE_STEP)
    first, last = (float(time_from_snr((known[k][0] / known[k][1]) ** 2)) for k in (0, -1))
    latest = last if every[-1][0] > 0 else math.inf
    return Convention(factors, place, first, latest, schedule)

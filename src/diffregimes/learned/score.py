"""Networks as scores: any module that answers to a state and a step, by its convention.

Whatever a network predicts, in whatever clock, conventions.py turns its answer into E[a | x_t = x]
in Ornstein-Uhlenbeck time. The state keeps its own precision and device beside the network.

What this leaves open is the scale of a: it is the one that the network was trained on, which no
folder states. Images of diffusers' own pipelines are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..common.checks import InputError, in_range, out_of_memory
from ..data.datasets import Dataset
from ..process import Schedule
from ..scores import AbstractScore, CallableScore, ConditionalScore
from .conditions import Condition, spread
from .conventions import Convention, ddpm_convention, scheduler_convention
from .latents import Latents
from .wrappers import unwrapped

BATCH = 256


class LearnedScore(CallableScore):
    """A network in the place of a score; made by the functions below.

    module : called with (m, C, H, W) or (m, d) and steps (m,), in the dtype and on the device of
        its parameters (of the states, if it has none); gives a tensor or an object with `.sample`.
        Where images come back with twice the channels the first half counts: the other is the
        variance of the step. Put in eval mode once, here
    shape : (C, H, W) or (d,); states are flattened in the order (H, W, C), as `Dataset.points` are
    label : the class that it is asked for, for those who must know it
    condition : what the module is given beside, by name
    guidance : w of D_0 + w (D_c - D_0), with the answer D_0 to no condition; None for D_c alone
    round_steps : the module takes whole steps: the nearest one
    batch : states that the module is given at a time
    latents : the code in which it works, of which states are
    asked : rows of the condition (m,) for so many states, where every state has its own

    `earliest` and `latest` are the times it was trained between, `schedule` the noise levels that
    its scheduler numbers; `notes` says what was ignored.
    Raises `InputError` at times beyond `latest`.
    """

    def __init__(
        self,
        module: Callable[..., Any],
        convention: Convention,
        shape: tuple[int, ...],
        *,
        label: int | str | None = None,
        condition: Condition | None = None,
        guidance: float | None = None,
        round_steps: bool = False,
        batch: int = BATCH,
        notes: tuple[str, ...] = (),
        latents: Latents | None = None,
        asked: Tensor | None = None,
    ) -> None:
        if len(shape) not in (1, 3):
            raise InputError(f"shape is {shape}; expected (channels, height, width) or (d,).")
        in_range("batch", batch, 1, 10**9)
        super().__init__(self._denoised, shape=(*shape[1:], shape[0]))
        self.module, self.convention, self.label = module, convention, label
        self.condition, self.guidance, self.latents = condition, guidance, latents
        self.round_steps, self.batch, self.notes = round_steps, batch, notes
        self.earliest, self.latest = convention.earliest, convention.latest
        self.schedule, self.asked = convention.schedule, asked
        if asked is None and isinstance(module, torch.nn.Module):
            module.eval()

    def _denoised(self, x: Tensor, t: float) -> Tensor:
        """E[a|x] of states (m, H, W, C) or (m, d)."""
        if t > self.latest + 1e-6:
            raise InputError(
                f"t is {t:.4g}, beyond the last noise level of the network at t = "
                f"{self.latest:.4g}; take times up to there alone, as the grid log-snr does."
            )
        scale, skip, out = self.convention.factors(t)
        step = self.convention.step(max(t, self.earliest))
        parameters = self.module.parameters() if isinstance(self.module, torch.nn.Module) else ()
        like = next((p for p in parameters if p.is_floating_point()), x)
        given = (
            (scale * x + self.convention.shift)
            .movedim(-1, 1)
            .to(like.device, like.dtype)
            .contiguous()
        )
        answers = [
            self._answer(
                given[k : k + self.batch], step,
                None if self.asked is None else self.asked[k : k + self.batch],
            )
            for k in range(0, len(given), self.batch)
        ]  # fmt: skip
        return skip * x + out * torch.cat(answers).movedim(1, -1).to(x.device, x.dtype)

    def _answer(self, given: Tensor, step: float, asked: Tensor | None) -> Tensor:
        # a step in half precision would be off by up to a half
        precise = torch.float64 if given.dtype == torch.float64 else torch.float32
        steps = torch.full((len(given),), step, dtype=precise, device=given.device)
        if self.round_steps:
            steps = steps.round().long()
        if self.condition is None:
            return self._said(given, steps, {})
        found = self._said(given, steps, spread(self.condition.given, given, asked))
        if self.guidance is None:
            return found
        assert self.condition.null is not None
        plain = self._said(given, steps, spread(self.condition.null, given))
        return plain + self.guidance * (found - plain)

    def _said(self, given: Tensor, steps: Tensor, told: dict[str, Any]) -> Tensor:
        # some have another argument between state and step
        answer = self.module(given, timestep=steps, **told) if told else self.module(given, steps)
        answer = answer if isinstance(answer, Tensor) else getattr(answer, "sample", answer)
        if not isinstance(answer, Tensor):
            raise InputError(
                f"the network gave a {type(answer).__name__}; expected a torch tensor, or an "
                "object with a tensor .sample."
            )
        if answer.ndim == 4 and answer.shape[1] == 2 * given.shape[1]:
            answer = answer[:, : given.shape[1]]
        if answer.shape != given.shape:
            raise InputError(
                f"the network gave the shape {tuple(answer.shape)} for states of the shape "
                f"{tuple(given.shape)}; expected the same shape."
            )
        return answer


class OwnConditions(ConditionalScore, LearnedScore):
    """A conditional network that is asked for every state under a condition of its own.

    Conditions are the numbers of the model's classes, or the places in `prompts`, the texts that
    its condition has rows of. Made by `load_score(model, label="own")` or with several prompts.
    """

    prompts: tuple[str, ...] | None = None

    def given(self, conditions: Tensor) -> LearnedScore:
        assert self.shape is not None
        return LearnedScore(
            self.module, self.convention, (self.shape[-1], *self.shape[:-1]), label=self.label,
            condition=self.condition, guidance=self.guidance, round_steps=self.round_steps,
            batch=self.batch, notes=self.notes, latents=self.latents, asked=conditions,
        )  # fmt: skip

    @property
    def count(self) -> int:
        """How many conditions it can be asked for."""
        assert self.condition is not None
        name = "class_labels" if self.prompts is None else "encoder_hidden_states"
        return len(self.condition.given[name])


def module_score(
    module: Callable[..., Any],
    schedule: Schedule | Any,
    *,
    predicts: str | None = None,
    shape: tuple[int, ...],
    round_steps: bool = False,
    batch: int = BATCH,
) -> LearnedScore:
    """Any `module(x, step)` trained along a DDPM schedule; steps count from 0.

    schedule : a `process.Schedule`, or a scheduler of diffusers, whose steps it is then given
    predicts : "noise", "denoised", "velocity" e^{-t} z - sqrt(Delta) a, or "score"; noise without,
        or what the scheduler says
    shape, round_steps, batch : see `LearnedScore`

    Raises `InputError` for another prediction or shape. For a network in another clock write the
    function of t and take `scores.CallableScore`.
    """
    module = unwrapped(module)
    if isinstance(schedule, Schedule):
        convention = ddpm_convention(schedule, "noise" if predicts is None else predicts)
    else:
        convention = scheduler_convention(schedule)
        if predicts is not None:
            convention = ddpm_convention(convention.schedule, predicts)
    return LearnedScore(module, convention, shape, round_steps=round_steps, batch=batch)


def check_fits(score: AbstractScore, dataset: Dataset) -> None:
    """Raise `InputError` unless the states of the score are like the points of the dataset, and,
    if it is a network, it answers to one of them at either end of its noise levels."""
    takes, has = getattr(score, "shape", None), dataset.sample_shape
    latents: Latents | None = getattr(score, "latents", None)
    if latents is not None and takes is not None and takes != has:
        if dataset.decode is not None:
            by = latents.times_smaller
            size = "the size that it was trained on"
            if by is not None:
                size = f"{takes[0] * by} × {takes[1] * by} pixels"
            raise InputError(
                f"the network takes latents (H, W, C) = {takes}, and the VAE makes {has} of the "
                f"data ({dataset.source}); expected images of {size}."
            )
        raise InputError(
            f"the network takes latents (H, W, C) = {takes}, the data ({dataset.source}) are "
            f"{has}; expected the code of the data: score.latents.encode(data), as "
            "learned.open_model(folder, data).training has it."
        )
    if takes is not None and len(takes) == len(has) == 3 and takes != has:
        raise InputError(
            f"the network takes images (H, W, C) = {takes}, the data ({dataset.source}) are {has}; "
            "expected the same. Load the data in the size and colours that it was trained on; pad= "
            f"adds a border.{_of_latents(takes, has)}"
        )
    if score.dimension not in (None, dataset.d):
        raise InputError(
            f"the score takes states of {score.dimension} numbers, the data ({dataset.source}) "
            f"have {dataset.d}; expected the same, in the order and scale it was trained on."
        )

    if isinstance(score, LearnedScore):
        first = torch.zeros(1, dtype=torch.int64)
        score = score.given(first) if isinstance(score, OwnConditions) else score
        for t in score.schedule.finite_times[[0, -1]].tolist():
            _check_answers(score, torch.from_numpy(dataset.points[:1]).float(), t)


def _check_answers(score: LearnedScore, x: Tensor, t: float) -> None:
    """Raise `InputError` if the network fails on a state x (1, d)."""
    try:
        score.denoise(x, t)
    except Exception as error:  # whatever it is that goes wrong inside
        if isinstance(error, InputError) or out_of_memory(error):
            raise
        assert score.shape is not None
        height, width = score.shape[:2] if len(score.shape) == 3 else (0, 0)
        blocks = getattr(getattr(score.module, "config", None), "block_out_channels", ())
        factor = 2 ** (len(blocks) - 1) if blocks else 1
        hint = ""
        if height % factor or width % factor:
            hint = (
                f" It halves its images {len(blocks) - 1} times, which {height} x {width} does "
                f"not allow: if it was trained on padded images, set sample_size in its "
                "config.json to their size and pad the data (--pad 2 makes 32 of 28)."
            )
        raise InputError(
            f"the network fails on one state of the shape {score.shape} at t = {t:.3g} "
            f"({type(error).__name__}: {error}); expected an answer of the same shape.{hint}"
        ) from error


def _of_latents(takes: tuple[int, ...], has: tuple[int, ...]) -> str:
    """What may be meant where a network of few pixels with many channels meets pictures."""
    if takes[2] == has[2] or takes[2] < 3 or takes[0] >= has[0]:
        return ""
    return (
        " It looks like the network of a latent pipeline: give the whole pipeline, whose VAE "
        "encodes the data, or name it by base= (--base PIPELINE)."
    )

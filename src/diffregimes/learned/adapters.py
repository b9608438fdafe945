"""Networks as scores: diffusers models with their schedulers, any torch module with a schedule.

Whatever a network predicts, in whatever clock, conventions.py turns its answer into E[a | x_t = x]
in Ornstein-Uhlenbeck time. The state keeps its own precision and device beside the network.

What this leaves open is the scale of a: it is the one that the network was trained on, which no
folder states. Images of diffusers' own pipelines are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..common.checks import InputError, in_range, out_of_memory
from ..data.datasets import Dataset
from ..process import DDPM_FAMILY, Schedule
from ..scores import AbstractScore, CallableScore
from .checkpoints import WEIGHTS
from .conventions import Convention, ddpm_convention, scheduler_convention
from .folders import parts_of

BATCH = 256


class LearnedScore(CallableScore):
    """A network in the place of a score; made by the functions below.

    module : called with (m, C, H, W) or (m, d) and steps (m,), in the dtype and on the device of
        its parameters (of the states, if it has none); gives a tensor or an object with `.sample`.
        Where images come back with twice the channels the first half counts: the other is the
        variance of the step. Put in eval mode once, here
    shape : (C, H, W) or (d,); states are flattened in the order (H, W, C), as `Dataset.points` are
    label : given to the module as class_labels
    round_steps : the module takes whole steps: the nearest one
    batch : states that the module is given at a time

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
        label: int | None = None,
        round_steps: bool = False,
        batch: int = BATCH,
        notes: tuple[str, ...] = (),
    ) -> None:
        if len(shape) not in (1, 3):
            raise InputError(f"shape is {shape}; expected (channels, height, width) or (d,).")
        in_range("batch", batch, 1, 10**9)
        super().__init__(self._denoised, shape=(*shape[1:], shape[0]))
        self.module, self.convention, self.label = module, convention, label
        self.round_steps, self.batch, self.notes = round_steps, batch, notes
        self.earliest, self.latest = convention.earliest, convention.latest
        self.schedule = convention.schedule
        if isinstance(module, torch.nn.Module):
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
        answers = [self._answer(part, step) for part in torch.split(given, self.batch)]
        return skip * x + out * torch.cat(answers).movedim(1, -1).to(x.device, x.dtype)

    def _answer(self, given: Tensor, step: float) -> Tensor:
        # a step in half precision would be off by up to a half
        precise = torch.float64 if given.dtype == torch.float64 else torch.float32
        steps = torch.full((len(given),), step, dtype=precise, device=given.device)
        if self.round_steps:
            steps = steps.round().long()
        extra = {}
        if self.label is not None:
            extra["class_labels"] = torch.full_like(steps, self.label, dtype=torch.long)
        answer = self.module(given, steps, **extra)
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


def module_score(
    module: Callable[..., Any],
    schedule: Schedule,
    *,
    predicts: str = "noise",
    shape: tuple[int, ...],
    round_steps: bool = False,
    batch: int = BATCH,
) -> LearnedScore:
    """Any `module(x, step)` trained along a DDPM schedule; steps count from 0.

    predicts : "noise", "denoised", "velocity" e^{-t} z - sqrt(Delta) a, or "score"
    shape, round_steps, batch : see `LearnedScore`

    Raises `InputError` for another prediction or shape. For a network in another clock write the
    function of t and take `scores.CallableScore`.
    """
    convention = ddpm_convention(schedule, predicts)
    return LearnedScore(module, convention, shape, round_steps=round_steps, batch=batch)


def learned_score(
    model: Any, scheduler: Any, *, label: int | None = None, batch: int = BATCH
) -> LearnedScore:
    """A diffusers `UNet2DModel`, or a module with such a config and call, with its scheduler.

    scheduler : one of `process.SCHEDULERS`; what it was set to sample with does not matter
    label : the class, for a conditional model
    batch : states that the model is given at a time

    The model runs where it is and in its own precision; it is put in eval mode. Raises `InputError`
    for schedulers and predictions not known, and for a label missing or out of place.
    """
    config = getattr(model, "config", None)
    channels, size = (getattr(config, x, None) for x in ("in_channels", "sample_size"))
    out = getattr(config, "out_channels", None)
    if channels is None or out not in (channels, 2 * channels):
        raise InputError(
            f"{type(model).__name__} takes {channels} channels and gives {out}; expected a "
            "UNet2DModel, with as many out as in. For another module take "
            "module_score(module, schedule, predicts=..., shape=...)."
        )
    if size is None:
        raise InputError(
            "the model's config has no sample_size; expected that of its images. Set it by "
            "model.register_to_config(sample_size=32), or in its config.json."
        )
    height, width = (size, size) if isinstance(size, int) else size
    _check_label(config, label)
    convention = scheduler_convention(scheduler)
    # an embedding with a row for each step
    whole = getattr(config, "time_embedding_type", None) == "learned"
    if whole and type(scheduler).__name__ not in DDPM_FAMILY:
        raise InputError(
            "the model takes whole steps (time_embedding_type 'learned'), and "
            f"{type(scheduler).__name__} has none; expected a scheduler of the DDPM family."
        )
    set_on = (x for x in ("clip_sample", "thresholding") if getattr(scheduler.config, x, False))
    return LearnedScore(
        model,
        convention,
        (channels, height, width),
        label=label,
        round_steps=whole,
        batch=batch,
        notes=tuple(f"{x} of the scheduler is ignored: the network alone counts" for x in set_on),
    )


def load_score(
    folder: str | Path,
    *,
    label: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    batch: int = BATCH,
) -> LearnedScore:
    """A saved diffusers pipeline (unet/ and scheduler/), or a folder with a model's config.json and
    a scheduler_config.json beside it.

    device, dtype : of the network, float32 without
    label, batch : see `learned_score`

    Weights are read from safetensors alone; nothing is unpickled and nothing fetched. Needs the
    extra `diffusers`. Raises `InputError` for what is missing or not known.
    """
    root = Path(folder)
    unet, settings = parts_of(root)
    try:
        import diffusers
    except ImportError as error:
        raise InputError(
            "reading a network needs diffusers, which cannot be imported "
            f"({error}); pip install 'diffregimes[diffusers]'."
        ) from error
    load: Any = diffusers.UNet2DModel.from_pretrained
    try:
        scheduler = getattr(diffusers, settings["_class_name"]).from_config(settings)
        model, info = load(
            str(unet),
            torch_dtype=dtype or torch.float32,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,  # True needs accelerate
            output_loading_info=True,
        )
    except Exception as error:  # whatever it is that does not go together
        raise InputError(
            f"{root} makes no model and scheduler ({error}); expected configs and weights as "
            "save_pretrained wrote them."
        ) from error
    odd = [*info["missing_keys"], *info["unexpected_keys"]]
    if odd:
        raise InputError(
            f"{unet / WEIGHTS} and config.json beside it differ in {len(odd)} weights, {odd[0]} "
            "first; expected both as save_pretrained wrote them."
        )
    return learned_score(model.to(device), scheduler, label=label, batch=batch)


def check_fits(score: AbstractScore, dataset: Dataset) -> None:
    """Raise `InputError` unless the states of the score are like the points of the dataset, and,
    if it is a network, it answers to one of them at either end of its noise levels."""
    takes, has = getattr(score, "shape", None), dataset.sample_shape
    if takes is not None and len(takes) == len(has) == 3 and takes != has:
        raise InputError(
            f"the network takes images (H, W, C) = {takes}, the data ({dataset.source}) are {has}; "
            "expected the same. Load the data in the size and colours that it was trained on; pad= "
            "adds a border."
        )
    if score.dimension not in (None, dataset.d):
        raise InputError(
            f"the score takes states of {score.dimension} numbers, the data ({dataset.source}) "
            f"have {dataset.d}; expected the same, in the order and scale it was trained on."
        )

    if isinstance(score, LearnedScore):
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


def _check_label(config: Any, label: int | None) -> None:
    kind, classes = (getattr(config, x, None) for x in ("class_embed_type", "num_class_embeds"))
    if kind not in (None, "timestep"):
        raise InputError(
            f"the model takes its classes as class_embed_type {kind!r}; expected class numbers. "
            "Give them in a function of your own, to module_score."
        )
    if kind is None and classes is None:
        if label is not None:
            raise InputError(f"label is {label!r}, but the model has no classes; leave it out.")
        return
    if not isinstance(label, int):
        raise InputError(
            f"label is {label!r}; expected a class number: the model is conditional, and is asked "
            "for one class, label=0 the first."
        )
    in_range("label", label, 0, (classes or 10**9) - 1, "It is a class of the model.")

"""Networks as scores: diffusers models with their schedulers, from memory or from folders.

Whatever a network predicts, in whatever clock, conventions.py turns its answer into E[a | x_t = x]
in Ornstein-Uhlenbeck time. The state keeps its own precision and device beside the network.

What this leaves open is the scale of a: it is the one that the network was trained on, which no
folder states. Images of diffusers' own pipelines are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..common.checks import InputError
from ..process import DDPM_FAMILY
from .conditions import OWN, condition_of
from .conventions import scheduler_class, scheduler_convention
from .folders import ANOTHER_CALL, ONE_STEP, Parts, parts_of
from .latents import Latents, open_latents
from .others import known_elsewhere
from .score import BATCH, LearnedScore, OwnConditions, check_fits, module_score
from .weights import fill, merge, read_weights
from .wrappers import config_of, unwrapped

__all__ = [
    "LearnedScore",
    "OwnConditions",
    "check_fits",
    "learned_score",
    "load_score",
    "module_score",
]


def learned_score(
    model: Any,
    scheduler: Any,
    *,
    label: int | str | None = None,
    prompt: str | Sequence[str] | None = None,
    guidance: float | None = None,
    null_label: int | None = None,
    pipeline: Any = None,
    latents: Latents | None = None,
    batch: int = BATCH,
) -> LearnedScore:
    """A network of diffusers, or a module with such a config and call, with its scheduler.

    model : UNet2DModel, UNet2DConditionModel, DiTTransformer2DModel or SD3Transformer2DModel, also
        inside of what a training loop puts around it
    scheduler : one of `process.SCHEDULERS`; what it was set to sample with does not matter
    label, prompt : the class, for a conditional model; the text, which `pipeline` (a folder, or the
        pipeline itself) encodes. "own", or several texts: every state has its own (`OwnConditions`)
    guidance : the scale of classifier-free guidance, None for the condition alone; `null_label`,
        the class that stands for none, where the model does not tell it
    latents : the VAE in whose code the model works
    batch : states that the model is given at a time

    The model runs where it is and in its own precision; it is put in eval mode. Raises `InputError`
    for schedulers and predictions not known, and for a label or prompt missing or out of place.
    """
    model = unwrapped(model)
    config = config_of(model)
    shape = _shape_of(model, config)
    condition = condition_of(
        model, config, label=label, prompt=prompt, guidance=guidance, null_label=null_label,
        pipeline=pipeline,
    )  # fmt: skip
    name = type(scheduler).__name__
    _check_scheduler(name)
    convention = scheduler_convention(scheduler)
    # an embedding with a row for each step
    whole = getattr(config, "time_embedding_type", None) == "learned"
    if whole and name not in DDPM_FAMILY:
        raise InputError(
            "the model takes whole steps (time_embedding_type 'learned'), and "
            f"{name} has none; expected a scheduler of the DDPM family."
        )
    set_on = (x for x in ("clip_sample", "thresholding") if getattr(scheduler.config, x, False))
    many = prompt is not None and not isinstance(prompt, str)
    kind = OwnConditions if many or label == OWN else LearnedScore
    score = kind(
        model,
        convention,
        shape,
        label=label,
        condition=condition,
        guidance=guidance,
        round_steps=whole,
        batch=batch,
        latents=latents,
        notes=tuple(f"{x} of the scheduler is ignored: the network alone counts" for x in set_on),
    )
    if isinstance(score, OwnConditions) and prompt is not None:
        score.prompts = tuple(prompt)
    return score


def _shape_of(model: Any, config: Any) -> tuple[int, int, int]:
    """Channels, height and width of the states, by the config."""
    channels, size = (getattr(config, x, None) for x in ("in_channels", "sample_size"))
    out = getattr(config, "out_channels", None)
    if channels is None or out not in (channels, 2 * channels):
        raise InputError(
            f"{type(model).__name__} takes {channels} channels and gives {out}; expected a "
            f"UNet2DModel, with as many out as in. {ANOTHER_CALL}."
        )
    if size is None:
        raise InputError(
            "the model's config has no sample_size; expected that of its images. Set it by "
            "model.register_to_config(sample_size=32), or in its config.json."
        )
    height, width = (size, size) if isinstance(size, int) else size
    return channels, height, width


def _check_scheduler(name: str) -> None:
    """Raise `InputError` for the scheduler of a network that leaps to the data."""
    if name in ONE_STEP:
        raise InputError(
            f"the scheduler is {name}, of {ONE_STEP[name]}: its network leaps to the data, and its "
            "answer is no mean over the posterior; it has no score to be audited. What can be told "
            "is whether its samples are copies: auditing.audit_samples(samples, data)."
        )


def load_score(
    model: Any,
    scheduler: Any = None,
    *,
    base: str | Path | None = None,
    label: int | str | None = None,
    prompt: str | Sequence[str] | None = None,
    guidance: float | None = None,
    null_label: int | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    shape: tuple[int, ...] | None = None,
    batch: int = BATCH,
) -> LearnedScore:
    """A saved model, or one in memory, as a score.

    model : the folder of a diffusers pipeline; one with a model's config.json and a
        scheduler_config.json beside it; or a checkpoint-N/ of a training script. Else a pipeline, a
        network with its `scheduler`, or a denoiser of another library (see `others`)
    scheduler : of a network without one: a scheduler, or the path of its config or of a folder
    base : the pipeline from which what is missing is taken: the network below a low-rank adapter,
        the scheduler, VAE or text encoder
    device, dtype : of a network from a folder, float32 without
    shape : of the states of a denoiser that does not tell it, (C, H, W) or (d,)
    label, prompt, guidance, null_label, batch : see `learned_score`

    Weights are read from safetensors alone; nothing is unpickled and nothing fetched. Needs the
    extra `diffusers`. Raises `InputError` for what is missing or not known.
    """
    asked: dict[str, Any] = {
        "label": label, "prompt": prompt, "guidance": guidance, "null_label": null_label,
        "batch": batch,
    }  # fmt: skip
    if not isinstance(model, str | Path):
        return _in_memory(model, scheduler, asked, shape)
    paths = [None if x is None else Path(x) for x in (scheduler, base)]
    parts = parts_of(Path(model), *paths)
    try:
        import diffusers
    except ImportError as error:
        raise InputError(
            "reading a network needs diffusers, which cannot be imported "
            f"({error}); pip install 'diffregimes[diffusers]'."
        ) from error
    network, theirs = _built(diffusers, Path(model), parts, dtype or torch.float32)
    latents = None if parts.codec is None else open_latents(parts.codec, device)
    score = learned_score(
        network.to(device), theirs, pipeline=parts.texts, latents=latents, **asked
    )
    score.notes = (*score.notes, *parts.notes)
    return score


def _built(diffusers: Any, root: Path, parts: Parts, dtype: torch.dtype) -> tuple[Any, Any]:
    """Network and scheduler of the configs, with the weights."""
    name = parts.config["_class_name"]
    kind = getattr(diffusers, "DiTTransformer2DModel" if name == "Transformer2DModel" else name)
    state = read_weights(parts.weights)
    try:
        scheduler = scheduler_class(parts.scheduler["_class_name"]).from_config(parts.scheduler)
        known = kind._get_init_keys(kind)  # an average has its own numbers among them
        model = kind.from_config({k: v for k, v in parts.config.items() if k in known})
    except Exception as error:  # whatever it is that does not go together
        raise InputError(
            f"{root} makes no model and scheduler ({error}); expected configs and weights as "
            "save_pretrained wrote them."
        ) from error
    fill(model, state, parts.network, dtype)
    for path in parts.adapters:
        merge(model, path)
    return model, scheduler


def _in_memory(
    model: Any, scheduler: Any, asked: dict[str, Any], shape: tuple[int, ...] | None
) -> LearnedScore:
    """A pipeline, a network with its scheduler, or a denoiser of another library."""
    if isinstance(model, LearnedScore):
        return model
    parts = getattr(model, "components", None)
    if isinstance(parts, dict) and "scheduler" in parts:
        codec = parts.get("vae") or parts.get("vqvae")
        texts = model if parts.get("text_encoder") is not None else None
        latents = None if codec is None else Latents(codec)
        network = parts.get("unet") or parts.get("transformer")
        plan = scheduler or parts["scheduler"]
        return learned_score(network, plan, pipeline=texts, latents=latents, **asked)
    if scheduler is not None:
        return learned_score(model, scheduler, **asked)
    return known_elsewhere(unwrapped(model), asked, shape)

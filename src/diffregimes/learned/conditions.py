"""What a conditional network is given beside state and step: a class, or an encoded prompt.

The condition is one and the same for all states, and the law that is judged is that of the points
which have it; or every state has its own, `OWN` for classes, one of several prompts for text.
Guidance D_0 + w (D_c - D_0) makes another law than that which was trained: it is off unless asked
for, and w = 1 is off.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..common.checks import InputError, in_range
from ..common.reading import read_json, readable, why

_CROSS = ("UNet2DConditionModel", "SD3Transformer2DModel")
OWN = "own"  # every point is asked for under its own class
_LATER = "Give them in a function of your own, to module_score."


@dataclass(frozen=True)
class Condition:
    """Arguments of the network by name, each with one row for all states, or one for each condition
    (nested, or None): with the condition, and without (`null`, one row), where the network was
    trained for that too."""

    given: dict[str, Any]
    null: dict[str, Any] | None
    said: tuple[str, ...] = ()


def spread(
    arguments: Mapping[str, Any], states: Tensor, asked: Tensor | None = None
) -> dict[str, Any]:
    """The one row of every argument for all states, or the rows that are `asked` (m,) for, where
    and as precise as these are."""

    def rows(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: rows(v) for k, v in x.items()}
        if not isinstance(x, Tensor):
            return x
        dtype = states.dtype if x.is_floating_point() else x.dtype
        x = x.to(states.device, dtype)
        if asked is not None and len(x) > 1:
            return x[asked.to(states.device)]
        return x.expand(len(states), *x.shape[1:])

    return {k: rows(v) for k, v in arguments.items()}


def condition_of(
    model: Any,
    config: Any,
    *,
    label: int | str | None,
    prompt: str | Sequence[str] | None,
    guidance: float | None,
    null_label: int | None = None,
    pipeline: Any = None,
) -> Condition | None:
    """What the network is to be given, None where it takes nothing.

    label, prompt : one, or `OWN` for a row of each class, and several for a row of each prompt
    null_label : the class of none of them, for guidance, where the model does not tell it
    pipeline : folder of the pipeline that encodes prompts, or the pipeline itself
    Raises `InputError` for a label or prompt missing, out of place or out of range, a prompt that
    nothing encodes, and guidance where nothing is known of no condition.
    """
    kind, texts = _name(model), _takes_text(model, config)
    _check_embeddings(kind, config)
    if prompt is not None and not texts:
        came = f"prompt (--prompt) is {prompt!r}"
        if not isinstance(prompt, str):
            came = f"{len(prompt)} texts came (--prompts)"
        raise InputError(f"{came}, but {kind} takes no text; leave it out.")
    given: dict[str, Any] = {}
    null: dict[str, Any] | None = {}
    if texts:
        if prompt is None:
            raise InputError(
                f"{kind} is given text, and no prompt came; expected the one that it is audited "
                "with: prompt= (--prompt TEXT; --prompt '' for none)."
            )
        given, null = _encoded(kind, config, pipeline, prompt, guidance is not None)
    elif kind in _CROSS:
        given, null = {"encoder_hidden_states": None}, {"encoder_hidden_states": None}
    labels = _labels(config, label)
    if labels is not None:
        none = _null_label(config, null_label)
        given["class_labels"] = labels
        null = {**null, "class_labels": none} if null is not None and none is not None else None
    if null_label is not None and (labels is None or guidance is None):
        what = "takes no classes" if labels is None else "is asked for no guidance"
        raise InputError(
            f"null_label (--null-label) is {null_label}, but {kind} {what}; expected it beside a "
            "class and guidance= (--guidance W). Leave it out."
        )
    if guidance is not None:
        _check_guidance(kind, guidance, bool(texts or labels is not None), null)
    return Condition(given, null) if given else None


def _check_embeddings(kind: str, config: Any) -> None:
    """Raise `InputError` for a network that is given more than states, a step, classes and text."""
    for name in ("addition_embed_type", "encoder_hid_dim_type"):
        value = getattr(config, name, None)
        if value not in (None, "text_time"):
            raise InputError(
                f"{kind} takes a condition by {name} {value!r} (embedded images, for one); "
                f"expected classes, or text as Stable Diffusion, SDXL and SD3 take it. {_LATER}"
            )


def _check_guidance(kind: str, guidance: float, conditional: bool, null: Any) -> None:
    if not (isinstance(guidance, int | float) and math.isfinite(guidance)):
        raise InputError(f"guidance (--guidance) is {guidance!r}; expected a number, 1 for none.")
    if not conditional:
        raise InputError(
            f"guidance (--guidance) is {guidance:g}, but {kind} takes no condition; leave it out."
        )
    if null is None:
        raise InputError(
            f"guidance (--guidance) is {guidance:g}, and which class of this {kind} stands for "
            "none is not known; expected its number, too: null_label= (--null-label N), in many "
            "the one after the last class. Or leave guidance out."
        )


def _name(model: Any) -> str:
    return str(getattr(getattr(model, "config", None), "_class_name", None) or type(model).__name__)


def _takes_text(model: Any, config: Any) -> bool:
    """Whether it attends to an encoded prompt."""
    if _name(model) == "SD3Transformer2DModel":
        return True
    blocks = [
        *(getattr(config, "down_block_types", None) or ()),
        getattr(config, "mid_block_type", None),
        *(getattr(config, "up_block_types", None) or ()),
    ]
    return _name(model) == "UNet2DConditionModel" and any("CrossAttn" in str(x) for x in blocks)


def _labels(config: Any, label: int | str | None) -> Tensor | None:
    """The row of labels. Raises for one that is missing, out of place or out of range."""
    kind, classes = (getattr(config, x, None) for x in ("class_embed_type", "num_class_embeds"))
    if getattr(config, "norm_type", None) == "ada_norm_zero":  # DiT
        kind, classes = None, getattr(config, "num_embeds_ada_norm", None)
    if kind not in (None, "timestep"):
        raise InputError(
            f"the model takes its classes as class_embed_type {kind!r}; expected class numbers. "
            f"{_LATER}"
        )
    if kind is None and classes is None:
        if label is not None:
            raise InputError(f"label is {label!r}, but the model has no classes; leave it out.")
        return None
    if label == OWN:
        if not classes:
            raise InputError(
                f"label (--label) is {OWN!r}, and how many classes the model has its config does "
                "not tell (num_class_embeds); ask for one class at a time."
            )
        return torch.arange(classes)
    if not isinstance(label, int):
        raise InputError(
            f"label is {label!r}; expected a class number: the model is conditional, and is asked "
            "for one class, label=0 the first (--label 0), or for each point under its own "
            f"(--label {OWN})."
        )
    in_range("label", label, 0, (classes or 10**9) - 1, "It is a class of the model.")
    return torch.tensor([label])


def _null_label(config: Any, given: int | None) -> Tensor | None:
    """DiT has one row more than classes, of none of them; of others it is given."""
    own = getattr(config, "norm_type", None) == "ada_norm_zero"
    if given is None:
        return torch.tensor([config.num_embeds_ada_norm]) if own else None
    classes = getattr(config, "num_embeds_ada_norm" if own else "num_class_embeds", None)
    in_range(
        "null_label (--null-label)", given, 0, (classes or 10**9) - (not own),
        "It is a row of the model's classes.",
    )  # fmt: skip
    return torch.tensor([given])


def _encoded(
    kind: str, config: Any, pipeline: Any, prompt: str | Sequence[str], guided: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The arguments for a prompt, and for none where guidance needs them, by the pipeline's own
    `encode_prompt`."""
    if pipeline is None:
        raise InputError(
            f"{kind} is given text, and no text encoder is known; expected the pipeline that has "
            "it (text_encoder/ and tokenizer/). Name it by base= (--base PIPELINE)."
        )
    if isinstance(pipeline, Path):
        pipeline = _text_pipeline(pipeline)
    try:
        with torch.no_grad():
            asked = [prompt] if isinstance(prompt, str) else prompt
            given = _stacked([_arguments(kind, config, pipeline, x) for x in asked])
            null = _arguments(kind, config, pipeline, "") if guided else None
    except Exception as error:  # whatever it is that goes wrong inside
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{type(pipeline).__name__} cannot encode the prompt {prompt!r} ({why(error)}); "
            "expected a Stable Diffusion, SDXL or SD3 pipeline as save_pretrained wrote it."
        ) from error
    return given, null


def _stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One argument of many rows for each name."""
    out = {}
    for k, x in rows[0].items():
        each = [row[k] for row in rows]
        out[k] = _stacked(each) if isinstance(x, dict) else torch.cat(each)
    return out


def _arguments(kind: str, config: Any, pipeline: Any, prompt: str) -> dict[str, Any]:
    device = str(getattr(pipeline, "_execution_device", "cpu"))
    if kind == "SD3Transformer2DModel":
        if getattr(pipeline, "transformer", pipeline) is None:  # without T5 it asks for its width
            vars(pipeline)["transformer"] = SimpleNamespace(config=config)
        found, _, pooled, _ = pipeline.encode_prompt(
            prompt, prompt, prompt, device=device, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": found, "pooled_projections": pooled}
    if getattr(config, "addition_embed_type", None) != "text_time":
        found = pipeline.encode_prompt(prompt, device, 1, False)[0]
        return {"encoder_hidden_states": found}
    found, _, pooled, _ = pipeline.encode_prompt(
        prompt, device=device, do_classifier_free_guidance=False
    )
    if not prompt and getattr(pipeline.config, "force_zeros_for_empty_prompt", False):
        found, pooled = torch.zeros_like(found), torch.zeros_like(pooled)
    # the size of the image, no crop, as the pipeline itself has it
    side = float(config.sample_size * pipeline.vae_scale_factor)
    sizes = torch.tensor([[side, side, 0.0, 0.0, side, side]])
    added = {"text_embeds": pooled, "time_ids": sizes}
    return {"encoder_hidden_states": found, "added_cond_kwargs": added}


@contextmanager
def _quiet() -> Iterator[None]:
    """No advice and no bars of the libraries, which know nothing of what is left out."""
    from diffusers.utils import logging as bars

    loggers = [logging.getLogger(x) for x in ("diffusers", "transformers")]
    levels = [x.level for x in loggers]
    shown: bool = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()


def _text_pipeline(folder: Path) -> Any:
    """The pipeline in a folder as far as it encodes prompts, without network and VAE."""
    import diffusers

    index = read_json(folder / "model_index.json", "the index of a diffusers pipeline")
    named = {k: v for k, v in index.items() if isinstance(v, list) and k[:1] != "_"}
    texts = {k for k in named if k.startswith(("text_encoder", "tokenizer"))}
    odd = [k for k in texts if named[k][0] not in ("transformers", None)]
    name = str(index.get("_class_name"))
    with _quiet():
        kind: Any = getattr(diffusers, name, None)
    if odd or kind is None or not hasattr(kind, "encode_prompt"):
        raise InputError(
            f"{folder} is a {name}{' with its own ' + ', '.join(sorted(odd)) if odd else ''}; "
            "expected a pipeline of diffusers that encodes prompts, with text encoders of "
            "transformers."
        )
    try:
        with _quiet():
            import transformers  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"encoding a prompt needs transformers ({error}); pip install 'diffregimes[text]'."
        ) from error
    # a text encoder that was saved as none (T5 of SD3) has to be asked for as none
    out = {k for k in named if k not in texts or named[k][0] is None}
    left = dict.fromkeys(out - {"scheduler"})
    with readable(folder, "a pipeline that encodes prompts"), _quiet():
        pipeline = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False, **left
        )
    codec = folder / "vae" / "config.json"
    if codec.is_file():  # how much smaller its latents are, which SDXL is told
        blocks = read_json(codec, "the config of a VAE").get("block_out_channels", ())
        pipeline.vae_scale_factor = 2 ** max(0, len(blocks) - 1)
    return pipeline

"""The weights of a saved network, read from safetensors alone: nothing is ever unpickled.

Whole or in parts, in any precision, of diffusers (diffusion_pytorch_model) or of accelerate
(model); names that torch.compile and wrappers put in front are taken off. Low-rank adapters
W + (alpha/r) B A that lie beside their base are added to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..common.checks import InputError
from ..common.reading import read_json, readable
from .checkpoints import WEIGHTS

PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}
ADAPTERS = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
_STEMS = (WEIGHTS.removesuffix(".safetensors"), "model")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.safetensors$")
_SINGLE = "model.diffusion_model."  # of the single files of the first latent models
_A = re.compile(r"\.(lora_A|lora\.down|lora_down)(\.default)?\.weight$")

_B = {"lora_A": "lora_B", "lora.down": "lora.up", "lora_down": "lora_up"}


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files of the weights in a folder: the plain ones, else those of its one variant.

    Raises `InputError` where there are none, parts of them are missing, or several are meant.
    """
    for stem in _STEMS:
        variants = _variants(folder, stem)
        if not variants:
            continue
        if "" not in variants and len(variants) > 1:
            raise InputError(
                f"{folder} has the variants {', '.join(sorted(variants))} of its weights and no "
                f"{stem}.safetensors; expected one. Copy the one that is meant, and config.json, "
                "into a folder of their own."
            )
        found = variants.get("") or next(iter(variants.values()))
        if len(found) > 1:
            raise InputError(
                f"{folder} has its weights as {' and '.join(x.name for x in found)}; expected them "
                "as one file or in parts with an index, not both. Move one of them away."
            )
        return _parts(found[0])
    pickles = sorted(x.name for x in folder.iterdir() if x.suffix in PICKLES)
    if not pickles:
        raise InputError(
            f"{folder} has no {WEIGHTS}; expected the weights beside config.json, as "
            "save_pretrained writes them."
        )
    raise InputError(
        f"{folder} has its weights in {', '.join(pickles)}; expected {WEIGHTS}. Such files can run "
        "code as they are read, and are left alone. If you trust them, load the model by diffusers "
        "and save it by model.save_pretrained(folder, safe_serialization=True)."
    )


def _variants(folder: Path, stem: str) -> dict[str, list[Path]]:
    """Weights by variant, "" the plain ones: whole, or the index of their parts."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"{stem}.*")):
        name = path.name.removeprefix(stem)
        if name.endswith(".safetensors") and not _SHARD.search(name):
            found.setdefault(name.removesuffix(".safetensors").strip("."), []).append(path)
        elif ".safetensors.index." in name and name.endswith(".json"):
            variant = name.replace(".safetensors.index", "").removesuffix("json").strip(".")
            found.setdefault(variant, []).append(path)
    return found


def _parts(path: Path) -> tuple[Path, ...]:
    if path.suffix != ".json":
        return (path,)
    index = read_json(path, "the index of weights in parts")
    named = index.get("weight_map") if isinstance(index, dict) else None
    names = sorted({str(x) for x in named.values()}) if isinstance(named, dict) else []
    if not names or any(Path(x).name != x or not x.endswith(".safetensors") for x in names):
        raise InputError(
            f"{path} names {', '.join(names[:3]) or 'no files'}; expected safetensors beside it, "
            "as save_pretrained writes them."
        )
    gone = [x for x in names if not (path.parent / x).is_file()]
    if gone:
        raise InputError(
            f"{path.parent} lacks {len(gone)} of the {len(names)} parts of its weights, {gone[0]} "
            "first; expected all of them. Copy or download it again."
        )
    return tuple(path.parent / x for x in names)


def read_weights(files: Iterable[Path]) -> dict[str, Tensor]:
    """The weights by the names that the network itself has for them."""
    from safetensors.torch import load_file

    state: dict[str, Tensor] = {}
    for path in files:
        with readable(path, "weights (safetensors)"):
            state |= load_file(path)
        if any(x.startswith(_SINGLE) for x in state):
            raise InputError(
                f"{path} is a whole pipeline in a single file; expected a folder. Convert it by "
                "StableDiffusionPipeline.from_single_file(path).save_pretrained(folder)."
            )
    return unwrapped_names(state)


def unwrapped_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what torch.compile, DDP and AveragedModel put in front of the names."""
    state = {k.replace("_orig_mod.", ""): v for k, v in state.items() if k != "n_averaged"}
    while state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def _bare(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the name that the network has in what was saved around it, as unet., where there is
    one before all of its own names."""
    first = min(own)
    for before in sorted(k.removesuffix(first) for k in state if k.endswith(f".{first}")):
        if state.keys() == {f"{before}{k}" for k in own}:
            return {k.removeprefix(before): v for k, v in state.items()}
    return state


def fill(model: Any, state: dict[str, Tensor], what: object, dtype: torch.dtype) -> None:
    """Put the weights into a model. Raises `InputError` where one is missing or left over, and for
    quantised ones."""
    mend = getattr(model, "_fix_state_dict_keys_on_load", None)  # diffusers: names of before
    if mend is not None:
        mend(state)
    own = model.state_dict()
    state = _bare(state, own)
    for name, value in state.items():
        if name in own and own[name].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise InputError(
                f"the weights in {what} are quantised ({name} is {kind}); expected floating-point "
                "numbers: what integers stand for is known to the library that made them alone. "
                "Load the model by it, model.dequantize(), and model.save_pretrained(folder)."
            )
    odd = [*sorted(own.keys() - state.keys()), *sorted(state.keys() - own.keys())]
    odd += [k for k in sorted(own.keys() & state.keys()) if own[k].shape != state[k].shape]
    if odd:
        raise InputError(
            f"the weights in {what} and config.json beside them differ in {len(odd)} weights, "
            f"{odd[0]} first; expected both as save_pretrained wrote them."
        )
    torch.nn.Module.to(model, dtype).load_state_dict(state)  # that of diffusers warns of nothing


def adapter_files(folder: Path) -> tuple[Path, ...]:
    """Low-rank adapters that lie in a folder."""
    return tuple(folder / x for x in ADAPTERS if (folder / x).is_file())


def merge(model: Any, path: Path) -> int:
    """Add a low-rank adapter to the network, and tell how many of its weights it changes.

    Raises `InputError` where it is of another network, or has more than pairs A, B.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    with readable(path, "a low-rank adapter"):
        state = unwrapped_names(load_file(path))
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    text = {k for k in state if k.startswith("text_encoder")}
    if text:
        raise InputError(
            f"{path} changes the text encoder too ({min(text)}); expected an adapter of the "
            "network alone. Merge it by pipeline.load_lora_weights(folder); pipeline.fuse_lora(); "
            "pipeline.save_pretrained(new_folder)."
        )
    weights, used = dict(model.named_parameters()), set[str]()
    scale = _scale(path, header)
    pairs = [(k, m) for k in state if (m := _A.search(k))]
    for key, found in pairs:
        up = key[: found.start(1)] + _B[found[1]] + key[found.end(1) :]
        name = _A.sub("", key).removeprefix("base_model.model.")
        name = re.sub(r"^(unet|transformer)\.", "", name)
        # attention processors of before kept to_q_lora beside to_q
        name = re.sub(r"\.processor\.to_out_lora$", ".to_out.0", name)
        name = re.sub(r"\.processor\.to_([qkv])_lora$", r".to_\1", name)
        mine, alpha = weights.get(f"{name}.weight"), f"{_A.sub('', key)}.alpha"
        a, b = state[key], state.get(up)
        if mine is None or b is None or not _fits(mine, a, b):
            raise InputError(
                f"{path} is no adapter of this network ({key}); expected that of its base model."
            )
        rank = a.shape[0]
        by = float(state[alpha]) / rank if alpha in state else scale(name, rank)
        used |= {key, up, alpha}
        with torch.no_grad():
            mine += by * (b.double().flatten(1) @ a.double().flatten(1)).reshape(mine.shape).to(
                mine
            )
    left = state.keys() - used
    if left or not used:
        raise InputError(
            f"{path} has more than low-rank pairs ({min(left, default='nothing')}); expected these "
            "alone. Merge it by its own library (PEFT: merge_and_unload) and save the whole "
            "network."
        )
    return len(used) // 3


def _fits(mine: Tensor, a: Tensor, b: Tensor) -> bool:
    outer = b.numel() // b.shape[1] == mine.shape[0]
    return outer and b.shape[1] == a.shape[0] and a[0].numel() == mine[0].numel()


def _scale(path: Path, header: dict[str, str]) -> Any:
    """(name, rank) -> alpha/r as PEFT has it: in adapter_config.json, or in the header that
    diffusers writes; 1 without."""
    known: dict[str, Any] = {}
    beside = path.parent / "adapter_config.json"
    if path.name == ADAPTERS[1]:
        known = read_json(beside, "the config of the adapter beside it")
    elif "lora_adapter_metadata" in header:
        with readable(path, "a low-rank adapter"):
            every = dict(json.loads(header["lora_adapter_metadata"]))
        known = {k.partition(".")[2]: v for k, v in every.items() if not k.startswith("text")}
    odd = [x for x in ("use_dora", "modules_to_save", "lora_bias") if known.get(x)]
    if odd:
        raise InputError(
            f"{path} is an adapter with {', '.join(odd)}; expected low-rank pairs alone. Merge it "
            "by PEFT: model.merge_and_unload(), and save the whole network."
        )

    def scale(name: str, rank: int) -> float:
        pattern = known.get("alpha_pattern") or {}
        alpha = next((v for k, v in pattern.items() if re.search(rf"(^|\.){k}$", name)), None)
        alpha = known.get("lora_alpha", rank) if alpha is None else alpha
        return float(alpha) / (rank**0.5 if known.get("use_rslora") else rank)

    return scale

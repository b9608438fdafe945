"""The folder of a saved diffusers pipeline: what is in it, by name and config alone.

Everything that can be seen to be missing or of another kind is refused before anything is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..common.checks import InputError
from ..common.reading import read_json
from ..process import SCHEDULERS
from .checkpoints import WEIGHTS
from .checkpoints import found as checkpoints_in

PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}


def parts_of(root: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the network, its config and weights as they should be, and the config of the
    scheduler. Raises `InputError` for what is missing or not known."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder; expected a saved diffusers pipeline.")
    _check_finished(root)
    unet, plan = (root / x if (root / x).is_dir() else root for x in ("unet", "scheduler"))
    _check_parts(root)
    _config(unet / "config.json", "UNet2DModel")
    settings = _config(plan / "scheduler_config.json", *SCHEDULERS)
    _check_weights(unet)
    return unet, settings


def _config(path: Path, *classes: str) -> dict[str, Any]:
    """A diffusers config of one of these classes, any if none is named."""
    config = read_json(
        path,
        "a folder of a diffusers pipeline: with model_index.json, unet/ and scheduler/, or one "
        "with config.json and scheduler_config.json",
    )
    name = config.get("_class_name") if isinstance(config, dict) else None
    if name is None or (classes and name not in classes):
        raise InputError(f"{path} names the class {name}; known are {', '.join(classes) or 'all'}.")
    return dict(config)


def _check_finished(root: Path) -> None:
    """A training that was cut short has left checkpoints alone."""
    left = checkpoints_in(root)
    if left and not any((root / x).exists() for x in ("model_index.json", "unet", "config.json")):
        raise InputError(
            f"{root} holds no model yet: its training has not ended. It has the checkpoints "
            f"{', '.join(str(x) for x in left)}; expected one of these, or a finished model. Give "
            "one, or go on with diffregimes train."
        )


def _check_parts(root: Path) -> None:
    """A pipeline of more than a network and a scheduler does not work on the data themselves."""
    if not (root / "model_index.json").exists():
        return
    index = _config(root / "model_index.json")
    parts = {k for k, v in index.items() if isinstance(v, list) and v[:1] != [None]}
    if parts != {"unet", "scheduler"}:
        raise InputError(
            f"{root} is a pipeline of {', '.join(sorted(parts))}; expected unet and scheduler "
            "alone: one that works on latents or is given text has another law."
        )


def _check_weights(folder: Path) -> None:
    if (folder / WEIGHTS).is_file() and not (folder / f"{WEIGHTS}.index.json").exists():
        return
    pickles = sorted(x.name for x in folder.iterdir() if x.suffix in PICKLES)
    if not pickles:
        raise InputError(f"{folder} has no {WEIGHTS}, or in parts; expected it, as one file.")
    raise InputError(
        f"{folder} has its weights in {', '.join(pickles)}; expected {WEIGHTS}. Such files can run "
        "code as they are read, and are left alone. If you trust them, load the model by diffusers "
        "and save it by model.save_pretrained(folder, safe_serialization=True)."
    )

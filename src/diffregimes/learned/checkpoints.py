"""What a training run leaves behind: checkpoints that are whole or not there, and loss.csv.

A checkpoint is a folder that `DDPMPipeline.from_pretrained` opens (the network of the averaged
weights), with the weights of the last step, the state of the optimizer (both safetensors) and the
rows of loss.csv so far beside it. It is written under a hidden name and renamed; the last two are
kept. Nothing in it is a pickle.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..common.checks import InputError
from ..common.files import write_atomically
from ..common.reading import readable

FOLDER, KEPT = "checkpoints", 2
# entries of the recipe that a resumed run may change, or that follow from the others
FREE = "steps", "versions", "options", "pixel_map", "held_out_indices", "indexed", "points"
WEIGHTS = "diffusion_pytorch_model.safetensors"
LAST_STEP, OPTIMIZER, STATE = "last-step.safetensors", "optimizer.safetensors", "state.json"

Row = dict[str, float | None]


def check_folder(folder: Path, recipe: dict[str, Any]) -> None:
    """Raise unless the folder holds nothing of another run."""
    path = folder / "recipe.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if found(folder) or (folder / "model_index.json").exists():
            raise InputError(
                f"{folder} holds a network but no recipe.json; choose another folder (--out)."
            ) from None
        return
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} ({error}); choose another folder (--out).") from error
    before = stored if isinstance(stored, dict) else {}
    names = sorted({*before, *recipe} - {*FREE})
    differ = [x for x in names if before.get(x) != recipe.get(x)]
    if differ:
        raise InputError(
            f"{folder} holds a run of other data or options ({', '.join(differ)} differ); expected "
            "the same, to go on with it. Choose another folder (--out), or remove this one."
        )


def save(
    folder: Path,
    step: int,
    rows: Sequence[Row],
    pipeline: Any,
    unet: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """FOLDER/checkpoints/step-STEP, and the ones before the last two away."""
    from safetensors.torch import save_file

    place = folder / FOLDER
    target, stage = place / f"step-{step:08d}", place / ".partial"
    sweep(folder)
    stage.mkdir(parents=True)
    pipeline.save_pretrained(stage)
    save_file(unet.state_dict(), stage / LAST_STEP)
    moments = optimizer.state_dict()["state"]
    save_file({f"{i}.{k}": v for i, x in moments.items() for k, v in x.items()}, stage / OPTIMIZER)
    (stage / STATE).write_text(json.dumps({"step": step, "rows": list(rows)}), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(stage, target)
    for old in found(folder)[:-KEPT]:
        os.replace(old, stage)  # out of sight first: what is seen is whole
        shutil.rmtree(stage)


def load(
    checkpoint: Path,
    unet: torch.nn.Module,
    average: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[int, list[Row]]:
    """Put a checkpoint into the network, its average and its optimizer; its step and the rows so
    far."""
    from safetensors.torch import load_file

    with readable(checkpoint, "a checkpoint", "remove it, to go on from the one before."):
        unet.load_state_dict(load_file(checkpoint / LAST_STEP))
        average.load_state_dict(load_file(checkpoint / "unet" / WEIGHTS))
        moments: dict[int, dict[str, Any]] = {}
        for name, value in load_file(checkpoint / OPTIMIZER).items():
            index, what = name.split(".")
            moments.setdefault(int(index), {})[what] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        return state["step"], state["rows"]


def found(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted((folder / FOLDER).glob("step-*"))


def sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    shutil.rmtree(folder / FOLDER / ".partial", ignore_errors=True)


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """loss.csv, whole: one row a record, an empty cell for None."""
    if not rows:
        (folder / "loss.csv").unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "loss.csv", text.getvalue())


def write_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """recipe.json, whole."""
    write_atomically(folder / "recipe.json", json.dumps(recipe, indent=1) + "\n")


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 over names and values of all parameters: tells one network from another."""
    digest = hashlib.sha256()
    for name, values in sorted(module.state_dict().items()):
        digest.update(name.encode() + values.cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()

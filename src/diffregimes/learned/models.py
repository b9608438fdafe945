"""A saved model beside the data that it was trained on, as far as its folder tells.

A folder made by `train` has a recipe.json that names the data by their fingerprint, the points of
them that were held out, and the scale. Other folders say nothing of the kind: there all points
count as training points, and the scale is [-1, 1] as in diffusers' own pipelines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import Dataset
from .adapters import LearnedScore, check_fits, load_score
from .checkpoints import weights_digest

SCALE = (-1.0, 1.0)
_LATEST = 300.0  # t of a schedule that ends in pure noise, for JSON


@dataclass(frozen=True)
class Opened:
    """A network as a score, the points that it was trained on, those held out (None: not known).

    `facts` tell it from other networks: folder, sha256 of the weights, latest time, parameters,
    notes. `notes` say what a reader must know beside its curves.
    """

    score: LearnedScore
    training: Dataset
    held_out: Dataset | None
    facts: dict[str, Any]
    notes: tuple[str, ...]


def open_model(
    folder: str | Path, dataset: Dataset, *, label: int | None = None, device: str = "cpu"
) -> Opened:
    """Load the network in `folder` and take from `dataset` what it was trained on.

    label : class that a conditional network is asked for
    Raises `InputError` for a folder that makes no network, and for data of another size.
    """
    score = load_score(folder, label=label, device=device)
    check_fits(score, dataset)
    module: Any = score.module
    facts = {
        "name": Path(folder).resolve().name,
        "folder": str(folder),
        "weights": weights_digest(module),
        "latest": min(score.latest, _LATEST),
        "parameters": sum(x.numel() for x in module.parameters()),
        "notes": list(score.notes),
    }
    recipe = _recipe(folder)
    notes = [*score.notes, *_about_scale(dataset, trained_scale(folder))]
    training, held_out = dataset, None
    if recipe and recipe["fingerprint"] == dataset.fingerprint:
        out = np.asarray(recipe["held_out_indices"], dtype=np.int64)
        if len(out):
            training = dataset.take(np.setdiff1d(np.arange(dataset.n), out))
            held_out = dataset.take(out)
    elif recipe:
        notes.append(
            "these are not the data that recipe.json of the model names: other points, another "
            "order or another scale; what is said of training points holds for those given here"
        )
    return Opened(score, training, held_out, facts, tuple(notes))


def trained_scale(folder: str | Path) -> tuple[float, float]:
    """Of the pixels that the model takes: that of its recipe.json, [-1, 1] without."""
    scale = (_recipe(folder) or {}).get("scale") or SCALE
    return float(scale[0]), float(scale[1])


def _recipe(folder: str | Path) -> dict[str, Any] | None:
    """What `train` wrote, None if this folder is not of its making."""
    try:
        recipe = json.loads((Path(folder) / "recipe.json").read_text())
    except (OSError, ValueError):
        return None
    keys = {"fingerprint", "held_out_indices", "scale"}
    return recipe if isinstance(recipe, dict) and keys <= recipe.keys() else None


def _about_scale(dataset: Dataset, trained: tuple[float, float]) -> list[str]:
    scale = dataset.scale
    if scale == trained:
        return []
    given = "values as they came" if scale is None else f"values in [{scale[0]:g}, {scale[1]:g}]"
    low, high = trained
    return [
        f"{given}: the network was trained on [{low:g}, {high:g}] (most are on [-1, 1]), which is "
        f"--range={low:g},{high:g}"
    ]

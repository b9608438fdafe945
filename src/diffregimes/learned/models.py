"""A saved model beside the data that it was trained on, as far as its folder tells.

A folder made by `train` has a recipe.json that names the data by their fingerprint, the points of
them that were held out, and what was done to their values; its checkpoints share it. Other folders
say nothing of the kind: there all points count as training points, and pixels are brought to
[-1, 1] as in diffusers' own pipelines. A conditional network that is asked for one class has the
points of that class as its training points, no others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..common import serial
from ..common.checks import InputError
from ..common.parallel import Progress
from ..common.provenance import INDEXED
from ..common.reading import read_json
from ..data.classes import listed
from ..data.datasets import Dataset
from ..data.pixels import MODELS, PixelMap, Scaling
from .adapters import LearnedScore, check_fits, load_score
from .checkpoints import FOLDER, weights_digest
from .conditions import OWN

_OWN = "every point counts under its own class; the samples are asked for the classes of the points"
_LATEST = 300.0  # t of a schedule that ends in pure noise, for JSON


@dataclass(frozen=True)
class Opened:
    """A network as a score, the points that it was trained on, those held out (None: not known).

    `facts` tell it from other networks: folder, sha256 of the weights, latest time, parameters,
    notes. `notes` say what a reader must know beside its curves. `asked` is the class that a
    conditional network is asked for, None where all of the data are its training points.
    """

    score: LearnedScore
    training: Dataset
    held_out: Dataset | None
    facts: dict[str, Any]
    notes: tuple[str, ...]
    asked: str | None = None
    store: Path | None = None

    def prepared(self, points: Dataset, progress: Progress | None = None) -> Dataset:
        """Other points as the network knows them: of its class, in its code."""
        points = self.of_its_class(points)
        if self.score.latents is None:
            return points
        return self.score.latents.encode(points, store=self.store, progress=progress)

    def of_its_class(self, points: Dataset) -> Dataset:
        """Those of other points that are of the class that the network is asked for."""
        if self.asked is None or not points.labelled:
            return points
        if self.asked not in points.class_names:
            raise InputError(
                f"the network is asked for class {self.asked}, and {points.source} has the classes "
                f"{listed(points.class_names)}; expected points of that class among them."
            )
        return points.only(self.asked)


def open_model(
    folder: str | Path,
    dataset: Dataset,
    *,
    label: int | str | None = None,
    prompt: str | tuple[str, ...] | None = None,
    guidance: float | None = None,
    null_label: int | None = None,
    scheduler: str | Path | None = None,
    base: str | Path | None = None,
    device: str = "cpu",
    store: Path | None = None,
    progress: Progress | None = None,
) -> Opened:
    """Load the network in `folder` and take from `dataset` what it was trained on; for a latent
    model in the code of its VAE.

    label : class that a conditional network is asked for; of labelled data its points alone count.
        "own": all points count, each under its own class
    prompt, guidance, null_label, scheduler, base : as in `load_score`
    store : a folder that keeps the latents, encoded once
    Raises `InputError` for a folder that makes no network, and for data of another size.
    """
    score = load_score(
        folder,
        scheduler,
        base=base,
        label=label,
        prompt=prompt,
        guidance=guidance,
        null_label=null_label,
        device=device,
    )
    first = dataset.take(np.arange(1))
    check_fits(score, first if score.latents is None else score.latents.encode(first))
    opened = _taken(score, folder, dataset, label)
    extra = [] if score.condition is None or prompt is None else [_about_prompt(prompt)]
    extra += [] if guidance is None else [_about_guidance(guidance)]
    facts = opened.facts | _asked_for(prompt)
    facts |= {} if guidance is None else {"guidance": guidance}
    facts |= {} if null_label is None else {"null_label": null_label}
    opened = replace(opened, facts=facts, notes=(*opened.notes, *extra), store=store)
    if score.latents is None:
        return opened
    facts["vae"] = weights_digest(score.latents.vae)
    training = score.latents.encode(opened.training, store=store, progress=progress)
    held, said = opened.held_out, training.notes[len(opened.training.notes) :]
    return replace(
        opened, training=training, facts=facts, notes=(*opened.notes, *said),
        held_out=held and score.latents.encode(held, store=store, progress=progress),
    )  # fmt: skip


def _asked_for(prompt: str | tuple[str, ...] | None) -> dict[str, Any]:
    """A prompt, or how many, and their SHA-256."""
    if prompt is None or isinstance(prompt, str):
        return {} if prompt is None else {"prompt": prompt}
    digest = hashlib.sha256("\n".join(prompt).encode()).hexdigest()
    return {"prompts": len(prompt), "captions": digest}


def _about_prompt(prompt: str | tuple[str, ...]) -> str:
    if not isinstance(prompt, str):
        return (
            "every point counts under its own text, and the samples are asked for the texts of the "
            "training points; what the model makes of other prompts is not looked at"
        )
    return (
        f"the model is asked for the prompt {prompt!r}: all points count as points of it; what it "
        "makes of other prompts is not looked at"
    )


def _about_guidance(guidance: float) -> str:
    return (
        f"guidance {guidance:g}: what is audited is the guided law, which is not the one trained "
        "for; losses and entropy are those of guided answers"
    )


def _taken(
    score: LearnedScore, folder: str | Path, dataset: Dataset, label: int | str | None
) -> Opened:
    """The points that the network was trained on, as far as the folder and the label tell."""
    module: Any = score.module
    facts = {
        "name": model_name(folder),
        "folder": str(folder),
        "weights": weights_digest(module),
        "latest": min(score.latest, _LATEST),
        "parameters": sum(x.numel() for x in module.parameters()),
        "notes": list(score.notes),
    }
    recipe = _recipe(folder)
    notes = [*score.notes, *_about_scale(dataset, recipe)]
    training, held_out = dataset, None
    if recipe and recipe["fingerprint"] == dataset.fingerprint:
        out = _held_out(recipe, dataset)
        if len(out):
            training = dataset.take(np.setdiff1d(np.arange(dataset.n), out))
            held_out = dataset.take(out)
    elif recipe:
        notes.append(
            "these are not the data that recipe.json of the model names: other points, another "
            "order or another scale; what is said of training points holds for those given here"
        )
    if not isinstance(label, int):
        notes += [_OWN] if label == OWN else []
        return Opened(score, training, held_out, facts, tuple(notes))
    asked, said = class_of_label(training, label)
    opened = Opened(score, training, held_out, facts, (*notes, said), asked)
    if held_out is not None:
        mine = opened.of_its_class(held_out)
        held_out = mine if mine.n > 1 else None  # one tells nothing of a mean
    return replace(opened, training=opened.of_its_class(training), held_out=held_out)


def class_of_label(dataset: Dataset, label: int) -> tuple[str | None, str]:
    """The class of the data that a network means by `label`, None where they have no labels; and
    what is to be said of it.

    It is the class of that name, or with that number in the source (`Dataset.conditions`); one
    class alone is the one that is meant. Raises `InputError` where there is none, or two.
    """
    names = dataset.class_names
    if not dataset.labelled:
        return None, (
            f"the model is asked for label {label} and the data have no labels: all of their "
            "points count as points of that class"
        )
    numbered = dict(zip(names, dataset.conditions, strict=False))
    found = [x for x in names if x == str(label) or numbered.get(x) == label]
    if len(names) == 1 and not found:
        said = f"label {label} of the model is taken as class {names[0]}, the only one of the data"
        return names[0], said
    if len(found) == 1:
        count = dataset.class_counts[names.index(found[0])]
        return found[0], (
            f"label {label} of the model: its training points are the {count} of class {found[0]}"
        )
    which = "is none of them"
    if found:
        which = f"can be the class of that name or the one in that place, {listed(found)}"
    raise InputError(
        f"label (--label) is {label}, and the data have the classes {listed(names)}: it {which}. "
        "Choose its class by `classes` (--classes NAME): one class alone is taken as that of the "
        "label."
    )


def model_name(folder: str | Path) -> str:
    """What a model is called: a checkpoint by its training and its step."""
    place, home = Path(folder).resolve(), _home(folder)
    return place.name if place == home else f"{home.name}-{place.name}"


def trained_scaling(folder: str | Path) -> Scaling:
    """What was done to the values of the points that the model was trained on, as far as its
    recipe.json tells; without it pixels go to [-1, 1] and floats stay as they came."""
    recipe = _recipe(folder)
    if recipe is None:
        return MODELS
    ends = recipe["scale"]
    scale = None if ends is None else (float(ends[0]), float(ends[1]))
    integers = scale or MODELS.integers
    known = recipe.get("pixel_map")
    if known is None:  # of before: floats were stretched to the scale, whatever they were
        return Scaling(integers, scale)
    given = serial.build(known, PixelMap, "pixel_map")
    if given.offset is not None:  # a table's, of integers or not
        return Scaling(given, given)
    return Scaling(integers, None if given.whole else given)


def _home(folder: str | Path) -> Path:
    """The folder of the training that a checkpoint belongs to, else the folder itself."""
    place = Path(folder).resolve()
    inside = place.parent.name == FOLDER and place.name.startswith("step-")
    return place.parent.parent if inside else place


def _recipe(folder: str | Path) -> dict[str, Any] | None:
    """What `train` wrote, None if this folder is not of its making."""
    try:
        recipe = read_json(_home(folder) / "recipe.json", "what train wrote")
    except InputError:
        return None
    keys = {"fingerprint", "held_out_indices", "scale"}
    return recipe if isinstance(recipe, dict) and keys <= recipe.keys() else None


def _held_out(recipe: dict[str, Any], dataset: Dataset) -> np.ndarray:
    """Rows of the points that were held out."""
    out = recipe["held_out_indices"]
    if recipe.get("indexed") == INDEXED:  # before, rows were what was written
        out = [dataset.place_of(int(index)) for index in out]
    return np.asarray(out, dtype=np.int64)


def _about_scale(dataset: Dataset, recipe: dict[str, Any] | None) -> list[str]:
    """A note where the data are not on the scale that the network is known or supposed to take."""
    known: Any = MODELS.integers if recipe is None else recipe["scale"]
    scale, done = dataset.scale, dataset.pixel_map
    if scale == (known and tuple(known)):
        return []
    if recipe is None and scale is None and done is not None:
        return [
            f"{done}: they are supposed to be what the network was trained on; --range=-1,1 would "
            "stretch them to the scale of most networks"
        ]
    given = "values as they came" if scale is None else f"values in [{scale[0]:g}, {scale[1]:g}]"
    if known is None:
        return [f"{given}: the network was trained on values as they came, which is --range none"]
    low, high = known
    return [
        f"{given}: the network was trained on [{low:g}, {high:g}] (most are on [-1, 1]), which is "
        f"--range={low:g},{high:g}"
    ]

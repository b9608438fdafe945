"""The command `train-classifier`: what judges the class of end points, and how far it is right."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError
from .options import (
    Classes,
    Device,
    Key,
    Labels,
    Out,
    Pad,
    PerClass,
    PixelRange,
    Seed,
    Source,
    flowing,
    pair,
    read,
    source_name,
)

if TYPE_CHECKING:
    pass


TRAINING = "The training"

HELP = """
Train a classifier that judges the class of end points: --classifier of clones, uturn and audit.

The class of the nearest training point, taken without it, is no judge of samples that lie between
the points. A ResNet-18 for images of 32 pixels or more, a narrower one from 16 on, a small network
below and for vectors: half an hour, a minute, seconds on one core of a CPU for a thousand points.
Its accuracy on points held out is stored beside it, and goes as a warning into the results where it
is below 95 %. Give the data options here as you give them there.

Examples:

  diffregimes train-classifier digits --classes 1,8

  diffregimes train-classifier cars.npz --classes 1,7 --range=-1,1 --out runs/cars-judge

  diffregimes clones cars.npz --classes 1,7 --range=-1,1 --classifier runs/cars-judge
"""


def train_classifier(
    source: Source,
    held_out: Annotated[
        float,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="SHARE",
            help="Share of each class not trained on, to measure the accuracy.",
        ),
    ] = 0.1,
    epochs: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Passes over the data.",
            show_default="by the number and size of the points",
        ),
    ] = None,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: PixelRange = None,
    pad: Pad = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    out: Out = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", rich_help_panel="The output", help="Replace what the folder holds."
        ),
    ] = False,
) -> None:
    options = dict(locals())
    scale = None if pixel_range is None else pair("--range", pixel_range, "--range=-1,1")
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..common.recipe import check_device, versions
        from ..learned.classifier import save_classifier
        from ..learned.classifier import train_classifier as train
        from ..report.folder import check_target, staged

        check_device(device)
        folder = out or Path("runs") / f"{source_name(source)}-classifier"
        check_target(folder)
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise InputError(
                f"{folder} holds files already; expected a new or empty folder. Choose another "
                "(--out), or give --force to replace the classifier in it."
            )
        dataset = read(
            source,
            labels=labels,
            key=key,
            classes=classes,
            per_class=per_class,
            pixel_range=scale,
            pad=pad,
            progress=progress,
        )
        found = train(
            dataset, held_out=held_out, seed=seed, device=device, epochs=epochs, progress=progress
        )
        left_out = "out", "device", "force"
        recipe = {
            **found.recipe,
            "command": "train-classifier",
            "options": {k: v for k, v in options.items() if k not in left_out},
            "versions": versions(),
        }
        with staged(folder) as stage:
            save_classifier(dataclasses.replace(found, recipe=recipe), stage)
    from ..report.terminal.training import print_classifier

    print_classifier(found, folder)


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command("train-classifier", help=flowing(HELP))(train_classifier)

"""The command `train-classifier`: what judges the class of end points, and how far it is right."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..common.checks import InputError
from .command import command, recorded
from .options import (
    OUTPUT,
    TRAINING,
    DataOptions,
    Device,
    Out,
    Seed,
    Source,
    flowing,
    source_name,
)

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


@dataclass(frozen=True, kw_only=True)
class TrainClassifier:
    """The options of `train-classifier`."""

    source: Source
    held_out: Annotated[
        float,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="SHARE",
            help="Share of each class not trained on, to measure the accuracy.",
        ),
    ] = 0.1
    epochs: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Passes over the data.",
            show_default="by the number and size of the points",
        ),
    ] = None
    data: DataOptions
    seed: Seed = 0
    device: Device = "cpu"
    out: Out = None
    force: Annotated[
        bool,
        typer.Option("--force", rich_help_panel=OUTPUT, help="Replace what the folder holds."),
    ] = False


def train_classifier(options: TrainClassifier) -> None:
    """Read, train, write, print."""
    scale = options.data.range()
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..common.recipe import check_device, versions
        from ..learned.classifier import save_classifier
        from ..learned.classifier import train_classifier as train
        from ..report.folder import staged

        check_device(options.device)
        folder = options.out or Path("runs") / f"{source_name(options.source)}-classifier"
        _check_free(folder, options.force)
        trained = train(
            options.data.read(options.source, scale, progress),
            held_out=options.held_out,
            seed=options.seed,
            device=options.device,
            epochs=options.epochs,
            progress=progress,
        )
        recipe = {
            **trained.recipe,
            "command": "train-classifier",
            "options": recorded(options, "out", "device", "force"),
            "versions": versions(),
        }
        with staged(folder) as stage:
            save_classifier(dataclasses.replace(trained, recipe=recipe), stage)
    from ..report.terminal.training import print_classifier

    print_classifier(trained, folder)


def _check_free(folder: Path, force: bool) -> None:
    """Raise where the classifier cannot go, or would replace what nobody gave up."""
    from ..report.folder import check_target

    check_target(folder)
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder} holds files already; expected a new or empty folder. Choose another "
            "(--out), or give --force to replace the classifier in it."
        )


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command("train-classifier", help=flowing(HELP))(command(train_classifier))

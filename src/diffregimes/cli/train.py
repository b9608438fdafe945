"""The command `train`: a diffusion model of one's own, to measure the regimes of a network.

Alone or in several processes by `accelerate launch -m diffregimes train ...`. Killed at any
moment, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from .command import command, recorded
from .competitors import GroupedDataOptions
from .options import (
    ACCURACY,
    TRAINING,
    Out,
    Seed,
    Source,
    flowing,
    range_option,
    source_name,
)

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.pixels import Range
    from ..learned.training import Trained

HELP = """
Train a diffusion model (a DDPM of diffusers) on images, to compare it with the exact scores.

The folder opens with DDPMPipeline.from_pretrained, and as --model of the other commands. Beside it:
loss.csv and loss.png (the loss, that on points held out, and the share of copies among samples, as
the training goes), recipe.json, and the last two checkpoints.
Killed, the same command goes on where it stood; with more --steps it trains on.

Presets: [cyan]tiny[/cyan] (8 x 8, minutes on a CPU), [cyan]small[/cyan] (32 x 32, one GPU),
[cyan]paper[/cyan] (25.6 million parameters, 350 000 steps).

Examples:

  diffregimes train digits

  diffregimes train cars.npz --preset small --out runs/cars-model

  accelerate launch -m diffregimes train images/ --preset paper
"""


@dataclass(frozen=True, kw_only=True)
class TrainingDataOptions(GroupedDataOptions):
    """On the scale that diffusers' pipelines give their images."""

    pixel_range: Annotated[
        str | None,
        range_option("-1,1 for integer pixels, floats as they are"),
    ] = None

    def range(self) -> Range:
        from ..data.pixels import MODELS

        return MODELS if self.pixel_range is None else super().range()


@dataclass(frozen=True, kw_only=True)
class Train:
    """The options of `train`."""

    source: Source
    preset: Annotated[str, typer.Option(rich_help_panel=TRAINING, help="tiny, small or paper.")] = (
        "tiny"
    )
    steps: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING, metavar="N", help="Steps.", show_default="of the preset"
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Images in a step, of all processes together.",
            show_default="of the preset",
        ),
    ] = None
    every: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Steps between rows of loss.csv, and checkpoints.",
            show_default="of the preset",
        ),
    ] = None
    held_out: Annotated[
        float,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="SHARE",
            help="Share of each class not trained on; with --group whole groups.",
        ),
    ] = 0.1
    memorised: Annotated[
        int,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Generate N samples for each row of loss.csv: the share of copies. 0 for none.",
        ),
    ] = 64
    data: TrainingDataOptions
    seed: Seed = 0
    device: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="Where it is computed: cpu, cuda, mps.",
            show_default="a GPU if there is one",
        ),
    ] = None
    out: Out = None


def train(options: Train) -> None:
    """Read, train, write, print; where there are several processes the main one alone does."""
    options.data.range()  # a bad --range is told before torch is imported
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..report.folder import check_target, staged

        folder = options.out or Path("runs") / f"{source_name(options.source)}-train"
        check_target(folder)
        trained = _trained(options, folder, progress)
        if trained.main:
            from ..report.runs import write_trained

            with staged(folder) as stage:
                write_trained(trained, stage)
    if trained.main:
        from ..report.terminal.training import print_trained

        given = recorded(options.data, "pixel_range")
        chosen = [
            f"--{k.replace('_', '-')}" + ("" if v is True else f" {quote(str(v))}")
            for k, v in given.items()
            if v
        ]
        print_trained(trained, folder, " ".join([quote(options.source), *chosen]))


def _trained(options: Train, folder: Path, progress: Progress) -> Trained:
    from ..common.recipe import versions
    from ..learned.networks import versions as package_versions
    from ..learned.training import train as run

    return run(
        options.data.read(options.source, options.data.range(), progress),
        folder,
        preset=options.preset,
        steps=options.steps,
        batch=options.batch,
        every=options.every,
        held_out=options.held_out,
        memorised=options.memorised,
        seed=options.seed,
        device=options.device,
        recipe={
            "command": "train",
            "options": recorded(options, "out", "device"),
            "versions": {**versions(), **package_versions()},
        },
        progress=progress,
    )


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(command(train))

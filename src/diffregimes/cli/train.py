"""The command `train`: a diffusion model of one's own, to measure the regimes of a network.

Alone or in several processes by `accelerate launch -m diffregimes train ...`. Killed at any
moment, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    ACCURACY,
    DATA,
    Classes,
    Key,
    Labels,
    Out,
    Pad,
    PerClass,
    Seed,
    Source,
    flowing,
    pair,
    read,
    source_name,
)

if TYPE_CHECKING:
    pass
from ..report.figures.training import plot_losses
from ..report.terminal.training import print_trained

TRAINING = "The training"

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


def train(
    source: Source,
    preset: Annotated[
        str, typer.Option(rich_help_panel=TRAINING, help="tiny, small or paper.")
    ] = "tiny",
    steps: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING, metavar="N", help="Steps.", show_default="of the preset"
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Images in a step, of all processes together.",
            show_default="of the preset",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Steps between rows of loss.csv, and checkpoints.",
            show_default="of the preset",
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            rich_help_panel=TRAINING, metavar="SHARE", help="Share of each class not trained on."
        ),
    ] = 0.1,
    memorised: Annotated[
        int,
        typer.Option(
            rich_help_panel=TRAINING,
            metavar="N",
            help="Generate N samples for each row of loss.csv: the share of copies. 0 for none.",
        ),
    ] = 64,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: Annotated[
        str,
        typer.Option("--range", rich_help_panel=DATA, metavar="LO,HI", help="Scale of the pixels."),
    ] = "-1,1",
    pad: Pad = 0,
    seed: Seed = 0,
    device: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="Where it is computed: cpu, cuda, mps.",
            show_default="a GPU if there is one",
        ),
    ] = None,
    out: Out = None,
) -> None:
    options = dict(locals())
    scale = pair("--range", pixel_range, "--range=-1,1")
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..common.recipe import versions
        from ..learned.networks import versions as package_versions
        from ..learned.training import train as run
        from ..report.folder import check_target, staged

        folder = out or Path("runs") / f"{source_name(source)}-train"
        check_target(folder)
        dataset = read(
            source,
            labels=labels,
            key=key,
            classes=classes,
            per_class=per_class,
            # a law has no pixels: what is wrong with it is that it gives vectors
            pixel_range=None if source.startswith("gmm:") else scale,
            pad=pad,
            progress=progress,
        )
        left_out = "out", "device"
        recipe = {
            "command": "train",
            "options": {k: v for k, v in options.items() if k not in left_out},
            "versions": {**versions(), **package_versions()},
        }
        trained = run(
            dataset,
            folder,
            preset=preset,
            steps=steps,
            batch=batch,
            every=every,
            held_out=held_out,
            memorised=memorised,
            seed=seed,
            device=device,
            recipe=recipe,
            progress=progress,
        )
        if trained.main:
            from ..report.figures.style import png_bytes

            with staged(folder) as stage:
                trained.pipeline.save_pretrained(stage)
                figure: Any = plot_losses(trained.rows).get_figure(root=True)
                (stage / "loss.png").write_bytes(png_bytes(figure))
    if trained.main:
        same = {k: options[k] for k in ("labels", "key", "classes", "per_class", "pad")}
        chosen = [f"--{k.replace('_', '-')} {quote(str(v))}" for k, v in same.items() if v]
        print_trained(trained, folder, " ".join([quote(source), *chosen]))


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(train)

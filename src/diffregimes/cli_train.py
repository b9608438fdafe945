"""The command `train`: a diffusion model of one's own, to measure the regimes of a network.

Alone or in several processes by `accelerate launch -m diffregimes train ...`. Killed at any
moment, the same command goes on from the last checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_options import (
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
    from matplotlib.axes import Axes

    from .learned.training import Trained

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
    from .terminal import progress_bar

    with progress_bar() as progress:
        from .analysis import versions
        from .learned.networks import versions as package_versions
        from .learned.training import train as run
        from .output import check_target, staged

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
            from .pictures import png_bytes

            with staged(folder) as stage:
                trained.pipeline.save_pretrained(stage)
                figure: Any = plot_losses(trained.rows).get_figure(root=True)
                (stage / "loss.png").write_bytes(png_bytes(figure))
    if trained.main:
        same = {k: options[k] for k in ("labels", "key", "classes", "per_class", "pad")}
        chosen = [f"--{k.replace('_', '-')} {quote(str(v))}" for k, v in same.items() if v]
        _print(trained, folder, " ".join([quote(source), *chosen]))


def plot_losses(rows: Sequence[dict[str, float | None]], ax: Axes | None = None) -> Axes:
    """The columns of loss.csv against the step; the memorised fraction on an axis of its own."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    from .timeaxis import COLOURS, SIZE, STYLE

    if ax is None:
        with rc_context(STYLE):
            made = Figure(figsize=(1.25 * SIZE[0], 1.1 * SIZE[1]), layout="constrained")
            return plot_losses(rows, made.add_subplot())
    step = [x["step"] for x in rows]
    lines = {
        "loss": ("batches", "lightgray"),
        "train_loss": ("training points", COLOURS["point"]),
        "held_out_loss": ("held-out points", COLOURS["class"]),
    }
    for name, (label, colour) in lines.items():
        values = [x[name] for x in rows]
        if None not in values:
            ax.plot(step, values, "o-", ms=2.5, lw=1.2, color=colour, label=label)  # type: ignore[arg-type]
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 4, 6, 8)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("step")
    ax.set_ylabel("mean square error of the prediction")
    if "memorised" in rows[0]:
        beside = ax.twinx()
        shares = [x["memorised"] for x in rows]
        beside.plot(step, shares, "k:", lw=1.2)  # type: ignore[arg-type]
        beside.set_ylim(-0.02, 1.02)
        beside.set_ylabel("memorised fraction (dotted)")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.02), ncols=3, borderaxespad=0)
    return ax


def _print(trained: Trained, folder: Path, data: str) -> None:
    """`data` is the source with its options, as the audit must be given them."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    last = trained.rows[-1]
    parameters = f"{trained.parameters:,}".replace(",", " ")
    console.print(f"{parameters} parameters, {last['step']} steps")
    names = {
        "train_loss": "loss on training points",
        "held_out_loss": "loss on held-out points",
        "memorised": "memorised fraction",
    }
    for name, text in names.items():
        if last.get(name) is not None:
            console.print(f"  {text}: {last[name]:.4f}")
    console.print(f"model: {folder} (give it as --model, with the same data options)")
    console.print(f"does it copy?  diffregimes audit {quote(str(folder))} --data {data}")


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(train)

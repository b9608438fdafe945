"""The command `analyze`: from a source to its regimes, report and table."""

from __future__ import annotations

import dataclasses
import errno
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError
from ..data.readers import ACCEPTED
from .options import (
    ACCURACY,
    DATA,
    OUTPUT,
    Classes,
    Device,
    Key,
    Labels,
    MemoryMib,
    Out,
    Pad,
    PerClass,
    PixelRange,
    Seed,
    Source,
    flowing,
    numbers,
    pair,
    read,
    source_name,
)

if TYPE_CHECKING:
    from ..results import Analysis


class Format(StrEnum):
    text = "text"
    json = "json"


ANALYZE_HELP = f"""
Find the three regimes of a dataset: wandering, class decided, memorising.

No network is trained. [bold]SOURCE[/bold] is {ACCEPTED}. Samples of a known law are compared with
their exact theory.
The times go to the terminal, a report to runs/NAME/report.html.

Examples:

  diffregimes analyze digits

  diffregimes analyze cars.npz --classes 1,7 --per-class 1500

  diffregimes analyze path/to/mnist/ --classes 1,8 --pad 2

  diffregimes analyze path/to/images/ --range=-1,1 --out runs/faces

  diffregimes analyze gmm:d=1024,n=20000,mu=1,sigma=1
"""


def analyze(
    source: Source,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: PixelRange = None,
    pad: Pad = 0,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            rich_help_panel=DATA,
            help="Leave out images that cannot be read, and say how many.",
        ),
    ] = False,
    precision: Annotated[
        float,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="SE",
            help="Draw until the standard errors of the curves (from 0 to 1) reach this.",
        ),
    ] = 0.005,
    draws: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="Draw N noised samples instead, rounded up to blocks of 256.",
        ),
    ] = None,
    times: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="T,T,...",
            help="Times t of the curves, increasing: 0.1,0.5,1",
            show_default="where the curves change",
        ),
    ] = None,
    seed: Seed = 0,
    schedule: Annotated[
        str,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="What the DDPM steps count: linear, cosine, or a scheduler_config.json of "
            "diffusers.",
        ),
    ] = "linear",
    device: Device = "cpu",
    memory_mib: MemoryMib = 1024,
    out: Out = None,
    format: Annotated[
        Format,
        typer.Option(
            rich_help_panel=OUTPUT,
            help="text: a table; json: results.json alone on stdout.",
        ),
    ] = Format.text,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            rich_help_panel=OUTPUT,
            help="Read and check everything; compute and write nothing.",
        ),
    ] = False,
) -> None:
    scale = None if pixel_range is None else pair("--range", pixel_range, "--range=-1,1")
    grid = numbers("--times", times, "--times 0.1,0.5,1")

    from ..report.terminal.analysis import print_plan
    from ..report.terminal.bar import progress_bar

    folder = out or Path("runs") / source_name(source)
    with progress_bar() as progress:
        # torch takes seconds to import: --help must not wait for it
        from .. import process
        from ..analysis import analyze as run
        from ..analysis import check_options
        from ..report.folder import check_target, staged
        from ..report.runs import write_run

        check_options(precision, draws, grid, seed, device, memory_mib)
        clock = process.schedule(schedule)
        check_target(folder)
        dataset = read(
            source,
            labels=labels,
            key=key,
            classes=classes,
            per_class=per_class,
            pixel_range=scale,
            pad=pad,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )
        if not dry_run:
            with staged(folder) as stage:
                analysis = run(
                    dataset,
                    precision=precision,
                    draws=draws,
                    times=grid,
                    seed=seed,
                    schedule=clock,
                    device=device,
                    memory_mib=memory_mib,
                    progress=progress,
                )
                options: dict[str, Any] = {
                    "source": source,
                    "labels": labels,
                    "key": key,
                    "classes": classes,
                    "per_class": per_class,
                    "range": None if scale is None else list(scale),
                    "pad": pad,
                    "times": grid,
                    "schedule": schedule,
                    "skip_unreadable": skip_unreadable,
                }
                recipe = dataclasses.replace(analysis.recipe, command="analyze", options=options)
                analysis = dataclasses.replace(analysis, recipe=recipe)
                progress(0, 1, "report")
                write_run(analysis, dataset, stage)
                progress(1, 1, "report")
    if dry_run:
        print_plan(dataset, folder, draws, precision)
    else:
        _print(analysis, folder, format)


def _print(analysis: Analysis, folder: Path, format: Format) -> None:
    from ..report.terminal.analysis import print_summary

    try:
        if format is Format.json:
            typer.echo(analysis.to_json().encode())  # as in the file, whatever the locale
        else:
            print_summary(analysis, folder)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has seen enough: typer ends quietly
            raise
        raise InputError(
            f"cannot print the results: {error.strerror}. They are complete in {folder}."
        ) from error


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(ANALYZE_HELP))(analyze)

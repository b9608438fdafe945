"""The command line: `diffregimes analyze SOURCE`.

A thin layer: it reads the source, calls `analyze`, writes the output folder and prints a table.
Input that the user can mend ends with a message on stderr and exit status 2.
"""

from __future__ import annotations

import dataclasses
import errno
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import cli_theory
from .checks import InputError

if TYPE_CHECKING:
    from .results import Analysis

app = typer.Typer(
    name="diffregimes",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Find when a diffusion model decides on a class, and when it starts to copy.",
)


app.add_typer(cli_theory.theory, name="theory")
app.add_typer(cli_theory.reproduce, name="reproduce")


class Format(StrEnum):
    text = "text"
    json = "json"


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"diffregimes {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find when a diffusion model decides on a class, and when it starts to copy."""


ANALYZE_HELP = """
Find the three regimes of a dataset: wandering, class decided, memorising.

No network is trained. [bold]SOURCE[/bold] is [cyan]digits[/cyan] (built in), an .npz or .npy file,
a folder of IDX files (MNIST), or a folder of images with one subfolder a class.
The times go to the terminal, a report to runs/NAME/report.html.

Examples:

  diffregimes analyze digits

  diffregimes analyze cars.npz --classes 1,7 --per-class 1500

  diffregimes analyze path/to/mnist/ --classes 1,8 --pad 2

  diffregimes analyze path/to/images/ --range=-1,1 --out runs/faces
"""
DATA, ACCURACY, OUTPUT = "The data", "The computation", "The output"


@app.command(help=ANALYZE_HELP)
def analyze(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="digits, a file, or a folder.")],
    labels: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            help="Where the labels are: a key of the .npz, a column (-1 is the last), a file, "
            "FILE.csv:COLUMN, or none to ignore them.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(rich_help_panel=DATA, help="Key of the data in an .npz with several arrays."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA, metavar="A,B", help="Classes to keep, by name or number: 1,8"
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="N",
            help="Keep the first N points of each class.",
            show_default="all",
        ),
    ] = None,
    pixel_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            rich_help_panel=DATA,
            metavar="LO,HI",
            help="Scale of the pixels; must be that of the model: --range=-1,1",
            show_default="0,1 for integer pixels, floats as they are",
        ),
    ] = None,
    pad: Annotated[
        int,
        typer.Option(
            rich_help_panel=DATA, metavar="N", help="Pixels added on every side of the images."
        ),
    ] = 0,
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
    seed: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, help="Same seed, same numbers.")
    ] = 0,
    schedule: Annotated[
        str,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="What the DDPM steps count: linear, cosine, or a scheduler_config.json of "
            "diffusers.",
        ),
    ] = "linear",
    device: Annotated[
        str, typer.Option(rich_help_panel=ACCURACY, help="Where it is computed: cpu, cuda, mps.")
    ] = "cpu",
    memory_mib: Annotated[
        int,
        typer.Option(
            rich_help_panel=ACCURACY, metavar="MIB", help="Memory for buffers; same numbers."
        ),
    ] = 1024,
    out: Annotated[
        Path | None,
        typer.Option(rich_help_panel=OUTPUT, help="Output folder.", show_default="runs/NAME"),
    ] = None,
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
    range_ = _numbers("--range", pixel_range, "--range=-1,1")
    grid = _numbers("--times", times, "--times 0.1,0.5,1")
    if range_ is not None and len(range_) != 2:
        raise InputError(f"--range is {pixel_range!r}; expected two numbers such as --range=-1,1.")

    from .terminal import print_plan, progress_bar

    folder = out or Path("runs") / _name(source)
    with progress_bar() as progress:
        # torch takes seconds to import: --help must not wait for it
        from . import process, readers
        from .analysis import analyze as run
        from .analysis import check_options
        from .output import check_target, staged, write_run

        check_options(precision, draws, grid, seed, device, memory_mib)
        clock = process.schedule(schedule)
        check_target(folder)
        dataset = readers.load(
            source,
            labels=labels,
            key=key,
            classes=None if classes is None else [x.strip() for x in classes.split(",")],
            per_class=per_class,
            pixel_range=None if range_ is None else (range_[0], range_[1]),
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
                    "range": range_,
                    "pad": pad,
                    "times": grid,
                    "schedule": schedule,
                    "skip_unreadable": skip_unreadable,
                }
                recipe = {**analysis.recipe, "command": "analyze", "options": options}
                analysis = dataclasses.replace(analysis, recipe=recipe)
                progress(0, 1, "report")
                write_run(analysis, dataset, stage)
                progress(1, 1, "report")
    if dry_run:
        print_plan(dataset, folder, draws, precision)
    else:
        _print(analysis, folder, format)


app.command("points-needed", help=cli_theory.NEEDED_HELP)(cli_theory.points_needed)


def _numbers(option: str, text: str | None, example: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected numbers separated by commas, such as {example}."
        ) from None


def _name(source: str) -> str:
    """A folder name for a source: cars for path/to/cars.npz, images for path/to/images/."""
    path = Path(source).expanduser()
    if path.is_dir():
        return path.resolve().name or "dataset"
    return path.stem or "dataset"


def _print(analysis: Analysis, folder: Path, format: Format) -> None:
    from .terminal import print_summary

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


def main() -> None:
    """Entry point: messages and exit status 2 for what the user can mend."""
    try:
        app()
    except InputError as error:
        typer.echo(f"diffregimes: {error}", err=True)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        typer.echo(
            "diffregimes: out of memory; try fewer points (--per-class) or --memory-mib 256.",
            err=True,
        )
    sys.exit(2)


if __name__ == "__main__":
    main()

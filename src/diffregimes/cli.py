"""The command line: `diffregimes analyze SOURCE`.

A thin layer: it reads the source, calls `analyze`, writes the output folder and prints a table.
Input that the user can mend ends with a message on stderr and exit status 2.
"""

from __future__ import annotations

import dataclasses
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import InputError

if TYPE_CHECKING:  # torch takes seconds to import: --help must not wait for it
    from rich.progress import Progress as Bar

    from .datasets import Dataset
    from .results import Analysis

app = typer.Typer(
    name="diffregimes",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Find when a diffusion model decides on a class, and when it starts to copy.",
)


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

Examples:

  diffregimes analyze digits

  diffregimes analyze cars.npz --classes 1,7 --per-class 1500 --out runs/cars

  diffregimes analyze path/to/mnist/ --classes 1,8 --pad 2

  diffregimes analyze path/to/images/ --range=-1,1 --schedule scheduler_config.json
"""


@app.command(help=ANALYZE_HELP)
def analyze(
    source: Annotated[str, typer.Argument(help="digits, a file, or a folder.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Key of the .npz, column (-1), a file, FILE.csv:COLUMN, or none."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Key of the data in an .npz with several arrays.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Classes to keep, by name or number: 1,8")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(help="Keep the first N points of each class.")
    ] = None,
    pixel_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LO,HI",
            help="Scale of the pixels; must be that of the model. [default: 0,1 for integers]",
        ),
    ] = None,
    pad: Annotated[int, typer.Option(help="Pixels added on every side.")] = 0,
    precision: Annotated[
        float, typer.Option(help="Draw until the curves' standard errors reach this.")
    ] = 0.005,
    draws: Annotated[
        int | None, typer.Option(help="Number of noised samples instead of --precision.")
    ] = None,
    times: Annotated[
        str | None, typer.Option(help="Times t, increasing: 0.1,0.5,1  [default: adaptive]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    schedule: Annotated[
        str, typer.Option(help="linear, cosine, or a scheduler_config.json of diffusers.")
    ] = "linear",
    device: Annotated[str, typer.Option(help="Where the pass runs: cpu, cuda, cuda:1.")] = "cpu",
    memory_mib: Annotated[int, typer.Option(help="Memory budget of the pass in MiB.")] = 1024,
    out: Annotated[Path | None, typer.Option(help="Output folder. [default: runs/NAME]")] = None,
    format: Annotated[
        Format, typer.Option(help="text: a table; json: results.json alone on stdout.")
    ] = Format.text,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Count unreadable images and go on.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, compute nothing.")
    ] = False,
) -> None:
    range_ = _numbers("--range", pixel_range)
    grid = _numbers("--times", times)
    if range_ is not None and len(range_) != 2:
        raise InputError(f"--range is {pixel_range!r}; expected two numbers such as --range=-1,1.")

    from . import process, readers
    from .analysis import analyze as run
    from .analysis import check_options
    from .output import staged, write_run

    check_options(precision, draws, grid, seed, device, memory_mib)
    clock = process.schedule(schedule)
    with _bar() as bar:
        progress = _callback(bar)
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
        folder = out or Path("runs") / _name(source)
        if dry_run:
            _print_plan(dataset, folder, draws, precision)
            return
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
    if format is Format.json:
        sys.stdout.write(analysis.to_json() + "\n")
    else:
        _print_summary(analysis, folder)


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected numbers separated by commas, such as {option}=0.1,1."
        ) from None


def _name(source: str) -> str:
    """A folder name for a source: cars for path/to/cars.npz, images for path/to/images/."""
    path = Path(source)
    return (path.stem if path.suffix else path.name) or "dataset"


def _bar() -> Bar:
    """A bar with the time left, on stderr, gone when done; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description:<18}"), BarColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _callback(bar: Bar) -> Any:
    tasks: dict[str, Any] = {}

    def progress(done: float, total: float, text: str) -> None:
        if text not in tasks:
            tasks[text] = bar.add_task(text, total=total)
        bar.update(tasks[text], completed=done, total=total)

    return progress


def _print_plan(dataset: Dataset, folder: Path, draws: int | None, precision: float) -> None:
    shape = " x ".join(str(x) for x in dataset.sample_shape)
    typer.echo(f"{dataset.source}: {dataset.n} points, {shape} (d = {dataset.d})")
    for name, count in zip(dataset.class_names, dataset.class_counts, strict=True):
        typer.echo(f"  class {name}: {count}")
    scale = (
        "as they came"
        if dataset.scale is None
        else f"in [{dataset.scale[0]:g}, {dataset.scale[1]:g}]"
    )
    typer.echo(f"  values {scale}; fingerprint {dataset.fingerprint[:12]}")
    for note in dataset.notes:
        typer.echo(f"  note: {note}")
    typer.echo(f"would draw {draws or f'until the standard errors reach {precision:g}'}")
    typer.echo(f"would write {folder}/results.json, curves.csv, report.html, figures/")


def _print_summary(analysis: Analysis, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    verdict = analysis.verdict
    console.print(f"\n[bold]{verdict.headline}[/bold]", highlight=False)
    for sentence in verdict.sentences:
        console.print(sentence, highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("transition", "method", "t", "95 % interval", "DDPM step", "sigma", ""):
        table.add_column(name, justify="left" if name in ("transition", "method", "") else "right")
    headline = analysis.recipe["headline"]
    for x in analysis.times:
        mark = "headline" if headline[x.transition] == x.method else ""
        if x.t is None:
            table.add_row(x.transition, x.method, "none", "", "", "", mark)
            continue
        bounds = "" if x.low is None else f"{x.low:.3f} to {x.high:.3f}"
        step = "" if x.ddpm_step is None else str(x.ddpm_step)
        row = x.transition, x.method, f"{x.t:.3f}", bounds, step, f"{x.sigma:.3f}", mark
        table.add_row(*row, style="bold" if mark else "")
    console.print()
    console.print(table)
    console.print()
    for x in analysis.times:
        for warning in x.warnings:
            console.print(f"warning: {x.transition} by {x.method}: {warning}", markup=False)
    for flag in analysis.reliability:
        if not flag.ok:
            console.print(f"[bold red]check failed:[/bold red] {flag.name}: {flag.message}")
    if analysis.duplicates:
        exact = sum(x.kind == "exact" for x in analysis.duplicates)
        near = len(analysis.duplicates) - exact
        console.print(f"{exact} exact and {near} near duplicates (named in results.json)")
    console.print(f"report: {folder / 'report.html'}", markup=False, soft_wrap=True)


def main() -> None:
    """Entry point: messages and exit status 2 for what the user can mend."""
    try:
        app()
    except InputError as error:
        typer.echo(f"diffregimes: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("diffregimes: stopped; earlier outputs are as they were.", err=True)
        sys.exit(2)
    except MemoryError:
        typer.echo(
            "diffregimes: out of memory; try fewer points (--per-class) or --memory-mib 256.",
            err=True,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()

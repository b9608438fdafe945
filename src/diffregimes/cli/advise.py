"""The command `advise`: from an analysis, or from the data, to numbers to type."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError
from .command import command
from .options import (
    ACCURACY,
    DATA,
    OUTPUT,
    DataOptions,
    Device,
    MemoryMib,
    Out,
    Seed,
    flowing,
    source_name,
)
from .printing import Format, printed

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..results import Analysis

ADVISE_HELP = """
From the curves to settings: guidance interval, strength, late start, steps, training noise.

[bold]SOURCE[/bold] is a folder that [cyan]analyze[/cyan] wrote, or data as it takes them, which are
analyzed first. The answers go to the terminal, to advice.html with the curves that they come from,
and to advice.json, each with its formula, what it supposes and what it leaves open. Levels move
with the scale of the pixels: give that of the model.

Examples:

  diffregimes advise runs/digits

  diffregimes advise digits --range=-1,1

  diffregimes advise images/ --range=-1,1 --held-out more-images/ --pilot runs/images-train

  diffregimes advise cars.npz --classes 1,7 --range=-1,1 --scheduler my-pipeline/scheduler
"""


@dataclass(frozen=True, kw_only=True)
class Advise:
    """The options of `advise`."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder that analyze wrote, or data as analyze takes them."
        ),
    ]
    data: DataOptions
    scheduler: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="PATH",
            help="Whose steps are counted: the folder of a diffusers pipeline or of its scheduler, "
            "a scheduler_config.json, linear or cosine.",
            show_default="that of the analysis",
        ),
    ] = None
    steps: Annotated[
        int,
        typer.Option(
            rich_help_panel=ACCURACY, metavar="N", help="Noise levels that a sampler may take."
        ),
    ] = 20
    epsilon: Annotated[
        float,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="NATS",
            help="By how much the law of a late start may differ from that of the noised data.",
        ),
    ] = 0.1
    held_out: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="PATH",
            help="Points of the same law that are not trained on, prepared as the data are: for "
            "the levels at which new points are drawn onto training points.",
            show_default="none",
        ),
    ] = None
    pilot: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="PATH",
            help="A training on fewer points that was watched: a folder of train, or a .csv with "
            "the columns step, train and held_out. It tells how long to train on these.",
            show_default="none",
        ),
    ] = None
    pilot_points: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="N0",
            help="On how many points the pilot was trained.",
            show_default="what its recipe says",
        ),
    ] = None
    seed: Seed = 0
    device: Device = "cpu"
    memory_mib: MemoryMib = 1024
    out: Out = None
    format: Annotated[
        Format,
        typer.Option(
            rich_help_panel=OUTPUT, help="text: questions and answers; json: advice.json on stdout."
        ),
    ] = Format.text


def advise(options: Advise) -> None:
    """Read or analyze, ask all questions, write and print."""
    given = _run_folder(options.source)
    folder = options.out or given or Path("runs") / source_name(options.source)
    from ..report.folder import check_target, staged
    from ..report.terminal.bar import progress_bar

    check_target(folder)
    with progress_bar() as progress:
        from ..advising import clocks
        from ..advising.advice import advise as ask
        from ..advising.pilot import read as read_pilot

        clock = None if options.scheduler is None else clocks.scheduler(options.scheduler)
        pilot = None if options.pilot is None else read_pilot(options.pilot, options.pilot_points)
        analysis, dataset, held_out = _analysis(options, given, progress)
        advice = ask(
            analysis, clock, steps=options.steps, epsilon=options.epsilon, dataset=dataset,
            held_out=held_out, pilot=pilot, pilot_points=options.pilot_points,
            memory_mib=options.memory_mib,
        )  # fmt: skip
        with staged(folder) as stage:
            from ..report.page.advice import write_advice

            write_advice(advice, stage)
            if dataset is not None:
                from ..report.runs import write_run

                write_run(analysis, dataset, stage)
    from ..report.terminal.advice import print_advice

    printed(options.format, advice, functools.partial(print_advice, advice), folder)


def _run_folder(source: str) -> Path | None:
    """The folder, if it is one that a command wrote."""
    path = Path(source).expanduser()
    try:
        return path if (path / "results.json").is_file() else None
    except (OSError, ValueError):  # no path at all: the reader says so
        return None


def _analysis(
    options: Advise, given: Path | None, progress: Progress
) -> tuple[Analysis, Dataset | None, Dataset | None]:
    """The one in the folder `given`, or a new one, its data and the held-out points."""
    if given is None:
        from ..analysis import analyze as run
        from ..analysis import check_options
        from ..data.alike import check_alike

        check_options(0.005, None, None, options.seed, options.device, options.memory_mib)
        dataset = options.data.read(options.source, options.data.range(), progress)
        held_out = None
        if options.held_out is not None:
            held_out = options.data.read(options.held_out, dataset.pixel_map, progress)
            check_alike(dataset, held_out)
        analysis = run(
            dataset, seed=options.seed, device=options.device, memory_mib=options.memory_mib,
            progress=progress,
        )  # fmt: skip
        return analysis, dataset, held_out
    from ..common.reading import read_json
    from ..results import Analysis

    if options.held_out is not None:
        raise InputError(
            f"--held-out came with {given}, an analysis, which holds no points; expected the data "
            "beside it. Give the data to have them analyzed again."
        )
    if options.data != DataOptions():
        raise InputError(
            f"{given} holds an analysis; expected no options of the data beside it. Give the data "
            "to have them analyzed again."
        )
    data = read_json(given / "results.json", "the folder of a run of analyze")
    try:
        return Analysis.from_dict(data if isinstance(data, dict) else {}), None, None
    except ValueError as error:
        raise InputError(
            f"{given}/results.json is not that of an analysis ({error}); expected a folder that "
            "diffregimes analyze wrote, or data."
        ) from error


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(ADVISE_HELP))(command(advise))

"""The command `reproduce`: the figures of the paper, each from one command."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError, in_range
from .command import command
from .options import FigureSeed, Out, TrainedOptions, flowing, place

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..reproduce.tables import Reproduction

    Task = Callable[[Progress], Reproduction]


figures = typer.Typer(
    no_args_is_help=True,
    help="The figures and the table of the paper (arXiv 2402.18491), each from one command.",
)


@dataclass(frozen=True, kw_only=True)
class NetworkFigure:
    """The options of `figure-4` and `table-1`."""

    trained: TrainedOptions
    out: Out = None


@dataclass(frozen=True, kw_only=True)
class Figure5:
    """The options of `figure-5`."""

    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Images, as for analyze.")
    ] = None
    halved: Annotated[
        bool, typer.Option("--halved", help="Also at half the size, by means over 2x2 pixels.")
    ] = False
    score: Annotated[
        str, typer.Option(help="exact: that of the training points; trained: of networks.")
    ] = "exact"
    pairs: Annotated[int, typer.Option(help="Trajectories and pairs of clones.")] = 256
    steps: Annotated[int, typer.Option(help="Steps of the sampler, even in log-SNR.")] = 500
    trained: TrainedOptions
    out: Out = None


@dataclass(frozen=True, kw_only=True)
class Everything:
    """The options of `all`."""

    trained: TrainedOptions
    out: Annotated[
        Path,
        typer.Option(parser=place, help="Holds a folder for each figure and for the table."),
    ] = Path("runs")


FIGURE_1_HELP = """
Figure 1: the three regimes, from a real run.

Trajectories under the exact score of the built-in digits 0 and 1, along the difference of the
class means. Writes figure-1.png, .svg, .csv, the table figure-1-table.csv and results.json. Takes
seconds.

Example: diffregimes reproduce figure-1
"""
FIGURE_2_HELP = """
Figure 2: speciation of two Gaussian classes, phi(t) for d = 256, 1024, 4096 and 16384.

Measured with 10 000 pairs of clones at each time, from the class posterior and from trajectories
run backwards, beside the exact integral; against t/t_S the curves cross near 0.775. Writes
figure-2.png, .svg, .csv, the table figure-2-table.csv and results.json. Takes a minute.

Example: diffregimes reproduce figure-2
"""
FIGURE_3_HELP = """
Figure 3: collapse of two Gaussian classes, the excess entropy for n = 20 000 points.

d = 256, 1024 and 4096, measured by the posterior pass with a third of the paper's standard errors,
beside the theory to leading order and exactly. Writes figure-3.png, .svg, .csv, the table
figure-3-table.csv and results.json. Takes a minute on two cores.

Examples:

  diffregimes reproduce figure-3

  diffregimes reproduce figure-3 --draws-share 0.1     # ten times faster, three times the error
"""
FIGURE_4_HELP = """
Figure 4: speciation on images, phi(t) against t/t_S, by trained networks and classifiers.

Trains a network and a classifier for each dataset of the preset and runs clones with them; beside
them the curve of the forward pass, which needs neither. Datasets that are not below the folder that
DIFFREGIMES_DATA names are skipped, with the command that gets them. Writes figure-4.png, .svg,
.csv, the table figure-4-table.csv and results.json. Killed, the same command goes on where it
stood.

Examples:

  diffregimes reproduce figure-4                                      # half an hour on two cores

  diffregimes reproduce figure-4 --preset paper --device cuda
"""
FIGURE_5_HELP = """
Figure 5: collapse on images, under the exact score of the training set or a trained network's.

phi_C(t) from simulated clones, the last changes of the nearest training point, and the excess
entropy, for each SOURCE (images, as for analyze) and with --halved also at half its size. Without
SOURCE: the panda and seashore images below the folder that DIFFREGIMES_DATA names, at 16x16 and
32x32. Writes figure-5.png, .svg, .csv, the table figure-5-table.csv and results.json. Takes
minutes.

With --score trained: for networks of the datasets of the preset, trained until they copy; the
files are figure-5-trained.png and so on.

Examples:

  diffregimes reproduce figure-5 --score exact

  diffregimes reproduce figure-5 path/to/images/ --halved --pairs 128

  diffregimes reproduce figure-5 --score trained --preset tiny
"""
TABLE_1_HELP = """
Table 1: n, d, Lambda and t_S of the datasets, and where phi crosses 0.775.

In clones of a trained network, and in the forward pass alone (leave-one-out); the paper's columns
beside those of its own datasets. Shares its networks and clones with figure-4. Writes table-1.png,
.svg, .csv (a line a dataset), table-1-table.csv and results.json.

Example: diffregimes reproduce table-1
"""
ALL_HELP = """
Figures 1 to 5 and table 1, one after the other, each in a folder of its own.

What lacks its data is skipped, with the command that gets it. Killed, the same command goes on with
the network that it was at. The preset tiny takes about 45 minutes on two cores.

Examples:

  diffregimes reproduce all

  diffregimes reproduce all --preset paper --device cuda --out runs/paper
"""


@figures.command("figure-1", help=flowing(FIGURE_1_HELP))
def figure_1(
    trajectories: Annotated[int, typer.Option(help="Trajectories drawn.")] = 60,
    seed: FigureSeed = 0,
    out: Out = None,
) -> None:
    in_range("--trajectories", trajectories, 2, 10_000)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from ..reproduce import figure_1

        return figure_1.reproduce(trajectories, seed, progress)

    _reproduce("figure-1", run, out)


@figures.command("figure-2", help=flowing(FIGURE_2_HELP))
def figure_2(
    pairs: Annotated[int, typer.Option(help="Pairs of clones at each time.")] = 10_000,
    seed: FigureSeed = 0,
    out: Out = None,
) -> None:
    in_range("--pairs", pairs, 100, 10**8)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from ..reproduce import figure_2

        return figure_2.reproduce(pairs, seed, progress)

    _reproduce("figure-2", run, out)


@figures.command("figure-3", help=flowing(FIGURE_3_HELP))
def figure_3(
    draws_share: Annotated[
        float, typer.Option(help="Number of draws in units of the full figure.")
    ] = 1.0,
    seed: FigureSeed = 0,
    out: Out = None,
) -> None:
    in_range("--draws-share", draws_share, 1e-3, 100)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from ..reproduce import figure_3

        return figure_3.reproduce(draws_share, seed=seed, progress=progress)

    _reproduce("figure-3", run, out)


@figures.command("figure-4", help=flowing(FIGURE_4_HELP))
@command
def figure_4(options: NetworkFigure) -> None:
    options.trained.check()
    _reproduce("figure-4", _trained("figure-4", options.trained), options.out)


@figures.command("figure-5", help=flowing(FIGURE_5_HELP))
@command
def figure_5(options: Figure5) -> None:
    if options.score not in ("exact", "trained"):
        raise InputError(f"--score is {options.score!r}; expected exact or trained.")
    if options.score == "trained":
        if options.source is not None or options.halved:
            raise InputError(
                "--score trained came with a SOURCE or --halved; expected neither: its datasets "
                "are those of --preset."
            )
        options.trained.check()
        name = "figure-5-trained"
        return _reproduce(name, _trained(name, options.trained), options.out)
    in_range("--pairs", options.pairs, 2, 10**6)
    in_range("--steps", options.steps, 10, 10**6)
    seed = options.trained.seed
    in_range("--seed", seed, 0, 10**6)
    task = _exact(options.source, options.halved, options.pairs, options.steps, seed)
    _reproduce("figure-5", task, options.out)


@figures.command("table-1", help=flowing(TABLE_1_HELP))
@command
def table_1(options: NetworkFigure) -> None:
    options.trained.check()
    _reproduce("table-1", _trained("table-1", options.trained), options.out)


@figures.command("all", help=flowing(ALL_HELP))
@command
def everything(options: Everything) -> None:
    trained, out = options.trained, options.out
    trained.check()
    seed = trained.seed
    from ..report.folder import check_target

    check_target(out)  # else every figure would be told of it
    from ..reproduce import figure_1, figure_2, figure_3
    from ..reproduce.sources import MissingData
    from ..reproduce.terminal import print_ends

    tasks: dict[str, Task] = {
        "figure-1": lambda progress: figure_1.reproduce(seed=seed, progress=progress),
        "figure-2": lambda progress: figure_2.reproduce(seed=seed, progress=progress),
        "figure-3": lambda progress: figure_3.reproduce(seed=seed, progress=progress),
        "figure-4": _trained("figure-4", trained),
        "figure-5": _exact(None, False, 256, 250, seed),
        "figure-5-trained": _trained("figure-5-trained", trained),
        "table-1": _trained("table-1", trained),
    }
    ends: list[tuple[str, str, float, str]] = []
    for name, task in tasks.items():
        start = time.monotonic()
        try:
            _reproduce(name, task, out / name)
            end, said = "done", str(out / name)
        except MissingData as error:
            end, said = "skipped", str(error)
        except InputError as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise
            end, said = "failed", str(error)
        ends.append((name, end, (time.monotonic() - start) / 60, said))
    print_ends(ends)
    failed = [name for name, end, *_ in ends if end == "failed"]
    if failed:
        raise InputError(f"{', '.join(failed)} failed; the reasons are above.")


def _trained(name: str, options: TrainedOptions) -> Task:
    """The task of a figure that trains networks."""

    def run(progress: Progress) -> Reproduction:
        from ..reproduce import figure_4, figure_5, table_1

        reproduce = {
            "figure-4": figure_4.reproduce,
            "figure-5-trained": figure_5.reproduce_trained,
            "table-1": table_1.reproduce,
        }[name]
        return reproduce(options.preset, options.work, options.seed, options.device, progress)

    return run


def _exact(source: str | None, halved: bool, pairs: int, steps: int, seed: int) -> Task:
    """Figure 5 under the exact score; without SOURCE on the panda and seashore images."""

    def run(progress: Progress) -> Reproduction:
        from ..data.readers import load
        from ..reproduce import figure_5, sources

        data = load(source, progress=progress) if source else sources.read(sources.IMAGES, progress)
        smaller = [sources.halved(data)] if halved or source is None else []
        return figure_5.reproduce([*smaller, data], pairs, steps, seed, progress)

    return run


def _reproduce(name: str, run: Task, out: Path | None) -> None:
    from ..report.terminal.bar import progress_bar

    folder = out or Path("runs") / name
    with progress_bar() as progress:
        from ..report.folder import staged
        from ..reproduce.tables import write

        with staged(folder) as stage:
            reproduction = run(progress)
            write(reproduction, stage)
    from ..reproduce.terminal import print_reproduction

    print_reproduction(reproduction, folder)


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.add_typer(figures, name="reproduce")

"""The command `analyze`: from a source to its regimes, report and table."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from ..common.files import hidden
from ..data.readers import ACCEPTED
from .command import command, numbers
from .competitors import CompetingDataOptions
from .options import (
    ACCURACY,
    DATA,
    OUTPUT,
    Device,
    Figures,
    Out,
    Seed,
    Source,
    flowing,
    source_name,
)
from .parts import PartOptions
from .printing import Format, printed

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..data.levels import Given
    from ..data.pixels import Range
    from ..process import Schedule
    from ..results import Analysis


ANALYZE_HELP = f"""
Find the three regimes of a dataset: wandering, class decided, memorising.

No network is trained. [bold]SOURCE[/bold] is {ACCEPTED}. Samples of a known law are compared with
their exact theory.
The times go to the terminal, a report to runs/NAME/report.html.

Examples:

  diffregimes analyze digits

  diffregimes analyze cars.npz --classes 1,7 --per-class 1500

  diffregimes analyze path/to/mnist/ --classes 1,8 --pad 2

  diffregimes analyze path/to/images/ --crop --resize 64 --range=-1,1 --out runs/faces

  diffregimes analyze table.csv --labels species

  diffregimes analyze scans/ --group patient --given protocol --augment mirror

  diffregimes analyze gmm:d=1024,n=20000,mu=1,sigma=1
"""


@dataclass(frozen=True, kw_only=True)
class Analyze:
    """The options of `analyze`."""

    source: Source
    data: CompetingDataOptions
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            rich_help_panel=DATA,
            help="Leave out images, and blocks of rows, that cannot be read, and say how many.",
        ),
    ] = False
    levels: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="FILE",
            help="Super-classes, a t_S for each: a .csv of class, super-class, and more of them; "
            "folders: those around the folder of an image, which is then its class.",
        ),
    ] = None
    parts: PartOptions
    precision: Annotated[
        float,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="SE",
            help="Draw until the standard errors of the curves (from 0 to 1) reach this.",
        ),
    ] = 0.005
    draws: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="Draw N noised samples instead, rounded up to blocks of 256.",
        ),
    ] = None
    times: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="T,T,...",
            help="Times t of the curves, increasing: 0.1,0.5,1",
            show_default="where the curves change",
        ),
    ] = None
    seed: Seed = 0
    schedule: Annotated[
        str,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="What the steps count: linear, cosine, or a scheduler_config.json of diffusers "
            "(DDPM, DDIM, Euler and the like, EDM, flow matching).",
        ),
    ] = "linear"
    device: Device = "cpu"
    memory_mib: Annotated[
        int,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="MIB",
            help="Memory for buffers, and for points: those that take more stay in their file "
            "(.npy, plain .npz, IDX, .safetensors, zarr, HDF5) and are read some at a time; "
            "images beyond it are decoded once, beside the output. Same curves.",
        ),
    ] = 1024
    dask: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="ADDRESS",
            help="Scheduler of a Dask cluster, tcp://host:8786, whose workers read and sum the "
            "points of a file that is larger than --memory-mib; needs the extra dask.",
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="The same by N processes of this machine.",
            show_default="threads of this one",
        ),
    ] = None
    out: Out = None
    figures: Figures = False
    format: Annotated[
        Format,
        typer.Option(
            rich_help_panel=OUTPUT,
            help="text: a table; json: results.json alone on stdout.",
        ),
    ] = Format.text
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            rich_help_panel=OUTPUT,
            help="Read and check everything; compute and write nothing.",
        ),
    ] = False

    @property
    def augment(self) -> Sequence[str] | str:
        """--augment, nothing without: an empty one is wrong."""
        return () if self.data.augment is None else self.data.augment

    def recorded(self, scale: Range, times: list[float] | None) -> dict[str, Any]:
        """What results.json keeps of them, beside what `diffregimes.analyze` says of itself."""
        return {
            "source": self.source,
            "labels": self.data.labels,
            "key": self.data.key,
            "classes": self.data.classes,
            "per_class": self.data.per_class,
            "range": list(scale) if isinstance(scale, tuple) else scale,
            "pad": self.data.pad,
            "split": self.data.split,
            "resize": self.data.resize,
            "crop": self.data.crop,
            "standardize": self.data.standardize,
            "times": times,
            "schedule": self.schedule,
            "skip_unreadable": self.skip_unreadable,
            "levels": self.levels,
            "windows": self.parts.windows,
            "groups": self.parts.groups,
            "group": self.data.group,
            "given": self.data.given,
            "augment": self.data.augment,
        }


def analyze(options: Analyze) -> None:
    """Check, read, analyse, write, print."""
    scale = options.data.range()
    times = numbers("--times", options.times, "--times 0.1,0.5,1")
    from ..report.folder import with_figures
    from ..report.terminal.analysis import print_plan
    from ..report.terminal.bar import progress_bar

    folder = options.out or Path("runs") / source_name(options.source)
    figures = options.figures or with_figures(folder)
    # of points in a file, whose passes take long, and points that are decoded first
    pieces = hidden(folder.absolute(), ".unfinished")
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar())
        if options.dry_run:  # nothing of it is to stay
            pieces = Path(stack.enter_context(TemporaryDirectory()))
        dataset, levels, clock = _prepared(options, scale, times, folder, pieces, progress)
        if not options.dry_run:
            from ..report.folder import staged

            with staged(folder) as stage, _cluster(options) as client:
                analysis = _analysed(
                    options, dataset, levels, times, clock, pieces, client, progress
                )
                recipe = dataclasses.replace(
                    analysis.recipe, command="analyze", options=options.recorded(scale, times)
                )
                analysis = dataclasses.replace(analysis, recipe=recipe)
                progress(0, 1, "report")
                from ..report.runs import write_run  # the figures are no part of the peak

                write_run(analysis, dataset, stage, figures=figures)
                progress(1, 1, "report")
            shutil.rmtree(pieces, ignore_errors=True)
    if options.dry_run:
        print_plan(dataset, folder, options.draws, options.precision, figures=figures)
    else:
        from ..report.terminal.analysis import print_summary

        printed(options.format, analysis, functools.partial(print_summary, analysis), folder)


def _prepared(
    options: Analyze,
    scale: Range,
    times: list[float] | None,
    folder: Path,
    pieces: Path,
    progress: Progress,
) -> tuple[Dataset, Given | None, Schedule]:
    """The data, their levels and the clock, where nothing of them can be seen to be wrong."""
    # torch takes seconds to import: --help must not wait for it
    from .. import process
    from ..analysis import check_options
    from ..report.folder import check_target
    from ..transitions.competing import competitors

    check_options(
        options.precision, options.draws, times, options.seed, options.device, options.memory_mib
    )
    clock = process.schedule(options.schedule)
    check_target(folder)
    if options.dask is not None and options.workers is not None:
        raise InputError(
            f"--dask is {options.dask} and --workers {options.workers}; expected one of them."
        )
    if options.workers is not None:
        in_range("--workers", options.workers, 1, 1024, "It is a number of processes.")
    source = options.source
    if options.dask is not None and Path(source).expanduser().exists():
        source = str(Path(source).expanduser().absolute())  # workers have folders of their own
    dataset = options.data.read(
        source, scale, progress, skip_unreadable=options.skip_unreadable,
        memory_mib=options.memory_mib, keep=pieces,
    )  # fmt: skip
    levels: Given | None = options.levels
    if levels is not None:
        from ..data.levels import FOLDERS, by_folders, groupings

        if levels == FOLDERS:
            dataset, levels = by_folders(dataset)
        groupings(levels, dataset.class_names)
    if options.parts != PartOptions():
        from ..data.windows import parts_of

        parts_of(dataset, options.parts.widths(), options.parts.groups)
    competitors(dataset, dataset.n, None, None, options.augment, options.memory_mib)
    return dataset, levels, clock


def _cluster(options: Analyze) -> AbstractContextManager[Any]:
    """The client of the cluster that was asked for; of None without one."""
    if options.dask is None and options.workers is None:
        return nullcontext()
    from ..posterior.cluster import connected

    return connected(options.dask, options.workers)


def _analysed(
    options: Analyze,
    dataset: Dataset,
    levels: Given | None,
    times: list[float] | None,
    clock: Schedule,
    pieces: Path,
    client: Any,
    progress: Progress,
) -> Analysis:
    from ..analysis import analyze as run

    return run(
        dataset,
        precision=options.precision,
        draws=options.draws,
        times=times,
        seed=options.seed,
        schedule=clock,
        device=options.device,
        memory_mib=options.memory_mib,
        keep=pieces,
        client=client,
        levels=levels,
        windows=options.parts.widths(),
        feature_groups=options.parts.groups,
        augment=options.augment,
        progress=progress,
    )


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(ANALYZE_HELP))(command(analyze))

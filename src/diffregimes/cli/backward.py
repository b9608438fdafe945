"""The commands `clones`, `uturn` and `generate`: the process run backwards, forward curves beside.

A run stores every finished block of 256 trajectories; killed at any moment, the same command goes
on where it stood.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from ..common.files import hidden
from .command import command, kept_unless_dead, numbers, recorded
from .options import ACCURACY, Source, flowing, source_name
from .scored import BackwardOptions, EndPointOptions, ScoreOptions

if TYPE_CHECKING:
    from ..backward.clones import Ends
    from ..backward.descent import Run
    from ..backward.experiment import Experiment
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..learned.classifier import Classifier as Judge
    from ..learned.models import Opened


CLONES_HELP = """
Clones: trajectories that part at t, and end in the same class or on the same training point.

Runs the backward process under an exact score, or a trained network's (--model), parts each
trajectory at every t, and compares the ends; beside them the forward-only prediction, with
z-scores. Writes clones.png, .svg, .csv and results.json to runs/NAME-clones. Killed, the same
command goes on where it stood.

Examples:

  diffregimes clones digits --classes 0,1

  diffregimes clones gmm:d=1024,n=20000 --grid log-snr

  diffregimes clones cars.npz --classes 1,7 --pairs 500 --times 0.5,1,1.5

  diffregimes clones path/to/images/ --model path/to/pipeline --pairs 128 --steps 250
"""
UTURN_HELP = """
U-turns: training points noised to t and denoised: do class and point survive?

Under the exact score the curves are those of clones. Writes uturn.png, .svg, .csv and results.json
to runs/NAME-uturn.

Examples:

  diffregimes uturn digits --classes 0,1

  diffregimes uturn path/to/images/ --pairs 256 --steps 250
"""
GENERATE_HELP = """
Generate samples, and show the training points that they came from or lie nearest to.

Under the exact score, or a trained network's (--model). Follows the nearest training point and the
class along each trajectory: their last changes are its
collapse and its speciation. Writes generated.png, last-changes.png, generated.csv and results.json
to runs/NAME-generate.

Examples:

  diffregimes generate digits --samples 64

  diffregimes generate gmm:d=16,n=500 --score empirical
"""


Times = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        metavar="T,T,...",
        help="Times t at which clones part.",
        show_default="12, where the curves change",
    ),
]
Pairs = Annotated[
    int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Trajectories to run.")
]


@dataclass(frozen=True, kw_only=True)
class Clones:
    """The options of `clones`."""

    source: Source
    times: Times = None
    pairs: Pairs = 1024
    branches: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, help="Clones of each trajectory at each t.")
    ] = 2
    backward: EndPointOptions


@dataclass(frozen=True, kw_only=True)
class UTurns:
    """The options of `uturn`."""

    source: Source
    times: Times = None
    pairs: Pairs = 1024
    backward: EndPointOptions


@dataclass(frozen=True, kw_only=True)
class Generate:
    """The options of `generate`."""

    source: Source
    samples: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Samples to generate.")
    ] = 64
    backward: BackwardOptions


def clones(options: Clones) -> None:
    in_range("--pairs", options.pairs, 2, 10**8)
    in_range("--branches", options.branches, 2, 1000)

    def ends(task: Task) -> Ends:
        from ..backward.clones import run_clones

        setup = task.setup
        return run_clones(
            setup.score, task.times, options.pairs, run=task.run, classify=setup.classify,
            branches=options.branches, training=setup.training,
        )  # fmt: skip

    _compare("clones", options, ends)


def uturn(options: UTurns) -> None:
    in_range("--pairs", options.pairs, 2, 10**8)

    def ends(task: Task) -> Ends:
        from ..backward.clones import run_uturns

        setup = task.setup
        return run_uturns(
            setup.score, setup.points, setup.labels, task.times, options.pairs, run=task.run,
            classify=setup.classify, training=setup.training,
        )  # fmt: skip

    _compare("uturn", options, ends)


def generate(options: Generate) -> None:
    in_range("--samples", options.samples, 2, 10**8)
    options.backward.computation.check()
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..backward.outcome import ONE_CLASS, forward_times
        from ..backward.tracking import track
        from ..report.folder import staged
        from ..report.runs import write_generated

        task = _prepared("generate", options, None, progress)
        setup = task.setup
        assert setup.training is not None
        with kept_unless_dead(task.store), staged(task.folder) as stage:
            tracked = track(
                setup.score, setup.training, options.samples, run=task.run, classify=setup.classify
            )
            crossed, notes = forward_times(setup), setup.notes
            if len(task.dataset.class_names) < 2:
                tracked = dataclasses.replace(tracked, class_time=None)
                notes = (*notes, ONE_CLASS)
            write_generated(tracked, crossed, task.dataset, task.recipe, notes, stage)
        task.done()
    from ..report.terminal.backward import print_generated

    print_generated(tracked, crossed, notes, task.folder)


def _compare(kind: str, options: Clones | UTurns, ends: Callable[[Task], Ends]) -> None:
    """Set up, run with a store that survives, compare with the forward pass, write, print."""
    options.backward.computation.check()
    times = numbers("--times", options.times, "--times 0.5,1,1.5")
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..backward.clones import placed
        from ..backward.outcome import outcome
        from ..report.folder import staged
        from ..report.runs import write_outcome

        task = _prepared(kind, options, times, progress)
        placed(task.run, task.times)  # raises before anything is written
        with kept_unless_dead(task.store), staged(task.folder) as stage:
            compared = outcome(ends(task), task.setup)
            write_outcome(compared, stage)
        task.done()
    from ..report.terminal.backward import print_outcome

    print_outcome(compared, task.folder)


@dataclass(frozen=True)
class Task:
    """What is run, where it keeps its finished blocks (`run.store`), and where the outcome goes."""

    dataset: Dataset
    setup: Experiment
    times: list[float]
    run: Run
    recipe: dict[str, Any]
    store: Path
    folder: Path

    def done(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)


def _prepared(
    kind: str, options: Clones | UTurns | Generate, times: list[float] | None, progress: Progress
) -> Task:
    """Read the data, the network and the classifier, and set up the run."""
    from ..backward.descent import Run
    from ..common.recipe import check_device
    from ..report.folder import check_target

    backward = options.backward
    computation = backward.computation
    check_device(computation.device)
    folder = backward.out or Path("runs") / f"{source_name(options.source)}-{kind}"
    check_target(folder)
    scale = backward.data.range_for(options.source, backward.score.model)
    dataset = backward.data.read(options.source, scale, progress)
    store = hidden(folder, ".unfinished")
    opened = _network(backward.score, dataset, computation.device, progress)
    if opened is not None:  # its curves lie beside those of what it was trained on
        dataset = opened.training
    judge = _judge(backward, dataset)
    setup = _experiment(kind, backward, dataset, opened, judge, progress)
    times = times or setup.times.tolist()
    recipe = _recipe(kind, options, times, dataset, opened, judge)
    run = Run(
        setup.grid,
        sampler=backward.sampling.sampler,
        seed=computation.seed,
        batch=backward.sampling.batch,
        dtype=setup.dtype,
        device=computation.device,
        memory_mib=computation.memory_mib,
        store=store,
        recipe=recipe,
        progress=progress,
    )
    return Task(dataset, setup, times, run, recipe, store, folder)


def _network(
    score: ScoreOptions, dataset: Dataset, device: str, progress: Progress
) -> Opened | None:
    """The network to run."""
    if score.model is None:
        for name, value in recorded(score.network).items():
            if value is not None:
                raise InputError(
                    f"--{name} came without --model; exact scores are not conditional."
                )
        return None
    if score.network.label == "own":
        raise InputError(
            "--label is own, which audit understands alone: here all states are asked for one "
            "class. Give its number."
        )
    if score.score is not None:
        raise InputError("--score and --model exclude each other: one score is run.")
    return score.network.opened(score.model, dataset, device, progress)


def _judge(backward: BackwardOptions, dataset: Dataset) -> Judge | None:
    if not isinstance(backward, EndPointOptions) or backward.score.classifier is None:
        return None
    from ..learned.classifier import load_classifier

    device = backward.computation.device
    return load_classifier(backward.score.classifier, dataset, device=device)


def _experiment(
    kind: str,
    backward: BackwardOptions,
    dataset: Dataset,
    opened: Opened | None,
    judge: Judge | None,
    progress: Progress,
) -> Experiment:
    """The experiment, with what is to be said of the network and of the classifier."""
    from ..backward.experiment import experiment

    setup = experiment(
        dataset,
        score=backward.score.score,
        network=opened.score if opened else None,
        whole=kind == "generate",
        classify=judge,
        grid=backward.sampling.grid,
        steps=backward.sampling.steps,
        seed=backward.computation.seed,
        memory_mib=backward.computation.memory_mib,
        device=backward.computation.device,
        progress=progress,
    )
    said = (*(opened.notes if opened else ()), *(judge.notes if judge else ()))
    return dataclasses.replace(setup, notes=(*setup.notes, *said))


def _recipe(
    kind: str,
    options: Clones | UTurns | Generate,
    times: list[float],
    dataset: Dataset,
    opened: Opened | None,
    judge: Judge | None,
) -> dict[str, Any]:
    from ..common.recipe import versions

    left_out = "out", "memory_mib", "batch", "model", "classifier"
    return {
        "command": kind,
        "options": recorded(options, *left_out),
        "times": times,
        "fingerprint": dataset.fingerprint,
        "model": opened and opened.facts,
        "classifier": judge and {"folder": str(recorded(options)["classifier"]), **judge.facts},
        "versions": versions(),
    }


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the app."""
    app.command(help=flowing(CLONES_HELP))(command(clones))
    app.command(help=flowing(UTURN_HELP))(command(uturn))
    app.command(help=flowing(GENERATE_HELP))(command(generate))

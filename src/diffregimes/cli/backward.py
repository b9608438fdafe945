"""The commands `clones`, `uturn` and `generate`: the process run backwards, forward curves beside.

A run stores every finished block of 256 trajectories; killed at any moment, the same command goes
on where it stood.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from .options import (
    ACCURACY,
    Batch,
    Classes,
    Classifier,
    Device,
    Grid,
    Key,
    Label,
    Labels,
    MemoryMib,
    Model,
    ModelRange,
    Out,
    Pad,
    Pairs,
    PerClass,
    Sampler,
    Score,
    Seed,
    Source,
    Steps,
    Times,
    flowing,
    model_scale,
    numbers,
    read,
    source_name,
)

if TYPE_CHECKING:
    from ..backward.clones import Ends
    from ..backward.descent import Run
    from ..backward.experiment import Experiment
    from ..backward.tracking import Tracked
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

  diffregimes clones path/to/images/ --model path/to/pipeline
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


def clones(
    source: Source,
    times: Times = None,
    pairs: Pairs = 1024,
    branches: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, help="Clones of each trajectory at each t.")
    ] = 2,
    score: Score = None,
    model: Model = None,
    label: Label = None,
    classifier: Classifier = None,
    sampler: Sampler = "bridge",
    grid: Grid = "linear",
    steps: Steps = None,
    batch: Batch = None,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: ModelRange = None,
    pad: Pad = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    memory_mib: MemoryMib = 1024,
    out: Out = None,
) -> None:
    in_range("--pairs", pairs, 2, 10**8)
    in_range("--branches", branches, 2, 1000)
    _run("clones", dict(locals()))


def uturn(
    source: Source,
    times: Times = None,
    pairs: Pairs = 1024,
    score: Score = None,
    model: Model = None,
    label: Label = None,
    classifier: Classifier = None,
    sampler: Sampler = "bridge",
    grid: Grid = "linear",
    steps: Steps = None,
    batch: Batch = None,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: ModelRange = None,
    pad: Pad = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    memory_mib: MemoryMib = 1024,
    out: Out = None,
) -> None:
    in_range("--pairs", pairs, 2, 10**8)
    _run("uturn", dict(locals()))


def generate(
    source: Source,
    samples: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Samples to generate.")
    ] = 64,
    score: Score = None,
    model: Model = None,
    label: Label = None,
    sampler: Sampler = "bridge",
    grid: Grid = "linear",
    steps: Steps = None,
    batch: Batch = None,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: ModelRange = None,
    pad: Pad = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    memory_mib: MemoryMib = 1024,
    out: Out = None,
) -> None:
    in_range("--samples", samples, 2, 10**8)
    _run("generate", dict(locals()))


def _run(kind: str, given: dict[str, Any]) -> None:
    """Read, set up, run with a store that survives, write, print."""
    in_range("--seed", given["seed"], 0, 10**18)
    in_range("--memory-mib", given["memory_mib"], 16, 10**7)
    wanted = numbers("--times", given.get("times"), "--times 0.5,1,1.5")
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..backward.descent import Run
        from ..backward.experiment import experiment
        from ..backward.outcome import forward_times, outcome
        from ..common.recipe import check_device, versions
        from ..report.folder import check_target, staged
        from ..report.runs import write_generated, write_outcome
        from ..report.terminal.backward import print_generated, print_outcome

        check_device(given["device"])
        folder = given["out"] or Path("runs") / f"{source_name(given['source'])}-{kind}"
        check_target(folder)
        dataset = _read(given, progress)
        opened = _network(given, dataset)
        if opened is not None:  # its curves lie beside those of what it was trained on
            dataset = opened.training
        judge = _judge(given, dataset)
        setup = experiment(
            dataset,
            score=given["score"],
            network=opened.score if opened else None,
            latest=opened.score.latest if opened else math.inf,
            whole=kind == "generate",
            classify=judge,
            grid=given["grid"],
            steps=given["steps"],
            seed=given["seed"],
            memory_mib=given["memory_mib"],
            device=given["device"],
            progress=progress,
        )
        said = (*(opened.notes if opened else ()), *(judge.notes if judge else ()))
        setup = dataclasses.replace(setup, notes=(*setup.notes, *said))
        left_out = "out", "memory_mib", "batch", "model", "classifier"
        options = {k: v for k, v in given.items() if k not in left_out}
        recipe = {
            "command": kind,
            "options": options,
            "times": wanted or setup.times.tolist(),
            "fingerprint": dataset.fingerprint,
            "model": opened and opened.facts,
            "classifier": judge and {"folder": str(given["classifier"]), **judge.facts},
            "versions": versions(),
        }
        store = folder.parent / f".{folder.name}.unfinished"
        run = Run(
            setup.grid,
            sampler=given["sampler"],
            seed=given["seed"],
            batch=given["batch"],
            dtype=setup.dtype,
            device=given["device"],
            memory_mib=given["memory_mib"],
            store=store,
            recipe=recipe,
            progress=progress,
        )
        with staged(folder) as stage:
            if kind == "generate":
                copies = _generate(given, setup, run)
                crossed = forward_times(setup)
                write_generated(copies, crossed, dataset, recipe, setup.notes, stage)
            else:
                found = outcome(_ends(kind, given, setup, run), setup)
                write_outcome(found, recipe, stage)
        shutil.rmtree(store, ignore_errors=True)
    if kind == "generate":
        print_generated(copies, crossed, setup.notes, folder)
    else:
        print_outcome(found, folder)


def _read(given: dict[str, Any], progress: Progress) -> Dataset:
    names = "labels", "key", "classes", "per_class", "pad"
    scale = model_scale(given["source"], given["pixel_range"], given["model"])
    same = {k: given[k] for k in names}
    return read(given["source"], **same, pixel_range=scale, progress=progress)


def _network(given: dict[str, Any], dataset: Dataset) -> Opened | None:
    """The network to run; the grid follows its own schedule."""
    folder = given["model"]
    if folder is None:
        if given["label"] is not None:
            raise InputError("--label came without --model; exact scores are not conditional.")
        return None
    if given["score"] is not None:
        raise InputError("--score and --model exclude each other: one score is run.")
    from ..learned.models import open_model

    return open_model(folder, dataset, label=given["label"], device=given["device"])


def _judge(given: dict[str, Any], dataset: Dataset) -> Judge | None:
    folder = given.get("classifier")
    if folder is None:
        return None
    from ..learned.classifier import load_classifier

    return load_classifier(folder, dataset, device=given["device"])


def _ends(kind: str, given: dict[str, Any], setup: Experiment, run: Run) -> Ends:
    from ..backward.clones import run_clones, run_uturns

    assert run.recipe is not None
    times, pairs = run.recipe["times"], given["pairs"]
    common: dict[str, Any] = {
        "run": run,
        "classify": setup.classify,
        "training": setup.training,
    }
    if kind == "uturn":
        return run_uturns(setup.score, setup.points, setup.labels, times, pairs, **common)
    return run_clones(setup.score, times, pairs, branches=given["branches"], **common)


def _generate(given: dict[str, Any], setup: Experiment, run: Run) -> Tracked:
    from ..backward.tracking import track

    assert setup.training is not None
    return track(setup.score, setup.training, given["samples"], run=run, classify=setup.classify)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the app."""
    app.command(help=flowing(CLONES_HELP))(clones)
    app.command(help=flowing(UTURN_HELP))(uturn)
    app.command(help=flowing(GENERATE_HELP))(generate)

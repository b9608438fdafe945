"""Networks and classifiers trained on the paper's datasets, and the clones that they are run with.

phi(t) is the share of pairs of clones, parted at t, that the classifier puts into one class. It
falls with t for any network and any classifier, so that the falling curve nearest to the measured
one tells where it crosses a level, once (`Ends.crossing`).

Everything is kept below one folder, so that a run killed goes on where it stood, and the figures
and the table share their networks and clones.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..analysis import analyze
from ..backward.clones import Classify, run_clones
from ..backward.descent import Run
from ..backward.experiment import Experiment, experiment
from ..common.checks import InputError
from ..common.parallel import Progress
from ..common.recipe import versions
from ..data.datasets import Dataset
from ..data.spectrum import first_channel
from ..process import linear_schedule
from ..results import Analysis, Curves
from ..scores import AbstractScore
from ..transitions.criteria import clone_level
from ..transitions.crossing import Interval
from .sources import Preset, Source, read_all

PHI = "same_class_probability"
# methods of t_S that stand beside a network: what the forward pass says of new data
FORWARD = ("clone-loo", "balance")
# where the clones part, in units of the forward-only crossing
PARTED = np.array([0.25, 0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.5, 1.8, 2.2])


@dataclass(frozen=True)
class Setting:
    """What a whole reproduction has in common; `work` keeps networks and finished blocks."""

    preset: Preset
    work: Path
    seed: int = 0
    device: str = "cpu"
    progress: Progress | None = None

    def folder(self, source: Source) -> Path:
        return self.work / f"{self.preset.name}-{source.key}-seed-{self.seed}"

    def told(self, name: str) -> Progress:
        """The progress of one dataset."""

        def tell(done: float, total: float, text: str) -> None:
            if self.progress:
                self.progress(done, total, f"{text}, {name}")

        return tell


@dataclass(frozen=True)
class Network:
    """A score; `identity` tells it from others."""

    score: AbstractScore
    identity: str


@dataclass(frozen=True)
class Classes:
    """A classifier of end points, what tells it from others, and what a reader must know."""

    classify: Classify
    identity: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One dataset without a network: its Lambda (first channel) with standard error, and the
    forward pass."""

    source: Source
    analysis: Analysis
    largest: float
    largest_se: float

    @property
    def t_s(self) -> float:
        return 0.5 * math.log(self.largest)

    @property
    def t_s_se(self) -> float:
        return 0.5 * self.largest_se / self.largest

    @property
    def forward(self) -> dict[str, Interval]:
        """The speciation of the forward pass, by those of `FORWARD` that the analysis has."""
        times = {x.method: x for x in self.analysis.times if x.transition == "speciation"}
        return {k: (times[k].t, (times[k].low, times[k].high)) for k in FORWARD if k in times}


@dataclass(frozen=True)
class Speciation(Measured):
    """And with one: phi of the clones of its network with 95 % intervals `low`, `high` (T,), and
    the crossing of the level."""

    simulated: Curves
    low: np.ndarray
    high: np.ndarray
    crossing: Interval
    level: float
    notes: tuple[str, ...]


def over_t_s(crossing: Interval, t_s: float) -> Interval:
    """A crossing in units of t_S, in Ornstein-Uhlenbeck time."""
    t, (low, high) = crossing
    one, two, three = (None if x is None else x / t_s for x in (t, low, high))
    return one, (two, three)


def over_step_s(crossing: Interval, t_s: float) -> Interval:
    """A crossing in units of t_S, both in steps of the linear DDPM schedule: the paper's axis.

    Steps go with sqrt(t) at first, so that this ratio is nearer to one.
    """
    clock = linear_schedule()
    t, (low, high) = crossing
    one, two, three = (
        None if x is None else clock.place(x) / clock.place(t_s) for x in (t, low, high)
    )
    return one, (two, three)


def speciate(source: Source, dataset: Dataset, setting: Setting) -> Speciation:
    """Train (or take up) the network and the classifier of a dataset and run its clones."""
    tell = setting.told(source.name)
    largest, error = first_channel(dataset)
    if largest <= 1:
        raise InputError(
            f"Lambda of {source.name} is {largest:.3g}; expected more than 1, for t_S is half its "
            "logarithm. Take other classes or larger images."
        )
    analysis = analyze(dataset, seed=setting.seed, device=setting.device, progress=tell)
    net = network(source, dataset, setting)
    classes = classifier(source, dataset, setting)
    setup = prepared(dataset, net, classes.classify, setting, tell)
    crosses = analysis.time("speciation", "clone-loo").t or 0.5 * math.log1p(largest)
    run = stored_run("clones", source, setup, net, classes.identity, setting, dataset)
    times = np.clip(crosses * PARTED, run.grid[-2], run.grid[0])
    ends = run_clones(setup.score, times, source.pairs, run=run, classify=classes.classify)
    low, high = ends.wilson(PHI)
    level = clone_level(dataset.class_counts)
    where = ends.crossing(PHI, level, setting.seed)
    counts = np.bincount(ends.classes.ravel(), minlength=len(dataset.class_names))
    shares = zip(counts / counts.sum(), dataset.class_names, strict=True)
    shared = ", ".join(f"{x:.0%} class {name}" for x, name in shares)
    said = (f"end points {shared}", source.note, *setup.notes)
    notes = (*classes.said, *(f"{source.name}: {x}." for x in said if x))
    return Speciation(
        source, analysis, largest, error, ends.curves(), low, high, where, level, notes
    )


def speciations(setting: Setting) -> tuple[list[Speciation], list[str], dict[str, object]]:
    """Every dataset of the preset that is on this machine, what is said of the others, and what all
    depends on. `sources.MissingData` if there is none."""
    data, skipped = read_all(setting.preset.speciation, setting.progress)
    return [speciate(*x, setting) for x in data], skipped, recipe(setting, data)


def network(source: Source, dataset: Dataset, setting: Setting) -> Network:
    """The network of a dataset, trained on all of its points."""
    from ..learned.adapters import learned_score
    from ..learned.checkpoints import weights_digest
    from ..learned.training import train

    trained = train(
        dataset,
        setting.folder(source) / "network",
        preset=setting.preset.network,
        steps=source.steps,
        held_out=0,
        memorised=0,
        seed=setting.seed,
        device=setting.device,
        progress=setting.told(source.name),
    )
    score = learned_score(trained.pipeline.unet, trained.pipeline.scheduler)
    return Network(score, weights_digest(trained.pipeline.unet))


def classifier(source: Source, dataset: Dataset, setting: Setting) -> Classes:
    """The classifier of a dataset: read, or trained and saved."""
    from ..learned.classifier import FILE, load_classifier, save_classifier, train_classifier

    folder, device = setting.folder(source) / "classifier", setting.device

    def told(done: float, total: float, text: str) -> None:
        if setting.progress:
            setting.progress(done, total, f"classifier, {source.name}")

    known = (folder / FILE).is_file()
    judge = load_classifier(folder, dataset, device=device) if known else None
    if judge is None or judge.recipe["fingerprint"] != dataset.fingerprint:
        judge = train_classifier(dataset, seed=setting.seed, device=device, progress=told)
        save_classifier(judge, folder)
    right = judge.accuracy
    good = (f"the classifier is right on {right.value:.1%} of {right.of} held-out points",)
    said = tuple(f"{source.name}: {x}." for x in judge.notes or good)
    return Classes(judge, judge.digest, said)


def prepared(
    dataset: Dataset,
    net: Network,
    classify: Classify | None,
    setting: Setting,
    progress: Progress,
    count: int = 8,
) -> Experiment:
    """The experiment with the network, on a grid that does not hang on the last bits of Lambda."""
    setup = experiment(
        dataset,
        network=net.score,
        grid=setting.preset.grid,
        steps=setting.preset.steps,
        count=count,
        classify=classify,
        seed=setting.seed,
        device=setting.device,
        progress=progress,
    )
    return replace(setup, grid=np.array([float(f"{t:.8g}") for t in setup.grid]))


def stored_run(
    what: str,
    source: Source,
    setup: Experiment,
    net: Network,
    classes: str,
    setting: Setting,
    dataset: Dataset,
) -> Run:
    """A run that keeps its blocks in a folder named after all that it depends on."""
    recipe = {
        "fingerprint": dataset.fingerprint,
        "network": net.identity,
        "classes": classes,
        "grid": [setting.preset.grid, setting.preset.steps],
        "parted": PARTED.tolist(),
    }
    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    return Run(
        setup.grid,
        seed=setting.seed,
        dtype=setup.dtype,
        device=setting.device,
        store=setting.folder(source) / f"{what}-{name}",
        recipe=recipe,
        progress=setting.told(source.name),
    )


def recipe(setting: Setting, found: Sequence[tuple[Source, Dataset]]) -> dict[str, object]:
    """What the outcome depends on."""
    return {
        "preset": setting.preset.name,
        "network": setting.preset.network,
        "training_steps": [source.steps for source, _ in found],
        "sampler": [setting.preset.grid, setting.preset.steps],
        "pairs": [source.pairs for source, _ in found],
        "sources": [data.source for _, data in found],
        "fingerprints": [data.fingerprint for _, data in found],
        "seed": setting.seed,
        "versions": versions(),
    }

"""`analyze`: from a dataset to its three regimes, the one verb most users need.

dataset -> its different points -> cloud -> pilot sweep on a wide grid -> sweep on a grid that
follows the curves -> transition times, points at risk, self-checks, verdict. Nothing is trained and
no backward process is run.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import process
from .common.checks import InputError, in_range, increasing
from .common.parallel import Progress
from .common.recipe import check_device, versions
from .common.rng import numpy_generator
from .data.classes import check_several
from .data.datasets import Dataset, describe, from_arrays
from .data.filecloud import FileCloud
from .data.levels import Given, groupings
from .data.neighbours import named as named_pairs
from .data.pixels import Range
from .data.seen import Seen, look
from .data.spectrum import spectrum
from .data.windows import FeatureGroups, parts_of
from .posterior.grid import adapt_times, near_square, pilot_times
from .posterior.moments import PAIRS_PER_BLOCK
from .posterior.reliability import overconfidence, reliability
from .posterior.sample import Sample
from .posterior.sweep import sweep
from .results import Analysis, Exposure, Recipe, TransitionTime
from .transitions.comparison import compare
from .transitions.competing import among_competitors, competitors
from .transitions.criteria import Evidence, headline, transition_times
from .transitions.crossing import resample
from .transitions.exposed_groups import group_times, most_exposed_groups
from .transitions.given import torn_points
from .transitions.grouped import codes_of
from .transitions.levels import level_of
from .transitions.listed import as_listed, with_listed
from .transitions.needed import at_speciation
from .transitions.outliers import bulk, disagreement, far_in_words
from .transitions.points import most_exposed, most_exposed_in_file, named, point_times
from .transitions.regimes import range_notes, verdict
from .transitions.tree import classes_apart
from .transitions.windows import windows_of

PILOT_DRAWS = 1024
BLOCK = 2 * PAIRS_PER_BLOCK  # draws
MOST_BLOCKS = 40  # that the errors of the population are taken from


def analyze(
    points: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    pixel_range: Range = None,
    pad: int = 0,
    white: int | None = None,
    standardize: bool = False,
    precision: float = 0.005,
    draws: int | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    seed: int = 0,
    schedule: str | process.Schedule = "linear",
    device: str = "cpu",
    memory_mib: int = 1024,
    keep: str | PathLike[str] | None = None,
    client: Any = None,
    levels: Given | None = None,
    windows: Sequence[int] | None = None,
    feature_groups: FeatureGroups | None = None,
    given: Any = None,
    groups: Any = None,
    augment: Sequence[str] | str = (),
    progress: Progress | None = None,
) -> Analysis:
    """Find the regimes of a dataset.

    Parameters
    ----------
    points : Dataset, or numpy array or torch tensor (n, d), (n, H, W) or (n, H, W, C)
    labels : (n,) classes; without them the two sides of the first principal component
    class_names : names of the classes, by integer label
    classes : keep these classes, labels or names, in this order
    per_class : keep the first so many points of each class
    pixel_range : the scale of the pixels; (0, 1) for integers, as they are for floats; "none" to
        take integers, too, as they are
    pad : pixels added to each side of images
    white : the integer that is white, 255 for uint8
    standardize : each feature of a table (n, d) over its standard deviation
    precision : draws go on until the standard errors of the curves between 0 and 1 reach it
    draws : a fixed number of noised samples instead (rounded up to blocks of 256)
    times : Ornstein-Uhlenbeck times, increasing; an adaptive grid without
    seed : the same seed gives the same numbers, bit for bit
    schedule : "linear", "cosine", a scheduler_config.json of diffusers, or a `process.Schedule`:
        what `ddpm_step` counts, and its name is `clock`
    device : "cpu" or a torch device for the posterior pass
    memory_mib : budget for the buffers of the pass; results do not depend on it, but for spectrum
        and near duplicates of points in a file, which are those of as many as fit
    keep : of points in a file (`load`, `memory_mib`) a folder where finished pieces of the passes
        are kept: the same call goes on where one that was killed stood
    client : of points in a file a `distributed.Client`, whose workers read and sum the points
    levels : super-classes, in a .csv (class, super-class, ...) or {level: {class: super-class}}:
        another pass for each level
    windows : widths in pixels of square windows, in features of those of a table: t_S and t_C of
        what is seen through each of them
    feature_groups : the same of named groups of features, in a .csv (feature, group), a .json or
        {group: [features]}, by name or by number from 0 on
    given : the condition (n,) that each point is learned under, integers or strings, or "label":
        collapse among those that share it; a `Dataset` may have its own
    groups : likewise what points have in common that are one thing seen again: a group counts as
        one
    augment : what training makes of images, names of `data.orbit.AUGMENTATIONS` or "shift:N": how
        much it moves the collapse
    progress : callback (done, total, text)

    The keywords from `class_names` to `standardize` prepare arrays as `from_arrays` does, which
    says more of them; a `Dataset` takes none.

    Returns
    -------
    Analysis
        its docstring names every field: `verdict` in words, `times` (those of the headline by
        `time("speciation")` and `time("collapse")`), `curves` as in `curves["mmse"]`, and the rest.
        Of data with duplicates all but `listed` is of the different points.

    Raises
    ------
    InputError
        for what the user can mend.
    """
    preparation = {
        "class_names": class_names, "classes": classes, "per_class": per_class,
        "pixel_range": pixel_range, "pad": pad, "white": white, "standardize": standardize,
    }  # fmt: skip
    dataset = _dataset(points, labels, preparation)
    check_several(dataset.class_names)
    listed = dataset.n if points is dataset else len(points)
    dataset, changes = competitors(dataset, listed, given, groups, augment, memory_mib)
    above = () if levels is None else groupings(levels, dataset.class_names)
    parts = parts_of(dataset, windows, feature_groups)
    clock = process.schedule(schedule) if isinstance(schedule, str) else schedule
    grid = check_options(precision, draws, times, seed, device, memory_mib)
    report = progress or (lambda done, total, text: None)

    report(0, 1, "duplicates")
    seen = look(dataset, seed, None if keep is None else Path(keep), client)
    report(1, 1, "duplicates")
    sample, evidence = _measured(
        seen, clock, grid, precision, draws, seed, device, memory_mib, report
    )
    transitions = transition_times(evidence, report)
    exposed = _points_at_risk(seen, evidence, sample, report)
    exact = None if draws else precision
    recipe = _recipe(seen.own, evidence, sample, exact, times is None, device)
    found = _concluded(seen, evidence, sample, transitions, exposed, recipe)
    pairs, tree = classes_apart(evidence, seen.own.class_names)
    found = replace(
        found, pairs=pairs, tree=tree,
        levels=tuple(level_of(x, evidence, sample, tree) for x in above),
        windows=windows_of(
            seen.own, parts, evidence, (found.time("speciation"), found.time("collapse"))
        ),
    )  # fmt: skip
    found = _of_all_listed(found, dataset, seen, evidence, sample)
    torn = torn_points(dataset, seen.twins)
    return among_competitors(found, seen.own, torn, changes, evidence, sample)


def _measured(
    seen: Seen,
    clock: process.Schedule,
    grid: np.ndarray | None,
    precision: float,
    draws: int | None,
    seed: int,
    device: str,
    memory_mib: int,
    report: Progress,
) -> tuple[Sample, Evidence]:
    """The spectrum, a pilot sweep where no grid is given, the sweep, and its resamples."""
    report(0, 1, "spectrum")
    near = seen.neighbours
    eigen = spectrum(seen.shown, torch.from_numpy(near.matrix))
    report(1, 1, "spectrum")
    inner = bulk(seen.shown, near.cloud, near.matrix, eigen, near.distance)

    cloud = seen.cloud.to(device)
    run = functools.partial(sweep, cloud, seed=seed, memory_mib=memory_mib, progress=report)
    if grid is None:
        wide = pilot_times(eigen.eigenvalues, cloud.n, near_square(cloud))
        grid = adapt_times(run(wide, draws=PILOT_DRAWS, text="choosing times"))
    sample = run(grid, draws=draws, precision=precision)

    rng = numpy_generator(seed, "bootstrap")
    resampled, counts = resample(sample, rng), seen.own.class_counts
    blocks = min(MOST_BLOCKS, 2 * sample.units // BLOCK)
    evidence = Evidence(
        sample, resampled, eigen, near.matrix, cloud, inner, clock, counts, rng, seed, memory_mib,
        blocks, report, codes_of(seen.own),
    )  # fmt: skip
    return sample, evidence


def _dataset(points: Any, labels: Any, preparation: dict[str, Any]) -> Dataset:
    """The points as a `Dataset`; one that came as such takes no preparation."""
    if not isinstance(points, Dataset):
        return from_arrays(points, labels, **preparation)
    left_out = {"pad": 0, "standardize": False}  # None for the others
    asked = [name for name, x in preparation.items() if x is not left_out.get(name)]
    if labels is not None or asked:
        given = ", ".join([*(["labels"] if labels is not None else []), *asked])
        raise InputError(f"a Dataset came with {given}; prepare it with datasets.from_arrays.")
    return points


def _points_at_risk(
    seen: Seen, evidence: Evidence, sample: Sample, report: Progress
) -> tuple[Exposure, ...]:
    """The most exposed points."""
    report(0, 1, "points at risk")
    if evidence.by_group is not None and evidence.groups is not None:
        exposed = most_exposed_groups(
            evidence.cloud, evidence.by_group, evidence.groups[evidence.cloud.order],
            seen.neighbours.distance, seed=evidence.seed, memory_mib=evidence.memory_mib,
        )  # fmt: skip
    elif isinstance(evidence.cloud, FileCloud):
        exposed = most_exposed_in_file(
            evidence.cloud, sample, seed=evidence.seed, memory_mib=evidence.memory_mib
        )
    else:
        near = seen.neighbours
        exposed = most_exposed(
            evidence.cloud, sample, near.near, near.distance, seed=evidence.seed,
            memory_mib=evidence.memory_mib,
        )  # fmt: skip
    report(1, 1, "points at risk")
    return named(exposed, seen.own)


def _recipe(
    dataset: Dataset,
    evidence: Evidence,
    sample: Sample,
    precision: float | None,
    adaptive: bool,
    device: str,
) -> Recipe:
    """How the run was made, the headline that its evidence chose included."""
    return Recipe(
        precision=precision, draws=2 * sample.units, times="adaptive" if adaptive else "given",
        seed=evidence.seed, schedule=evidence.schedule.name, device=device,
        headline=headline(dataset.labelled, evidence), versions=versions(),
    )  # fmt: skip


def _concluded(
    seen: Seen,
    evidence: Evidence,
    sample: Sample,
    times: tuple[TransitionTime, ...],
    exposed: tuple[Exposure, ...],
    recipe: Recipe,
) -> Analysis:
    """What follows from the times: the verdict, the points needed, the theory beside the curves."""
    dataset, curves = seen.own, sample.curves()
    chosen = recipe.headline
    by_method = {(x.transition, x.method): x for x in times}
    deciding = by_method["speciation", chosen.speciation]
    copying = by_method["collapse", chosen.collapse]
    far = far_in_words(seen.shown, seen.neighbours.cloud, evidence.bulk.far)
    groups = evidence.by_group
    competing = dataset.n if groups is None else groups.count
    remarks = far if groups else (*far, *disagreement(times, exposed))
    needed = at_speciation(deciding, evidence.line, curves, evidence.bulk.spectrum, dataset.n)
    theory = None
    if dataset.population is not None:
        law = dataset.population
        theory = compare(law, curves, times, dataset.n, evidence.level, evidence.seed)
    flags = reliability(sample, dataset.n)
    broken = tuple(x.message for x in flags if not x.ok)
    if dataset.labelled and deciding.t is not None and groups is None:
        flags = (*flags, overconfidence(sample, deciding.t))
    return Analysis(
        dataset=describe(dataset),
        spectrum=evidence.spectrum,
        times=times,
        curves=curves,
        points=exposed,
        point_times=point_times(sample)[1] if groups is None else group_times(groups),
        duplicates=(),
        reliability=flags,
        points_needed=needed,
        verdict=verdict(deciding, copying, needed, competing, broken, remarks),
        recipe=recipe,
        notes=dataset.notes
        + seen.notes
        + range_notes(curves, evidence.schedule, deciding, copying),
        theory=theory,
    )


def _of_all_listed(
    found: Analysis, dataset: Dataset, seen: Seen, evidence: Evidence, sample: Sample
) -> Analysis:
    """The analysis of the different points, with what is to be said of those left out."""
    if seen.own.n == dataset.n:
        return found
    counted = as_listed(dataset, seen.own, seen.twins, evidence, sample.times)
    return replace(
        found, listed=counted, duplicates=named_pairs(seen.twins.pairs, dataset),
        verdict=with_listed(found.verdict, counted, seen.own.n),
    )  # fmt: skip


def check_options(
    precision: float,
    draws: int | None,
    times: Sequence[float] | np.ndarray | None,
    seed: int,
    device: str,
    memory_mib: int,
) -> np.ndarray | None:
    """Raise `InputError` for options out of range; return the times as an array."""
    in_range("precision", precision, 1e-4, 0.5, "It is a standard error of curves from 0 to 1.")
    if draws is not None:
        in_range("draws", draws, 2, 10**8, "It is the number of noised samples.")
    in_range("seed", seed, 0, 10**18)
    in_range("memory_mib (--memory-mib)", memory_mib, 16, 10**7, "It is the budget in MiB.")
    check_device(device)
    return None if times is None else increasing("times", times)

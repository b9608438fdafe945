"""`analyze`: from a dataset to its three regimes, the one verb most users need.

dataset -> cloud -> pilot sweep on a wide grid -> sweep on a grid that follows the curves ->
transition times, points at risk, self-checks, verdict. Nothing is trained and no backward
process is run.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import process
from .common.checks import InputError, in_range, increasing
from .common.parallel import Progress
from .common.recipe import check_device, versions
from .common.rng import numpy_generator
from .data.cloud import Cloud, prepare
from .data.datasets import Dataset, describe, from_arrays
from .data.neighbours import duplicates, nearest_neighbours
from .data.spectrum import covariance, spectrum
from .posterior.grid import adapt_times, pilot_times
from .posterior.observables import PRECISION_CURVES
from .posterior.reliability import reliability
from .posterior.sweep import sweep
from .results import Analysis, Curves, Headline, Recipe, TransitionTime
from .transitions import collapse, influence, speciation
from .transitions import crossing as transitions
from .transitions import points as exposure
from .transitions.comparison import compare
from .transitions.criteria import clone_level
from .transitions.needed import from_curves
from .transitions.regimes import verdict

PILOT_DRAWS = 1024


def analyze(
    points: Any,
    labels: Any = None,
    *,
    precision: float = 0.005,
    draws: int | None = None,
    times: Sequence[float] | np.ndarray | None = None,
    seed: int = 0,
    schedule: str | process.Schedule = "linear",
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
    **preparation: Any,
) -> Analysis:
    """Find the regimes of a dataset.

    Parameters
    ----------
    points : Dataset, or numpy array or torch tensor (n, d), (n, H, W) or (n, H, W, C)
    labels : (n,) classes; without them the two sides of the first principal component
    precision : draws go on until the standard errors of the curves between 0 and 1 reach it
    draws : a fixed number of noised samples instead (rounded up to blocks of 256)
    times : Ornstein-Uhlenbeck times, increasing; an adaptive grid without
    seed : the same seed gives the same numbers, bit for bit
    schedule : "linear", "cosine", a scheduler_config.json of diffusers, or a `process.Schedule`
    device : "cpu" or a torch device for the posterior pass
    memory_mib : budget for the buffers of the pass; results do not depend on it
    progress : callback (done, total, text)
    preparation : further keywords of `datasets.from_arrays` (classes, per_class, pixel_range, pad)

    Returns an `Analysis`; raises `InputError` for what the user can mend.
    """
    if isinstance(points, Dataset):
        if labels is not None or preparation:
            given = ", ".join([*(["labels"] if labels is not None else []), *preparation])
            raise InputError(f"a Dataset came with {given}; prepare it with datasets.from_arrays.")
        dataset = points
    else:
        dataset = from_arrays(points, labels, **preparation)
    clock = process.schedule(schedule) if isinstance(schedule, str) else schedule
    grid = check_options(precision, draws, times, seed, device, memory_mib)

    report = progress or (lambda done, total, text: None)
    report(0, 1, "spectrum")
    cloud = prepare(dataset.points, dataset.labels)
    matrix = covariance(cloud)
    found_spectrum = spectrum(dataset, matrix)
    report(1, 1, "spectrum")
    cloud = cloud.to(device)
    run = functools.partial(sweep, cloud, seed=seed, memory_mib=memory_mib, progress=progress)
    if grid is None:
        wide = pilot_times(found_spectrum.eigenvalues, dataset.n)
        pilot = run(wide, draws=PILOT_DRAWS, text="choosing times")
        grid = adapt_times(pilot)
    sample = run(grid, draws=draws, precision=precision)

    report(0, 4, "transition times")
    rng = numpy_generator(seed, "bootstrap")
    curves = sample.curves()
    resampled = transitions.resample(sample, rng)
    line = collapse.entropy_line(resampled, found_spectrum, dataset.n)
    dense = matrix.numpy()
    when = speciation.spectral_times(found_spectrum, dense, cloud, clock, rng)
    report(1, 4, "transition times")
    when.append(speciation.landau_time(found_spectrum, cloud, clock, rng))
    report(2, 4, "transition times")
    when += _clone_times(resampled, dataset, cloud, clock, seed, memory_mib)
    when += collapse.collapse_times(resampled, line, found_spectrum, clock, dataset.n)
    when.append(collapse.gaussian_bound_time(found_spectrum, dense, cloud, clock, rng))
    report(3, 4, "points at risk")
    near, distance = nearest_neighbours(cloud, dense)
    twins = duplicates(dataset, cloud, near, distance)
    exposed = exposure.most_exposed(cloud, sample, near, distance, seed=seed, memory_mib=memory_mib)
    report(4, 4, "points at risk")

    headline = Headline("clone-loo" if dataset.labelled else "spectral", "free-energy")
    first = {(x.transition, x.method): x for x in when}
    deciding = first["speciation", headline.speciation]
    copying = first["collapse", headline.collapse]
    needed = None
    if deciding.t is not None:
        needed = from_curves(deciding.t, line, curves, found_spectrum, dataset.n)
    theory = None
    if dataset.population is not None:
        level = clone_level(dataset.class_counts)
        theory = compare(dataset.population, curves, tuple(when), dataset.n, level, seed)
    return Analysis(
        dataset=describe(dataset),
        spectrum=found_spectrum,
        times=tuple(when),
        curves=curves,
        points=exposed,
        point_times=exposure.point_times(sample)[1],
        duplicates=twins,
        reliability=reliability(sample, dataset.n),
        points_needed=needed,
        verdict=verdict(deciding, copying, needed, dataset.n),
        recipe=Recipe(
            precision=None if draws else precision,
            draws=curves.draws,
            times="adaptive" if times is None else "given",
            seed=seed,
            schedule=clock.name,
            device=device,
            headline=headline,
            versions=versions(),
        ),
        notes=dataset.notes + _notes(curves),
        theory=theory,
    )


def _clone_times(
    curves: transitions.Resampled,
    dataset: Dataset,
    cloud: Cloud,
    clock: process.Schedule,
    seed: int,
    memory_mib: int,
) -> list[TransitionTime]:
    """Speciation by `clone` and `clone-loo`, the interval of the latter that of the population."""
    counts = dataset.class_counts
    found = speciation.clone_times(curves, clock, counts)
    t = found[1].t
    if t is None:
        return found
    moved = influence.loo_influence(cloud, t, seed=seed, memory_mib=memory_mib)
    curves = influence.of_population(curves, moved, dataset.n, seed)
    return speciation.clone_times(curves, clock, counts)


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


def _notes(curves: Curves) -> tuple[str, ...]:
    first, last = curves.t[0], curves.t[-1]
    worst = max(float(curves.se[name].max()) for name in PRECISION_CURVES)
    return (
        f"curves from t = {first:.3g} to {last:.3g}, {len(curves.t)} times; standard errors of "
        f"those between 0 and 1 at most {worst:.4f}",
    )

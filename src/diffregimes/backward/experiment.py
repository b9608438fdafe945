"""From a dataset to a backward experiment: its score, classes, grid, and the forward curves.

Score "empirical" is the exact score of the training points: what a network tends to that memorises.
Score "population" is that of the law they were drawn from, for mixtures: what a network should
learn. Only those coordinates are run that matter: the span of the data about their mean or, for a
mixture with one isotropic covariance, that of the means. What lies across is pure noise that dies
out on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..common.checks import InputError
from ..common.parallel import Progress
from ..data.cloud import Cloud, prepare, square_distances
from ..data.datasets import Dataset
from ..data.spectrum import covariance, spectrum
from ..posterior.grid import adapt_times, pilot_times
from ..posterior.sweep import sweep
from ..process import schedule, signal
from ..results import Curves
from ..scores import AbstractScore, EmpiricalScore, MixtureScore
from .clones import Classify, mixture_classes, nearest_classes
from .samplers import ddpm_times, log_snr_times, uniform_times

SCORES = ("empirical", "population")
FORWARD_DRAWS = 8192
_LAST = 0.05  # Lambda e^{-2T} above which the start is not pure noise


@dataclass(frozen=True)
class Experiment:
    """What `run_clones`, `run_uturns` and `track` need; `forward(times)` gives phi and phi_C (for
    score "empirical") without running anything backwards. `points` are what U-turns start from."""

    score: AbstractScore
    classify: Classify
    training: EmpiricalScore | None
    points: np.ndarray
    labels: np.ndarray
    grid: np.ndarray
    times: np.ndarray
    forward: Callable[[np.ndarray], Curves]
    dtype: torch.dtype
    notes: tuple[str, ...]


def experiment(
    dataset: Dataset,
    *,
    score: str | None = None,
    network: AbstractScore | None = None,
    latest: float = math.inf,
    whole: bool = False,
    grid: str = "linear",
    steps: int | None = None,
    count: int = 12,
    classify: Classify | None = None,
    seed: int = 0,
    memory_mib: int = 1024,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Experiment:
    """Set up the backward process of a dataset.

    score : "empirical" or "population" (default for points drawn from a mixture)
    network : a score that takes the place of both, run in all dimensions and compared with the
        forward curves of score "empirical"; it knows times up to `latest`
    whole : run in all dimensions as they came, and not in those that matter (see above)
    grid : "uniform" or "log-snr" in t, or a DDPM schedule: "linear", "cosine", a
        scheduler_config.json; `steps` of it (1000, or the schedule's own)
    count : so many default `times` for clones to part, where the curves change
    classify : the class of end points in the sample space, which means `whole`; by default that
        of the mixture, or of the nearest training point
    """
    law = dataset.population
    followed = whole  # to single points; the forward curves of a law do not know of them
    whole = whole or classify is not None
    if network is not None:
        score, whole = "empirical", True
    name = score or ("empirical" if law is None else "population")
    if name not in SCORES:
        raise InputError(f"score is {score!r}; expected one of {', '.join(SCORES)}.")
    if name == "population" and law is None:
        raise InputError(
            "score is 'population', but the law of these data is not known; only mixtures "
            "(gmm:d=...,n=...) have one. Use score empirical."
        )
    if progress:
        progress(0, 1, "spectrum")
    cloud = prepare(dataset.points, dataset.labels)
    found = spectrum(dataset, covariance(cloud))
    if progress:
        progress(1, 1, "spectrum")
    top = found.largest
    notes = []
    times_down = _grid(grid, steps, top, _resolved(cloud), latest)
    left = top * float(signal(times_down[0])) ** 2
    if left > _LAST:
        notes.append(
            f"the process starts at t = {times_down[0]:.2f}, where the data still have a variance "
            f"of {left:.2g} beside the noise; take the grid log-snr or uniform"
        )
    if name == "population":
        assert law is not None
        reduced = law.isotropic and not whole
        near = law.in_span() if reduced else law
        points = dataset.points @ law.basis.numpy() if reduced else dataset.points

        def known(times: np.ndarray) -> Curves:
            return near.population_curves(times, seed=seed)

        wide = pilot_times(law.eigenvalues(), dataset.n)
        phi = known(wide)["same_class_probability"]
        times = np.minimum(_spread(wide, phi, count), 0.95 * times_down[0])
        return Experiment(
            MixtureScore(near), classify or mixture_classes(near),
            EmpiricalScore(points, memory_mib=memory_mib, device=device) if followed else None,
            points, dataset.labels, times_down, times, known, torch.float64, tuple(notes),
        )  # fmt: skip
    points = dataset.points
    if not whole:
        points = (cloud.coordinates * cloud.scale).numpy()[cloud.row_of]
    training = EmpiricalScore(points, memory_mib=memory_mib, device=device)
    moved = cloud.to(device)

    def forward(times: np.ndarray) -> Curves:
        sample = sweep(
            moved, times, draws=FORWARD_DRAWS, seed=seed, memory_mib=memory_mib, progress=progress,
            text="forward pass",
        )  # fmt: skip
        return sample.curves()

    pilot = sweep(
        moved, pilot_times(found.eigenvalues, dataset.n), draws=1024, seed=seed,
        memory_mib=memory_mib, progress=progress, text="choosing times",
    )  # fmt: skip
    times = np.minimum(adapt_times(pilot, count), 0.95 * times_down[0])
    return Experiment(
        network or training, classify or nearest_classes(training, dataset.labels), training,
        points, dataset.labels, times_down, times, forward, torch.float32, tuple(notes),
    )  # fmt: skip


def _grid(name: str, steps: int | None, top: float, end: float, latest: float) -> np.ndarray:
    # where the largest direction is down to a thousandth of the noise
    start = min(latest, 0.5 * float(np.log(1e3 * max(top, 1.0))))
    if name == "uniform":
        return uniform_times(start, 0.0, steps or 1000)
    if name == "log-snr":
        return np.append(log_snr_times(start, end, (steps or 1000) - 1), 0.0)
    return ddpm_times(schedule(name), steps)


def _resolved(cloud: Cloud) -> float:
    """t at which the noise, sqrt(2t) wide, is a hundredth of a typical nearest distance: the last
    step, onto the denoised mean, then lands on one point and not between two."""
    some = cloud.coordinates[:: max(1, cloud.n // 256)][:256]
    square = square_distances(some, cloud.coordinates)
    nearest = square.topk(min(2, cloud.n), dim=1, largest=False).values[:, -1]
    typical = float(nearest.median()) * cloud.scale**2
    return min(1e-3, max(0.5e-4 * typical, 1e-9))


def _spread(t: np.ndarray, phi: np.ndarray, count: int) -> np.ndarray:
    """Times at which phi takes evenly spaced values."""
    order = np.argsort(phi)
    low, high = phi.min(), phi.max()
    wanted = low + (high - low) * np.linspace(0.02, 0.98, count)
    return np.unique(np.interp(wanted, phi[order], t[order]))

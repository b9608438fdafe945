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
from functools import partial

import numpy as np
import torch

from ..common.checks import InputError
from ..common.parallel import Progress
from ..data.cloud import Cloud, prepare, square_distances
from ..data.datasets import Dataset
from ..data.spectrum import covariance, spectrum
from ..populations.mixture import GaussianMixture
from ..posterior.grid import adapt_times, near_square, pilot_times
from ..posterior.sample import Sample
from ..posterior.sweep import sweep
from ..process import schedule, signal
from ..results import Curves, Spectrum
from ..scores import AbstractScore, EmpiricalScore, MixtureScore
from .clones import Classify, mixture_classes, nearest_classes
from .conditioned import PointsWithin, curves_within
from .samplers import ddpm_times, log_snr_times, uniform_times

SCORES = ("empirical", "population")
FORWARD_DRAWS = 8192
_LAST = 0.05  # Lambda e^{-2T} above which the start is not pure noise


@dataclass(frozen=True)
class Experiment:
    """What `run_clones`, `run_uturns` and `track` need; `forward(times)` gives phi and phi_C (for
    score "empirical") without running anything backwards; of the points, `forward(times, one)` phi
    of the classes `one` (n,). `points` are what U-turns start from.
    Where states have conditions `within` holds the training points of each, and there are no
    classes to be decided."""

    score: AbstractScore
    classify: Classify
    training: EmpiricalScore | None
    points: np.ndarray
    labels: np.ndarray
    grid: np.ndarray
    times: np.ndarray
    forward: Callable[..., Curves]
    dtype: torch.dtype
    notes: tuple[str, ...]
    within: PointsWithin | None = None


def experiment(
    dataset: Dataset,
    *,
    score: str | None = None,
    network: AbstractScore | None = None,
    conditions: np.ndarray | None = None,
    whole: bool = False,
    grid: str | None = None,
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
        forward curves of score "empirical"
    conditions : of the points (n,), under which the network is asked: the forward curves are then
        those of the points of each condition
    whole : run in all dimensions as they came, and not in those that matter (see above)
    grid : "uniform" or "log-snr" in t, or the levels of a schedule: "linear", "cosine", a
        scheduler_config.json; `steps` of them (1000, or all of the schedule). Without it those of
        the network's own schedule, and "linear" under an exact score
    count : so many default `times` for clones to part, where the curves change
    classify : the class of end points in the sample space, which means `whole`; by default that
        of the mixture, or of the nearest training point
    """
    law = dataset.population
    name = _score_name(score, network, law)
    followed = whole  # to single points; the forward curves of a law do not know of them
    whole = whole or classify is not None or network is not None
    cloud, spectral = _spanned(dataset, progress)
    down = _grid(grid, steps, spectral.largest, _resolved(cloud), network)
    notes = _about_start(float(down[0]), spectral.largest, network)
    empirical = partial(EmpiricalScore, memory_mib=memory_mib, device=device)
    if name == "population":
        assert law is not None
        return _known(dataset, law, classify, down, count, notes, seed, whole,
            empirical if followed else None,
        )  # fmt: skip
    points = dataset.points if whole else (cloud.coordinates * cloud.scale).numpy()[cloud.row_of]
    training = empirical(points)
    moved = cloud.to(device)

    def passed(times: np.ndarray, draws: int, text: str, over: Cloud = moved) -> Sample:
        return sweep(
            over, times, draws=draws, seed=seed, memory_mib=memory_mib, progress=progress,
            text=text,
        )  # fmt: skip

    wide = pilot_times(spectral.eigenvalues, dataset.n, near_square(cloud))
    pilot = passed(wide, 1024, "choosing times")
    times = np.minimum(adapt_times(pilot, count), 0.95 * down[0])
    labels, within = dataset.labels, None
    if conditions is not None:
        within = PointsWithin(points, conditions, memory_mib=memory_mib, device=device)
        labels = np.zeros_like(labels)

    def forward(times: np.ndarray, one: np.ndarray | None = None) -> Curves:
        if within is not None:
            return curves_within(within, times, FORWARD_DRAWS, one=one, seed=seed, device=device,
                                 memory_mib=memory_mib, progress=progress)  # fmt: skip
        over = moved if one is None else prepare(points, one).to(device)
        return passed(times, FORWARD_DRAWS, "forward pass", over).curves()

    return Experiment(
        network or training, classify or nearest_classes(training, labels), training,
        points, labels, down, times, forward, torch.float32, notes, within,
    )  # fmt: skip


def _spanned(dataset: Dataset, progress: Progress | None) -> tuple[Cloud, Spectrum]:
    """The points in the span of the data, and the spectrum of their covariance."""
    if progress:
        progress(0, 1, "spectrum")
    cloud = prepare(dataset.points, dataset.labels)
    out = spectrum(dataset, covariance(cloud))
    if progress:
        progress(1, 1, "spectrum")
    return cloud, out


def _known(
    dataset: Dataset,
    law: GaussianMixture,
    classify: Classify | None,
    down: np.ndarray,
    count: int,
    notes: tuple[str, ...],
    seed: int,
    whole: bool,
    empirical: Callable[[np.ndarray], EmpiricalScore] | None,
) -> Experiment:
    """The experiment under the score of the law itself; with `empirical` followed to its points."""
    reduced = law.isotropic and not whole
    near = law.in_span() if reduced else law
    points = dataset.points @ law.basis.numpy() if reduced else dataset.points

    def forward(times: np.ndarray) -> Curves:
        return near.population_curves(times, seed=seed)

    wide = pilot_times(law.eigenvalues(), dataset.n)
    phi = forward(wide)["same_class_probability"]
    times = np.minimum(_spread(wide, phi, count), 0.95 * down[0])
    training = None if empirical is None else empirical(points)
    return Experiment(
        MixtureScore(near), classify or mixture_classes(near), training,
        points, dataset.labels, down, times, forward, torch.float64, notes,
    )  # fmt: skip


def _score_name(
    score: str | None, network: AbstractScore | None, law: GaussianMixture | None
) -> str:
    """Which exact score is run, or stands beside the network."""
    if network is not None:
        return "empirical"
    name = ("empirical" if law is None else "population") if score is None else score
    if name not in SCORES:
        raise InputError(f"score is {score!r}; expected one of {', '.join(SCORES)}.")
    if name == "population" and law is None:
        raise InputError(
            "score is 'population', but the law of these data is not known; only mixtures "
            "(gmm:d=...,n=...) have one. Use score empirical."
        )
    return name


def _about_start(start: float, top: float, network: AbstractScore | None) -> tuple[str, ...]:
    """A note where the first time of the grid is not pure noise beside the largest variance."""
    left = top * float(signal(start)) ** 2
    if left <= _LAST:
        return ()
    ends = start > 0.8 * float(getattr(network, "latest", math.inf))
    hint = "the network knows no more noise" if ends else "take the grid log-snr or uniform"
    return (
        f"the process starts at t = {start:.2f}, where the data still have a variance "
        f"of {left:.2g} beside the noise; {hint}",
    )


def _grid(
    name: str | None,
    steps: int | None,
    top: float,
    end: float,
    network: AbstractScore | None,
) -> np.ndarray:
    """The times of the sampler, none beyond the last noise level of the network."""
    latest = float(getattr(network, "latest", math.inf))
    if name is None:
        own = getattr(network, "schedule", None)
        if own is not None:
            return ddpm_times(own, steps)
        name = "linear" if latest == math.inf else "log-snr"
    # where the largest direction is down to a thousandth of the noise
    start = min(latest, 0.5 * float(np.log(1e3 * max(top, 1.0))))
    if name == "uniform":
        return uniform_times(start, 0.0, steps or 1000)
    if name == "log-snr":
        return np.append(log_snr_times(start, end, (steps or 1000) - 1), 0.0)
    times = ddpm_times(schedule(name), steps)
    if times[0] > latest + 1e-6:
        raise InputError(
            f"grid (--grid) is {name!r}, which starts at t = {times[0]:.4g}, beyond the last noise "
            f"level of the network at t = {latest:.4g}; leave it out for the network's own levels, "
            "or take log-snr."
        )
    return times


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

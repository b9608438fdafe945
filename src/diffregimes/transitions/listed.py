"""Collapse of the points as they are listed, where some come more than once.

A point that is listed m times is one point with the weight m: its copies are no rivals. Among the
different points, drawn as often as they are listed,

    F = log sum_{nu != mu} m_nu e^{l_nu} - log m_mu,

which, taken within +-log n as in `collapse`, has the mean zero at t_C. With all m alike it is the
headline of the different points.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from ..common import numerics
from ..common.readable import interval_text
from ..common.rng import numpy_generator, torch_generator
from ..data.cloud import Cloud, square_distances
from ..data.datasets import Dataset
from ..data.neighbours import Clusters
from ..posterior.moments import exponents
from ..process import Schedule, snr
from ..results import Listed, TransitionTime, Verdict
from .collapse import HEADLINE
from .criteria import Evidence
from .crossing import clocked, from_log_gamma

MOST_CONFLICTS = 0.1  # share of points with several classes that leaves a class decided
PAIRS = 512  # of draws, with noise z and -z
_ENTRIES = 2**20  # rows times points at a time


def as_listed(
    dataset: Dataset, own: Dataset, found: Clusters, evidence: Evidence, times: np.ndarray
) -> Listed:
    """What was left out of `dataset` to leave `own`, and t_C with it."""
    kept = found.kept
    equal = [x for x in found.pairs if x.kind == "exact"]
    left_out = np.setdiff1d(np.arange(dataset.n), kept)
    labels = dataset.labels
    torn = {x.index for x in equal if labels[x.index] != labels[x.other]}
    counts = np.bincount(found.of)[found.of[kept]]
    return Listed(
        dataset.n, dataset.fingerprint, len(equal), len(left_out) - len(equal),
        len(torn) if dataset.labelled else 0, tuple(dataset.indices[left_out].tolist()),
        listed_collapse(evidence.cloud, counts, times, evidence.schedule, evidence.seed),
    )  # fmt: skip


def with_listed(verdict: Verdict, listed: Listed, n: int) -> Verdict:
    """The verdict on the `n` different points, with what is to be said of those listed again at its
    head; open where many of them are in several classes."""
    both = (listed.exact, "equal"), (listed.near, "nearly so")
    kinds = [f"{number} {kind}" for number, kind in both if number]
    said = [
        f"{listed.exact + listed.near} of the {listed.n} points are duplicates of others "
        f"({', '.join(kinds)}): all that follows is of the {n} different points, each once."
    ]
    if listed.conflicts:
        points = "1 point is" if listed.conflicts == 1 else f"{listed.conflicts} points are"
        said.append(f"{points} listed under several classes; the first counts. Check the labels.")
    t = listed.collapse
    at = "there is no t_C in the range studied"
    if t.t is not None:
        value, span = interval_text(t.t, t.low, t.high)
        at = f"t_C is {value} ({span}) by {t.method}"
    said.append(f"With each point as often as it is listed {at}.")
    sentences = (*said, *verdict.sentences)
    if listed.conflicts <= MOST_CONFLICTS * n:
        return replace(verdict, sentences=sentences)
    headline = (
        f"Open, since {listed.conflicts} of {n} points are listed under several classes. "
        f"{verdict.headline}"
    )
    return replace(verdict, headline=headline, sentences=sentences, generalizes=None)


def listed_collapse(
    cloud: Cloud, counts: np.ndarray, times: np.ndarray, schedule: Schedule, seed: int = 0
) -> TransitionTime:
    """t_C with each point as often as it is listed, `counts` (n,) in the order of the dataset;
    the interval is that of these points."""
    weights = counts[cloud.order].astype(np.float64)
    rng = numpy_generator(seed, "listed")
    points = rng.choice(cloud.n, PAIRS, p=weights / weights.sum())
    log_gamma = np.log(snr(times))[::-1]
    free = _free_energies(cloud, points, np.log(weights), np.exp(log_gamma), seed)
    log_n = math.log(weights.sum())
    values = (np.logaddexp(0, free + log_n) - np.logaddexp(free, log_n)).mean(axis=0)
    means = np.vstack([values.mean(axis=0), numerics.resampled_sums(values, rng) / PAIRS])
    places = -numerics.crossings(-log_gamma[::-1], means[:, ::-1], 0.0)
    t, bounds = from_log_gamma(places)
    why = () if t is not None else (
        f"F does not cross 0 between t = {times[0]:.3g} and t = {times[-1]:.3g}",
    )  # fmt: skip
    return clocked(schedule, "collapse", HEADLINE, t, bounds, why)


def _free_energies(
    cloud: Cloud, points: np.ndarray, log_weights: np.ndarray, gammas: np.ndarray, seed: int
) -> np.ndarray:
    """F (2, pairs, T) of draws from rows of the cloud, for both signs of the noise."""
    device = cloud.coordinates.device
    shape = len(points), cloud.coordinates.shape[1]
    noise = torch.randn(shape, generator=torch_generator(seed, "noise", 0)).to(device)
    every = cloud.coordinates[torch.from_numpy(points)]
    weights = torch.from_numpy(log_weights / math.log(2)).float().to(device)
    out = np.full((2, len(points), len(gammas)), -math.inf)
    for shard, inside in cloud.shards():
        weight = weights[torch.from_numpy(inside)]
        parts = math.ceil(len(points) * shard.n / _ENTRIES)
        for rows in np.array_split(np.arange(len(points)), min(parts, len(points))):
            own = every[rows]
            square = square_distances(own, shard.coordinates)
            along = noise[rows] @ shard.coordinates.T - (noise[rows] * own).sum(1, keepdim=True)
            itself = torch.from_numpy(points[rows, None] == inside).to(device)
            for k, gamma in enumerate(gammas):
                scaled = float(gamma) * cloud.scale**2
                for j, sign in enumerate((1, -1)):
                    rival = exponents(square, sign * along, scaled, unit=1 / math.log(2))
                    rival.add_(weight)[itself] = -math.inf
                    sums = numerics.log2_sum(rival).double().cpu().numpy()
                    out[j, rows, k] = np.logaddexp2(out[j, rows, k], sums)
    own_weight = weights[torch.from_numpy(points)].double().cpu().numpy()
    return np.asarray((out - own_weight[:, None]) * math.log(2))

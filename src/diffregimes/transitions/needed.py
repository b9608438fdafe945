"""How many training points put the collapse at t: log n = I(a; x_t).

For a population with an exact score the information is known; for a spectrum the Gaussian bound
(1/2) sum log(1 + gamma lambda) lies above it. For a dataset the collapse itself is measured on
subsets of n, n/2, n/4, ... points: the fewer, the larger the t where it happens (F = 0). There
log n_subset = I(a; x_t) + c. c is near 0.55 nats for Gaussian data in many dimensions (0.54 at 32
points, 0.56 at 20 000; 0.6 to 0.8 in 8 dimensions: `theory.finite_n`) and taken for a constant; for
the small subsets I(a; x_t) is read off the curves of the full set, far above its own collapse,
which measures c. In the Gaussian information of the spectrum as abscissa the points lie near a
straight line (exactly on one for Gaussian data), which is fitted and carried on to the t asked for.

What the curves of n points say of I(a; x_t) lies on either side of it:

    log n - E[H(w)]  <=  I(a; x_t)  <=  log(n - 1) - F

on average over clouds (concavity of the entropy, Jensen's inequality). The ends part as the
collapse comes near; their middle errs by much less, 0.02 nats at n = 32 n_subset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..common import numerics
from ..common.checks import InputError, in_range
from ..common.numerics import Z95
from ..common.parallel import Progress
from ..common.rng import numpy_generator
from ..data.cloud import prepare
from ..data.datasets import Dataset
from ..data.spectrum import covariance, gaussian_information, most_information, spectrum
from ..populations.mixture import GaussianMixture
from ..posterior.grid import near_square, pilot_times
from ..posterior.sweep import sweep
from ..process import snr, time_from_snr
from ..results import Curves, PointsNeeded, Spectrum, TransitionTime
from .collapse import EntropyLine

FREE = "loo_free_energy_over_log_n"
SMALLEST = 32  # points of the smallest subset
FEWEST = 16 * SMALLEST  # below it no subset's collapse lies clear of that of the full set
CLEAR = 32  # sizes up to n/32 measure c, or the smallest
SUBSETS = 6  # at most so many subsets of each size
_PILOT, _DRAWS = 512, 2048


@dataclass(frozen=True)
class Scan:
    """Collapse of subsets: `n` (S,) points, `t` (S,) where F = 0, the Gaussian information `bound`
    (S,) of the full spectrum there, and the `information` (S,) of the full set where it is
    measured, NaN elsewhere. All in nats."""

    n: np.ndarray
    t: np.ndarray
    bound: np.ndarray
    information: np.ndarray


def points_needed(
    t: float,
    source: GaussianMixture | Spectrum | np.ndarray | Dataset,
    *,
    seed: int = 0,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> PointsNeeded:
    """log n that puts the collapse at t.

    `source`: a `GaussianMixture` (exact; by sampling, with its error, where there is no
    quadrature), a `Spectrum` or eigenvalues of a covariance (the Gaussian bound: collapse lies at t
    or below with that many points), or a `Dataset` (subsets, see the module; 95 % interval).
    """
    in_range("t", t, 1e-30, 300, "It is an Ornstein-Uhlenbeck time.")
    if isinstance(source, GaussianMixture):
        known = source.population_curves(np.array([t, 2 * t]), seed=seed)
        value, error = float(known["information"][0]), Z95 * float(known.se["information"][0])
        return PointsNeeded(t, value, value - error, value + error, "information of the population")
    if isinstance(source, Dataset):
        done = scan(source, seed=seed, memory_mib=memory_mib, progress=progress)
        sample = spectrum(source, covariance(prepare(source.points, source.labels)))
        return from_scan(t, done, float(gaussian_information(sample, float(snr(t)))[0]), seed)
    if not isinstance(source, Spectrum):
        values = np.asarray(source)
        if values.ndim != 1 or not (np.isfinite(values).all() and (values >= 0).all()):
            raise InputError("the eigenvalues are not a list of finite numbers, zero or more.")
        source = Spectrum(float(values.max(initial=0)), None, 0.0, values)
    return _gaussian_bound(t, source)


def _gaussian_bound(t: float, spectrum: Spectrum) -> PointsNeeded:
    gamma = float(snr(t))
    bound = float(gaussian_information(spectrum, gamma)[0])
    most = most_information(spectrum, gamma)
    return PointsNeeded(t, bound, 0.0, most, "Gaussian bound on the information")


def scan(
    dataset: Dataset, *, seed: int = 0, memory_mib: int = 1024, progress: Progress | None = None
) -> Scan:
    """The collapse of the dataset and of disjoint random subsets of n/2, n/4, ... points."""
    if dataset.n < FEWEST:
        raise InputError(
            f"{dataset.n} points came; expected {FEWEST} or more to fit how the collapse "
            "moves with their number. The Gaussian bound of the spectrum needs no fit."
        )
    cloud = prepare(dataset.points, dataset.labels)
    known = spectrum(dataset, covariance(cloud))
    parts = _subsets(dataset.n, seed)
    total = sum(len(x) for x in parts)
    done = 0
    seen: list[tuple[int, float]] = []
    for chosen in parts:
        if progress:
            progress(done, total, "collapse of subsets")
        found = _subset_collapse(dataset, chosen, known.eigenvalues, seed, memory_mib)
        if found is not None:  # duplicates may leave a subset without one
            seen.append((len(chosen), found))
        done += len(chosen)
    if progress:
        progress(total, total, "collapse of subsets")
    n, t = np.array([x for x, _ in seen]), np.array([x for _, x in seen])
    clear = n <= max(len(parts[-1]), dataset.n // CLEAR)
    information = np.full(len(n), np.nan)
    if clear.any():
        at, where = np.unique(t[clear], return_inverse=True)
        full = sweep(cloud, at, draws=_DRAWS, seed=seed, memory_mib=memory_mib)
        ends = information_ends(full.curves(), dataset.n)
        information[clear] = np.mean(ends, axis=0)[where]
    return Scan(n, t, gaussian_information(known, snr(t)), information)


def from_scan(t: float, scanned: Scan, bound: float, seed: int = 0) -> PointsNeeded:
    """The fit of a scan carried on to t, where the Gaussian information is `bound`.

    The interval: percentiles over resampled subsets, widened by what a fit to all sizes instead of
    the larger half and one that is quadratic say. Where the bound lies far beyond the scan's
    own range (three times, say) it is an order of magnitude at best.
    """
    sizes = np.unique(scanned.n)
    if len(sizes) < 3 or np.isnan(scanned.information).all():
        raise InputError(
            f"the collapse was seen for {len(sizes)} sizes of subsets; expected three or more, the "
            "smallest among them. More points, or fewer duplicates, are needed."
        )
    groups = [np.flatnonzero(scanned.n == x) for x in sizes]
    rng = numpy_generator(seed, "points needed")
    drawn = []
    for _ in range(numerics.RESAMPLES):
        rows = np.concatenate([rng.choice(g, len(g)) for g in groups])
        drawn.append(_fits(scanned, rows, bound)[0])
    value, *others = _fits(scanned, np.arange(len(scanned.n)), bound)
    low, high = numerics.interval(np.array(drawn))
    ends = [value, *others, *(x for x in (low, high) if x is not None)]
    method = f"collapse of subsets of {sizes[0]} to {sizes[-1]} points, fitted"
    return PointsNeeded(t, value, max(0.0, min(ends)), max(ends), method)


def _fits(scanned: Scan, rows: np.ndarray, at: float) -> tuple[float, float, float]:
    """I(a; x_t) at the bound `at`: a line through the larger half of the sizes, through all, and a
    parabola through all."""
    log_n, x = np.log(scanned.n[rows]), scanned.bound[rows]
    offset = float(np.nanmean(log_n - scanned.information[rows]))
    larger = scanned.n[rows] >= np.median(np.unique(scanned.n))
    near = np.polyfit(x[larger], log_n[larger], 1)
    line, curve = (np.polyfit(x, log_n, degree) for degree in (1, 2))
    first, second, third = (float(np.polyval(c, at)) - offset for c in (near, line, curve))
    return first, second, third


def at_speciation(
    time: TransitionTime, line: EntropyLine | None, curves: Curves, spectrum: Spectrum, n: int
) -> PointsNeeded | None:
    """`from_curves` at a transition time, its interval that over all of the time's.

    No upper end where the time's reaches down to 0: no number of points collapses there.
    """
    if time.t is None:
        return None

    def at(t: float) -> PointsNeeded:
        return from_curves(t, line, curves, spectrum, n)

    value, late = at(time.t), at(time.high or time.t)
    value = replace(value, low=min(value.low, late.low))
    if time.low is None:
        return value
    early = at(time.low).high if time.low > 0 else None
    high = None if early is None or value.high is None else max(value.high, early)
    return replace(value, high=high)


def from_curves(
    t: float, line: EntropyLine | None, curves: Curves, spectrum: Spectrum, n: int
) -> PointsNeeded:
    """The same from the curves of one analysis.

    Where the data have not collapsed at t the information is read off the curve; below, it is
    extrapolated along the entropy line. Without either, the Gaussian bound is all there is.
    """
    log_n = math.log(n)
    bound = _gaussian_bound(t, spectrum)
    if line is None:
        return bound
    collapsed = np.interp(t, curves.t, curves["same_point_probability"]) > 0.1
    if not collapsed:
        low, high = (float(np.interp(t, curves.t, x)) for x in information_ends(curves, n))
        error = Z95 * float(np.interp(t, curves.t, curves.se["information"]))
        ends = sorted((low, high))
        method = "information measured at t"
        return PointsNeeded(t, (low + high) / 2, ends[0] - error, ends[1] + error, method)
    nats = line.information(bound.log_n, log_n)
    least, most = numerics.interval(nats[1:])
    method = "information extrapolated along the entropy line"
    value = float(nats[0])
    # resampling knows nothing of the extrapolation; the Gaussian bound is what limits it above
    assert bound.high is not None
    top = max(value, bound.high, most or value)
    return PointsNeeded(t, value, min(value, least or value), top, method)


def information_ends(curves: Curves, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends between which I(a; x_t) lies, log n - E[H(w)] and log(n - 1) - F, in nats."""
    return curves["information"], math.log(n - 1) - curves[FREE] * math.log(n)


def _subsets(n: int, seed: int) -> list[np.ndarray]:
    """All points, then disjoint parts of a random order, half as large each time."""
    order = numpy_generator(seed, "subsets").permutation(n)
    out, size = [order], n // 2
    while size >= SMALLEST:
        out += [order[k * size : (k + 1) * size] for k in range(min(SUBSETS, n // size))]
        size //= 2
    return out


def _subset_collapse(
    dataset: Dataset, chosen: np.ndarray, eigenvalues: np.ndarray, seed: int, memory_mib: int
) -> float | None:
    """t where F = 0 for a subset: a wide grid, then a fine one about the crossing."""
    cloud = prepare(dataset.points[chosen], np.zeros(len(chosen), dtype=np.int64))
    wide = sweep(
        cloud,
        pilot_times(eigenvalues, len(chosen), near_square(cloud)),
        draws=_PILOT,
        seed=seed,
        memory_mib=memory_mib,
    )
    near = _free_energy_zero(wide.times, wide.values[FREE].mean(axis=0))
    if near is None:
        return None
    around = time_from_snr(float(snr(near)) * np.exp(np.linspace(0.4, -0.4, 5)))
    fine = sweep(cloud, around, draws=_DRAWS, seed=seed, memory_mib=memory_mib)
    return _free_energy_zero(fine.times, fine.values[FREE].mean(axis=0)) or near


def _free_energy_zero(times: np.ndarray, free: np.ndarray) -> float | None:
    place = float(numerics.crossings(-np.log(snr(times)), free[None], 0.0)[0])
    return float(time_from_snr(math.exp(-place))) if math.isfinite(place) else None

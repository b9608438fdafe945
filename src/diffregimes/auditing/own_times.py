"""Do the training points come out most often that collapse first?

A training point has its own collapse time: the t at which its posterior weight, averaged over
noise, is one half. It is early, t large, for a point far from all others. If a network copies as
the exact score does, this has little to do with how often a point comes out; if it copies what is
lonely or what is crowded, the two have a rank correlation. Its interval is that of a bootstrap over
the points. Where few copies were seen, nearly all points came out never, and it is not known.
"""

from __future__ import annotations

import numpy as np

from ..common.readable import fixed
from ..common.rng import numpy_generator
from ..data.cloud import prepare
from ..data.datasets import Dataset
from ..transitions.points import own_times
from .copies import Training
from .views import Copies, OwnTimes

FEWEST = 20  # copies, and points, of which something is said
_MOST, _ROOM = 256, 1_000_000  # points that are timed, and times the number of all points
_RESAMPLED = 1000


def ranked(
    training: Training, dataset: Dataset, copies: Copies, *, seed: int = 0, memory_mib: int = 1024
) -> OwnTimes:
    """Of the different training points, or of so many, drawn, as can be timed; `copies` name points
    by their rows."""
    nothing = np.empty(0)
    count = int(copies.copied.sum())
    if count < FEWEST:
        said = (
            f"{count} copies are too few to tell whether points that collapse early come out more"
        )
        return OwnTimes(None, None, None, said, nothing.astype(int), nothing, nothing.astype(int))
    clusters, kept = training.clusters, training.clusters.kept
    came_out = np.bincount(
        clusters.of[copies.point[copies.copied]], minlength=clusters.of.max() + 1
    )
    most = max(FEWEST, min(_MOST, _ROOM // len(kept)))
    chosen = np.arange(len(kept))
    if len(kept) > most:
        chosen = np.sort(numpy_generator(seed, "own times").permutation(len(kept))[:most])
    cloud = prepare(dataset.points[kept], np.zeros(len(kept), dtype=np.int64))
    t = own_times(cloud, cloud.row_of[chosen], seed=seed, memory_mib=memory_mib)
    known = np.isfinite(t)
    rows, t = kept[chosen[known]], t[known]
    times_out = came_out[clusters.of[rows]]
    rho, low, high = _spearman(t, times_out, seed)
    return OwnTimes(rho, low, high, _words(rho, low, high, len(t), len(kept), times_out),
                    dataset.indices[rows], t, times_out)  # fmt: skip


def _spearman(
    t: np.ndarray, count: np.ndarray, seed: int
) -> tuple[float | None, float | None, float | None]:
    """Rank correlation with its 95 % interval; None where one of the two does not vary."""
    from scipy.stats import rankdata

    if len(t) < FEWEST or min(np.ptp(t), np.ptp(count)) == 0 or (count > 0).sum() < 5:
        return None, None, None
    drawn = numpy_generator(seed, "ranks").integers(0, len(t), (_RESAMPLED, len(t)))
    drawn = np.concatenate([np.arange(len(t))[None], drawn])
    x, y = (rankdata(v[drawn], axis=1) for v in (t, count))
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    norm = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    rho = (x * y).sum(axis=1)[norm > 0] / norm[norm > 0]
    low, high = np.quantile(rho[1:], [0.025, 0.975])
    return float(rho[0]), float(low), float(high)


def _words(
    rho: float | None, low: float | None, high: float | None, p: int, n: int, count: np.ndarray
) -> str:
    of = f"{p} training points" if p == n else f"{p} of {n} training points"
    if rho is None or low is None or high is None:
        return f"Of {of} {int((count > 0).sum())} came out: too few to tell which do"
    text = (
        f"Own collapse time and number of copies of {of} have the rank correlation "
        f"{fixed(rho, 2)} ({fixed(low, 2)} to {fixed(high, 2)} at 95 %)"
    )
    if low > 0:
        return f"{text}: points that collapse early come out more often"
    if high < 0:
        return f"{text}: points that collapse late come out more often"
    return f"{text}: which come out does not show in it"

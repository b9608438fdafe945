"""Points far out: which they are, and whether the times hang on them.

A point is far out if it lies ten times as far from the mean as half of the points, and ten times as
far from its nearest neighbour. k of n such points carry the mean with them by k/n of their
distance, so that the rule holds for fewer than one in ten; and a small class by itself is not far
out, for its points have neighbours. Of Gaussian data none is: the largest of 10^6 normal numbers is
7 times the median.

One of them decides a covariance (it weighs its squared distance) and the mean free energy (which
falls with gamma times that). Spectral times are therefore those of the other points, the bulk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..common.readable import number
from ..data.cloud import Cloud, prepare
from ..data.datasets import Dataset
from ..data.spectrum import covariance, spectrum
from ..process import sigma
from ..results import Exposure, Spectrum, TransitionTime
from .collapse import HEADLINE

FAR = 10.0
_APART = 1.1  # ratio of noise levels: less between two criteria is no news
_EARLY = 3.0  # ratio of noise levels: a point copied so much before the others is named
_NAMED = 5


def far_out(cloud: Cloud, distance: np.ndarray) -> np.ndarray:
    """Rows of the cloud that lie far out, the farthest first; `distance` (n, k) to near points, as
    `neighbours.nearest_neighbours` gives it."""
    nearest = distance.min(axis=1)
    from_mean = cloud.norms.cpu().sqrt().numpy()
    apart = nearest[nearest > 0]
    if not len(apart):
        return np.empty(0, dtype=np.int64)
    far = (from_mean >= FAR * np.median(from_mean)) & (nearest >= FAR * np.median(apart))
    rows = np.flatnonzero(far)
    return rows[np.argsort(-from_mean[rows], kind="stable")]


@dataclass(frozen=True)
class Bulk:
    """The points that are not far out, all as a rule: cloud, covariance (r, r), spectrum. `far` are
    the rows of the others in the cloud of all."""

    cloud: Cloud
    matrix: np.ndarray
    spectrum: Spectrum
    far: np.ndarray

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of a time that is theirs."""
        why = f"the spectrum is that of the {self.cloud.n} points that do not lie far out"
        return (why,) if len(self.far) else ()


def bulk(
    dataset: Dataset, cloud: Cloud, matrix: np.ndarray, eigen: Spectrum, distance: np.ndarray
) -> Bulk:
    """The bulk of the points of a dataset, of which the other arguments are."""
    far = far_out(cloud, distance)
    if not len(far):
        return Bulk(cloud, matrix, eigen, far)
    some = dataset.take(np.sort(np.delete(cloud.order, far)))
    inner = prepare(some.points, np.zeros(some.n, dtype=np.int64))
    of_some = covariance(inner)
    return Bulk(inner, of_some.numpy(), spectrum(some, of_some), far)


def far_in_words(dataset: Dataset, cloud: Cloud, far: np.ndarray) -> tuple[str, ...]:
    """The points far out, by name."""
    if not len(far):
        return ()
    places = cloud.order[far]
    names = [dataset.file_of(i) or f"#{dataset.indices[i]}" for i in places[:_NAMED].tolist()]
    return (
        f"{len(far)} of {dataset.n} points {'lies' if len(far) == 1 else 'lie'} far out, "
        f"{FAR:.0f} times as far from the mean, and from the nearest neighbour, as half of the "
        f"points, or more: {_listed(names, len(far))}.",
    )


def disagreement(times: tuple[TransitionTime, ...], exposed: tuple[Exposure, ...]) -> list[str]:
    """Criteria of the collapse that lie apart by more than their errors, and the points copied
    first; none where they agree."""
    collapse = {x.method: x for x in times if x.transition == "collapse"}
    head = collapse[HEADLINE]
    if head.t is None:
        return []
    apart = [x for x in (collapse["free-energy"], collapse["clone"]) if _apart(head, x)]
    if not apart:
        return []
    said = " and ".join(
        f"{'none' if x.t is None else number(x.t)} by {x.method}" for x in (head, *apart)
    )
    out = (
        f"The criteria of the collapse differ by more than their errors, t_C = {said}: the points "
        "are copied at very different times, and the first of these is that of most of them."
    )
    noise = float(sigma(head.t))
    first = [x for x in exposed if x.t is not None and sigma(x.t) > _EARLY * noise]
    if first:
        names = [f"{x.file or f'#{x.index}'} (t = {number(x.t)})" for x in first]
        out += f" Copied first: {_listed(names[:_NAMED], len(names))}."
    return [out]


def _apart(head: TransitionTime, other: TransitionTime) -> bool:
    if other.t is None:
        return True
    assert head.t is not None
    ratio = float(sigma(other.t) / sigma(head.t))
    outside = head.low is None or head.high is None or not head.low <= other.t <= head.high
    return outside and not 1 / _APART < ratio < _APART


def _listed(names: list[str], count: int) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more

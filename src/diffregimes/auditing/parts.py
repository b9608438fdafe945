"""Parts of samples that are parts of one training image: a copied face on a new background.

Through a window at one place a sample is near to one training image as a whole sample is to be a
copy: three times nearer than to any different one. What counts is the structure in a window: its
mean in each channel is taken off, and where even the second nearest window is near, as on a black
border or a plain sky, nothing is told. A part is what windows of one training image cover together,
and is one from twice the area of a window on: neighbours that agree on the image are no chance.
Points that cannot be copies are looked at in the same way: they say how often chance makes a part.

Windows are a quarter of the shorter side, FEWEST pixels or more, half of one apart (one pixel in
images of 12 to 15): smaller ones have too few dimensions for a third of the distance to mean much,
larger ones do not fit a face. A part that was moved elsewhere, that several training images share,
or that is smaller than two windows, goes unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..backward.tracking import COPY
from ..common.parallel import Progress
from ..data.datasets import Dataset
from ..data.orbit import orbit
from ..results import Flag, Share
from ..scores import EmpiricalScore
from .copies import HELD_OUT, LEFT_OUT, PAIRS, Training, seen_ways
from .judgement import OF_ANOTHER_KIND, UNSURE, judged_beside, leaning
from .known import Known
from .views import VERDICTS, InParts

FEWEST = 4  # pixels a side of a window
PART = 2.0  # windows, the least area of a part
TOLD = 0.25  # of the usual distance between windows that tell images apart
_BASELINE, _USUAL = 512, 256  # points that cannot be copies; training points for usual distances


@dataclass(frozen=True)
class Windows:
    """Pixels `index` (W, p p) of windows of p by p, which of all they `cover` (W, H W)."""

    side: int
    step: int
    index: np.ndarray
    cover: np.ndarray

    def seen(self, k: int, points: np.ndarray) -> np.ndarray:
        """Window k of points (m, d), without its mean in each channel."""
        x = points.reshape(len(points), self.cover.shape[1], -1)[:, self.index[k]].astype(float)
        return np.asarray((x - x.mean(axis=1, keepdims=True)).reshape(len(x), -1))


def windows(shape: tuple[int, ...]) -> Windows | None:
    """Of images (H, W, C); None of points that are no images, or too small to have parts."""
    if len(shape) != 3 or min(shape[:2]) < 2 * FEWEST:
        return None
    side = max(FEWEST, round(min(shape[:2]) / 4))
    # a patch of half the sides holds two windows wherever it lies; below 12 it never does
    step = 1 if 3 * FEWEST <= min(shape[:2]) < 4 * FEWEST else side // 2
    rows, columns = ({*range(0, n - side + 1, step), n - side} for n in shape[:2])
    places = np.arange(shape[0] * shape[1]).reshape(shape[:2])
    index = np.stack(
        [places[a : a + side, b : b + side].ravel() for a in sorted(rows) for b in sorted(columns)]
    )
    cover = np.zeros((len(index), places.size), dtype=bool)
    np.put_along_axis(cover, index, True, axis=1)
    return Windows(side, step, index, cover)


@dataclass(frozen=True)
class Seen:
    """Of points through each window (g, m, W), under each element of the orbit: the nearest
    training point, and the distances to it and to the second nearest."""

    point: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Largest:
    """The largest part of each point (m,): its share, whose it is (-1: none), where (m, H W)."""

    share: np.ndarray
    point: np.ndarray
    mask: np.ndarray

    def counted(self, together: int = 1) -> Share:
        return Share.counted(int((self.point >= 0).sum()), len(self.point), together)


def in_parts(
    known: Known,
    dataset: Dataset,
    states: np.ndarray,
    gate: tuple[Flag, ...],
    *,
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> InParts | None:
    """The parts of samples (m, d); None where there is nothing to be told. `gate` are the checks of
    the whole samples."""
    through, training = windows(dataset.sample_shape), known.training
    if through is None:
        return None
    usual = _some(dataset.n, _USUAL)
    rows = _some(dataset.n, _BASELINE)
    chance = dataset.points[rows] if known.others is None else known.others[:_BASELINE]
    sets = [(states, None), (chance, training.one[rows] if known.others is None else None),
            (dataset.points[usual], training.one[usual])]  # fmt: skip
    mine, others, among = _through(through, training, dataset.points, sets, device, memory_mib,
                                   progress)  # fmt: skip
    least = TOLD * float(np.median(among.first[0].max(axis=1)))
    if not least > 0:
        return None
    largest, baseline, again = (
        _largest(through, training, x, least) for x in (mine, others, among)
    )
    of = LEFT_OUT if known.others is None else HELD_OUT
    found = largest.counted()
    usually = baseline.counted(PAIRS if known.others is None else 1)
    flags = tuple(x for x in gate if not x.ok and x.name in OF_ANOTHER_KIND)
    if known.others is not None:
        flags = (*flags, _chance(found, usually, again.counted(PAIRS)))
    side = dataset.sample_shape[:2]
    told = f"Through windows of {through.side} × {through.side} pixels,"
    return InParts(
        through.side, through.step, largest.share,
        np.where(largest.point >= 0, dataset.indices[largest.point], -1),
        largest.mask.reshape(-1, *side), found, usually, of, flags,
        judged_beside(found, usually, of, flags, told, "hold a part of one training image"),
    )  # fmt: skip


def _some(n: int, most: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(most, n)).astype(np.int64)


def _chance(found: Share, usual: Share, again: Share) -> Flag:
    """Whether training points against one another would make the verdict as sure."""
    lean, other = leaning(found, usual), leaning(found, again)
    p = other.probabilities[VERDICTS.index(lean.kind)]
    ok = p >= UNSURE or lean.confidence < UNSURE
    text = f"of the training points {again.count} of {again.of} hold a part of another"
    if not ok:
        text += ": by this measure of chance the verdict is not sure; more held-out points tell"
    return Flag("chance", ok, p, UNSURE, text)


def _through(
    through: Windows,
    training: Training,
    points: np.ndarray,
    sets: list[tuple[np.ndarray, np.ndarray | None]],
    device: str,
    memory_mib: int,
    progress: Progress | None,
) -> list[Seen]:
    """Sets of points beside the training points, the own ones left out, window by window."""
    plain = orbit((), (1,))
    ways = [(seen_ways(training.orbit, x), own) for x, own in sets]
    shapes = [(len(y), len(y[0]), len(through.index)) for y, _ in ways]
    out = [Seen(np.zeros(x, np.int64), np.zeros(x), np.zeros(x)) for x in shapes]
    for k in range(len(through.index)):
        search = EmpiricalScore(through.seen(k, points), memory_mib=memory_mib, device=device)
        here = replace(training, search=search, orbit=plain)
        for seen, (each, own) in zip(out, ways, strict=True):
            for g, x in enumerate(each):
                index, distance = here.two(through.seen(k, x), own)
                seen.point[g, :, k] = index[:, 0]
                seen.first[g, :, k], seen.second[g, :, k] = distance.T
        if progress is not None:
            progress(k + 1, len(through.index), "parts of samples")
    return out


def _largest(through: Windows, training: Training, seen: Seen, least: float) -> Largest:
    """The largest part of each point over the orbit; windows nearer to a second training image than
    `least` tell nothing."""
    count, size = seen.point.shape[1], through.cover.shape[1]
    share, point = np.zeros(count), np.full(count, -1)
    mask = np.zeros((count, size), dtype=bool)
    telling = seen.second >= least
    copied = telling & (seen.first < COPY * seen.second)
    of = training.one[seen.point]
    channels = training.orbit.places.shape[1] // size
    pixels = training.orbit.places[:, ::channels] // channels
    for g, m in zip(*np.nonzero(copied.sum(axis=2) > 1), strict=True):
        here = copied[g, m]
        for one in np.unique(of[g, m, here]):
            mine = here & (of[g, m] == one)
            covered = through.cover[mine].any(axis=0)
            if covered.sum() < PART * through.side**2 or covered.sum() <= mask[m].sum():
                continue
            mask[m] = covered[pixels[g]]  # where it lies in the point, moved back as it was
            point[m] = np.bincount(seen.point[g, m, mine]).argmax()
            share[m] = covered.sum() / through.cover[telling[g, m]].any(axis=0).sum()
    return Largest(share, point, mask)

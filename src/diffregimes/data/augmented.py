"""The images that training with augmentation can see: every member of the orbit of every image.

Flips and turns are a group; a shift by up to k pixels to each side, as the random crop of a padded
image makes it, is none, for what leaves the frame is lost: the new border is black, the lower end
of the scale. Members that are equal, as a symmetric image and its mirror image are, are one.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..common.checks import InputError
from .datasets import Dataset
from .orbit import AUGMENTATIONS, orbit

_SHIFT = re.compile(r"shift:(\d{1,4})$")
_BLACK = -1  # place of a pixel that comes from none
_ROWS = 4096  # images at a time


@dataclass(frozen=True)
class Orbits:
    """Element e makes the image whose pixel j is pixel `places[e, j]` of what it is made of, or
    `black`; element 0 leaves all where it is. `distinct` (E, n): the members that no earlier one,
    of any image, is equal to. `group`: nothing is lost, so that all members see the same orbit."""

    words: tuple[str, ...]
    places: np.ndarray
    black: float
    distinct: np.ndarray
    group: bool

    @property
    def members(self) -> int:
        return int(self.distinct.sum())

    def moved(self, element: int, points: np.ndarray) -> np.ndarray:
        """The images (m, d) that an element makes of `points` (m, d)."""
        return moved(self.places[element], points, self.black)


def moved(places: np.ndarray, points: np.ndarray, black: float) -> np.ndarray:
    out: np.ndarray = points[:, places]
    out[:, places == _BLACK] = black
    return out


def elements(augment: Sequence[str], shape: tuple[int, ...]) -> tuple[np.ndarray, bool]:
    """`places` (E, d) of every different element on images of a shape (H, W, C), and whether they
    are a group. Raises `InputError`."""
    shifts = [x for x in augment if x.partition(":")[0] == "shift"]
    others = [x for x in augment if x not in shifts]
    turned = orbit(others, shape, also="shift:N") if others or not shifts else None
    if turned is not None and not shifts:
        return turned.places, True
    if len(shape) != 3:
        raise InputError(
            f"augment (--augment) is {','.join(augment)}, but a sample has the shape {shape}: it "
            "is no image. Leave it out."
        )
    found = _SHIFT.match(shifts[0])
    most = min(shape[:2]) - 1
    if len(shifts) > 1 or found is None or not 1 <= int(found[1]) <= most:
        raise InputError(
            f"augment (--augment) names {' and '.join(shifts)}; expected one shift by 1 to {most} "
            f"pixels of these {shape[0]} by {shape[1]} images, such as shift:2."
        )
    start = np.arange(math.prod(shape))[None] if turned is None else turned.places
    steps = _nearest_first(int(found[1]))
    places = np.stack([_shifted(x.reshape(shape), *by) for by in steps for x in start])
    first = np.unique(places, axis=0, return_index=True)[1]
    return places[np.sort(first)], False


def _nearest_first(k: int) -> list[tuple[int, int]]:
    steps = range(-k, k + 1)
    return sorted(product(steps, steps), key=lambda x: (abs(x[0]) + abs(x[1]), x))


def _shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """Places of an image of places moved so far."""
    k = max(abs(down), abs(right))
    wide = np.pad(image, ((k, k), (k, k), (0, 0)), constant_values=_BLACK)
    height, width = image.shape[:2]
    return wide[k - down : k - down + height, k - right : k - right + width].ravel()


def orbits(dataset: Dataset, augment: Sequence[str]) -> Orbits:
    """Of the images of a dataset. Raises `InputError` for what cannot be done to them."""
    places, group = elements(augment, dataset.sample_shape)
    black = 0.0 if dataset.scale is None else float(dataset.scale[0])
    seen: set[bytes] = set()
    distinct = np.zeros((len(places), dataset.n), dtype=bool)
    for e, of in enumerate(places):
        for start in range(0, dataset.n, _ROWS):
            part = slice(start, start + _ROWS)
            for k, image in enumerate(moved(of, dataset.points[part], black) + 0.0, start):
                digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
                if digest not in seen:
                    seen.add(digest)
                    distinct[e, k] = True
    return Orbits(tuple(augment), places, black, distinct, group)


def words_of(augment: Sequence[str] | str, dataset: Dataset) -> tuple[str, ...]:
    """mirror,shift:2 as words. Raises `InputError` for what cannot be done to these points."""
    parts = augment.split(",") if isinstance(augment, str) else augment
    words = tuple(dict.fromkeys(x.strip() for x in parts if x.strip()))
    if not words:
        raise InputError(
            f"augment (--augment) is {augment!r}; expected some of {', '.join(AUGMENTATIONS)}, "
            "shift:N, as in mirror,shift:2."
        )
    elements(words, dataset.sample_shape)
    if dataset.in_file:
        raise InputError(
            "augment (--augment) came, and the points stay in their file, for they are larger than "
            "the memory budget; expected points in memory. Raise memory_mib (--memory-mib), or "
            "take fewer of a class (--per-class)."
        )
    return words

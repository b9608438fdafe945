"""Augmentations under which an image counts as itself: the group that they generate.

A network trained on mirrored images makes mirrored copies. A group element g only moves pixels, so
|x - g a| = |g^-1 x - a|: the nearest point over the orbit of every training point is found by
asking for the nearest one of every g^-1 x, with nothing more in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..common.checks import InputError

AS_IT_IS = "as it is"
# flips left to right, upside down; a quarter turn, half a turn
AUGMENTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirror": lambda image: image[:, ::-1],
    "flip": lambda image: image[::-1],
    "rot90": np.rot90,
    "rot180": lambda image: image[::-1, ::-1],
}
_ALSO = {"rotate90": "rot90", "rotate180": "rot180"}


@dataclass(frozen=True)
class Orbit:
    """`names[k]` is what element k does, `places[k]` (d,) which pixel each pixel comes from:
    g a = a[places[k]]. Element 0 leaves all where it is."""

    names: tuple[str, ...]
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def moved(self, element: int, x: np.ndarray) -> np.ndarray:
        """g x of the rows of x (m, d)."""
        return np.asarray(x[:, self.places[element]])

    def back(self, element: int, x: np.ndarray) -> np.ndarray:
        """g^-1 x of the rows of x (m, d)."""
        return np.asarray(x[:, np.argsort(self.places[element])])


def orbit(augment: Sequence[str], shape: tuple[int, ...], also: str = "") -> Orbit:
    """The group that `augment`, names of AUGMENTATIONS, generates on samples of a shape (H, W, C);
    `also` is what else a user may name.

    Raises `InputError` for other names, for samples that are no images, and for quarter turns of
    images that are not square.
    """
    words = tuple(dict.fromkeys(_ALSO.get(x, x) for x in augment))
    for word in words:
        if word not in AUGMENTATIONS:
            raise InputError(
                f"augment (--augment) names {word!r}; expected some of "
                f"{', '.join([*AUGMENTATIONS, *([also] if also else [])])}, as in mirror,flip "
                "(left to right, upside down)."
            )
    if words and len(shape) != 3:
        raise InputError(
            f"augment (--augment) is {','.join(words)}, but a sample has the shape {shape}: it is "
            "no image. Leave it out."
        )
    if "rot90" in words and shape[0] != shape[1]:
        raise InputError(
            f"augment (--augment) names rot90, but the images are {shape[0]} by {shape[1]}; "
            "expected square ones. Half a turn is rot180."
        )
    first = np.arange(math.prod(shape)).reshape(shape)
    found = {first.tobytes(): (AS_IT_IS, first)}
    todo = [(AS_IT_IS, first)]
    while todo:
        name, image = todo.pop(0)
        for word in words:
            turned = np.ascontiguousarray(AUGMENTATIONS[word](image))
            if turned.tobytes() not in found:
                more = word if name == AS_IT_IS else f"{name}+{word}"
                found[turned.tobytes()] = more, turned
                todo.append(found[turned.tobytes()])
    names, images = zip(*found.values(), strict=True)
    return Orbit(names, np.stack([x.ravel() for x in images]))


def widest(shape: tuple[int, ...]) -> Orbit:
    """All flips and turns that leave the shape as it is; for points that are no images, none."""
    if len(shape) != 3:
        return orbit((), shape)
    return orbit(("mirror", "flip", *(("rot90",) if shape[0] == shape[1] else ())), shape)

"""Are these samples copies? The half of an audit that asks samples alone, whatever made them.

Copies among them, chance, origins and every check that needs no score are those of `audit`; losses,
entropy and clones are not known. Samples are taken to be independent draws of one model: of picked
ones the share says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..common.checks import InputError, in_range
from ..data.datasets import Dataset, describe
from ..results import Duplicate
from ..scores import EmpiricalScore
from .copies import origins
from .findings import Copies, Origin, SamplesAudit
from .judgement import judged
from .known import Known, beside, known_points
from .orbit import orbit


def audit_samples(
    samples: Dataset,
    dataset: Dataset,
    held_out: Dataset | None = None,
    *,
    augment: Sequence[str] = (),
    seed: int = 0,
    device: str = "cpu",
    memory_mib: int = 1024,
    recipe: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> SamplesAudit:
    """Audit samples of any model against the data that it was trained on.

    samples : generated, of the size of the data and prepared by their map
        (`load(folder, pixel_range=data.pixel_map)`)
    held_out, augment, model, notes : as in `audit`; recipe, device, memory_mib as there

    Raises `InputError` where samples, data and held-out points do not go together.
    """
    orbit(augment, dataset.sample_shape)
    in_range("the number of samples", samples.n, 16, 10**8, "Fewer tell nothing of a share.")
    if dataset.n < 3:
        raise InputError(f"the data are {dataset.n} points; expected three or more.")
    for what, points in (("samples", samples), ("held-out points", held_out)):
        check_alike(dataset, points, what)
    search = EmpiricalScore(dataset.points, memory_mib=memory_mib, device=device)
    known = known_points(search, dataset, held_out, augment, seed)
    copies, flags = beside(known, dataset, samples.points)
    return SamplesAudit(
        model=dict(model or {}), dataset=describe(dataset),
        held_out=None if known.held_out is None else describe(known.held_out),
        gate=flags, **named(copies, known, dataset, held_out),
        verdict=judged(copies, None, None, (), dataset.n, flags),
        recipe=dict(recipe or {}),
        notes=tuple(dict.fromkeys((*notes, *about_shared(known, held_out)))),
    )  # fmt: skip


def check_alike(dataset: Dataset, held_out: Dataset | None, words: str = "held-out points") -> None:
    """Raise `InputError` unless other points were prepared as the data were."""
    if held_out is None:
        return
    for what in ("sample_shape", "scale"):
        one, two = getattr(dataset, what), getattr(held_out, what)
        if one != two:
            raise InputError(
                f"{what} of the {words} ({held_out.source}) is {two}, of the data {one}; "
                "expected the same: prepare both alike."
            )
    one, two = dataset.pixel_map, held_out.pixel_map
    if one and two and not one.agrees(two):
        raise InputError(
            f"the {words} ({held_out.source}) are {two}, the data {one}; expected one map "
            f"for both, or the same image is two points: load the {words} with "
            "pixel_range=data.pixel_map."
        )


def named(
    copies: Copies, known: Known, dataset: Dataset, held_out: Dataset | None
) -> dict[str, Any]:
    """Copies, origins and duplicates with the names that points have in the source."""
    clusters = known.training.clusters
    return {
        "copies": _copies_named(copies, dataset),
        "origins": tuple(_origin_named(x, dataset) for x in origins(copies, clusters)),
        "duplicates": tuple(_named(x, dataset, dataset) for x in clusters.pairs),
        "shared": tuple(_named(x, dataset, held_out or dataset) for x in known.shared),
    }


def about_shared(known: Known, held_out: Dataset | None) -> tuple[str, ...]:
    """What is to be said of held-out points that are training points."""
    count = len({x.other for x in known.shared})
    if held_out is None or not count:
        return ()
    said = f"{count} of {held_out.n} held-out points are training points as well: left out"
    return (said,)


def _named(pair: Duplicate, one: Dataset, two: Dataset) -> Duplicate:
    """A pair of rows of two datasets, by their indices in the source and their files."""
    return replace(
        pair,
        index=int(one.indices[pair.index]),
        other=int(two.indices[pair.other]),
        file=one.file_of(pair.index),
        other_file=two.file_of(pair.other),
    )


def _copies_named(copies: Copies, dataset: Dataset) -> Copies:
    """The training points by their index in the source, and their files, in place of their rows."""
    shown = np.unique([copies.point, copies.second]).tolist() if dataset.files else []
    files = {int(dataset.indices[k]): dataset.files[k] for k in shown}
    point, second = dataset.indices[copies.point], dataset.indices[copies.second]
    return replace(copies, point=point, second=second, files=files)


def _origin_named(origin: Origin, dataset: Dataset) -> Origin:
    return replace(
        origin,
        index=int(dataset.indices[origin.index]),
        twins=tuple(int(x) for x in dataset.indices[list(origin.twins)]),
        file=dataset.file_of(origin.index),
    )

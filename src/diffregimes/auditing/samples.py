"""Are these samples copies? The half of an audit that asks samples alone, whatever made them.

Copies among them, chance, origins and every check that needs no score are those of `audit`; losses,
entropy and clones are not known. Samples are taken to be independent draws of one model: of picked
ones the share says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.checks import InputError, in_range
from ..common.parallel import Progress
from ..data.alike import check_alike
from ..data.datasets import Dataset, describe
from ..data.orbit import orbit
from ..scores import EmpiricalScore
from .encoders import encoder_of
from .features import space_of
from .findings import SamplesAudit
from .further import further
from .judgement import judged
from .known import Known, beside, known_points
from .naming import named


def audit_samples(
    samples: Dataset,
    dataset: Dataset,
    held_out: Dataset | None = None,
    *,
    augment: Sequence[str] = (),
    features: Any = None,
    seed: int = 0,
    batch: int | None = None,
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
    recipe: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> SamplesAudit:
    """Audit samples of any model against the data that it was trained on.

    samples : generated, of the size of the data and prepared by their map
        (`load(folder, pixel_range=data.pixel_map)`)
    features : as in `audit`, or features that were taken already (`FeatureArrays`)
    held_out, augment, model, notes, batch, progress : as in `audit`; recipe, device, memory_mib too

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
    encoder = None if features is None else encoder_of(features)
    space = None if encoder is None else space_of(
        encoder, known, dataset, memory_mib=memory_mib, batch=batch, device=device,
        progress=progress,
    )  # fmt: skip
    copies, flags = beside(known, dataset, samples.points)
    return SamplesAudit(
        model=dict(model or {}), dataset=describe(dataset),
        held_out=None if known.held_out is None else describe(known.held_out),
        gate=flags, **named(copies, known.training.clusters, known.shared, dataset, held_out),
        **further(
            judged(copies, None, None, (), dataset.n, flags), copies, flags, known, dataset,
            held_out, space=space, seed=seed, batch=batch, device=device, memory_mib=memory_mib,
            progress=progress,
        ),
        recipe=dict(recipe or {}),
        notes=tuple(dict.fromkeys((*notes, *about_shared(known, dataset, held_out)))),
    )  # fmt: skip


def about_shared(known: Known, dataset: Dataset, held_out: Dataset | None) -> tuple[str, ...]:
    """What is to be said of held-out points that are training points, or of their groups."""
    if held_out is None:
        return ()
    count, said = len({x.other for x in known.shared}), list[str]()
    if count:
        said.append(
            f"{count} of {held_out.n} held-out points are training points as well: left out"
        )
    if known.grouped:
        rest = "; none is left: chance is that among training points of other groups"
        said.append(
            f"{known.grouped} of {held_out.n} held-out points are of groups that training points "
            f"are of: left out{'' if known.held_out else rest}"
        )
    elif dataset.groups is not None and held_out.groups is None:
        said.append(
            "the held-out points have no groups: whether training points are of the same is not "
            "known"
        )
    return tuple(said)

"""What is asked of samples beside whether they are copies as they are; the verdict of all of it.

A copy of the whole is one in every view, so the verdict is that of whole samples where these are
copies. Where they are not, copies in features or of parts that were found are found: the headline
tells of them. Each view has chances of its own, which its own verdict counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..common.parallel import Progress
from ..data.datasets import Dataset
from ..results import Flag
from .features import Space, in_features
from .judgement import MORE_COPIES, UNSURE
from .known import Known
from .own_times import ranked
from .parts import in_parts
from .views import (
    IN_FEATURES,
    IN_PARTS,
    OPEN,
    VERDICTS,
    Copies,
    InFeatures,
    InParts,
    Judgement,
)


def further(
    whole: Judgement,
    copies: Copies,
    gate: tuple[Flag, ...],
    known: Known,
    dataset: Dataset,
    held_out: Dataset | None,
    *,
    space: Space | None = None,
    seed: int = 0,
    batch: int | None = None,
    device: str = "cpu",
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The fields of a `SamplesAudit` that tell of the further views, and its verdict. `copies` name
    points by their rows, `whole` is the verdict on them; `space` are the data in features."""
    seen, parts = None, None
    if np.isfinite(copies.states).all():
        if space is not None:
            seen = in_features(
                space, known, dataset, held_out, copies.states, seed=seed, batch=batch,
                device=device, progress=progress,
            )  # fmt: skip
        parts = in_parts(
            known, dataset, copies.states, gate, device=device, memory_mib=memory_mib,
            progress=progress,
        )  # fmt: skip
    own = ranked(known.training, dataset, copies, seed=seed, memory_mib=memory_mib)
    return {
        "verdict": overall(whole, copies, seen, parts), "in_features": seen, "in_parts": parts,
        "own_times": own,
    }  # fmt: skip


def overall(
    whole: Judgement, copies: Copies, features: InFeatures | None, parts: InParts | None
) -> Judgement:
    """The verdict on whole samples, or where these are no copies on what else was found: that more
    than a few are, whatever the view leaves open of how many."""
    views: list[tuple[str, InFeatures | InParts | None, str]] = [
        (IN_FEATURES, features, f"images, as the features {features and features.of} see them"),
        (IN_PARTS, parts, "parts of its training images"),
    ]
    told = tuple(x for _, view, _ in views if view for x in view.verdict.sentences)
    found = [x for x in views if x[1] is not None and _copying(x[1].verdict) >= UNSURE]
    if _copying(whole) >= UNSURE or not found:
        return replace(whole, sentences=(*whole.sentences, *told))
    for kind, view, what in found:
        if view is not None and all(x.ok or x.name not in MORE_COPIES for x in view.gate):
            count = view.verdict.headline.partition(" samples ")[2]
            share = view.copies.share if isinstance(view, InFeatures) else view.found
            return Judgement(
                kind, _copying(view.verdict), whole.probabilities,
                f"This model copies {what}: {share.count} of {share.of} samples {count}",
                (f"As they are {copies.share.count} of {copies.share.of} samples are copies.",
                 *told, *whole.sentences),
            )  # fmt: skip
    return Judgement(
        OPEN, None, whole.probabilities,
        f"Open: {copies.share.count} of {copies.share.of} samples are copies as they are, but it "
        "may copy otherwise, and how much of that chance would bring is not known well enough.",
        (*told, *whole.sentences),
    )  # fmt: skip


def _copying(verdict: Judgement) -> float:
    """Probability that more than a few are copies, by the counts."""
    return 1 - verdict.probabilities[VERDICTS[2]]

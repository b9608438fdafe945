"""A conditional model with every point under its own condition: what is told of each.

The exact law of condition c is that of the training points which have c (`backward.conditioned`):
losses, entropy and clones are compared with it. Samples are drawn with the conditions of the
training points, each point's equally often. What a copy is does not depend on the condition: the
nearest of all training points is looked for, for chance as well, and a copy of a point of another
condition than was asked for is counted as one.

Whether points and conditions belong together is seen in the losses: half the integral of
gamma (loss under another condition - loss under the own one) over log gamma is what the model's
log-likelihood of a point gains by its own condition (I-MMSE). For more than half of the points it
is positive, or the pairing is another one, or the model takes no notice of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from ..backward.descent import NUMBERS
from ..common.checks import InputError
from ..common.rng import numpy_generator, point_of_pair
from ..data.classes import listed
from ..data.datasets import Dataset
from ..learned.score import OwnConditions
from ..process import snr
from ..results import Flag, Share
from ..scores import AbstractScore, ConditionalScore
from .losses import BLOCK, Losses, noised_losses
from .views import Copies, OfCondition

SURE = 1e-3  # chance of so many points by luck
MOST = 100  # conditions that are listed


@dataclass(frozen=True)
class Conditions:
    """Conditions as numbers: of the training points (n,), of held-out points, and their names."""

    training: np.ndarray
    held_out: np.ndarray | None
    names: dict[int, str]

    @property
    def count(self) -> int:
        """How many the training points have."""
        return len(np.unique(self.training))

    def of_samples(self, samples: int, seed: int) -> np.ndarray:
        """Those that the samples are asked for, as `backward.descent.Block` draws them."""
        return np.asarray(self.training[point_of_pair(len(self.training), 0, samples, seed)])

    def counts(self, codes: np.ndarray) -> np.ndarray:
        """Training points of each of these conditions."""
        known, count = np.unique(self.training, return_counts=True)
        return np.asarray(count[np.searchsorted(known, codes)])


def conditions_of(
    score: AbstractScore, dataset: Dataset, held_out: Dataset | None
) -> Conditions | None:
    """Of a score that is asked under conditions; None for another.

    Raises `InputError` for points without labels, and for labels that the model does not have."""
    if not isinstance(score, ConditionalScore):
        return None
    if isinstance(score, OwnConditions) and score.prompts is not None:
        return _by_text(score.prompts, dataset, held_out)
    for what, points in (("data", dataset), ("held-out points", held_out)):
        if points is not None and not points.labelled:
            raise InputError(
                f"the {what} ({points.source}) have no labels, and every point is asked for under "
                "its own; expected one for each. Name them by labels= (--labels), or audit one "
                "condition: label=3 (--label 3)."
            )
    numbers = _numbers(score, dataset)
    names = dict(zip(numbers, dataset.class_names, strict=True))
    mine = np.array(numbers)[dataset.labels]
    if held_out is None:
        return Conditions(mine, None, names)
    known = dict(zip(dataset.class_names, numbers, strict=True))
    present = [held_out.class_names[k] for k in np.unique(held_out.labels)]
    other = [x for x in present if x not in known]
    if other:
        raise InputError(
            f"the held-out points ({held_out.source}) have the classes {listed(other)}, which no "
            "training point has; expected points of the same classes. Choose them by classes= "
            "(--classes)."
        )
    codes = np.array([known.get(x, -1) for x in held_out.class_names])[held_out.labels]
    return Conditions(mine, codes, names)


def distinct_captions(dataset: Dataset, held_out: Dataset | None) -> tuple[str, ...] | None:
    """The texts that a model is to be asked for, each once; None for points without."""
    if dataset.captions is None:
        return None
    known = [x.captions for x in (dataset, held_out) if x is not None and x.captions is not None]
    return tuple(np.unique(np.concatenate(known)).tolist())


def _by_text(prompts: tuple[str, ...], dataset: Dataset, held_out: Dataset | None) -> Conditions:
    """Conditions by the texts of the points."""
    place = {x: k for k, x in enumerate(prompts)}
    codes: list[np.ndarray | None] = []
    for what, points in (("data", dataset), ("held-out points", held_out)):
        if points is None:
            codes.append(None)
            continue
        if points.captions is None:
            raise InputError(
                f"the {what} ({points.source}) have no texts, and every point is asked for under "
                "its own; expected one for each. Name them by captions= of load (--prompts)."
            )
        missing = [x for x in points.captions.tolist() if x not in place]
        if missing:
            raise InputError(
                f"{len(missing)} of the {what} ({points.source}) have texts that the score was not "
                f"made for, the first {missing[0]!r}; expected those of all points: prompt="
                "auditing.conditions.distinct_captions(data, held_out)."
            )
        codes.append(np.array([place[x] for x in points.captions.tolist()]))
    return Conditions(np.asarray(codes[0]), codes[1], dict(enumerate(prompts)))


def alone(known: Conditions) -> Flag | None:
    """Whether conditions have more than one point, so that something is to be compared."""
    single = int((known.counts(known.training) == 1).sum())
    if not single:
        return None
    of = len(known.training)
    text = (
        f"{single} of {of} training points have a condition that no other point has: its exact law "
        "is the point itself, which is decided at every t; whether it comes out under its own "
        "condition is told by the copies, and how far the losses are from those of a law by the "
        "held-out points alone"
    )
    return Flag("conditions", single < of / 2, single / of, 0.5, text)


def _numbers(score: ConditionalScore, dataset: Dataset) -> list[int]:
    """What the model calls each class of the data: its number in the source, which must be its name
    where names are numbers."""
    names = dataset.class_names
    if not isinstance(score, OwnConditions):
        return list(range(len(names)))
    numbers = list(dataset.conditions)
    as_named = [int(x) for x in names if x.isdecimal()]
    if not numbers:
        numbers = as_named
    if len(numbers) != len(names) or (len(as_named) == len(names) and as_named != numbers):
        raise InputError(
            f"label (--label) is own, and the classes of the data are {listed(names)}, in the "
            f"places {listed([str(x) for x in numbers]) or 'that are not known'}: by name or by "
            "place they mean other classes of the model. Give labels that are its class numbers: "
            "labels= (--labels FILE)."
        )
    out = [f"{x} ({k})" for x, k in zip(names, numbers, strict=True) if not 0 <= k < score.count]
    if out:
        raise InputError(
            f"label (--label) is own, and the model has the classes 0 to {score.count - 1}; the "
            f"data ({dataset.source}) have others: {listed(out)}. Leave these out by classes= "
            "(--classes), or give the labels that the model was trained with (--labels)."
        )
    return numbers


def pairing(
    score: AbstractScore,
    points: np.ndarray,
    known: Conditions,
    times: np.ndarray,
    seed: int,
    batch: int | None,
) -> Flag | None:
    """Whether points are likelier under their own condition than under that of another point."""
    if known.count < 2:
        return None
    rng = numpy_generator(seed, "pairing")
    rows = rng.permutation(len(points))[:BLOCK]
    own = known.training[rows]
    other = np.array([rng.choice(known.training[known.training != x]) for x in own])
    each = batch or max(1, NUMBERS // points.shape[1])
    draws = range(len(rows))
    both = [
        noised_losses((score,), points[rows], times, draws, each, seed, codes)[0]
        for codes in (own, other)
    ]
    gamma = np.asarray(snr(times))
    # as a point is drawn once, these are so many independent points
    gain = np.trapezoid((both[1] - both[0]) * gamma / 2, -np.log(gamma), axis=1)
    likelier, of = int((gain > 0).sum()), len(gain)
    text = (
        f"{likelier} of {of} training points are likelier to the model under their own condition "
        "than under that of another point"
    )
    ok = bool(binom.sf(likelier - 1, of, 0.5) < SURE)
    if not ok:
        text += (
            ": points and conditions are paired otherwise than in its training, or it takes no "
            "notice of them; what is said beside the exact score of each condition does not hold"
        )
    return Flag("pairing", ok, likelier / of, 0.5, text)


def told(
    known: Conditions,
    asked: np.ndarray,
    copies: Copies,
    times: np.ndarray,
    parts: dict[int, Losses],
    t: float | None,
) -> dict[str, Any]:
    """The fields of an `Audit` that tell of conditions: of every one, the one with most copies
    first, at that of the `times` which is nearest to `t`; and of what samples were `asked` for.
    `parts` are the losses of those of which a point was drawn."""
    k = len(times) // 2 if t is None else int(np.abs(np.log(times / t)).argmin())
    elsewhere = copies.copied & (known.training[copies.point] != asked)
    codes, count = np.unique(known.training, return_counts=True)
    of, found, other = (
        np.bincount(np.searchsorted(codes, x), minlength=len(codes)).tolist()
        for x in (asked, asked[copies.copied], asked[elsewhere])
    )
    names = ("train", "train_se", "exact", "exact_se", "held_out", "held_out_se")
    out = []
    for place, code in enumerate(codes.tolist()):
        values = {x: float(getattr(parts[code], x)[k]) if code in parts else None for x in names}
        out.append(
            OfCondition(
                known.names[code], int(count[place]),
                Share.counted(found[place], of[place]) if of[place] else None,
                other[place], float(times[k]),
                **{x: v if v is not None and np.isfinite(v) else None for x, v in values.items()},
            )
        )  # fmt: skip
    out.sort(key=lambda x: -x.copies.count if x.copies else 1)
    return {
        "conditions": tuple(out[:MOST]), "asked": tuple(known.names[x] for x in asked.tolist())
    }  # fmt: skip

"""What an audit of a trained model finds: results that carry their errors, without behaviour.

Every quantity of the model stands beside the same quantity of the exact score of its training
points, which is what a network that memorises tends to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..backward.outcome import Outcome
from ..backward.tracking import copy_ratio, is_copy
from ..common import serial
from ..common.shown import Shown
from ..results import DatasetFacts, Share
from .losses import Losses

FORMAT = "diffregimes.audit/1"
VERDICTS = ("memorises", "copies some", "does not copy")


@dataclass(frozen=True)
class Copies:
    """Generated samples beside the training points, and points that cannot be copies beside both.

    states (m, d)               the samples, in the scale of the data
    point, second (m,)          nearest and second nearest training point, by index in the source
    distance, second_distance   to them
    share                       of samples with distance < second_distance/3
    baseline                    the same share of held-out points, or of training points among the
                                others (`baseline_of`: "held-out points" or "training points against
                                one another"): how often chance alone brings two points so near
    baseline_ratio              distance/second_distance of these
    files                       of these points, by index, where they come from a folder
    """

    states: np.ndarray
    point: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    second_distance: np.ndarray
    share: Share
    baseline: Share
    baseline_of: str
    baseline_ratio: np.ndarray
    files: Mapping[int, str] = field(default_factory=dict)

    @property
    def ratio(self) -> np.ndarray:
        return copy_ratio(self.distance, self.second_distance)

    @property
    def copied(self) -> np.ndarray:
        """Which samples (m,) are copies."""
        return is_copy(self.ratio)


@dataclass(frozen=True)
class Entropy:
    """Excess entropy of the model's own law, d f/log n, at increasing t (T,), from its score norm.

    `value`, `se` of the model, `exact`, `exact_se` of the exact score by the forward pass.
    `stein`, `stein_se` is E[x.score]/d + 1, zero if the score is that of the law it generates.
    """

    t: np.ndarray
    value: np.ndarray
    se: np.ndarray
    exact: np.ndarray
    exact_se: np.ndarray
    stein: np.ndarray
    stein_se: np.ndarray


@dataclass(frozen=True)
class ModelTime:
    """A transition time of the model by `method` beside that of the exact score, each with a 95 %
    interval; None where there is none. `words` say what happens at it.

    loss-gap      training points are denoised better than held-out ones from here down
    entropy       the excess entropy of what is generated falls to that of the collapse
    clone         two clones that part here agree half of the way (t_S: 55 % of it from chance)
    last-change   mean last change of the nearest training point; not asked of the exact score
    """

    method: str
    t: float | None
    low: float | None
    high: float | None
    exact: float | None
    exact_low: float | None
    exact_high: float | None
    words: str


@dataclass(frozen=True)
class Origin:
    """A training point that came out, by its index in the source and its `file` in a folder:
    `copies` of it among the samples, `samples` their places in `Copies.states`, nearest first."""

    index: int
    copies: int
    samples: tuple[int, ...]
    file: str | None = None


serial.layout(Origin, optional=("file",))


@dataclass(frozen=True)
class Judgement:
    """`kind` is one of VERDICTS; `confidence` is its posterior probability given the samples."""

    kind: str
    confidence: float
    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Audit(Shown):
    """Everything `audit` finds out about a model.

    model, dataset, held_out
                what they are, as in results.json; held_out None without such points, and then the
                held-out columns of `losses` are NaN
    copies      the samples beside the training points, and points that cannot be copies
    losses      `train`, `held_out`, `exact`, `exact_held_out`, each with `_se`, at every t
    entropy     `value` of the model, `exact` of the training points, `stein`, each with `_se`
    clones      "same_class_probability" (phi) and "same_point_probability" (phi_C), simulated with
                the model beside the forward pass
    speciation  t_S by the method "clone"; None for data of one class, which decide nothing
    collapse    t_C by the methods "loss-gap", "entropy", "clone" and "last-change", in this order
    origins     the training points that came out, those that came most often first
    verdict     `kind` of VERDICTS with its confidence, and the reasons in words
    recipe      what it takes to repeat the audit; `notes` say what a reader must know
    """

    model: dict[str, Any]
    dataset: DatasetFacts
    held_out: DatasetFacts | None
    copies: Copies
    losses: Losses
    entropy: Entropy
    clones: Outcome
    speciation: ModelTime | None
    collapse: tuple[ModelTime, ...]
    origins: tuple[Origin, ...]
    verdict: Judgement
    recipe: Mapping[str, Any]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        share = self.copies.share
        return (
            f"<Audit against {self.dataset.name}: {self.verdict.kind}, confidence "
            f"{self.verdict.confidence:.2f}; {share.count} copies among {share.of} samples>"
        )

    def __str__(self) -> str:
        return "\n".join([self.verdict.headline, *self.verdict.sentences])

    def curves(self) -> dict[str, dict[str, list[float | None]]]:
        """Columns of numbers by name: "losses", "entropy", "clones"; None for what is not there."""
        losses, entropy = (
            {k: serial.listed(getattr(x, k)) for k in x.__dataclass_fields__}
            for x in (self.losses, self.entropy)
        )
        clones = {k: serial.listed(np.asarray(x)) for k, x in self.clones.columns().items()}
        return {"losses": losses, "entropy": entropy, "clones": clones}

    def samples(self) -> dict[str, Sequence[Any]]:
        """One row a generated sample."""
        c = self.copies
        files = {
            f"{name}_file": [c.files.get(int(k), "") for k in points]
            for name, points in (("nearest", c.point), ("second", c.second))
        }
        return {
            "nearest_point": c.point.tolist(),
            "second_point": c.second.tolist(),
            **(files if c.files else {}),
            "distance": c.distance.tolist(),
            "second_distance": c.second_distance.tolist(),
            "ratio": c.ratio.tolist(),
            "copy": c.copied.astype(int).tolist(),
        }

    def to_dict(self) -> dict[str, Any]:
        c = self.copies
        return {
            "format": FORMAT,
            "model": self.model,
            "dataset": serial.plain(self.dataset),
            "held_out": serial.plain(self.held_out),
            "verdict": asdict(self.verdict),
            "memorised": {"share": c.share.value, **asdict(c.share)},
            "baseline": {
                "share": c.baseline.value, **asdict(c.baseline), "points": c.baseline_of,
            },
            "speciation": serial.plain(self.speciation),
            "collapse": [asdict(x) for x in self.collapse],
            "origins": serial.plain(self.origins),
            "curves": self.curves(),
            "pairs": self.clones.simulated.draws,
            "recipe": dict(self.recipe),
            "notes": list(self.notes),
        }  # fmt: skip

    def to_json(self) -> str:
        return serial.text(self.to_dict())

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
from ..common import serial
from ..common.readable import sureness
from ..common.shown import Shown
from ..results import DatasetFacts, Duplicate, Flag
from ..results import Share as Share
from .losses import Losses
from .views import OPEN as OPEN
from .views import VERDICTS as VERDICTS
from .views import Copies as Copies
from .views import InFeatures as InFeatures
from .views import InParts as InParts
from .views import Judgement as Judgement
from .views import OfCondition as OfCondition
from .views import Origin as Origin
from .views import OwnTimes as OwnTimes
from .views import counted, rows_of

FORMAT = "diffregimes.audit/2"


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
class Returns:
    """Shares of `draws` starts that came back as themselves, at increasing t (T,), with Wilson's
    95 % intervals; NaN of held-out points where there are none. `exact`, `exact_se` of the exact
    score on training points, by the forward pass: of held-out points it is 0."""

    draws: int
    t: np.ndarray
    training: np.ndarray
    training_low: np.ndarray
    training_high: np.ndarray
    held_out: np.ndarray
    held_out_low: np.ndarray
    held_out_high: np.ndarray
    exact: np.ndarray
    exact_se: np.ndarray

    @property
    def known(self) -> bool:
        """Whether there were held-out points."""
        return not bool(np.isnan(self.held_out).any())


@dataclass(frozen=True)
class ModelTime:
    """A transition time of the model by `method` beside that of the exact score, each with a 95 %
    interval; None where there is none, and where nothing bounds it. `words` say what happens at it.

    loss-gap      training points are denoised better than held-out ones from here down
    entropy       the excess entropy of what is generated falls to that of the collapse
    clone         two clones that part here agree half of the way (t_S: 55 % of it from chance)
    last-change   mean last change of the nearest training point; not asked of the exact score
    u-turn        of training points half more, noised to it and denoised, come back as themselves
                  than of held-out ones (where there are such)
    """

    method: str
    t: float | None
    low: float | None
    high: float | None
    exact: float | None
    exact_low: float | None
    exact_high: float | None
    words: str


@dataclass(frozen=True, repr=False)
class SamplesAudit(Shown):
    """What `audit_samples` finds out about samples alone: the half of an audit that needs no score.

    model, dataset, held_out
                what they are, as in results.json; held_out None without such points
    copies      the samples beside the training points, and points that cannot be copies
    origins     the training points that came out, those that came most often first
    gate        what was checked before the verdict; see `auditing.gate`
    duplicates  equal and nearly equal training points
    shared      held-out points (`other`) that are training points (`index`) as well, left out
    verdict     `kind` of VERDICTS or BESIDES with its confidence, or "open"; the reasons in words
    in_features, in_parts, own_times
                the other views of `auditing.views`; None where there is nothing to be seen
    recipe      what it takes to repeat the audit; `notes` say what a reader must know
    """

    model: dict[str, Any]
    dataset: DatasetFacts
    held_out: DatasetFacts | None
    copies: Copies
    origins: tuple[Origin, ...]
    gate: tuple[Flag, ...]
    duplicates: tuple[Duplicate, ...]
    shared: tuple[Duplicate, ...]
    verdict: Judgement
    recipe: Mapping[str, Any]
    notes: tuple[str, ...]
    in_features: InFeatures | None = field(default=None, kw_only=True)
    in_parts: InParts | None = field(default=None, kw_only=True)
    own_times: OwnTimes | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        share, verdict = self.copies.share, self.verdict
        sure = "" if verdict.confidence is None else f", confidence {sureness(verdict.confidence)}"
        return (
            f"<Audit against {self.dataset.name}: {verdict.kind}{sure}; {share.count} copies among "
            f"{share.of} samples>"
        )

    def __str__(self) -> str:
        return "\n".join([self.verdict.headline, *self.sentences])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What checks found that failed, and the reasons of the verdict."""
        found = (f"{x.name}: {x.message}." for x in self.gate if not x.ok)
        return (*found, *self.verdict.sentences)

    def samples(self) -> dict[str, Sequence[Any]]:
        """One row a generated sample."""
        seen, parts = self.in_features, self.in_parts
        out = rows_of(self.copies)
        if seen is not None:
            out |= {f"feature_{k}": x for k, x in rows_of(seen.copies).items()}
        if parts is not None:
            known = [x if x >= 0 else None for x in parts.point.tolist()]
            out |= {"part": parts.share.tolist(), "part_point": known}
        return out

    def curves(self) -> dict[str, dict[str, list[float | None]]]:
        """Columns of numbers by name: samples alone have none."""
        return {}

    def _of_score(self) -> dict[str, Any]:
        """What `to_dict` has of the score."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model": self.model,
            "dataset": serial.plain(self.dataset),
            "held_out": serial.plain(self.held_out),
            "verdict": serial.plain(self.verdict),
            "gate": [asdict(x) for x in self.gate],
            **counted(self.copies),
            "origins": serial.plain(self.origins),
            "duplicates": {
                "training": serial.plain(self.duplicates),
                "held_out": serial.plain(self.shared),
            },
            "features": self.in_features and self.in_features.told(),
            "parts": self.in_parts and self.in_parts.told(),
            "own_times": self.own_times and self.own_times.told(),
            **self._of_score(),
            "recipe": dict(self.recipe),
            "notes": list(self.notes),
        }  # fmt: skip

    def to_json(self) -> str:
        return serial.text(self.to_dict())


@dataclass(frozen=True, repr=False)
class Audit(SamplesAudit):
    """Everything `audit` finds out about a model: that of `SamplesAudit`, and of its score

    losses      `train`, `held_out`, `exact`, `exact_held_out`, each with `_se`, at every t; without
                held-out points their columns are NaN
    entropy     `value` of the model, `exact` of the training points, `stein`, each with `_se`
    clones      "same_class_probability" (phi) and "same_point_probability" (phi_C), simulated with
                the model beside the forward pass
    returns     training and held-out points that come back from U-turns
    speciation  t_S by the method "clone"; None for data of one class, which decide nothing, and
                where every sample has a condition
    collapse    t_C by the methods "loss-gap", "entropy", "clone", "last-change" and "u-turn", in
                this order
    conditions  what was found of each, where every point is asked for under its own
    asked       the condition of each sample then, by name; empty where all were asked alike
    """

    losses: Losses
    entropy: Entropy
    clones: Outcome
    returns: Returns
    speciation: ModelTime | None
    collapse: tuple[ModelTime, ...]
    conditions: tuple[OfCondition, ...] = field(default=(), kw_only=True)
    asked: tuple[str, ...] = field(default=(), kw_only=True)

    def samples(self) -> dict[str, Sequence[Any]]:
        return {**({"condition": self.asked} if self.asked else {}), **super().samples()}

    def curves(self) -> dict[str, dict[str, list[float | None]]]:
        """Columns of numbers by name: "losses", "entropy", "clones", "uturns"; None for what is not
        there."""
        losses, entropy, uturns = (
            {k: serial.listed(getattr(x, k)) for k in x.__dataclass_fields__ if k != "draws"}
            for x in (self.losses, self.entropy, self.returns)
        )
        clones = {k: serial.listed(np.asarray(x)) for k, x in self.clones.columns().items()}
        return {"losses": losses, "entropy": entropy, "clones": clones, "uturns": uturns}

    def _of_score(self) -> dict[str, Any]:
        return {
            "speciation": serial.plain(self.speciation),
            "collapse": [asdict(x) for x in self.collapse],
            "curves": self.curves(),
            "pairs": self.clones.simulated.draws,
            "uturns": self.returns.draws,
            "conditions": serial.plain(self.conditions),
        }

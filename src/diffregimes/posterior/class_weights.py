"""The probabilities p' of the classes as the observables need them: four sums over them.

Sums over disjoint sets of classes add up, so that thousands of classes are never held at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 1e-37  # of a class probability in a log-odds: float32 sums know nothing below


@dataclass(frozen=True)
class ClassWeights:
    """Sums over the classes of the leave-one-out probabilities p', float64, shape (...).

    own      p'_a of the class a of the true point
    square   sum p'^2
    entropy  -sum p' log p'
    log      sum log p', where what float32 knows nothing of counts as `LEAST`
    """

    own: Tensor
    square: Tensor
    entropy: Tensor
    log: Tensor

    def plus(self, other: ClassWeights) -> ClassWeights:
        """The sums over two disjoint sets of classes; `own` is 0 in the one without it."""
        mine, others = vars(self).values(), vars(other).values()
        return ClassWeights(*(a + b for a, b in zip(mine, others, strict=True)))


def class_weights(probability: Tensor, own: Tensor) -> ClassWeights:
    """Of `probability` (..., K) with p'_a = `own` (...); sums of parts of K add up."""
    logs = probability.clamp_min(LEAST).log_()
    log = logs.sum(-1).double()
    square = torch.linalg.vector_norm(probability, dim=-1).double().square()
    return ClassWeights(own.double(), square, -logs.mul_(probability).sum(-1).double(), log)

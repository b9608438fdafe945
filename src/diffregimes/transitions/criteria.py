"""The criteria of speciation and collapse: their names, levels and words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..theory.gaussian_mixture import CLONE_LEVEL


def blind_level(class_counts: Iterable[int]) -> float:
    """phi_inf, the sum of squared class shares: phi at pure noise."""
    counts = np.asarray(list(class_counts))
    return float(((counts / counts.sum()) ** 2).sum())


def clone_level(class_counts: Iterable[int]) -> float:
    """phi at speciation, phi_inf + 0.55 (1 - phi_inf): the paper's 0.775 for two equal classes."""
    blind = blind_level(class_counts)
    return blind + CLONE_LEVEL * (1 - blind)


METHODS = {
    ("speciation", "spectral"): "½ log Λ, from the largest eigenvalue of the covariance",
    ("speciation", "spectral-exact"): "½ log(1 + Λ), the same at any noise level",
    ("speciation", "landau"): "the noised density gets its second valley",
    ("speciation", "clone"): "clones of a sample agree on the class",
    ("speciation", "clone-loo"): "the same without the sample itself: what new data would show",
    ("collapse", "free-energy"): "a training point outweighs all the others together",
    ("collapse", "entropy"): "the excess entropy, extended from above, reaches zero",
    ("collapse", "clone"): "clones of a sample end on the same training point, half the time",
    ("collapse", "gaussian-bound"): "upper bound from the spectrum alone",
}

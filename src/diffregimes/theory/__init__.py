"""Closed forms of the subject, independent of the estimators that they judge.

`gaussian_mixture`: two Gaussian classes, every curve and both transitions. `regimes`: the backward
equations. `random_energy`: the collapse as the condensation of a Random Energy Model.
`phase_diagram`: both transitions over n and d. `class_channel`: the integrals they share.
"""

from .gaussian_mixture import (
    TwoGaussians,
    class_entropy,
    class_information,
    collapse_time,
    excess_entropy,
    information,
    phi,
    points_needed,
    speciation_times,
)
from .phase_diagram import PhaseDiagram, phase_diagram

__all__ = [
    "PhaseDiagram",
    "TwoGaussians",
    "class_entropy",
    "class_information",
    "collapse_time",
    "excess_entropy",
    "information",
    "phase_diagram",
    "phi",
    "points_needed",
    "speciation_times",
]

"""The curse of dimensionality: t_C and t_S of two Gaussian classes over n and d.

t_C depends on n through alpha = (log n)/d: to move it by a given amount, n must grow exponentially
with d. t_S grows as (1/2) log d whatever n. Collapse precedes speciation, and no generalizing
regime exists, where log n < I(a; x_{t_S}). As d grows this tends to u^2 sigma^2/(2 mu^2) +
I(class; u), u the separation at which phi has its speciation level (0.999 for balanced classes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .gaussian_mixture import TwoGaussians, collapse_time, information, speciation_times


@dataclass(frozen=True)
class PhaseDiagram:
    """`speciation` (D,), `collapse` (D, N) times over d (D,) and log n (N,).

    `boundary` (D,) is the log n below which collapse precedes speciation. NaN: no such time.
    """

    law: TwoGaussians
    d: np.ndarray
    log_n: np.ndarray
    speciation: np.ndarray
    collapse: np.ndarray
    boundary: np.ndarray


def phase_diagram(law: TwoGaussians, d: np.ndarray, log_n: np.ndarray) -> PhaseDiagram:
    """t_S by clones and t_C from the exact f for each d and log n; the d of `law` is replaced."""
    d, log_n = np.asarray(d, dtype=np.float64), np.asarray(log_n, dtype=np.float64)
    speciation, boundary = np.full(len(d), np.nan), np.full(len(d), np.nan)
    collapse = np.full((len(d), len(log_n)), np.nan)
    for i, dimension in enumerate(d):
        here = replace(law, d=float(dimension))
        t_s = speciation_times(here)["clone"]
        if t_s is not None:
            speciation[i], boundary[i] = t_s, information(here, t_s)
        for j, value in enumerate(log_n):
            t_c = collapse_time(here, float(value))
            collapse[i, j] = np.nan if t_c is None else t_c
    return PhaseDiagram(law, d, log_n, speciation, collapse, boundary)

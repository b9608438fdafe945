"""The Gaussian bound from a spectrum alone, (1/2) sum log(1 + gamma lambda) >= I(a; x_t).

The logarithm by another route than `data.spectrum.information_bound`, which this judges: the
integral of the mmse of a Gaussian over gamma (I-MMSE).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from ..process import time_from_snr


def time(eigenvalues: np.ndarray, log_n: float) -> float:
    """t at which the Gaussian information of a spectrum is log n."""

    def excess(log_gamma: float) -> float:
        return information(eigenvalues, log_gamma) - log_n

    low = math.log(2 * log_n / float(eigenvalues.sum()))
    high = 2 * log_n - math.log(float(eigenvalues[0])) + 1
    return float(time_from_snr(math.exp(float(brentq(excess, low - 1e-9, high)))))


def information(eigenvalues: np.ndarray, log_gamma: float) -> float:
    """(1/2) integral_0^gamma sum lambda/(1 + s lambda) ds, the mmse of a Gaussian (I-MMSE)."""
    start = math.log(1e-8 / float(eigenvalues[0]))  # below it the mmse is the variance

    def integrand(log_s: float) -> float:
        scaled = math.exp(log_s) * eigenvalues
        return float((scaled / (1 + scaled)).sum())

    rest = quad(integrand, start, log_gamma, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    return 0.5 * (math.exp(start) * float(eigenvalues.sum()) + float(rest))

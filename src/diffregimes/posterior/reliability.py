"""Self-checks of a run: identities that hold exactly, compared with their standard errors.

Nishimori: E[w_mu] = E[sum w^2] at every t (the true point and a posterior draw are
exchangeable). Two routes to the entropy: E[H(w)] = E[log sum e^l]. I-MMSE: d(d f^e)/d gamma
= -mmse/2, so the drop of the entropy between two times is the integral of the mmse. None of
these is built into the pass; a slip in the weights breaks all three.

The mmse falls with gamma, so that the integral over a step lies between the mmse at either end
times d gamma, however few times there are. A spline knows it better where steps are short: its
error, next to that bracket, goes as the third power of the step in log gamma.

The leave-one-out weights obey one more where they stand for the population's, E[sum p'^2] =
E[p' of the true class]: confidence equals own. Where few points decide it fails, and that is a fact
of the data and not of the run (`overconfidence`).
"""

from __future__ import annotations

import math

import numpy as np

from ..common.numerics import integral_matrix
from ..process import snr
from ..results import CLASS_FLAG, Flag
from .sample import Sample

Z_LIMIT = 4.5  # of the largest of some 40 correlated z-scores: 400 sound runs stayed below 3.6
_FLOOR = 1e-4  # what float32 weights are held to; errors below it are not news
_OVERCONFIDENT = 2e-3  # of a probability: less moves no time
_ROUGH = 1e-3  # of log n: what else an integral through a grid may miss


def _largest_z(
    difference: np.ndarray, floor: float = _FLOOR, known: np.ndarray | float = 0.0
) -> float:
    """Largest (|mean| - known) / error of per-unit differences (units, T), `known` an error that
    the mean itself may have; error = standard error + floor.

    The floor includes one unit like the largest, more or fewer: where a few rare units carry the
    mean, as at times when nearly every point is resolved, the standard error alone is too small.
    """
    units = len(difference)
    error = difference.std(axis=0, ddof=1) / math.sqrt(units)
    error += np.abs(difference).max(axis=0) / units
    return float((np.maximum(np.abs(difference.mean(axis=0)) - known, 0) / (error + floor)).max())


def reliability(sample: Sample, n: int) -> tuple[Flag, ...]:
    """The flags of a run of the pass on `n` training points."""
    values = sample.values
    entropy = values["excess_entropy_over_alpha"]
    checks = (
        (
            "nishimori",
            _largest_z(values["own_point_probability"] - values["same_point_probability"]),
            "true and drawn points are exchangeable (Nishimori)",
        ),
        (
            "two-entropies",
            _largest_z(entropy - values["excess_entropy_over_alpha_logsum"]),
            "two routes to the entropy agree",
        ),
        (
            "i-mmse",
            _largest_z(i_mmse_residual(sample, n), _ROUGH, _of_integral(sample, n)),
            "entropy and denoising error agree (I-MMSE)",
        ),
    )
    return tuple(
        Flag(
            name, z < Z_LIMIT, z, Z_LIMIT, f"{words} to within {z:.1f} times the error allowed for"
        )
        for name, z, words in checks
    )


def overconfidence(sample: Sample, t: float) -> Flag:
    """Confidence less own probability of the leave-one-out class weights, where t_S lies."""
    confidence, own = (
        sample.values[name] for name in ("same_class_probability_loo", "own_class_probability_loo")
    )
    at = int(np.argmin(np.abs(np.log(sample.times) - math.log(t))))
    z = _largest_z((confidence - own)[:, at : at + 1], _OVERCONFIDENT)
    said = f"{confidence[:, at].mean():.3f} against {own[:, at].mean():.3f}"
    ok = z < Z_LIMIT
    message = (
        "at t_S the class weights without the sample itself are as confident as they are right "
        f"(Nishimori of the population): {said}"
        if ok
        else "at t_S few training points decide the class, and their weights are more confident "
        f"than right, {said}: do not read t_S off the curve of phi_loo; `balance`, where there is "
        "one, allows for it"
    )
    return Flag(CLASS_FLAG, ok, z, Z_LIMIT, message)


def i_mmse_residual(sample: Sample, n: int) -> np.ndarray:
    """(units, T): [H(gamma) - H(gamma_0)] + (1/2) integral mmse d gamma, over log n.

    gamma_0 is the noisiest time; the integral is a cubic spline's in log gamma.
    """
    gamma = snr(sample.times)[::-1]
    entropy = sample.values["excess_entropy_over_alpha"][:, ::-1]
    mmse = sample.values["mmse"][:, ::-1]
    if len(gamma) < 3:
        return np.zeros((sample.units, 1))
    drop = 0.5 * (mmse * gamma) @ integral_matrix(np.log(gamma)).T / math.log(n)
    return np.asarray(entropy - entropy[:, :1] + drop)


def _of_integral(sample: Sample, n: int) -> np.ndarray:
    """(T,): the error that the integral of `i_mmse_residual` may have, over log n."""
    gamma = snr(sample.times)[::-1]
    if len(gamma) < 3:
        return np.zeros(1)
    mmse = sample.values["mmse"].mean(axis=0)[::-1]
    ends = np.sort(mmse[[np.arange(1, len(mmse)), np.arange(len(mmse) - 1)]], axis=0)
    low, high = ends * np.diff(gamma)
    spline = np.diff(integral_matrix(np.log(gamma)) @ (mmse * gamma))
    outside = np.abs(spline - np.clip(spline, low, high))
    inside = np.minimum(np.diff(np.log(gamma)), 1.0) ** 3 * (high - low)
    return np.concatenate([[0.0], np.cumsum(outside + inside)]) / (2 * math.log(n))

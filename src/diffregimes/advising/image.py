"""What is told of the sample itself: where sampling may start, and which levels are worth a step.

The state x_t has the mean and covariance of a Gaussian from which it differs by

    KL(P_t || Gaussian) = G(gamma) - I(a; x_t),   G = (1/2) sum log(1 + gamma lambda),

and the curves of n points hold I between log n - E[H(w)] and log(n - 1) - F (`transitions.needed`).
Where it is below epsilon, generation may as well start from that Gaussian: no test tells the two
starts apart with more than sqrt(epsilon/2) (Pinsker).

Each of N steps should change as much as the others. Steps at equal information alone put nearly all
of them at the smallest noise and get the shares of the classes wrong; what did best in a study over
exact mixtures (benchmarks/sampler_steps.py) are equal increments of

    I(c; x_t)/H(c)  +  int sqrt(sigma) dI(a; x_t) / all of it  +  log sigma / all of it.

Below the collapse the curves know the training set, not the law: I goes on there as G does.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..common.numerics import Z95
from ..common.readable import number
from ..data.spectrum import gaussian_information
from ..process import EDM_STEP, FLOW_STEP, VE_STEP, Schedule, flow_time, sigma, snr, time_from_snr
from ..results import Analysis
from ..transitions.needed import information_ends
from . import class_gain, clocks
from .told import Item

START = "May sampling start late?"
STEPS = "Which steps are worth taking?"
_COLLAPSED = 0.1  # of phi_C, from which on I(a; x_t) is not that of the law any more


def above_gaussian(analysis: Analysis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """KL(P_t || Gaussian) in nats: the ends between which it lies, and the standard error (T,)."""
    curves = analysis.curves
    bound = gaussian_information(analysis.spectrum, snr(curves.t))
    ends = information_ends(curves, analysis.dataset.n)
    return bound - ends[1], bound - ends[0], curves.se["information"]


def late_start(analysis: Analysis, clock: Schedule, epsilon: float) -> Item:
    """The smallest t from which on KL(P_t || Gaussian) is below epsilon, its error included."""
    t = analysis.curves.t
    low, high, se = above_gaussian(analysis)
    told = {"t": t.tolist(), "kl_low": low.tolist(), "kl_high": high.tolist(), "kl_se": se.tolist()}
    most = np.maximum(low, high) + Z95 * se
    over = np.flatnonzero(most >= epsilon)
    if len(over) == len(t) or (len(over) and over[-1] == len(t) - 1):
        return Item(
            "late start", START,
            f"Not known: the divergence from the Gaussian, its error included, is {most[-1]:.2g} "
            f"nats at the noisiest time studied, and {epsilon:g} was asked for. More draws "
            "(--precision) or a larger --epsilon may tell.",
            answered=False, lists=told,
        )  # fmt: skip
    at = float(t[0])
    if len(over):
        k = int(over[-1])
        x = np.log(snr(t[k : k + 2]))
        part = (most[k] - epsilon) / (most[k] - most[k + 1])
        at = float(time_from_snr(math.exp(x[0] + part * (x[1] - x[0]))))
    found = clocks.setting("late start", clock, at)
    assert found.at is not None
    saved = "the schedule ends before it, and saves nothing"
    numbers = {"epsilon": epsilon}
    if found.at.part is not None:
        numbers["saved"] = 1 - found.at.part
        saved = f"{1 - found.at.part:.0%} of evenly spaced steps are saved"
    return Item(
        "late start",
        START,
        f"Yes, at {clocks.steps_of(found, clock)}, from the Gaussian with the mean and covariance "
        f"of the noised data (within {epsilon:g} nats of their law): {saved}.",
        settings=(found,),
        numbers=numbers,
        lists=told,
        formula="KL(P_t ‖ Gaussian) = ½ Σ log(1 + γλ) − I(a; x_t) < ε",
        assumes="the start is drawn with the covariance e^(−2t) C + Δ_t 1 of the data; white noise "
        "of the same size is no substitute",
        unknown="how the covariance estimated from the data differs from that of their law",
    )


def gained(analysis: Analysis) -> tuple[np.ndarray, np.ndarray, int]:
    """-log gamma, increasing, I(a; x_t) there in nats, and the place from which on it is measured:
    below, where the points have collapsed, it is in proportion to the Gaussian information."""
    curves = analysis.curves
    measured = np.mean(information_ends(curves, analysis.dataset.n), axis=0)
    x = -np.log(snr(curves.t))
    clear = curves["same_point_probability"] < _COLLAPSED
    first = int(np.argmax(clear)) if clear.any() else len(x) - 1
    below = np.arange(min(x[first], x[0]) - 30, x[first] - 0.05, 0.25)
    bound = gaussian_information(analysis.spectrum, np.exp(-np.append(below, x[first])))
    carried = measured[first] * bound[:-1] / bound[-1]
    both = np.concatenate([carried, measured[first:]])
    # information falls towards the noise; what rises by chance is flattened
    falling = np.maximum.accumulate(both[::-1])[::-1]
    return np.concatenate([below, x[first:]]), falling, len(below)


def levels(
    x: np.ndarray, nats: np.ndarray, known: np.ndarray, ends: tuple[float, float], count: int
) -> np.ndarray:
    """`count` times by the module's law, from noise to data.

    `nats` are I(a; x_t) and `known` I(c; x_t)/H(c), zeros without classes, at -log gamma = x, which
    increases; `ends` the -log gamma of the first and last level, data first.
    """
    fine = np.linspace(*ends, 4001)
    information = PchipInterpolator(x, nats)(np.clip(fine, x[0], x[-1]))
    information *= np.exp(-np.maximum(fine - x[-1], 0))  # beyond, it falls as gamma does
    root = np.exp((fine[1:] + fine[:-1]) / 8)  # of sigma
    weighed = np.append(np.cumsum((-np.diff(information) * root)[::-1])[::-1], 0)
    parts = [fine[-1] - fine, np.interp(fine, x, known), weighed]
    total = sum(part / (part[0] - part[-1]) for part in parts if part[0] > part[-1])
    # from the noise, where nothing is told, to the data
    at = np.interp(np.linspace(total[-1], total[0], count), total[::-1], fine[::-1])
    return np.asarray(time_from_snr(np.exp(-at)))


def worth_taking(analysis: Analysis, clock: Schedule, count: int) -> Item:
    """`count` levels from the noisiest of the schedule to the least, by the module's law."""
    x, nats, _ = gained(analysis)
    known = np.zeros(len(x))
    if class_gain.is_told(analysis):
        share = np.mean(class_gain.gained(analysis)[0], axis=0)
        falling = np.maximum.accumulate(share[::-1])[::-1]
        known = np.interp(x, -np.log(snr(analysis.curves.t)), falling)
    ends = -np.log(snr(clock.finite_times[[0, -1]]))
    t = levels(x, nats, known, (float(ends[0]), float(ends[1])), count)
    lists = {"t": t.tolist(), **_for_diffusers(t, clock)}
    name = next(iter(lists.keys() - {"t"}))
    said = f"{len(lists[name])} levels, {name} = {_shown(lists[name])}."
    if len(lists[name]) < count:
        said += f" Of {count} some fall on the same whole timestep."
    return Item(
        "steps",
        STEPS,
        said,
        lists=lists,
        formula="equal increments of I(class; x_t)/H + ∫√σ dI(a; x_t) + log σ, each as a share",
        assumes="a deterministic sampler of first order (DDIM, Euler)",
        unknown="below the collapse the data say nothing of their law: levels there are those of "
        "a Gaussian with their spectrum; how large the errors of a network are at each level",
    )


def _for_diffusers(t: np.ndarray, clock: Schedule) -> dict[str, list[float]]:
    """The list that its schedulers take: whole timesteps from 0, sigmas, or flow times."""
    if clock.clock == FLOW_STEP:
        return {"sigmas": [float(x) for x in flow_time(t)]}
    if clock.clock in (EDM_STEP, VE_STEP):
        return {"sigmas": [float(x) for x in sigma(t)]}
    steps = dict.fromkeys(round(clock.place(float(x))) - 1 for x in t)
    return {"timesteps": list(steps)}


def _shown(values: list[float]) -> str:
    some = [str(x) if isinstance(x, int) else number(x) for x in values]
    if len(some) > 8:
        some = [*some[:4], "…", *some[-3:]]
    return f"[{', '.join(some)}]"

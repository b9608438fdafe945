"""At which noise levels a loss says something: where the class is decided, where points are copied,
and where held-out points lose most more than training points.

The exact score of the training points loses their mmse on them. On a point a_mu that it has not
seen, the score of the others loses E|a_mu - E'[a|x_t]|^2, E' by the left-out weights w'. Of the gap
between the two the integral is a mean that the pass has,

    K(t) = (1/2) int_0^gamma (held-out - training) dgamma
         = E[-log(1 - w_mu)] + log(1 - 1/n)
         = [log(n - 1) - E[F]] - [log n - E[H(w)]]  >=  0,

the width of what the curves leave open of I(a; x_t) (`transitions.needed`), and the nats by which
the bound of the likelihood (Kingma et al. 2021) tells a training point better than a new one. It
grows without end towards the data, where every point is a law of its own.

What a network does between the law and this score is not in it: its own gap takes held-out points
(`auditing.losses`).
"""

from __future__ import annotations

import numpy as np

from ..common.numerics import Z95
from ..common.readable import number
from ..process import Schedule, snr
from ..results import Analysis
from ..transitions.needed import information_ends
from . import clocks
from .told import Item, Setting

LOOK = "At which timesteps should I validate?"
LEFT_OUT = "mmse_loo"
LARGEST = "largest gap"
_SAYS = {
    "t_S": "the loss around it says whether classes are learned",
    "t_C": "the loss there and below, beside that of held-out points, whether the model copies",
}


def gap(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Held-out less training loss of the exact score (T,), in squared data units, and its standard
    error as if the two had no noise in common."""
    curves = analysis.curves
    error = np.hypot(curves.se[LEFT_OUT], curves.se["mmse"])
    return np.asarray(curves[LEFT_OUT] - curves["mmse"]), error


def nats(analysis: Analysis) -> np.ndarray:
    """K (T,) of the module's law."""
    low, high = information_ends(analysis.curves, analysis.dataset.n)
    return np.asarray(high - low)


def nats_at(analysis: Analysis, t: float) -> float:
    """K at t, or at the end of the curves that is nearest to it."""
    x = -np.log(snr(analysis.curves.t))
    return float(np.interp(-np.log(snr(t)), x, nats(analysis)))


def largest(analysis: Analysis, clock: Schedule) -> Setting:
    """Where the gap is largest, with the levels at which it may be as large by its error; no lower
    end where these reach down to the data."""
    value, error = gap(analysis)
    t, k = analysis.curves.t, int(np.argmax(value))
    alike = value + Z95 * error >= value[k] - Z95 * error[k]
    apart = np.flatnonzero(~alike)
    first = int(apart[apart < k].max(initial=-1)) + 1
    last = int(apart[apart > k].min(initial=len(t))) - 1
    low = None if first == 0 else float(t[first])
    return clocks.setting(LARGEST, clock, float(t[k]), low, float(t[last]))


def validation(analysis: Analysis, clock: Schedule) -> Item:
    """The levels at which a loss says something of the class, of copying, and of both."""
    found = [
        clocks.of_time(f"t_{x[0].upper()}", analysis.time(x), clock)
        for x in ("speciation", "collapse")
    ]
    known = [x for x in found if x.at is not None]
    words = [f"{x.name} at {clocks.steps_of(x, clock)}: {_SAYS[x.name]}" for x in known]
    numbers: dict[str, float] = {}
    lists: dict[str, list[float]] = {}
    if LEFT_OUT in analysis.curves.values:
        found.append(largest(analysis, clock))
        numbers, lists = _measured(analysis, clock, found)
        words.append(_in_words(found[-1], numbers, clock))
    if not words:
        why = "Neither t_S nor t_C is in the range studied."
        return Item("validation", LOOK, why, answered=False)
    return Item(
        "validation",
        LOOK,
        f"{'. '.join(words)}.",
        settings=tuple(found),
        numbers=numbers,
        lists=lists,
        formula="the headline t_S and t_C; gap = E|a − E′[a|x_t]|² − mmse; "
        "½∫gap dγ = E[−log(1 − w_μ)] + log(1 − 1/n)",
        assumes="the exact score of the training points, for which each point was left out in turn "
        "to stand for a held-out one: the gap of a network that has them by heart",
        unknown="the gap of your network: it is smaller as long as it generalizes, and may be "
        "largest at another level (diffregimes audit measures it on held-out points)",
    )


def _measured(
    analysis: Analysis, clock: Schedule, found: list[Setting]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The gap where it is largest, its nats, and the curves."""
    value, error = gap(analysis)
    t, total = analysis.curves.t, float(analysis.spectrum.eigenvalues.sum())
    end = max(float(clock.finite_times[0]), float(t[0]))
    k = int(np.argmax(value))
    numbers = {
        "gap": float(value[k]),
        "gap, share of the variance": float(value[k]) / total,
        "nats": nats_at(analysis, end),
        "nats down to t": end,
    }
    numbers |= {f"nats to {x.name}": nats_at(analysis, x.at.t) for x in found[:2] if x.at}
    lists = {
        "t": t.tolist(), "gap": (value / total).tolist(), "gap_se": (error / total).tolist(),
        "nats": nats(analysis).tolist(),
    }  # fmt: skip
    return numbers, lists


def _in_words(found: Setting, numbers: dict[str, float], clock: Schedule) -> str:
    down = "" if found.low is not None else ", and about as large from there down to the data"
    share = numbers["gap, share of the variance"]
    said = (
        f"The gap between held-out and training loss is largest at {clocks.steps_of(found, clock)}"
        f"{down}: {share:.0%} of the variance of the data, for the exact score of these points"
    )
    collapse = numbers.get("nats to t_C")
    until = f"t = {numbers['nats down to t']:.2g}"
    if collapse is not None:
        return (
            f"{said}. Over all levels down to t_C it makes {number(collapse, 2)} nats a sample, "
            f"down to {until} {number(numbers['nats'], 2)}"
        )
    return f"{said}. Over all levels down to {until} it makes {number(numbers['nats'], 2)} nats"

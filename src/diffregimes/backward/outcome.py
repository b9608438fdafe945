"""Simulated curves beside the forward-only prediction of the same quantities, with z-scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.numerics import crossings
from ..common.shown import Shown
from ..process import snr, time_from_snr
from ..results import Curves
from ..transitions.criteria import clone_level
from .clones import Ends
from .experiment import Experiment

FORMAT = "diffregimes.backward/1"
GIVEN = (
    "every sample has a condition, which is given and not decided on the way: phi and t_S are left "
    "out, and what the exact score does is told of the points of each condition alone"
)
ONE_CLASS = "the data are one class: phi and t_S, which need two, are left out"


@dataclass(frozen=True)
class Outcome(Shown):
    """`simulated` curves with 95 % intervals (Wilson for two branches, else bootstrap), `forward`
    at the same times, z in combined standard errors, `line`, the forward curves on a fine grid, and
    the `recipe` of the run.
    """

    kind: str
    simulated: Curves
    intervals: Mapping[str, tuple[np.ndarray, np.ndarray]]
    forward: Curves
    z: Mapping[str, np.ndarray]
    line: Curves
    notes: tuple[str, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        t, worst = self.simulated.t, max(float(np.abs(z).max()) for z in self.z.values())
        return (
            f"<Outcome of {self.kind}: {len(t)} times, t = {t[0]:.3g} to {t[-1]:.3g}; "
            f"{self.simulated.draws} pairs; largest |z| {worst:.1f}>"
        )

    def columns(self) -> dict[str, list[float]]:
        """One row a time, for CSV."""
        out = {"t": self.simulated.t.tolist()}
        for name, value in self.simulated.values.items():
            low, high = self.intervals[name]
            out |= {
                name: value.tolist(),
                f"{name}_se": self.simulated.se[name].tolist(),
                f"{name}_low": low.tolist(),
                f"{name}_high": high.tolist(),
                f"{name}_forward": self.forward[name].tolist(),
                f"{name}_forward_se": self.forward.se[name].tolist(),
                f"{name}_z": self.z[name].tolist(),
            }
        return out

    def to_json(self) -> str:
        fields = {
            "format": FORMAT,
            "kind": self.kind,
            "pairs": self.simulated.draws,
            "recipe": dict(self.recipe),
            "curves": self.columns(),
            "notes": list(self.notes),
        }
        return json.dumps(fields, indent=1, allow_nan=False, ensure_ascii=False)


def outcome(ends: Ends, setup: Experiment) -> Outcome:
    """Put the ends of clones or U-turns beside what the forward pass says; of one class alone the
    ends nearest to one training point."""
    simulated, alone = ends.curves(), len(np.unique(setup.labels)) < 2
    names = tuple(x for x in ends.names if not alone or x != "same_class_probability")
    if not names:
        raise InputError(
            "the data are one class and the ends were not compared with training points; expected "
            "two classes, or training points."
        )
    simulated = _curves(simulated, names)
    # two times at least, for the one grid of the forward pass
    t = simulated.t
    forward = setup.forward(t if len(t) > 1 else np.array([t[0], 1.01 * t[0]]))
    forward = _curves(forward, names, len(t))
    fine = setup.forward(np.geomspace(0.8 * t[0], 1.25 * t[-1], 40))
    intervals, z = {}, {}
    for name in names:
        two = ends.classes.shape[2] == 2
        intervals[name] = ends.wilson(name) if two else ends.bootstrap(name)
        expected = forward[name].clip(0, 1)
        # what the error would be if the forward curve were right: none is zero by chance
        chance = np.sqrt(expected * (1 - expected) / simulated.draws)
        error = np.maximum(simulated.se[name], chance if two else 0.5 / simulated.draws)
        error = np.maximum(np.hypot(error, forward.se[name]), 1e-12)
        z[name] = (simulated[name] - forward[name]) / error
    about = ONE_CLASS if setup.within is None else GIVEN
    notes = (*setup.notes, *((about,) if alone else ()))
    return Outcome(ends.kind, simulated, intervals, forward, z, fine, notes, ends.recipe)


def _curves(curves: Curves, names: tuple[str, ...], count: int | None = None) -> Curves:
    """Some of the curves, at the first so many times."""
    part = slice(count)
    values, se = ({k: x[k][part] for k in names} for x in (curves.values, curves.se))
    return Curves(curves.t[part], values, se, curves.draws)


def forward_times(setup: Experiment) -> dict[str, float]:
    """Where the forward curves cross: "class" at speciation (phi has covered 55 % of the way from
    chance), "point" at phi_C = 1/2; without those that do not cross."""
    t = setup.times
    line = setup.forward(np.geomspace(0.8 * t[0], 1.25 * t[-1], 40))
    share = np.bincount(setup.labels)
    levels = {"point": ("same_point_probability", 0.5)}
    if len(share) > 1:
        levels["class"] = ("same_class_probability", clone_level(tuple(share.tolist())))
    times = {}
    for what, (name, level) in levels.items():
        if name in line.values:
            at = float(crossings(-np.log(snr(line.t)), line[name][None], level)[0])
            if math.isfinite(at):
                times[what] = float(time_from_snr(math.exp(-at)))
    return times

"""What the terminal says of closed forms and of the number of points needed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ...common.readable import power_of_ten, powers_of_ten

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    from ...data.datasets import Dataset
    from ...results import PointsNeeded
    from ...theory import TwoGaussians
from .table import aligned, wide


def print_phases(
    law: TwoGaussians, d: tuple[float, float], marks: list[dict[str, float | None]], folder: Path
) -> None:
    """How many points put the collapse at some times, over d; the times of marked datasets."""
    from ... import theory

    console = Console(highlight=False, markup=False)
    console.print(
        f"Two Gaussian classes, mu = {law.mu:g}, sigma = {law.sigma:g}, weight {law.weight:g}: "
        "how many points n put the collapse at t"
    )
    table = aligned("d", "t_S", "t = t_S", "t = 1", "t = 0.5", "t = 0.1")
    powers = range(math.ceil(math.log10(d[0])), math.floor(math.log10(d[1])) + 1)
    for dimension in sorted({*d, *(10.0**k for k in powers)}):
        here = dataclasses.replace(law, d=dimension)
        t_s = theory.speciation_times(here)["clone"]
        cells = [
            "none"
            if t is None or law.sigma == 0
            else power_of_ten(float(theory.points_needed(here, t)))
            for t in (t_s, 1.0, 0.5, 0.1)
        ]
        table.add_row(_plain(dimension), "none" if t_s is None else f"{t_s:.3f}", *cells)
    wide(console).print(table)
    for mark in marks:
        t_s, t_c, log_n = mark["t_s"], mark["t_c"], mark["log_n"]
        assert log_n is not None
        words = ["none" if t is None else f"{t:.3f}" for t in (t_s, t_c)]
        text = f"d = {mark['d']:g}, n = {power_of_ten(log_n)}: t_S = {words[0]}, t_C = {words[1]}"
        if t_s is not None and t_c is not None:
            order = "collapse precedes speciation" if t_c > t_s else "a generalizing regime between"
            text += f", {order}"
        console.print(text)
    console.print(f"diagram: {folder / 'phase-diagram.png'}", soft_wrap=True)


def print_needed(dataset: Dataset, needed: list[PointsNeeded]) -> None:
    """How many points put the collapse at t, by every method."""
    console = Console(highlight=False, markup=False)
    console.print(f"{dataset.source}: {dataset.n} points in {dataset.d} dimensions")
    console.print(f"collapse at t = {needed[0].t:g} needs")
    for x in needed:
        text = f"n = {power_of_ten(x.log_n)}"
        if x.high is not None and x.low == 0 < x.log_n <= x.high:  # a bound
            text = f"n = {power_of_ten(x.high)} at most"
        elif x.high is None or power_of_ten(x.low) != power_of_ten(x.high):
            text += f" ({powers_of_ten(x.low, x.high)})"
        console.print(f"  {text}: {x.method}")


def _plain(d: float) -> str:
    return f"{d:,.10g}".replace(",", " ") if d < 1e7 else power_of_ten(math.log(d))

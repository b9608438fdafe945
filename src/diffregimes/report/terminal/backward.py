"""What the backward commands print: simulated beside forward, and what was generated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ...backward.outcome import Outcome
from ...backward.tracking import Tracked

SHORT = {"same_class_probability": "class", "same_point_probability": "point"}


def print_outcome(outcome: Outcome, folder: Path) -> None:
    """A row for each time: simulated, forward and z, for class and training point."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("t", justify="right")
    for name in outcome.simulated.values:
        for head in (f"same {SHORT[name]}", "forward", "z"):
            table.add_column(head, justify="right", no_wrap=True)
    for k, t in enumerate(outcome.simulated.t):
        cells = [f"{t:.3f}"]
        for name, value in outcome.simulated.values.items():
            se = outcome.simulated.se[name][k]
            cells += [f"{value[k]:.3f} ± {se:.3f}", f"{outcome.forward[name][k]:.3f}"]
            cells.append(f"{outcome.z[name][k]:.1f}")
        table.add_row(*cells)
    console = Console(highlight=False, markup=False)
    Console(width=max(console.width, 66), highlight=False, markup=False).print(table)
    worst = max(float(np.abs(z).max()) for z in outcome.z.values())
    console.print(f"± one standard error; largest |z| {worst:.1f}")
    _notes(console, outcome.notes)
    console.print(f"figure: {folder / (outcome.kind + '.png')}", soft_wrap=True)


def print_generated(
    tracked: Tracked, forward: Mapping[str, float], notes: tuple[str, ...], folder: Path
) -> None:
    """Copies, and the mean times of the last changes beside the forward curves' crossings."""
    console = Console(highlight=False, markup=False)
    memorised = tracked.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    console.print(
        f"{len(tracked.point)} samples, {share:.1%} copies of a training point "
        f"({low:.1%} to {high:.1%}, 95 %): nearest over second nearest distance below 1/3"
    )
    for what, key, seen, crosses in (
        ("class", "class", tracked.mean_speciation(), "class decided (phi 55 % of the way)"),
        ("nearest training point", "point", tracked.mean_collapse(), "phi_C = 1/2"),
    ):
        if seen is None:
            continue
        text = f"last change of the {what}: t = {seen[0]:.3f} ± {seen[1]:.3f} on average"
        if key in forward:
            text += f"; forward pass: {crosses} at {forward[key]:.3f}"
        console.print(text)
    _notes(console, notes)
    console.print(f"pictures: {folder / 'generated.png'}", soft_wrap=True)


def _notes(console: Console, notes: tuple[str, ...]) -> None:
    for note in notes:
        console.print(f"note: {note}")

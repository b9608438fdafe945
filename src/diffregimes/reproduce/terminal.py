"""What the terminal says of a figure of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    from .tables import Reproduction
from ..report.terminal.table import aligned, wide


def print_reproduction(reproduction: Reproduction, folder: Path) -> None:
    """The table ours / paper / theory / z, and what was found in words."""
    console = Console(highlight=False, markup=False)
    table = aligned("", "ours", "± se", "paper", "theory", "z")
    table.columns[0].justify, table.columns[0].no_wrap = "left", False
    group = ""
    for row in reproduction.rows:
        title = "all d" if row.d is None else f"d = {row.d}"
        if title != group:
            table.add_row(title, style="bold")
            group = title
        numbers = (row.ours, row.se, row.paper, row.theory)
        table.add_row(
            row.quantity,
            # + 0.0: no minus before a zero
            *("" if x is None else f"{round(x, 4) + 0.0:.4f}" for x in numbers),
            "" if row.z is None else f"{round(row.z, 1) + 0.0:.1f}",
        )
    wide(console).print(table)
    console.print("se: standard error; z: distance from theory in standard errors")
    for sentence in reproduction.sentences:
        # commands that get data are there to be copied: the terminal breaks them, not we
        console.print(sentence, soft_wrap="://" in sentence)
    console.print(f"figure: {folder / (reproduction.name + '.png')}", soft_wrap=True)


def print_ends(ends: list[tuple[str, str, float, str]]) -> None:
    """What became of each part: name, end, minutes, and what is said of it."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print()
    for name, end, minutes, said in ends:
        console.print(f"{name:<17} {end:<8} {minutes:5.1f} min  {said}")

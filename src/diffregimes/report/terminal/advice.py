"""What the terminal says of advice: questions, answers, a table of levels, lines to paste."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ...common.readable import short

if TYPE_CHECKING:
    from ...advising.told import Advice
from .table import aligned, wide


def print_advice(advice: Advice, folder: Path) -> None:
    """Every question with its answer, then all levels in every unit."""
    console = Console(highlight=False, markup=False)
    console.print(f"{advice.source}; steps are those of {advice.schedule} ({advice.steps})")
    for note in advice.notes:
        console.print(f"note: {note}")
    for item in advice.items:
        console.print(f"\n{item.question}", style="bold")
        console.print(item.answer)
        if item.answered:
            console.print(f"not known: {item.unknown}", style="dim")
    table = aligned("level", "t", "95 %", "sigma", "flow", "step", "strength")
    for item in advice.items:
        for one in item.settings:
            at = one.at
            if at is None or item.name == "experts":  # t_S once more
                continue
            ends = [short(x.t) if x else "0" for x in (one.low, one.high)]
            interval = "" if one.low is None and one.high is None else f"{ends[0]} to {ends[1]}"
            step = "beyond" if at.step is None else str(at.step)
            part = "" if at.part is None else f"{at.part:.2f}"
            cells = short(at.t), interval, short(at.sigma), f"{at.flow_time:.3f}", step, part
            table.add_row(one.name, *cells)
    console.print()
    wide(console).print(table)
    console.print("\nfor diffusers, with a pipeline `pipe`:", style="bold")
    console.print(advice.code, soft_wrap=True)
    console.print(f"\nwith the figures: {folder / 'advice.html'}", soft_wrap=True)
    console.print(f"all of it: {folder / 'advice.json'}", soft_wrap=True)

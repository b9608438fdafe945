"""Tables of the terminal: as wide as they need, numbers in line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    pass


# the table does not fit into less, nor into the second with theory: such terminals break its lines
NARROWEST = 60, 76


def wide(console: Console) -> Console:
    """The same where tables fit."""
    return Console(width=max(console.width, NARROWEST[0]), highlight=False, markup=False)


def aligned(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table

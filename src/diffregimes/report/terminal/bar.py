"""The progress bar of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ...common.checks import InputError

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    from ...common.parallel import Progress as Callback


@contextmanager
def progress_bar() -> Iterator[Callback]:
    """A bar with the time left, on stderr, gone when done; silent where nobody looks.

    Ctrl-C inside the block is an `InputError`, said like any other reason to stop.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description:<21}"), BarColumn(), TimeRemainingColumn()
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks = {}

    def progress(done: float, total: float, text: str) -> None:
        if text not in tasks:
            tasks[text] = shown.add_task(text, total=total)
        shown.update(tasks[text], completed=done, total=total)

    try:
        with shown:
            yield progress
    except KeyboardInterrupt:
        raise InputError("stopped by Ctrl-C; earlier outputs are as they were.") from None

"""What a person sees of a run: the bar while it lasts, the plan before it, the summary after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .checks import InputError
from .verdict import power_of_ten

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    from .datasets import Dataset
    from .reproduce.tables import Reproduction
    from .results import Analysis, PointsNeeded, TransitionTime
    from .sweep import Progress as Callback

NARROWEST = 60  # the table does not fit into less: such terminals break its lines


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


def print_plan(dataset: Dataset, folder: Path, draws: int | None, precision: float) -> None:
    """What a run would do with this dataset."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    shape = " x ".join(str(x) for x in dataset.sample_shape)
    console.print(f"{dataset.source}: {dataset.n} points, {shape} (d = {dataset.d})")
    for name, count in zip(dataset.class_names, dataset.class_counts, strict=True):
        console.print(f"  class {name}: {count}")
    console.print(f"  {_scale(dataset.scale)}")
    for note in dataset.notes:
        console.print(f"  note: {note}")
    until = f"until the standard errors reach {precision:g}"
    console.print(f"would draw {until if draws is None else f'{draws} noised samples'}")
    console.print(f"would write {folder}/results.json, curves.csv, report.html, figures/")


def print_summary(analysis: Analysis, folder: Path) -> None:
    """The verdict, the table of times, and whatever a reader must know before trusting them."""
    console = Console(highlight=False, markup=False)
    facts = analysis.dataset
    console.print(
        f"{facts['source']}: {facts['n']} points in {facts['d']} dimensions, "
        f"{len(facts['classes'])} classes; {_scale(facts['scale'])}"
    )
    console.print(f"\n{analysis.verdict.headline}", style="bold")
    for sentence in analysis.verdict.sentences:
        console.print(sentence)
    console.print()
    wide = Console(width=max(console.width, NARROWEST), highlight=False, markup=False)
    wide.print(_table(analysis))
    console.print("* headline method; t is Ornstein-Uhlenbeck time, 0 at the data")
    console.print()
    for note in analysis.notes:
        console.print(f"note: {note}")
    for found in analysis.times:
        for warning in found.warnings:
            console.print(f"warning: {found.transition} by {found.method}: {warning}")
    for flag in analysis.reliability:
        if not flag.ok:
            console.print(f"check failed: {flag.name}: {flag.message}", style="bold red")
    if analysis.duplicates:
        exact = sum(x.kind == "exact" for x in analysis.duplicates)
        near = len(analysis.duplicates) - exact
        console.print(f"{exact} exact and {near} near duplicates (named in results.json)")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _scale(scale: tuple[float, float] | list[float] | None) -> str:
    if scale is None:
        return "values as they came"
    return f"values in [{scale[0]:g}, {scale[1]:g}] (the times hold for this scale)"


def _table(analysis: Analysis) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("t", "95 % interval", "DDPM step", "sigma"):
        table.add_column(name, justify="right", no_wrap=True)
    for transition, method in analysis.recipe["headline"].items():
        table.add_row(transition, style="bold")
        for found in analysis.times:
            if found.transition == transition:
                mark = "*" if found.method == method else " "
                table.add_row(*_row(found, mark), style="bold" if mark == "*" else "")
    return table


def _row(found: TransitionTime, mark: str) -> tuple[str, ...]:
    name = f"{mark} {found.method}"
    if found.t is None:
        return name, "none", "", "", ""
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f"{_number(found.low)} to {_number(found.high)}"
    step = "beyond" if found.ddpm_step is None else str(found.ddpm_step)
    sigma = "" if found.sigma is None else _number(found.sigma)
    return name, _number(found.t), bounds, step, sigma


def _number(value: float) -> str:
    """Three decimals, in line in a column, where these say something."""
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 1e4 else f"{value:.2g}"


def print_reproduction(found: Reproduction, folder: Path) -> None:
    """The table ours / paper / theory / z, and what was found in words."""
    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("d", "ours", "paper", "theory", "z"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(
            row.quantity,
            "" if row.d is None else str(row.d),
            f"{row.ours:.4f} ± {row.se:.4f}",
            "" if row.paper is None else f"{row.paper:.4f}",
            "" if row.theory is None else f"{row.theory:.4f}",
            "" if row.z is None else f"{row.z:.1f}",
        )
    Console(width=max(console.width, 78), highlight=False, markup=False).print(table)
    console.print("± one standard error; z = (ours - theory) in standard errors")
    for sentence in found.sentences:
        console.print(sentence)
    console.print(f"figure: {folder / (found.name + '.png')}", soft_wrap=True)


def print_needed(dataset: Dataset, found: list[PointsNeeded]) -> None:
    """How many points put the collapse at t, by every method."""
    console = Console(highlight=False, markup=False)
    console.print(f"{dataset.source}: {dataset.n} points in {dataset.d} dimensions")
    for x in found:
        text = f"collapse at t = {x.t:g} needs n = {power_of_ten(x.log_n)}"
        if x.low < x.high:
            text += f" ({power_of_ten(x.low)} to {power_of_ten(x.high)})"
        console.print(f"{text}: {x.method}")

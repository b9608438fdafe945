"""What a person sees of a run: the bar while it lasts, the plan before it, the summary after."""

from __future__ import annotations

import dataclasses
import math
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
    from .results import Analysis, Comparison, ExactTime, PointsNeeded, TransitionTime
    from .sweep import Progress as Callback
    from .theory import TwoGaussians

# the table does not fit into less, nor into the second with theory: such terminals break its lines
NARROWEST = 60, 76


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
    narrowest = NARROWEST[analysis.theory is not None]
    wide = Console(width=max(console.width, narrowest), highlight=False, markup=False)
    wide.print(_table(analysis))
    console.print("* headline method; t is Ornstein-Uhlenbeck time, 0 at the data")
    if analysis.theory is not None:
        console.print(_against(analysis.theory))
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
    theory = analysis.theory
    extra = () if theory is None else ("exact", "z")
    for name in ("t", *extra, "95 % interval", "DDPM step", "sigma"):
        table.add_column(name, justify="right", no_wrap=True)
    for transition, method in analysis.recipe["headline"].items():
        table.add_row(transition, style="bold")
        for found in analysis.times:
            if found.transition == transition:
                mark = "*" if found.method == method else " "
                row = _row(found, mark)
                if theory is not None:
                    row[2:2] = _exact(theory.time(transition, found.method))
                table.add_row(*row, style="bold" if mark == "*" else "")
    return table


def _exact(known: ExactTime | None) -> list[str]:
    if known is None:
        return ["", ""]
    t = "none" if known.t is None else _number(known.t)
    return [t, "" if known.z is None else f"{known.z:.1f}"]


def _against(theory: Comparison) -> str:
    """How the curves compare with exact theory, in a line."""
    from .wording import farthest, judged

    counts = [len(z) for _, z in judged(theory) if len(z)]
    if not counts:
        return "exact theory: too few points compete for it to judge the curves"
    name, largest = farthest(theory)
    return (
        f"exact theory: {len(counts)} curves, {sum(counts)} values above the collapse, "
        f"largest |z| {largest:.1f} ({name})"
    )


def _row(found: TransitionTime, mark: str) -> list[str]:
    name = f"{mark} {found.method}"
    if found.t is None:
        return [name, "none", "", "", ""]
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f"{_number(found.low)} to {_number(found.high)}"
    step = "beyond" if found.ddpm_step is None else str(found.ddpm_step)
    sigma = "" if found.sigma is None else _number(found.sigma)
    return [name, _number(found.t), bounds, step, sigma]


def _number(value: float) -> str:
    """Three decimals, in line in a column, where these say something."""
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 1e4 else f"{value:.2g}"


def print_phases(
    law: TwoGaussians, d: tuple[float, float], marks: list[dict[str, float | None]], folder: Path
) -> None:
    """How many points put the collapse at some times, over d; the times of marked datasets."""
    from . import theory

    console = Console(highlight=False, markup=False)
    console.print(
        f"Two Gaussian classes, mu = {law.mu:g}, sigma = {law.sigma:g}, weight {law.weight:g}: "
        "how many points n put the collapse at t"
    )
    table = _aligned("d", "t_S", "t = t_S", "t = 1", "t = 0.5", "t = 0.1")
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
    _wide(console).print(table)
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


def print_reproduction(found: Reproduction, folder: Path) -> None:
    """The table ours / paper / theory / z, and what was found in words."""
    console = Console(highlight=False, markup=False)
    table = _aligned("", "ours", "± se", "paper", "theory", "z")
    table.columns[0].justify, table.columns[0].no_wrap = "left", False
    group = ""
    for row in found.rows:
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
    _wide(console).print(table)
    console.print("se: standard error; z: distance from theory in standard errors")
    for sentence in found.sentences:
        # commands that get data are there to be copied: the terminal breaks them, not we
        console.print(sentence, soft_wrap="://" in sentence)
    console.print(f"figure: {folder / (found.name + '.png')}", soft_wrap=True)


def print_needed(dataset: Dataset, found: list[PointsNeeded]) -> None:
    """How many points put the collapse at t, by every method."""
    console = Console(highlight=False, markup=False)
    console.print(f"{dataset.source}: {dataset.n} points in {dataset.d} dimensions")
    console.print(f"collapse at t = {found[0].t:g} needs")
    for x in found:
        text, method = f"n = {power_of_ten(x.log_n)}", x.method
        if x.low < x.high == x.log_n:  # a bound
            text = f"n = {power_of_ten(x.log_n)} at most"
            if dataset.n <= dataset.d and dataset.population is None:
                method += "; with fewer points than dimensions it may lie too low"
        elif power_of_ten(x.low) != power_of_ten(x.high):
            text += f" ({power_of_ten(x.low)} to {power_of_ten(x.high)})"
        console.print(f"  {text}: {method}")


def _wide(console: Console) -> Console:
    """The same where tables fit."""
    return Console(width=max(console.width, NARROWEST[0]), highlight=False, markup=False)


def _aligned(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _plain(d: float) -> str:
    return f"{d:,.10g}".replace(",", " ") if d < 1e7 else power_of_ten(math.log(d))

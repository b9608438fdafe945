"""What a person sees of a run: the bar while it lasts, the plan before it, the summary after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # torch takes seconds to import: Ctrl-C must have its message by then
    from ...data.datasets import Dataset
    from ...results import Analysis, Comparison, ExactTime, Given, TransitionTime, Tree
from ...common.readable import plus_minus, short
from ...results import CLASS_FLAG, TRANSITIONS
from .table import NARROWEST, aligned

_CLASSES = 20  # told one by one
_FORKS = 6  # of the tree of classes
_SIGMA = 9  # columns that it takes


def print_plan(
    dataset: Dataset, folder: Path, draws: int | None, precision: float, *, figures: bool = False
) -> None:
    """What a run would do with this dataset."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    shape = " x ".join(str(x) for x in dataset.sample_shape)
    console.print(f"{dataset.source}: {dataset.n} points, {shape} (d = {dataset.d})")
    classes = list(zip(dataset.class_names, dataset.class_counts, strict=True))
    for name, count in classes[:_CLASSES]:
        console.print(f"  class {name}: {count}")
    if len(classes) > _CLASSES:
        console.print(f"  and {len(classes) - _CLASSES} more classes")
    console.print(f"  {_scale(dataset.scale, dataset.standardized)}")
    if dataset.groups is not None:
        console.print(f"  {len(set(dataset.groups.tolist()))} groups")
    if dataset.given is not None:
        counts = Counter(dataset.given.tolist())
        alone = sum(x == 1 for x in counts.values())
        console.print(f"  {len(counts)} conditions, {alone} of one point")
    for note in dataset.notes:
        console.print(f"  note: {note}")
    until = f"until the standard errors reach {precision:g}"
    console.print(f"would draw {until if draws is None else f'{draws} noised samples'}")
    files = f"results.json, curves.csv, report.html{', figures/' if figures else ''}"
    console.print(f"would write {folder}/{files}")


def print_summary(analysis: Analysis, folder: Path) -> None:
    """The verdict, the table of times, and whatever a reader must know before trusting them."""
    console = Console(highlight=False, markup=False)
    facts = analysis.dataset
    points = f"{facts.n} points"
    if analysis.listed is not None:
        points = f"{facts.n} different points of {analysis.listed.n}"
    console.print(
        f"{facts.source}: {points} in {facts.d} dimensions, "
        f"{len(facts.classes)} classes; {_scale(facts.scale, facts.standardized)}"
    )
    console.print(f"\n{analysis.verdict.headline}", style="bold")
    for sentence in analysis.verdict.sentences:
        console.print(sentence)
    console.print()
    narrowest = NARROWEST[analysis.theory is not None]
    wide = Console(width=max(console.width, narrowest), highlight=False, markup=False)
    wide.print(_table(analysis, wide.width))
    console.print(
        "* headline method; t is Ornstein-Uhlenbeck time, 0 at the data; "
        f"{analysis.clock}s are those of {analysis.recipe.schedule}"
    )
    if analysis.theory is not None:
        console.print(_against(analysis.theory))
    if analysis.tree is not None:
        console.print("\nclasses part", style="bold")
        wide.print(_forks(analysis.tree))
        console.print(f"{analysis.tree.method}; all pairs in results.json")
    for level in analysis.levels:
        from ..words import level_in_words

        console.print(f"level {level_in_words(level)}")
    if analysis.windows:
        console.print("\nparts of the samples", style="bold")
        wide.print(_parts(analysis))
    if analysis.given is not None and analysis.given.conditions > 1:
        console.print("\ncopied given the condition", style="bold")
        wide.print(_conditions(analysis.given))
    console.print()
    for windows in analysis.windows:
        for note in windows.notes:
            console.print(f"note: {windows.name}: {note}")
    for note in analysis.notes:
        console.print(f"note: {note}")
    for time in analysis.times:
        for warning in time.warnings:
            console.print(f"warning: {time.transition} by {time.method}: {warning}")
    for warning in analysis.tree.warnings if analysis.tree else ():
        console.print(f"warning: tree of classes: {warning}")
    for flag in analysis.reliability:
        if flag.ok:
            continue
        if flag.name == CLASS_FLAG:  # a fact of the data: the run is sound
            console.print(f"warning: {flag.message}")
        else:
            console.print(f"check failed: {flag.name}: {flag.message}", style="bold red")
    if analysis.duplicates:
        exact = sum(x.kind == "exact" for x in analysis.duplicates)
        near = len(analysis.duplicates) - exact
        console.print(f"{exact} exact and {near} near duplicates (named in results.json)")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def _scale(scale: tuple[float, float] | None, standardized: bool) -> str:
    if standardized:
        return "features standardized (the times hold for them)"
    if scale is None:
        return "values as they came"
    return f"values in [{scale[0]:g}, {scale[1]:g}] (the times hold for this scale)"


def _table(analysis: Analysis, width: int) -> Table:
    """All times, without sigma in a narrow terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    theory = analysis.theory
    extra = () if theory is None else ("exact", "z")
    names = ["t", *extra, "95 % interval", analysis.clock, "sigma"]
    if width < NARROWEST[theory is not None] + _SIGMA:
        del names[-1]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for transition in TRANSITIONS:
        table.add_row(transition, style="bold")
        for time in analysis.times:
            if time.transition == transition:
                method = analysis.recipe.headline.of(transition)
                mark = "*" if time.method == method else " "
                row = _row(time, mark)
                if theory is not None:
                    row[2:2] = _exact(theory.time(transition, time.method))
                table.add_row(*row[: len(names) + 1], style="bold" if mark == "*" else "")
    return table


def _forks(tree: Tree) -> Table:
    """The first and the last forks of the tree of classes."""
    from ..words import branch_in_words, told_forks

    table = aligned("t", "95 % interval", "recurs")
    table.add_column("from each other")
    for k in told_forks(tree, _FORKS):
        if k is None:
            table.add_row("…")
            continue
        fork = tree.forks[k]
        t, span = ("none", "") if fork.t is None else (short(fork.t), "")
        if fork.low is not None and fork.high is not None:
            span = f"{short(fork.low)} to {short(fork.high)}"
        sides = (branch_in_words(tree, x) for x in (fork.one, fork.other))
        table.add_row(t, span, f"{100 * fork.recurs:.0f} %", " | ".join(sides))
    return table


def _parts(analysis: Analysis) -> Table:
    """Windows by width, each group, and the whole at the end."""
    from ..words import part_rows

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in ("parts", "t_S", "95 % interval", "t_C", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in part_rows(analysis):
        table.add_row(*row)
    return table


def _conditions(given: Given) -> Table:
    """The conditions whose points are copied first, and last."""
    from ..words import condition_row, told_conditions

    table = aligned("t", "95 % interval", "points")
    table.add_column("condition")
    if given.alone:
        table.add_row("any", "", str(len(given.alone)), "with no other point")
    for found in told_conditions(given, _FORKS):
        if found is None:
            table.add_row("…")
            continue
        name, points, t, span = condition_row(found)
        table.add_row(t, span, points, name)
    return table


def _exact(known: ExactTime | None) -> list[str]:
    if known is None:
        return ["", ""]
    t = "none" if known.t is None else short(known.t)
    if known.se >= 5e-4:
        t = plus_minus(known.t, known.se)
    return [t, "" if known.z is None else f"{known.z:.1f}"]


def _against(theory: Comparison) -> str:
    """How the curves compare with exact theory, in a line."""
    from ..words import farthest, judged

    counts = [len(z) for _, z in judged(theory) if len(z)]
    if not counts:
        return "exact theory: too few points compete for it to judge the curves"
    name, largest = farthest(theory)
    return (
        f"exact theory: {len(counts)} curves, {sum(counts)} values, "
        f"largest |z| {largest:.1f} ({name})"
    )


def _row(time: TransitionTime, mark: str) -> list[str]:
    name = f"{mark} {time.method}"
    if time.t is None:
        return [name, "none", "", "", ""]
    bounds = ""
    if time.low is not None and time.high is not None:
        bounds = f"{short(time.low)} to {short(time.high)}"
    step = "beyond" if time.ddpm_step is None else str(time.ddpm_step)
    sigma = "" if time.sigma is None else short(time.sigma)
    return [name, short(time.t), bounds, step, sigma]

"""The commands `theory`, `reproduce` and `points-needed`: closed forms and the paper's figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import InputError, in_range

if TYPE_CHECKING:
    from .reproduce.tables import Reproduction
    from .sweep import Progress
    from .theory import PhaseDiagram, TwoGaussians

theory = typer.Typer(no_args_is_help=True, help="Closed forms: no data, no sampling.")
reproduce = typer.Typer(
    no_args_is_help=True,
    help="The figures of the paper (arXiv 2402.18491), each from one command.",
)
Out = Annotated[Path | None, typer.Option(help="Output folder.", show_default="runs/NAME")]
Seed = Annotated[int, typer.Option(help="Same seed, same numbers.")]

PHASE_HELP = """
When two Gaussian classes speciate and collapse, over the dimension d and the number of points n.

Means +-m with |m|^2 = d mu^2, variance sigma^2 within a class. Writes the diagram (PNG, SVG), its
numbers (CSV) and results.json, and prints how many points it takes to put the collapse at a time.

Examples:

  diffregimes theory phase-diagram

  diffregimes theory phase-diagram --mu 0.2 --sigma 1 --mark 3072,50000

  diffregimes theory phase-diagram --d 10,1e4 --n 100,1e9 --out runs/small
"""


@theory.command("phase-diagram", help=PHASE_HELP)
def phase_diagram(
    mu: Annotated[float, typer.Option(help="Half the distance of the classes over sqrt(d).")] = 1.0,
    sigma: Annotated[float, typer.Option(help="Standard deviation within a class.")] = 1.0,
    weight: Annotated[float, typer.Option(help="Share of the first class.")] = 0.5,
    d: Annotated[str, typer.Option(metavar="LO,HI", help="Range of the dimension.")] = "2,1e6",
    n: Annotated[
        str, typer.Option(metavar="LO,HI", help="Range of the number of points.")
    ] = "2,1e300",
    mark: Annotated[
        list[str] | None,
        typer.Option(metavar="D,N", help="Mark a dataset and print its times; may be repeated."),
    ] = None,
    out: Out = None,
) -> None:
    dims = _span("--d", d, 1, 1e12, "--d 2,1e6")
    counts = _span("--n", n, 1.01, 1e308, "--n 2,1e300")
    marks = tuple(_pair("--mark", text, "--mark 3072,50000") for text in mark or [])
    for dimension, points in marks:
        in_range("--mark: d", dimension, 1, 1e12)
        in_range("--mark: n", points, 1.01, 1e308)
    import numpy as np

    from .phase_plot import plot_phase_diagram
    from .pictures import png_bytes, svg_bytes
    from .terminal import print_phases
    from .theory import TwoGaussians
    from .theory import phase_diagram as compute

    law = TwoGaussians(dims[0], mu, sigma, weight)
    places = tuple((dimension, math.log(points)) for dimension, points in marks)
    marked = [_mark(law, *place) for place in places]
    folder = out or Path("runs/phase-diagram")
    with _writing(folder) as stage:
        log_n = np.geomspace(math.log(counts[0]), math.log(counts[1]), 61)
        found = compute(law, np.geomspace(*dims, 61), log_n)
        figure = plot_phase_diagram(found, places).get_figure(root=True)
        assert figure is not None
        from .output import LAST, columns_csv

        (stage / "phase-diagram.png").write_bytes(png_bytes(figure))
        (stage / "phase-diagram.svg").write_bytes(svg_bytes(figure))
        (stage / "phase-diagram.csv").write_text(columns_csv(_columns(found)))
        recorded = {
            "format": "diffregimes.phase-diagram/1",
            "law": {k: v for k, v in asdict(law).items() if k != "d"},
            "d": list(dims),
            "n": list(counts),
            "marks": marked,
        }
        (stage / LAST).write_text(json.dumps(recorded, indent=1, allow_nan=False) + "\n")
    print_phases(law, dims, marked, folder)


def _columns(found: PhaseDiagram) -> dict[str, list[float | None]]:
    """One row for each d and log n; an empty cell where there is no such time."""

    def shown(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    grid = [(i, j) for i in range(len(found.d)) for j in range(len(found.log_n))]
    return {
        "d": [shown(found.d[i]) for i, _ in grid],
        "log_n": [shown(found.log_n[j]) for _, j in grid],
        "t_s": [shown(found.speciation[i]) for i, _ in grid],
        "t_c": [shown(found.collapse[i, j]) for i, j in grid],
        "log_n_at_t_s": [shown(found.boundary[i]) for i, _ in grid],
    }


def _mark(law: TwoGaussians, d: float, log_n: float) -> dict[str, float | None]:
    from .theory import TwoGaussians, collapse_time, speciation_times

    here = TwoGaussians(d, law.mu, law.sigma, law.weight)
    t_s, t_c = speciation_times(here)["clone"], collapse_time(here, log_n)
    return {"d": d, "log_n": log_n, "t_s": t_s, "t_c": t_c}


FIGURE_2_HELP = """
Figure 2: speciation of two Gaussian classes, phi(t) for d = 256, 1024, 4096 and 16384.

Measured with 10 000 pairs of clones at each time, from the class posterior and from trajectories
run backwards, beside the exact integral; against t/t_S the curves cross near 0.775. Writes
figure-2.png, .svg, .csv, the table figure-2-table.csv and results.json. Takes a minute.

Example: diffregimes reproduce figure-2
"""
FIGURE_3_HELP = """
Figure 3: collapse of two Gaussian classes, the excess entropy for n = 20 000 points.

d = 256, 1024 and 4096, measured by the posterior pass with a third of the paper's standard errors,
beside the theory to leading order and exactly. Writes figure-3.png, .svg, .csv, the table
figure-3-table.csv and results.json. Takes a minute on two cores.

Examples:

  diffregimes reproduce figure-3

  diffregimes reproduce figure-3 --draws-share 0.1     # ten times faster, three times the error
"""


@reproduce.command("figure-2", help=FIGURE_2_HELP)
def figure_2(
    pairs: Annotated[int, typer.Option(help="Pairs of clones at each time.")] = 10_000,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    in_range("--pairs", pairs, 100, 10**8)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from .reproduce import figure_2

        return figure_2.reproduce(pairs, seed, progress)

    _reproduce("figure-2", run, out)


@reproduce.command("figure-3", help=FIGURE_3_HELP)
def figure_3(
    draws_share: Annotated[
        float, typer.Option(help="Number of draws in units of the full figure.")
    ] = 1.0,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    in_range("--draws-share", draws_share, 1e-3, 100)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from .reproduce import figure_3

        return figure_3.reproduce(draws_share, seed=seed, progress=progress)

    _reproduce("figure-3", run, out)


def _reproduce(name: str, run: Callable[[Progress], Reproduction], out: Path | None) -> None:
    from .terminal import progress_bar

    folder = out or Path("runs") / name
    with progress_bar() as progress, _writing(folder) as stage:
        found = run(progress)
        from .reproduce.tables import write

        write(found, stage)
    from .terminal import print_reproduction

    print_reproduction(found, folder)


NEEDED_HELP = """
How many training points put the collapse at time t.

For a dataset the collapse of subsets of n, n/2, n/4, ... points is measured and carried on to t,
with a 95 % interval; beside it the Gaussian bound from the spectrum. For a mixture (gmm:...) the
exact number. [bold]SOURCE[/bold] is what [cyan]analyze[/cyan] takes.

Examples:

  diffregimes points-needed digits --at 0.1

  diffregimes points-needed gmm:d=256,n=2000 --at 0.5
"""


def points_needed(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for analyze.")],
    at: Annotated[float, typer.Option(metavar="T", help="Where the collapse is to lie.")],
    classes: Annotated[
        str | None, typer.Option(metavar="A,B", help="Classes to keep, by name or number.")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(metavar="N", help="Keep the first N points of each class.")
    ] = None,
    pad: Annotated[int, typer.Option(metavar="N", help="Pixels added on every side.")] = 0,
    pixel_range: Annotated[
        str | None, typer.Option("--range", metavar="LO,HI", help="Scale of the pixels.")
    ] = None,
    seed: Seed = 0,
) -> None:
    in_range("--at", at, 1e-9, 300, "It is an Ornstein-Uhlenbeck time.")
    in_range("--seed", seed, 0, 10**18)
    scale = None if pixel_range is None else _pair("--range", pixel_range, "--range=-1,1")
    from .terminal import print_needed, progress_bar

    with progress_bar() as progress:
        from . import needed, readers
        from .posterior import prepare
        from .spectrum import covariance, spectrum

        dataset = readers.load(
            source,
            classes=None if classes is None else [x.strip() for x in classes.split(",")],
            per_class=per_class,
            pixel_range=scale,
            pad=pad,
            progress=progress,
        )
        known = dataset.population
        if known is not None:
            eigenvalues = known.eigenvalues()
        else:
            cloud = prepare(dataset.points, dataset.labels)
            eigenvalues = spectrum(dataset, covariance(cloud)).eigenvalues
        found = [
            needed.points_needed(at, known, seed=seed)
            if known is not None
            else needed.points_needed(at, dataset, seed=seed, progress=progress),
            needed.points_needed(at, eigenvalues),
        ]
    print_needed(dataset, found)


def _span(option: str, text: str, least: float, most: float, example: str) -> tuple[float, float]:
    low, high = _pair(option, text, example)
    in_range(option, low, least, most)
    in_range(option, high, least, most)
    if not low < high:
        raise InputError(f"{option} is {text!r}; expected the lower end first, such as {example}.")
    return low, high


def _pair(option: str, text: str, example: str) -> tuple[float, float]:
    try:
        low, high = (float(x) for x in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected two numbers separated by a comma, such as {example}."
        ) from None
    return low, high


def _writing(folder: Path) -> Any:
    from .output import staged

    return staged(folder)

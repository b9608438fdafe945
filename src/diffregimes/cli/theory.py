"""The commands `theory` and `points-needed`: closed forms, and what they say of a dataset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError, in_range
from .command import command, pair
from .options import DataOptions, Out, Seed, Source, flowing

if TYPE_CHECKING:
    from ..theory import TwoGaussians


theory = typer.Typer(no_args_is_help=True, help="Closed forms: no data, no sampling.")

PHASE_HELP = """
When two Gaussian classes speciate and collapse, over the dimension d and the number of points n.

Means +-m with |m|^2 = d mu^2, variance sigma^2 within a class. Writes the diagram (PNG, SVG), its
numbers (CSV) and results.json, and prints how many points it takes to put the collapse at a time.

Examples:

  diffregimes theory phase-diagram

  diffregimes theory phase-diagram --mu 0.2 --sigma 1 --mark 3072,50000

  diffregimes theory phase-diagram --d 10,1e4 --n 100,1e9 --out runs/small
"""


@theory.command("phase-diagram", help=flowing(PHASE_HELP))
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
    marks = tuple(pair("--mark", text, "--mark 3072,50000") for text in mark or [])
    for dimension, points in marks:
        in_range("--mark: d", dimension, 1, 1e12)
        in_range("--mark: n", points, 1.01, 1e308)
    import numpy as np

    from ..report.folder import staged
    from ..report.runs import write_phases
    from ..report.terminal.theory import print_phases
    from ..theory import TwoGaussians
    from ..theory import phase_diagram as compute

    law = TwoGaussians(dims[0], mu, sigma, weight)
    marked = [_mark(law, dimension, math.log(points)) for dimension, points in marks]
    folder = out or Path("runs/phase-diagram")
    with staged(folder) as stage:
        log_n = np.geomspace(math.log(counts[0]), math.log(counts[1]), 61)
        diagram = compute(law, np.geomspace(*dims, 61), log_n)
        write_phases(diagram, law, dims, counts, marked, stage)
    print_phases(law, dims, marked, folder)


def _mark(law: TwoGaussians, d: float, log_n: float) -> dict[str, float | None]:
    from ..theory import TwoGaussians, collapse_time, speciation_times

    here = TwoGaussians(d, law.mu, law.sigma, law.weight)
    t_s, t_c = speciation_times(here)["clone"], collapse_time(here, log_n)
    return {"d": d, "log_n": log_n, "t_s": t_s, "t_c": t_c}


NEEDED_HELP = """
How many training points put the collapse at time t.

For a dataset the collapse of subsets of n, n/2, n/4, ... points is measured and carried on to t,
with a 95 % interval; beside it the Gaussian bound from the spectrum. For a mixture (gmm:...) the
exact number. [bold]SOURCE[/bold] is what [cyan]analyze[/cyan] takes.

Examples:

  diffregimes points-needed digits --at 0.1

  diffregimes points-needed gmm:d=256,n=2000 --at 0.5
"""


@dataclass(frozen=True, kw_only=True)
class PointsNeeded:
    """The options of `points-needed`."""

    source: Source
    at: Annotated[float, typer.Option(metavar="T", help="Where the collapse is to lie.")]
    data: DataOptions
    seed: Seed = 0


def points_needed(options: PointsNeeded) -> None:
    in_range("--at", options.at, 1e-9, 300, "It is an Ornstein-Uhlenbeck time.")
    in_range("--seed", options.seed, 0, 10**18)
    scale = options.data.range()
    from ..report.terminal.bar import progress_bar
    from ..report.terminal.theory import print_needed

    with progress_bar() as progress:
        from ..data.cloud import prepare
        from ..data.spectrum import covariance, spectrum
        from ..transitions.needed import points_needed as needed

        dataset = options.data.read(options.source, scale, progress)
        law, at, seed = dataset.population, options.at, options.seed
        if law is not None:
            estimates = [needed(at, law, seed=seed), needed(at, law.eigenvalues())]
        else:
            cloud = prepare(dataset.points, dataset.labels)
            eigenvalues = spectrum(dataset, covariance(cloud)).eigenvalues
            measured = needed(at, dataset, seed=seed, progress=progress)
            estimates = [measured, needed(at, eigenvalues)]
    print_needed(dataset, estimates)


def _span(option: str, text: str, least: float, most: float, example: str) -> tuple[float, float]:
    low, high = pair(option, text, example)
    in_range(option, low, least, most)
    in_range(option, high, least, most)
    if not low < high:
        raise InputError(f"{option} is {text!r}; expected the lower end first, such as {example}.")
    return low, high


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command("points-needed", help=flowing(NEEDED_HELP))(command(points_needed))
    app.add_typer(theory, name="theory")

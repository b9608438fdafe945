"""The commands `theory` and `points-needed`: closed forms, and what they say of a dataset."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError, in_range
from .options import (
    Classes,
    Key,
    Labels,
    Out,
    Pad,
    PerClass,
    PixelRange,
    Seed,
    Source,
    flowing,
    pair,
    read,
)

if TYPE_CHECKING:
    from ..theory import PhaseDiagram, TwoGaussians


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

    from ..report.figures.phase import plot_phase_diagram
    from ..report.figures.style import png_bytes, svg_bytes
    from ..report.folder import LAST, staged
    from ..report.tables import columns_csv
    from ..report.terminal.theory import print_phases
    from ..theory import TwoGaussians
    from ..theory import phase_diagram as compute

    law = TwoGaussians(dims[0], mu, sigma, weight)
    places = tuple((dimension, math.log(points)) for dimension, points in marks)
    marked = [_mark(law, *place) for place in places]
    folder = out or Path("runs/phase-diagram")
    with staged(folder) as stage:
        log_n = np.geomspace(math.log(counts[0]), math.log(counts[1]), 61)
        found = compute(law, np.geomspace(*dims, 61), log_n)
        figure = plot_phase_diagram(found, places).get_figure(root=True)
        assert figure is not None
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


def points_needed(
    source: Source,
    at: Annotated[float, typer.Option(metavar="T", help="Where the collapse is to lie.")],
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: PixelRange = None,
    pad: Pad = 0,
    seed: Seed = 0,
) -> None:
    in_range("--at", at, 1e-9, 300, "It is an Ornstein-Uhlenbeck time.")
    in_range("--seed", seed, 0, 10**18)
    scale = None if pixel_range is None else pair("--range", pixel_range, "--range=-1,1")
    from ..report.terminal.bar import progress_bar
    from ..report.terminal.theory import print_needed

    with progress_bar() as progress:
        from ..data.cloud import prepare
        from ..data.spectrum import covariance, spectrum
        from ..transitions import needed

        dataset = read(
            source,
            labels=labels,
            key=key,
            classes=classes,
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
    low, high = pair(option, text, example)
    in_range(option, low, least, most)
    in_range(option, high, least, most)
    if not low < high:
        raise InputError(f"{option} is {text!r}; expected the lower end first, such as {example}.")
    return low, high


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command("points-needed", help=flowing(NEEDED_HELP))(points_needed)
    app.add_typer(theory, name="theory")

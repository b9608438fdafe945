"""The command `reproduce`: the figures of the paper, each from one command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .checks import InputError, in_range
from .cli_options import Out, flowing

if TYPE_CHECKING:
    from .reproduce.tables import Reproduction
    from .sweep import Progress

app = typer.Typer(
    no_args_is_help=True,
    help="The figures of the paper (arXiv 2402.18491), each from one command.",
)
Seed = Annotated[int, typer.Option(help="Same seed, same numbers.")]
IMAGES = "imagenet-panda-seashore"  # below DIFFREGIMES_DATA

FIGURE_1_HELP = """
Figure 1: the three regimes, from a real run.

Trajectories under the exact score of the built-in digits 0 and 1, along the difference of the
class means. Writes figure-1.png, .svg, .csv, the table figure-1-table.csv and results.json. Takes
seconds.

Example: diffregimes reproduce figure-1
"""
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
FIGURE_5_HELP = """
Figure 5: collapse on images, under the exact score of the training set.

phi_C(t) from simulated clones, the last changes of the nearest training point, and the excess
entropy, for each SOURCE (images, as for analyze) and with --halved also at half its size. Without
SOURCE: the panda and seashore images below the folder that DIFFREGIMES_DATA names, at 16x16 and
32x32. Writes figure-5.png, .svg, .csv, the table figure-5-table.csv and results.json. Takes
minutes.

Examples:

  diffregimes reproduce figure-5 --score exact

  diffregimes reproduce figure-5 path/to/images/ --halved --pairs 128
"""


@app.command("figure-1", help=flowing(FIGURE_1_HELP))
def figure_1(
    trajectories: Annotated[int, typer.Option(help="Trajectories drawn.")] = 60,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    in_range("--trajectories", trajectories, 2, 10_000)
    in_range("--seed", seed, 0, 10**6)

    def run(progress: Progress) -> Reproduction:
        from .reproduce import figure_1

        return figure_1.reproduce(trajectories, seed, progress)

    _reproduce("figure-1", run, out)


@app.command("figure-2", help=flowing(FIGURE_2_HELP))
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


@app.command("figure-3", help=flowing(FIGURE_3_HELP))
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


@app.command("figure-5", help=flowing(FIGURE_5_HELP))
def figure_5(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Images, as for analyze.")
    ] = None,
    halved: Annotated[
        bool, typer.Option("--halved", help="Also at half the size, by means over 2x2 pixels.")
    ] = False,
    score: Annotated[str, typer.Option(help="exact: that of the training points.")] = "exact",
    pairs: Annotated[int, typer.Option(help="Trajectories and pairs of clones.")] = 256,
    steps: Annotated[int, typer.Option(help="Steps of the sampler, even in log-SNR.")] = 500,
    seed: Seed = 0,
    out: Out = None,
) -> None:
    in_range("--pairs", pairs, 2, 10**6)
    in_range("--steps", steps, 10, 10**6)
    in_range("--seed", seed, 0, 10**6)
    if score != "exact":
        raise InputError(f"--score is {score!r}; expected exact.")

    def run(progress: Progress) -> Reproduction:
        from .readers import load
        from .reproduce import figure_5

        data = load(source or _images(), progress=progress)
        smaller = [figure_5.halved(data)] if halved or source is None else []
        return figure_5.reproduce([*smaller, data], pairs, steps, seed, progress)

    _reproduce("figure-5", run, out)


def _images() -> str:
    """The panda and seashore images, where they are."""
    named = os.environ.get("DIFFREGIMES_DATA")
    found = sorted(Path(named, IMAGES).glob("*.npz")) if named else []
    if not found:
        raise InputError(
            "no images: the environment variable DIFFREGIMES_DATA names no folder that holds "
            f"{IMAGES}/*.npz. Name a SOURCE of your own, an .npz or a folder of images."
        )
    return str(found[0])


def _reproduce(name: str, run: Callable[[Progress], Reproduction], out: Path | None) -> None:
    from .terminal import progress_bar

    folder = out or Path("runs") / name
    with progress_bar() as progress:
        from .output import staged
        from .reproduce.tables import write

        with staged(folder) as stage:
            found = run(progress)
            write(found, stage)
    from .terminal import print_reproduction

    print_reproduction(found, folder)

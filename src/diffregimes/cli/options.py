"""Options that several commands share, and the reading of SOURCE that goes with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError
from ..data.readers import ACCEPTED

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset


DATA, ACCURACY, OUTPUT = "The data", "The computation", "The output"

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help=f"{ACCEPTED[0].upper()}{ACCEPTED[1:]}."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=DATA,
        help="Where the labels are: a key of the .npz, a column (-1 is the last), a file, "
        "FILE.csv:COLUMN, or none to ignore them.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(rich_help_panel=DATA, help="Key of the data in an .npz with several arrays."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=DATA, metavar="A,B", help="Classes to keep, by name or number: 1,8"
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=DATA,
        metavar="N",
        help="Keep the first N points of each class.",
        show_default="all",
    ),
]
PixelRange = Annotated[
    str | None,
    typer.Option(
        "--range",
        rich_help_panel=DATA,
        metavar="LO,HI",
        help="Scale of the pixels; must be that of the model: --range=-1,1",
        show_default="0,1 for integer pixels, floats as they are",
    ),
]
ModelRange = Annotated[
    str | None,
    typer.Option(
        "--range",
        rich_help_panel=DATA,
        metavar="LO,HI",
        help="Scale of the pixels.",
        show_default="that of --model; without: 0,1 for integer pixels, floats as they are",
    ),
]
Pad = Annotated[
    int,
    typer.Option(
        rich_help_panel=DATA, metavar="N", help="Pixels added on every side of the images."
    ),
]
Seed = Annotated[int, typer.Option(rich_help_panel=ACCURACY, help="Same seed, same numbers.")]
Device = Annotated[
    str, typer.Option(rich_help_panel=ACCURACY, help="Where it is computed: cpu, cuda, mps.")
]
MemoryMib = Annotated[
    int,
    typer.Option(rich_help_panel=ACCURACY, metavar="MIB", help="Memory for buffers; same numbers."),
]
Out = Annotated[
    Path | None,
    typer.Option(rich_help_panel=OUTPUT, help="Output folder.", show_default="runs/NAME"),
]


# of the backward process
Score = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        help="empirical: the exact score of the training points; population: that of the law of a "
        "gmm: source.",
        show_default="population for gmm:, else empirical",
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        help="A saved diffusers pipeline, run in place of the exact score; SOURCE is what it was "
        "trained on, in the same size and scale (--range=-1,1 as a rule).",
    ),
]
Label = Annotated[
    int | None,
    typer.Option(rich_help_panel=ACCURACY, help="Class that a conditional model is asked for."),
]
Classifier = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        metavar="DIR",
        help="What judges the class of end points: a folder of train-classifier, on the same "
        "SOURCE and classes.",
        show_default="the nearest training point",
    ),
]
Sampler = Annotated[
    str,
    typer.Option(rich_help_panel=ACCURACY, help="bridge, ddpm or euler-maruyama."),
]
Grid = Annotated[
    str,
    typer.Option(
        rich_help_panel=ACCURACY,
        help="Steps of the sampler: a DDPM schedule (linear, cosine, a scheduler_config.json), or "
        "uniform or log-snr.",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=ACCURACY, metavar="N", help="Number of steps.", show_default="1000"
    ),
]
Times = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        metavar="T,T,...",
        help="Times t at which clones part.",
        show_default="12, where the curves change",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        metavar="N",
        help="States the score is given at a time; same numbers.",
        show_default="all",
    ),
]
Pairs = Annotated[
    int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Trajectories to run.")
]


def read(
    source: str,
    *,
    labels: str | None = None,
    key: str | None = None,
    classes: str | None = None,
    per_class: int | None = None,
    pixel_range: tuple[float, float] | None = None,
    pad: int = 0,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """The dataset in `source`, options as they came from the command line."""
    from ..data import readers  # torch takes seconds to import: --help must not wait for it

    return readers.load(
        source,
        labels=labels,
        key=key,
        classes=None if classes is None else [x.strip() for x in classes.split(",")],
        per_class=per_class,
        pixel_range=pixel_range,
        pad=pad,
        skip_unreadable=skip_unreadable,
        progress=progress,
    )


def numbers(option: str, text: str | None, example: str) -> list[float] | None:
    """The numbers in 0.1,0.5,1; None stays None."""
    if text is None:
        return None
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected numbers separated by commas, such as {example}."
        ) from None


def pair(option: str, text: str, example: str) -> tuple[float, float]:
    """The two numbers in LO,HI."""
    found = numbers(option, text, example)
    if found is None or len(found) != 2:
        raise InputError(f"{option} is {text!r}; expected two numbers such as {example}.")
    return found[0], found[1]


def model_scale(source: str, text: str | None, model: Path | None) -> tuple[float, float] | None:
    """--range, and without it the scale that a model takes; a law has no pixels to be scaled."""
    if text is not None:
        return pair("--range", text, "--range=-1,1")
    if model is None or source.startswith("gmm:"):
        return None
    from ..learned.models import trained_scale

    return trained_scale(model)


def flowing(text: str) -> str:
    """A help text whose paragraphs are single lines, for the terminal to break."""
    return "\n\n".join(x.replace("\n", " ") for x in text.strip().split("\n\n"))


def source_name(source: str) -> str:
    """A folder name: cars for path/to/cars.npz, images for path/to/images/, gmm-d9-n99 for
    gmm:d=9,n=99."""
    if source.startswith("gmm:"):
        return re.sub(r"[^\w.+-]+", "-", re.sub(r"[=\s]", "", source)).strip("-")
    path = Path(source).expanduser()
    if path.is_dir():
        return path.resolve().name or "dataset"
    return path.stem or "dataset"

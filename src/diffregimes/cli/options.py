"""Options that several commands share, as dataclasses, and the reading of SOURCE with them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from ..common.readable import printable
from ..common.reading import readable
from ..data.readers import ACCEPTED
from .command import pair

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..data.pixels import Range


DATA, ACCURACY, OUTPUT = "The data", "The computation", "The output"
TRAINING, NETWORKS = "The training", "The networks"


def place(given: str | Path) -> Path:
    """A file or a folder that an option names, or is without, ~ expanded."""
    text = str(given)
    if not text.strip():
        raise InputError(
            "an option that names a file or a folder is empty (a variable of the shell that is not "
            "set?); expected a path. Leave the option out, or write . for this folder."
        )
    with readable(text, "a path", "expected names of 255 bytes or less, and after ~ a user."):
        path = Path(text).expanduser()
        path.exists()  # fails for a name that can be no file's
        return path


Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help=f"{ACCEPTED[0].upper()}{ACCEPTED[1:]}."),
]
FigureSeed = Annotated[int, typer.Option(help="Same seed, same numbers.")]  # beside few others
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
    typer.Option(
        rich_help_panel=OUTPUT, parser=place, help="Output folder.", show_default="runs/NAME"
    ),
]
Figures = Annotated[
    bool,
    typer.Option(
        "--figures",
        rich_help_panel=OUTPUT,
        help="The figures of report.html as PNG and SVG files, too.",
        show_default="where the folder has some",
    ),
]


Classifier = Annotated[
    Path | None,
    typer.Option(
        rich_help_panel=ACCURACY,
        parser=place,
        metavar="DIR",
        help="What judges the class of end points: a folder of train-classifier, on the same "
        "SOURCE and classes.",
        show_default="the nearest training point",
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


def range_option(default: str) -> Any:
    """--range, the same for every command but for what it is without."""
    return typer.Option(
        "--range",
        rich_help_panel=DATA,
        metavar="LO,HI",
        help="Scale of the pixels; must be that of the model: --range=-1,1; none takes the "
        "values as they came.",
        show_default=default,
    )


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What is read of SOURCE."""

    labels: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            help="Where the labels are: a key of an archive, a column by its name or number (-1 is "
            "the last), a file, FILE.csv:COLUMN, or none to ignore them.",
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA, help="Name of the data where there are several arrays or columns."
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="PART",
            help="The part to read where there are several: train, validation, test.",
            show_default="train",
        ),
    ] = None
    classes: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA, metavar="A,B", help="Classes to keep, by name or number: 1,8"
        ),
    ] = None
    per_class: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="N",
            help="Keep the first N points of each class.",
            show_default="all",
        ),
    ] = None
    pixel_range: Annotated[
        str | None,
        range_option("0,1 for integer pixels, floats as they are"),
    ] = None
    pad: Annotated[
        int,
        typer.Option(
            rich_help_panel=DATA, metavar="N", help="Pixels added on every side of the images."
        ),
    ] = 0
    resize: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=DATA, metavar="N", help="Bring image files to N×N pixels (Lanczos)."
        ),
    ] = None
    crop: Annotated[
        bool,
        typer.Option(
            "--crop",
            rich_help_panel=DATA,
            help="Cut out the centre square of image files, before --resize.",
        ),
    ] = False
    standardize: Annotated[
        bool,
        typer.Option(
            "--standardize",
            rich_help_panel=DATA,
            help="Divide each feature of a table by its standard deviation.",
        ),
    ] = False

    def alike(self) -> DataOptions:
        """For images of no class that are to be of the same size."""
        return DataOptions(
            labels="none", pad=self.pad, resize=self.resize, crop=self.crop, key=None
        )

    def range(self) -> Range:
        """What --range says."""
        text = self.pixel_range
        if text is None:
            return None
        if text.strip().lower() == "none":
            return "none"
        return pair("--range", text, "--range=-1,1, or none")

    def range_for(self, source: str, model: Path | None) -> Range:
        """--range, and without it what was done to the points that the model was trained on; a law
        has no pixels to be scaled."""
        given = self.range()
        if given is not None or model is None or source.startswith("gmm:"):
            return given
        from ..learned.models import trained_scaling

        return trained_scaling(model)

    def grouping(self) -> str | None:
        """What points have in common that count as one; nothing, unless a command asks for it."""
        return None

    def condition(self) -> str | None:
        """What each is learned under, likewise."""
        return None

    def read(
        self,
        source: str,
        scale: Range,
        progress: Progress | None = None,
        *,
        skip_unreadable: bool = False,
        group: str | None = None,
        captions: str | None = None,
        memory_mib: int | None = None,
        keep: Path | None = None,
    ) -> Dataset:
        """The dataset in `source`, its pixels on `scale`; with `memory_mib` larger points stay in
        their file, or are decoded into the folder `keep`."""
        from ..data import readers  # torch takes seconds to import: --help must not wait for it
        from ..data.pixels import PixelMap

        return readers.load(
            source,
            labels=self.labels,
            key=self.key,
            group=group or self.grouping(),
            given=self.condition(),
            captions=captions,
            classes=None if self.classes is None else [x.strip() for x in self.classes.split(",")],
            per_class=self.per_class,
            pixel_range=scale,
            pad=self.pad,
            split=self.split,
            resize=self.resize,
            crop=self.crop,
            # other data were given the map that these get, standardized or not
            standardize=self.standardize and not isinstance(scale, PixelMap),
            skip_unreadable=skip_unreadable,
            memory_mib=memory_mib,
            keep=keep,
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True)
class ModelDataOptions(DataOptions):
    """Beside a --model, which knows its scale."""

    pixel_range: Annotated[
        str | None,
        range_option("that of --model; without: 0,1 for integer pixels, floats as they are"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Computation:
    """Of the commands that run backwards."""

    seed: Seed = 0
    device: Device = "cpu"
    memory_mib: MemoryMib = 1024

    def check(self) -> None:
        """Raise for what is out of range; the device is not looked for yet."""
        in_range("--seed", self.seed, 0, 10**18)
        in_range("--memory-mib", self.memory_mib, 16, 10**7)


@dataclass(frozen=True, kw_only=True)
class TrainedOptions:
    """Of the figures that train networks, or take them up."""

    preset: Annotated[
        str, typer.Option(rich_help_panel=NETWORKS, help="tiny: for two cores; paper: for a GPU.")
    ] = "tiny"
    work: Annotated[
        Path,
        typer.Option(
            rich_help_panel=NETWORKS,
            parser=place,
            help="Keeps networks and clones, to go on with.",
        ),
    ] = Path("runs/trained")
    seed: FigureSeed = 0
    device: Device = "cpu"

    def check(self) -> None:
        """Raise for options out of range; warn of a recipe that will not end."""
        in_range("--seed", self.seed, 0, 10**6)
        from ..common.recipe import check_device
        from ..report.folder import check_target
        from ..reproduce import sources

        sources.preset(self.preset)
        check_device(self.device)
        check_target(self.work)
        if self.preset == "paper" and self.device == "cpu":
            typer.echo(
                "warning: --preset paper trains for months on a CPU; expected --device cuda",
                err=True,
            )


def flowing(text: str) -> str:
    """A help text whose paragraphs are single lines, for the terminal to break."""
    return "\n\n".join(x.replace("\n", " ") for x in text.strip().split("\n\n"))


def source_name(source: str) -> str:
    """A folder name: cars for path/to/cars.npz, images for path/to/images/, gmm-d9-n99 for
    gmm:d=9,n=99."""
    if source.startswith("gmm:"):
        name = re.sub(r"[^\w.+-]+", "-", re.sub(r"[=\s]", "", source)).strip("-")
    else:
        path = place(source)
        with readable(source, "data", "check the spelling."):
            name = path.resolve().name if path.is_dir() else path.stem
    # with room for what the commands add to it, in the 255 bytes that a name may have
    return printable(os.fsdecode(os.fsencode(name)[:200])) or "dataset"

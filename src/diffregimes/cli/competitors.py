"""What competes with a point: options of the groups, the condition and the augmented images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DATA, DataOptions

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..data.pixels import Range


@dataclass(frozen=True, kw_only=True)
class GroupedDataOptions(DataOptions):
    """Of points of which several may be one thing seen again."""

    group: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="COLUMN|FILE",
            help="What points have in common that are one thing seen again, such as the patient or "
            "the scene: where it stands, as --labels has it (a second FILE for held-out points "
            "after a comma), or folder, that of an image file. A group counts as one and is never "
            "on both sides of what is held out.",
            show_default="none",
        ),
    ] = None

    def grouping(self) -> str | None:
        return self.group and self.group.split(",")[0]

    def read_other(
        self,
        source: str,
        scale: Range,
        progress: Progress | None,
        captions: str | None = None,
    ) -> Dataset:
        """Points beside those of the data, whose groups may stand in a file of their own."""
        other = self.group and self.group.split(",")[-1]
        return self.read(source, scale, progress, group=other, captions=captions)


@dataclass(frozen=True, kw_only=True)
class CompetingDataOptions(GroupedDataOptions):
    """Of points that need not compete with all others one by one."""

    group: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="COLUMN|FILE",
            help="What points have in common that are one thing seen again, such as the patient, "
            "the scene or the burst: where it stands, as --labels has it, or folder, that of an "
            "image file. A group counts as one.",
            show_default="none",
        ),
    ] = None
    given: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="COLUMN|FILE",
            help="The condition that each point is learned under, such as its caption: where it "
            "stands, as --labels has it, or label, its class. Competitors are those that share it.",
            show_default="none",
        ),
    ] = None
    augment: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="mirror,...",
            help="What training makes of images: mirror (left to right), flip (upside down), "
            "rotate90, rotate180, and shift:N, by up to N pixels to each side, the border black. "
            "How much it moves t_C.",
            show_default="none",
        ),
    ] = None

    def grouping(self) -> str | None:
        return self.group

    def condition(self) -> str | None:
        return self.given

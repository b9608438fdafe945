"""The options of what is seen of a sample through a part of its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from .command import numbers
from .options import DATA


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """Windows and named groups of features."""

    windows: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="P,P,...",
            help="t_S and t_C in windows of P by P pixels over the image, or of P neighbouring "
            "features, as maps: 4,8,16.",
        ),
    ] = None
    groups: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="FILE",
            help="The same in named groups of features: a .csv of feature, group, or a .json of "
            "group: [features], by name or by number from 0 on.",
        ),
    ] = None

    def widths(self) -> list[int] | None:
        """The numbers as they came: `data.windows.parts_of` says what is wrong with them."""
        widths: Any = numbers("--windows", self.windows, "--windows 4,8,16")
        return widths and [int(x) if x.is_integer() else x for x in widths]

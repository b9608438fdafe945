"""What the pages share: their templates, and how figures, recipes and classes get into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ...common.readable import count, number
from ..figures.analysis import FIGURES
from ..words import (
    symbols,
)


def environment() -> Environment:
    """The templates of the package; whatever a dataset brings into them is escaped."""
    made = Environment(
        loader=PackageLoader("diffregimes.report.page", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {"number": number, "count": count, "symbols": symbols}
    return made


def caption(name: str) -> str:
    """What a figure shows, for those who cannot see it: the first line of its docstring."""
    plot = FIGURES[name.removesuffix("_narrow")]
    return (plot.__doc__ or name).splitlines()[0]


def figure_of(ax: Any) -> Figure:
    """The figure that axes lie in."""
    figure: Figure = ax.get_figure(root=True)
    return figure


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, value) of every entry, nested keys joined by dots."""
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(str(x) for x in value)
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)

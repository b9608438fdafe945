"""What the pages share: their templates, and how figures, recipes and classes get into them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from ...common.provenance import INDEXED, DatasetFacts
from ...common.readable import count, number
from ...data.datasets import Dataset
from ..figures.style import png_bytes
from ..folder import FIGURES
from ..words import symbols


@functools.cache  # templates are compiled once, not for each page
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


class Figures(Mapping[str, Markup]):
    """The figures of a page by name; it remembers which of them the template has placed."""

    def __init__(self, drawn: Mapping[str, Markup]) -> None:
        self._drawn, self.placed = drawn, set[str]()

    def __getitem__(self, name: str) -> Markup:
        svg = self._drawn[name]
        self.placed.add(name)
        return svg

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)


def rendered(
    template: str, figures: Mapping[str, Markup], *, aside: Collection[str] = (), **values: Any
) -> str:
    """The page as text, without a line's end between a number and its %. Raises RuntimeError for a
    figure that the template places nowhere, except for those that are left `aside` on purpose."""
    placing = Figures(figures)
    text = environment().get_template(template).render(figures=placing, **values)
    lost = sorted(set(figures) - placing.placed - set(aside))
    if lost:
        raise RuntimeError(f"{template} places no figure {', '.join(lost)}; name it there")
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def rows_of(facts: DatasetFacts, dataset: Dataset | None) -> Callable[[int], int | None]:
    """From the number that a point has in a result to its row in the dataset, None where it is not
    there. Results of before numbered the rows themselves."""
    if dataset is None:
        return lambda index: None
    return dataset.place_of if facts.indexed == INDEXED else lambda index: index


def figure_of(ax: Any) -> Figure:
    """The figure that axes lie in."""
    figure: Figure = ax.get_figure(root=True)
    return figure


def figure_files(
    plotted: Mapping[str, Figure], drawn: Mapping[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Paths in the folder of a page and what they hold: its figures once more as files."""
    for name, figure in plotted.items():
        yield f"{FIGURES}/{name}.svg", drawn[name]
        yield f"{FIGURES}/{name}.png", png_bytes(figure)


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, value) of every entry, nested keys joined by dots."""
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(str(x) for x in value)
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)

"""Results that show themselves: a page in a notebook, a figure, a report, a folder of files.

What is drawn and written is the business of the room `report`, which knows every result and lies
above all of them, and so does `advising`, which turns an analysis into settings. `_notebook` and
`advising` are the doors upward: they open when a person asks for something, never as a module
loads. tests/test_import_order.py knows these doors and no other.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


class Shown:
    """What every result can do beside holding its numbers; see `report.notebook`."""

    def _repr_html_(self) -> str:
        """The compact page that Jupyter shows."""
        return str(_notebook().html(self))

    def plot(self, ax: Any = None) -> Any:
        """Draw the main figure on `ax`, or on a new figure of pyplot, which a notebook shows by
        itself; return the Axes."""
        return _notebook().plot(self, ax)

    def report(self, path: str | Path = "report.html", dataset: Any = None) -> Path:
        """Write the page of this result, one file that needs nothing else, and return its path.

        `dataset`, the one that the result is of, brings pictures of its points into the page.
        """
        return Path(_notebook().write_page(self, path, dataset))

    def save(self, folder: str | Path, dataset: Any = None, *, figures: bool = False) -> Path:
        """Write the files that the command line writes (results.json, tables, report.html) into
        `folder`, all or none, and return it; `dataset` as in `report`.

        figures : those of the page as PNG and SVG files, too
        """
        return Path(_notebook().save(self, folder, dataset, figures=figures))


def _notebook() -> Any:
    return import_module("..report.notebook", __package__)


def advising() -> Any:
    return import_module("..advising.advice", __package__)

"""What a reproduction consists of: a figure, the numbers behind it, and ours beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..report.figures.style import png_bytes, svg_bytes
from ..report.folder import LAST
from ..report.tables import columns_csv

FORMAT = "diffregimes.reproduction/1"


@dataclass(frozen=True)
class Row:
    """One quantity: ours with its standard error, the paper's value, exact theory, and
    z = (ours - theory)/se, in table 1 (ours - paper)/se. None where there is none."""

    quantity: str
    d: int | None
    ours: float
    se: float
    paper: float | None
    theory: float | None
    z: float | None


@dataclass(frozen=True)
class Reproduction:
    """`numbers` are the columns behind the figure; `sentences` say in words what was found."""

    name: str
    figure: Figure
    numbers: Mapping[str, Sequence[Any]]
    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    recipe: Mapping[str, Any]

    def to_json(self) -> str:
        """The table and the recipe; the numbers are in the CSV."""
        fields = {
            "format": FORMAT,
            "name": self.name,
            "recipe": dict(self.recipe),
            "sentences": list(self.sentences),
            "rows": [asdict(row) for row in self.rows],
        }
        return json.dumps(fields, indent=1, allow_nan=False, ensure_ascii=False)


def compared(
    quantity: str, d: int | None, ours: float, se: float, paper: float | None, theory: float
) -> Row:
    """A row with its z-score."""
    return Row(quantity, d, ours, se, paper, theory, (ours - theory) / se)


def write(reproduction: Reproduction, folder: Path) -> None:
    """NAME.png, NAME.svg, NAME.csv, NAME-table.csv and results.json into an existing folder."""
    names = [x.name for x in fields(Row)]
    table = {name: [getattr(row, name) for row in reproduction.rows] for name in names}
    (folder / f"{reproduction.name}.png").write_bytes(png_bytes(reproduction.figure))
    (folder / f"{reproduction.name}.svg").write_bytes(svg_bytes(reproduction.figure))
    (folder / f"{reproduction.name}.csv").write_text(
        columns_csv(reproduction.numbers), encoding="utf-8"
    )
    (folder / f"{reproduction.name}-table.csv").write_text(columns_csv(table), encoding="utf-8")
    (folder / LAST).write_text(reproduction.to_json() + "\n", encoding="utf-8")

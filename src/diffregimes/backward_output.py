"""The output folders of backward runs: figure, numbers, results.json with the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .backward.outcome import Outcome, generated_columns, generated_json
from .backward.tracking import Tracked
from .backward_plots import plot_generated, plot_last_changes, plot_outcome
from .datasets import Dataset
from .output import LAST, columns_csv
from .pictures import png_bytes, svg_bytes


def write_outcome(found: Outcome, recipe: Mapping[str, Any], folder: Path) -> None:
    """KIND.png, KIND.svg, KIND.csv and results.json into an existing folder."""
    figure: Any = plot_outcome(found).get_figure(root=True)
    (folder / f"{found.kind}.png").write_bytes(png_bytes(figure))
    (folder / f"{found.kind}.svg").write_bytes(svg_bytes(figure))
    (folder / f"{found.kind}.csv").write_text(columns_csv(found.columns()), encoding="utf-8")
    (folder / LAST).write_text(found.to_json(recipe) + "\n", encoding="utf-8")


def write_generated(
    found: Tracked,
    forward: Mapping[str, float],
    dataset: Dataset,
    recipe: Mapping[str, Any],
    notes: tuple[str, ...],
    folder: Path,
) -> None:
    """generated.png, last-changes.png, generated.csv and results.json into an existing folder."""
    changes: Any = plot_last_changes(found, forward).get_figure(root=True)
    (folder / "generated.png").write_bytes(png_bytes(plot_generated(found, dataset)))
    (folder / "last-changes.png").write_bytes(png_bytes(changes))
    columns = generated_columns(found, dataset.class_names)
    (folder / "generated.csv").write_text(columns_csv(columns), encoding="utf-8")
    text = generated_json(found, forward, recipe, notes)
    (folder / LAST).write_text(text + "\n", encoding="utf-8")

"""The output folders of backward runs: figure, numbers, results.json with the recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..backward.outcome import FORMAT, Outcome
from ..backward.tracking import Tracked
from ..data.datasets import Dataset
from ..results import Analysis
from .figures.backward import plot_generated, plot_last_changes, plot_outcome
from .figures.style import png_bytes, svg_bytes
from .folder import LAST
from .page.analysis import write_report
from .tables import columns_csv, curves_csv


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


def generated_columns(found: Tracked, class_names: tuple[str, ...]) -> dict[str, list[Any]]:
    """One row a generated sample, for CSV."""
    return {
        "class": [class_names[int(c)] for c in found.classes],
        "nearest_point": found.point.tolist(),
        "distance": found.distance.tolist(),
        "ratio": found.ratio.tolist(),
        "last_point_change": found.point_time.tolist(),
        "last_class_change": found.class_time.tolist(),
    }


def generated_json(
    found: Tracked,
    forward: Mapping[str, float],
    recipe: Mapping[str, Any],
    notes: tuple[str, ...],
) -> str:
    """The summary of a run, beside the times at which the `forward` curves cross."""
    memorised = found.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    collapse, speciation = found.mean_collapse(), found.mean_speciation()
    out = {
        "format": FORMAT,
        "kind": "generate",
        "samples": len(found.point),
        "recipe": dict(recipe),
        "memorised": {"share": share, "low": low, "high": high},
        "last_point_change": {"mean": collapse[0], "se": collapse[1]},
        "last_class_change": {"mean": speciation[0], "se": speciation[1]},
        "forward": dict(forward),
        "end_time": found.end_time,
        "notes": list(notes),
    }
    assert all(math.isfinite(x) for x in (*collapse, *speciation))
    return json.dumps(out, indent=1, allow_nan=False, ensure_ascii=False)


def write_run(analysis: Analysis, dataset: Dataset, folder: Path) -> None:
    """results.json, curves.csv, report.html and figures/ into an existing folder."""
    (folder / "curves.csv").write_text(curves_csv(analysis.curves), encoding="utf-8")
    write_report(analysis, dataset, folder)
    (folder / LAST).write_text(analysis.to_json() + "\n", encoding="utf-8")

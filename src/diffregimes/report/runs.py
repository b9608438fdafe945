"""The output folders of the commands: figures, numbers, results.json with the recipe."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backward.outcome import FORMAT, Outcome
from ..backward.tracking import Tracked
from ..data.datasets import Dataset
from ..results import Analysis, Windows
from ..theory import PhaseDiagram, TwoGaussians
from .figures.backward import plot_generated, plot_last_changes, plot_outcome
from .figures.phase import plot_phase_diagram
from .figures.style import png_bytes, svg_bytes
from .figures.training import plot_losses
from .folder import LAST, MAPS
from .page.analysis import write_report
from .tables import columns_csv, curves_csv

if TYPE_CHECKING:
    from ..learned.training import Trained

PHASES = "diffregimes.phase-diagram/1"


def write_outcome(compared: Outcome, folder: Path) -> None:
    """KIND.png, KIND.svg, KIND.csv and results.json into an existing folder."""
    figure: Any = plot_outcome(compared).get_figure(root=True)
    (folder / f"{compared.kind}.png").write_bytes(png_bytes(figure))
    (folder / f"{compared.kind}.svg").write_bytes(svg_bytes(figure))
    (folder / f"{compared.kind}.csv").write_text(columns_csv(compared.columns()), encoding="utf-8")
    (folder / LAST).write_text(compared.to_json() + "\n", encoding="utf-8")


def write_generated(
    tracked: Tracked,
    forward: Mapping[str, float],
    dataset: Dataset,
    recipe: Mapping[str, Any],
    notes: tuple[str, ...],
    folder: Path,
) -> None:
    """generated.png, last-changes.png, generated.csv and results.json into an existing folder."""
    changes: Any = plot_last_changes(tracked, forward).get_figure(root=True)
    (folder / "generated.png").write_bytes(png_bytes(plot_generated(tracked, dataset)))
    (folder / "last-changes.png").write_bytes(png_bytes(changes))
    columns = generated_columns(tracked, dataset)
    (folder / "generated.csv").write_text(columns_csv(columns), encoding="utf-8")
    text = generated_json(tracked, forward, recipe, notes)
    (folder / LAST).write_text(text + "\n", encoding="utf-8")


def generated_columns(tracked: Tracked, dataset: Dataset) -> dict[str, list[Any]]:
    """One row a generated sample, for CSV; training points by their names."""
    rows, changes = tracked.point, tracked.class_time
    files = {"nearest_file": [dataset.file_of(int(k)) for k in rows]} if dataset.files else {}
    return {
        "class": [dataset.class_names[int(c)] for c in tracked.classes],
        "nearest_point": dataset.indices[rows].tolist(),
        **files,
        "distance": tracked.distance.tolist(),
        "ratio": tracked.ratio.tolist(),
        "last_point_change": tracked.point_time.tolist(),
        **({} if changes is None else {"last_class_change": changes.tolist()}),
    }


def generated_json(
    tracked: Tracked,
    forward: Mapping[str, float],
    recipe: Mapping[str, Any],
    notes: tuple[str, ...],
) -> str:
    """The summary of a run, beside the times at which the `forward` curves cross."""
    memorised = tracked.memorised()
    share, low, high = memorised.value, memorised.low, memorised.high
    collapse, speciation = tracked.mean_collapse(), tracked.mean_speciation()
    changed = speciation and {"last_class_change": {"mean": speciation[0], "se": speciation[1]}}
    out = {
        "format": FORMAT,
        "kind": "generate",
        "samples": len(tracked.point),
        "recipe": dict(recipe),
        "memorised": {"share": share, "low": low, "high": high},
        "last_point_change": {"mean": collapse[0], "se": collapse[1]},
        **(changed or {}),
        "forward": dict(forward),
        "end_time": tracked.end_time,
        "notes": list(notes),
    }
    assert all(math.isfinite(x) for x in (*collapse, *(speciation or ())))
    return json.dumps(out, indent=1, allow_nan=False, ensure_ascii=False)


def write_run(
    analysis: Analysis, dataset: Dataset | None, folder: Path, *, figures: bool = False
) -> None:
    """results.json, curves.csv, report.html, of windows maps.npz and, with `figures`, figures/ into
    an existing folder."""
    (folder / "curves.csv").write_text(curves_csv(analysis.curves), encoding="utf-8")
    if analysis.windows:
        np.savez(folder / MAPS, **maps(analysis.windows))  # type: ignore[arg-type]
    write_report(analysis, dataset, folder, figures=figures)
    (folder / LAST).write_text(analysis.to_json() + "\n", encoding="utf-8")


def maps(windows: Sequence[Windows]) -> dict[str, np.ndarray]:
    """Arrays by name, t_S_8 and the like: (rows, columns) of images, else (parts,)."""
    out = {}
    for x in windows:
        end = "groups" if x.width is None else x.width
        for name, found in (("t_S", x.speciation), ("t_C", x.collapse)):
            out[f"{name}_{end}"] = x.map(found.t)
            out[f"{name}_low_{end}"], out[f"{name}_high_{end}"] = (
                x.map(found.low),
                x.map(found.high),
            )
        out[f"distinct_{end}"] = x.map(x.distinct)
        if x.width is None:
            out["groups"] = np.array(x.names)
        else:
            out[f"columns_{end}"] = np.unique(x.columns)
            out |= {f"rows_{end}": np.unique(x.rows)} if len(x.rows) else {}
    return out


def write_trained(trained: Trained, folder: Path) -> None:
    """The pipeline, and loss.png, into an existing folder."""
    trained.pipeline.save_pretrained(folder)
    figure: Any = plot_losses(trained.rows).get_figure(root=True)
    (folder / "loss.png").write_bytes(png_bytes(figure))


def write_phases(
    diagram: PhaseDiagram,
    law: TwoGaussians,
    d: tuple[float, float],
    n: tuple[float, float],
    marks: Sequence[Mapping[str, float | None]],
    folder: Path,
) -> None:
    """phase-diagram.png, .svg, .csv and results.json into an existing folder.

    d, n : ends of the axes; marks : datasets by "d" and "log_n", with their times "t_s" and "t_c"
    """
    places: Any = tuple((mark["d"], mark["log_n"]) for mark in marks)
    figure: Any = plot_phase_diagram(diagram, places).get_figure(root=True)
    (folder / "phase-diagram.png").write_bytes(png_bytes(figure))
    (folder / "phase-diagram.svg").write_bytes(svg_bytes(figure))
    (folder / "phase-diagram.csv").write_text(columns_csv(phase_columns(diagram)))
    recorded = {
        "format": PHASES,
        "law": {k: v for k, v in asdict(law).items() if k != "d"},
        "d": list(d),
        "n": list(n),
        "marks": list(marks),
    }
    (folder / LAST).write_text(json.dumps(recorded, indent=1, allow_nan=False) + "\n")


def phase_columns(diagram: PhaseDiagram) -> dict[str, list[float | None]]:
    """One row for each d and log n; an empty cell where there is no such time."""

    def shown(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    grid = [(i, j) for i in range(len(diagram.d)) for j in range(len(diagram.log_n))]
    return {
        "d": [shown(diagram.d[i]) for i, _ in grid],
        "log_n": [shown(diagram.log_n[j]) for _, j in grid],
        "t_s": [shown(diagram.speciation[i]) for i, _ in grid],
        "t_c": [shown(diagram.collapse[i, j]) for i, j in grid],
        "log_n_at_t_s": [shown(diagram.boundary[i]) for i, _ in grid],
    }

"""report.html: what a run found out, on one page that needs nothing else.

The page loads no script, font or picture from anywhere: figures are inline SVG that take their
colours from the page (light, dark or print), samples are PNG data URIs. The same analysis gives
the same bytes. Everything is rendered before the first file is touched, and each file is
written under a temporary name and renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ... import process
from ...common import serial
from ...common.files import write_atomically
from ...common.readable import TINY, fixed, number, plus_minus
from ...data.alike import analyzed_points, different_points
from ...data.datasets import Dataset
from ...results import Analysis, Exposure, TransitionTime
from ...transitions.criteria import METHODS, blind_level, clone_level
from ...transitions.regimes import WANDERING, regime
from ..figures.analysis import FIGURES
from ..figures.given import GIVEN, given_figure
from ..figures.style import STYLE, svg_bytes
from ..figures.timeaxis import time_window
from ..figures.timeline import plot_regimes
from ..figures.tree import TREE, tree_figure
from ..words import (
    clocks,
    condition_row,
    judged,
    law_in_words,
    level_in_words,
    moved_in_words,
    needed_in_words,
    part_rows,
    scale_in_words,
    shape_in_words,
    theory_in_words,
    time_text,
    told_conditions,
)
from . import branches, pictures, windows
from .base import figure_files, figure_of, flat, rendered, rows_of
from .strip import Strip, noised_strip

Paint = Callable[[int], str | None]

MOST_EXPOSED = 12
NARROW = "regimes_narrow"
_ALL = {**FIGURES, "tree": TREE, "given": GIVEN}


def write_report(
    analysis: Analysis, dataset: Dataset | None, out_dir: str | Path, *, figures: bool = False
) -> None:
    """Write out_dir/report.html and, with `figures`, out_dir/figures/*.png and *.svg.

    Without the dataset the page goes without what only the points can show: pictures, and the
    noised samples. Raises `InputError` where `dataset` is not the one that was analysed, `OSError`
    where a file cannot be written; files of an earlier run are replaced one by one, each whole.
    """
    plotted = draw_figures(analysis, dataset)
    drawn = {name: svg_bytes(figure) for name, figure in plotted.items()}
    files = {"report.html": full_page(analysis, dataset, drawn).encode()}
    if figures:
        files |= figure_files({x: y for x, y in plotted.items() if x != NARROW}, drawn)
    for relative, data in files.items():
        write_atomically(Path(out_dir) / relative, data)


def full_page(
    analysis: Analysis, dataset: Dataset | None, drawn: Mapping[str, bytes] | None = None
) -> str:
    """The page as text, with its noised samples where the dataset is given.

    Raises `InputError` where it is not the one that was analysed.
    """
    if dataset is None:
        return render_html(analysis, None, None, drawn)
    own = analyzed_points(analysis, dataset)
    strip = noised_strip(own, strip_times(analysis), seed=analysis.recipe.seed)
    return render_html(analysis, dataset, strip, drawn)


def strip_times(analysis: Analysis, count: int = 8) -> np.ndarray:
    """Times from noise to data, even in log-SNR over the window of the figures.

    The last is where the noise is a third of the spread of a pixel, if that is closer to the
    data: there the eye, too, sees what the weights have known for long.
    """
    low, high = time_window(analysis)
    log_snr = np.linspace(np.log(process.snr(high)), np.log(process.snr(low)), count + 1)[1:-1]
    spread = float(np.sum(analysis.spectrum.eigenvalues)) / analysis.dataset.d
    log_snr = np.append(log_snr, max(np.log(9 / spread), np.log(process.snr(low))))
    return np.asarray(process.time_from_snr(np.exp(log_snr)))


def draw_figures(analysis: Analysis, dataset: Dataset | None = None) -> dict[str, Figure]:
    """Every figure of the page by name: those of `FIGURES`, the narrow time line, and the tree of
    classes, with pictures where these are images of the dataset."""
    out = {name: figure_of(plot(analysis)) for name, plot in FIGURES.items()}
    if analysis.tree is not None:
        out["tree"] = tree_figure(analysis, branches.mean_images(analysis, dataset))
    if analysis.given is not None and analysis.given.conditions > 1:
        out["given"] = given_figure(analysis)
    return {**out, **windows.figures(analysis, dataset), NARROW: narrow_regimes(analysis)}


def narrow_regimes(analysis: Analysis) -> Figure:
    """The time line once more for narrow screens: scaled down, the wide one could not be read."""
    with rc_context(STYLE):
        narrow = Figure(figsize=(4.6, 3.2), layout="constrained")
        plot_regimes(analysis, ax=narrow.add_subplot())
    return narrow


def render_html(
    analysis: Analysis,
    dataset: Dataset | None,
    strip: Strip | None,
    drawn: Mapping[str, bytes] | None = None,
) -> str:
    """The page as text; the same arguments give the same text.

    `drawn` holds the SVG of every figure of `draw_figures`, where they are there already.
    """
    if drawn is None:
        figures = draw_figures(analysis, dataset)
        drawn = {name: svg_bytes(figure) for name, figure in figures.items()}
    facts = analysis.dataset
    painter = pictures.Painter(dataset) if dataset is not None and dataset.is_image else None

    row_of = rows_of(facts, dataset)

    def paint(index: int) -> str | None:
        row = row_of(index)
        return None if painter is None or row is None else painter.point(row)

    base = blind_level(facts.class_counts)
    threshold = clone_level(facts.class_counts)
    captions = {name: panel.caption for name, panel in FIGURES.items()}
    captions |= {NARROW: captions["regimes"], "tree": TREE.caption, "given": GIVEN.caption}
    captions |= windows.CAPTIONS
    return rendered(
        "report.html.j2",
        {name: pictures.inline_svg(svg, name, captions[name]) for name, svg in drawn.items()},
        titles={name: panel.title for name, panel in _ALL.items()},
        a=analysis,
        facts=facts,
        shape=shape_in_words(tuple(facts.sample_shape), facts.d),
        regimes=[_regime(*x) for x in analysis.verdict.regimes],
        cards=[_time_row(analysis, analysis.time(x)) for x in ("speciation", "collapse")],
        base=base,
        threshold=threshold,
        times=[_time_row(analysis, x) for x in analysis.times],
        strip=dataset
        and strip
        and _strip_rows(analysis, different_points(analysis, dataset), strip),
        exposed=[
            _exposed(analysis, dataset, x, row_of, paint) for x in analysis.points[:MOST_EXPOSED]
        ],
        duplicates=[
            (x, paint(x.index), paint(x.other)) for x in analysis.duplicates[:MOST_EXPOSED]
        ],
        theory=_theory(analysis, dataset),
        pairs=branches.pair_rows(analysis),
        parts=part_rows(analysis) if analysis.windows else [],
        meaning=windows.meaning(analysis),
        levels=[level_in_words(x) for x in analysis.levels],
        conditions=_conditions(analysis),
        moved=analysis.augment and moved_in_words(analysis.augment),
        needed=analysis.points_needed and needed_in_words(analysis.points_needed, analysis),
        scale=scale_in_words(facts.scale, facts.standardized),
        recipe=list(flat(serial.plain(analysis.recipe))),
    )


def _conditions(analysis: Analysis) -> list[tuple[str, str, str, str] | None]:
    """Rows of the conditions that are copied first and last; None for those between."""
    if analysis.given is None or analysis.given.conditions == 1:
        return []
    told = told_conditions(analysis.given, MOST_EXPOSED)
    return [None if x is None else condition_row(x) for x in told]


def _time_row(analysis: Analysis, time: TransitionTime) -> dict[str, Any]:
    return {
        "transition": time.transition,
        "found": time,
        "headline": analysis.recipe.headline.of(time.transition) == time.method,
        "words": METHODS.get((time.transition, time.method), ""),
        "exact": _exact(analysis, time),
        **clocks(time, analysis.recipe.schedule),
    }


def _exact(analysis: Analysis, time: TransitionTime) -> tuple[str, str]:
    """What theory says of a time, to as many decimals as the estimate, and the z-score."""
    known = analysis.theory and analysis.theory.time(time.transition, time.method)
    if not known:
        return "–", ""
    text = (
        plus_minus(known.t, known.se)
        if known.se >= 5e-4
        else time_text(replace(time, t=known.t))[0]
    )
    return text, "" if known.z is None else f"z = {fixed(known.z, 1)}"


def _theory(analysis: Analysis, dataset: Dataset | None) -> dict[str, Any] | None:
    """The section on exact theory: the law, the judgement, a row for each curve."""
    if analysis.theory is None:
        return None
    rows = []
    for name, z in judged(analysis.theory):
        some = {"largest": np.abs(z).max(), "rms": np.sqrt((z**2).mean())} if len(z) else {}
        words = {key: f"{value:.1f}" for key, value in some.items()}
        rows.append({"name": name, "count": len(z), "largest": "–", "rms": "–", **words})
    law = law_in_words(None if dataset is None else dataset.population)
    return {"law": law, "words": theory_in_words(analysis.theory), "rows": rows}


def _three(t: float) -> str:
    return f"{t:.3g}" if t >= TINY else number(t).replace(" ", "\u00a0")


def _regime(name: str, start: float | None, end: float) -> dict[str, str]:
    declared = regime(name)
    first = "pure noise" if start is None else f"t\u00a0=\u00a0{_three(start)}"
    last = "the data" if end <= 0 else f"t\u00a0=\u00a0{_three(end)}"
    span = f"from {first} to {last}"
    words = {"title": declared.title, "words": declared.words}
    return {"kind": declared.kind, **words, "span": span}


def _exposed(
    analysis: Analysis,
    dataset: Dataset | None,
    point: Exposure,
    row_of: Callable[[int], int | None],
    paint: Paint,
) -> dict[str, Any]:
    near = row_of(point.nearest_index)
    return {
        "point": point,
        "time": plus_minus(point.t, point.se),
        "own_class": analysis.dataset.classes[point.label],
        "near_class": None if dataset is None or near is None else dataset.class_of(near),
        "picture": paint(point.index),
        "near_picture": paint(point.nearest_index),
    }


def _strip_rows(analysis: Analysis, dataset: Dataset, strip: Strip) -> dict[str, Any]:
    """Columns from noise to data; a row for each sample with its noised self and heaviest points"""
    painter = pictures.Painter(dataset) if dataset.is_image else None
    columns = np.argsort(-strip.times, kind="stable")
    rows = []
    for k, index in enumerate(strip.index):
        cells = []
        for j in columns:
            heaviest = [
                {
                    "index": int(dataset.indices[i]),
                    "file": dataset.file_of(int(i)),
                    "percent": f"{100 * w:.0f}" if w >= 0.005 else "<1",
                    "width": f"{100 * w:.1f}",
                    "class": dataset.class_of(int(i)),
                    "same": int(i) == int(index),
                    "picture": painter and painter.point(int(i)),
                }
                for i, w in zip(strip.top_index[k, j], strip.top_weight[k, j], strict=True)
            ]
            noised = painter and painter.noised(strip, k, int(j))
            cells.append({"picture": noised, "heaviest": heaviest})
        rows.append(
            {
                "index": int(dataset.indices[index]),
                "file": dataset.file_of(int(index)),
                "class": dataset.class_of(int(index)),
                "picture": painter and painter.point(int(index)),
                "cells": cells,
            }
        )
    times = [float(strip.times[j]) for j in columns]
    return {
        "images": dataset.is_image,
        "times": [{"t": number(t, 2), "kind": _kind_at(analysis, t)} for t in times],
        "rows": rows,
    }


def _kind_at(analysis: Analysis, t: float) -> str:
    for name, start, end in analysis.verdict.regimes:
        if end <= t and (start is None or t < start):
            return regime(name).kind
    return WANDERING.kind

"""report.html of an audit: the verdict, the evidence for it, and what to do, on one page.

Like the page of `report` it loads nothing from anywhere, and the same audit gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import process
from ...auditing.conditions import MOST
from ...auditing.entropy import AT_COLLAPSE
from ...auditing.findings import Audit, ModelTime, OfCondition, Origin, SamplesAudit
from ...auditing.judgement import decided
from ...auditing.views import Copies
from ...common import serial
from ...common.checks import InputError
from ...common.files import write_atomically
from ...common.numerics import Z95
from ...common.readable import fixed, interval_text, number, sureness
from ...data.datasets import Dataset
from ...data.orbit import AS_IT_IS
from ..figures.audit import FIGURES
from ..figures.style import svg_bytes
from ..folder import LAST
from ..tables import columns_csv
from ..words import scale_in_words, shape_in_words
from . import pictures
from .base import figure_files, figure_of, flat, rendered, rows_of

MOST_ORIGINS, MOST_COPIES, MOST_SAMPLES, MOST_TWINS = 12, 4, 12, 4
LONGEST = 40  # letters of a condition


def write_audit(
    audit: SamplesAudit, dataset: Dataset | None, folder: str | Path, *, figures: bool = False
) -> None:
    """Write report.html, samples.csv and, last, results.json into `folder`, of a score losses.csv,
    entropy.csv, clones.csv and uturns.csv too; with `figures` also figures/*.png and *.svg.

    Without the dataset the page shows no pictures and no classes of points. Raises `InputError`
    where `dataset` is not the one of the audit, `OSError` where a file cannot be written; files of
    an earlier run are replaced one by one, each whole.
    """
    plotted = {name: figure_of(plot(audit)) for name, plot in figures_of(audit).items()}
    drawn = {name: svg_bytes(figure) for name, figure in plotted.items()}
    files = {"report.html": render_audit(audit, dataset, drawn).encode()}
    if figures:
        files |= figure_files(plotted, drawn)
    tables: dict[str, Mapping[str, Sequence[Any]]] = {"samples": audit.samples(), **audit.curves()}
    for name, columns in tables.items():
        files[f"{name}.csv"] = columns_csv(columns).encode()
    files[LAST] = (audit.to_json() + "\n").encode()
    for relative, data in files.items():
        write_atomically(Path(folder) / relative, data)


def render_audit(
    audit: SamplesAudit, dataset: Dataset | None, drawn: dict[str, bytes] | None = None
) -> str:
    """The page as text; `drawn` holds the SVG of every figure, where they are there already.

    Raises `InputError` where `dataset` is not the one of the audit.
    """
    if dataset is not None and audit.dataset.fingerprint != dataset.fingerprint:
        raise InputError(
            f"this audit is against a dataset with fingerprint {audit.dataset.fingerprint[:12]} "
            f"and the dataset given has {dataset.fingerprint[:12]}; pass the training points of "
            "the audit."
        )
    if drawn is None:
        drawn = {k: svg_bytes(figure_of(plot(audit))) for k, plot in figures_of(audit).items()}
    facts = audit.dataset
    shape = tuple(facts.sample_shape)
    noun = "images" if len(shape) > 1 else "points"
    painter = pictures.Painter(dataset) if dataset is not None and dataset.is_image else None
    copies = audit.copies
    shown = [_origin(audit, dataset, x, painter) for x in audit.origins[:MOST_ORIGINS]]
    nearest = [] if shown else np.argsort(copies.ratio, kind="stable")[:MOST_SAMPLES].tolist()
    whole = audit if isinstance(audit, Audit) else None
    told = {"model": audit.model, "held_out": serial.plain(audit.held_out), "run": audit.recipe}
    return rendered(
        "audit.html.j2",
        {
            name: pictures.inline_svg(svg, name, FIGURES[name].caption)
            for name, svg in drawn.items()
        },
        aside=() if whole is None or whole.losses.known else ("copied",),  # no gap is known
        titles={name: panel.title.format(things=noun) for name, panel in FIGURES.items()},
        a=audit,
        facts=facts,
        name=model_name(audit),
        shape=shape_in_words(shape, facts.d),
        confidence=confidence(audit),
        failed=[x for x in audit.gate if not x.ok],
        passed=[x for x in audit.gate if x.ok],
        noun=noun,
        kind=audit.verdict.kind.replace(" ", "-"),
        share=copies.share.in_percent().partition(", "),
        baseline=copies.baseline.in_percent().partition(", "),
        **({"whole": False} if whole is None else _of_score(whole)),
        images=painter is not None,
        origins=shown,
        nearest=_samples(audit, dataset, nearest, painter),
        first=_samples(audit, dataset, range(min(MOST_SAMPLES, len(copies.point))), painter),
        **_beside(audit, dataset, painter),
        scale=scale_in_words(audit.dataset.scale),
        recipe=list(flat({k: v for k, v in told.items() if v})),
    )


def figures_of(audit: SamplesAudit) -> dict[str, Any]:
    """The figures that there is something for: of samples alone, the distances."""
    return {k: v for k, v in FIGURES.items() if isinstance(audit, Audit) or k == "ratios"}


def _of_score(audit: Audit) -> dict[str, Any]:
    """What the page says of the score."""
    return {
        "whole": True,
        "times": {x.method: _time_row(x) for x in audit.collapse},
        "speciation": audit.speciation and _time_row(audit.speciation),
        "decided": _decided(audit),
        "stein": number(float(np.abs(audit.entropy.stein).max()), 2),
        "at_collapse": number(AT_COLLAPSE / math.log(audit.dataset.n), 2),
        "cut": bool(np.min(audit.entropy.value) < -1),
        "conditions": [_condition(x) for x in audit.conditions],
        "most_conditions": MOST,
    }


def _condition(one: OfCondition) -> dict[str, Any]:
    """A row of the table of conditions; a loss is over that of the exact score."""

    def beside(loss: float | None) -> str:
        known = loss is not None and one.exact is not None and one.exact > 0
        return number(loss / one.exact, 2) if known else "–"  # type: ignore[operator]

    copies = "none asked for" if one.copies is None else f"{one.copies.count} of {one.copies.of}"
    return {
        "name": _cut(one.name), "n": one.n, "copies": copies, "elsewhere": one.elsewhere,
        "t": number(one.t, 2), "train": beside(one.train), "held_out": beside(one.held_out),
    }  # fmt: skip


def model_name(audit: SamplesAudit) -> str:
    """What the model is called in a heading."""
    return str(audit.model.get("name") or audit.model.get("source") or "model")


def confidence(audit: SamplesAudit) -> str:
    """The confidence of the verdict, never rounded up; empty where it is open."""
    value = audit.verdict.confidence
    return "" if value is None else sureness(value)


def _time_row(at: ModelTime) -> dict[str, Any]:
    t, span = interval_text(at.t, at.low, at.high)
    exact, exact_span = interval_text(at.exact, at.exact_low, at.exact_high)
    return {
        "method": at.method,
        "words": at.words,
        "t": t,
        "span": span,
        # the exact score leaves no last changes: nothing was asked, where else there is none
        "exact": "–" if at.method == "last-change" and at.exact is None else exact,
        "exact_span": exact_span,
        "sigma": _sigma(at.t),
    }


def _sigma(t: float | None) -> str:
    return "–" if t is None else number(float(process.sigma(t)))


def _decided(audit: Audit) -> dict[str, str] | None:
    """How much of the gap of the exact score the model shows where that score decides."""
    at = decided(audit.losses, audit.collapse)
    if at is None:
        return None
    t, share, se = at
    return {
        "share": f"{fixed(100 * share, 0)} %",
        "half": f"{100 * Z95 * se:.0f} %",
        "t": number(t, 2),
    }


def _origin(
    audit: SamplesAudit, dataset: Dataset | None, origin: Origin, painter: pictures.Painter | None
) -> dict[str, Any]:
    """A training point and the samples that are copies of it, nearest first."""
    return {
        "index": origin.index,
        "file": origin.file,
        **_seen(audit, dataset, origin.index, painter),
        "copies": origin.copies,
        "twins": ", ".join(f"#{x}" for x in origin.twins[:MOST_TWINS]),
        "more_twins": max(0, len(origin.twins) - MOST_TWINS),
        "samples": _samples(audit, dataset, origin.samples[:MOST_COPIES], painter),
    }


def _beside(
    audit: SamplesAudit, dataset: Dataset | None, painter: pictures.Painter | None
) -> dict[str, Any]:
    """The further views: samples beside what they copy in features, and in parts."""
    features, parts = audit.in_features, audit.in_parts
    seen, pieces = list[dict[str, Any]](), list[dict[str, Any]]()
    if features is not None:
        order = np.argsort(features.copies.ratio, kind="stable")[:MOST_SAMPLES].tolist()
        seen = _samples(audit, dataset, order, painter, features.copies)
    if parts is not None:
        # copies of the whole stand above: here they come last
        order = np.lexsort((-parts.share, audit.copies.copied))
        order = order[parts.copied[order]][:MOST_SAMPLES]
        pieces = [_part(audit, dataset, k, painter) for k in order.tolist()]
    failed = {
        f"{name}_failed": [x for x in view.gate if not x.ok] if view else []
        for name, view in (("features", features), ("parts", parts))
    }
    grouped = dataset is not None and dataset.groups is not None
    return {"features": features, "seen": seen, "parts": parts, "pieces": pieces,
            "grouped": grouped, **failed}  # fmt: skip


def _part(
    audit: SamplesAudit, dataset: Dataset | None, k: int, painter: pictures.Painter | None
) -> dict[str, Any]:
    """A sample with all but the part faded, and whose it is."""
    parts = audit.in_parts
    assert parts is not None
    index = int(parts.point[k])
    state = audit.copies.states[k].astype(np.float64)
    row = rows_of(audit.dataset, dataset)(index)
    return {
        "place": k,
        "share": f"{100 * parts.share[k]:.0f}",
        "picture": painter and painter.part(state, parts.mask[k]),
        "index": index,
        "file": None if dataset is None or row is None else dataset.file_of(row),
        "near": _seen(audit, dataset, index, painter),
    }


def _seen(
    audit: SamplesAudit, dataset: Dataset | None, index: int, painter: pictures.Painter | None
) -> dict[str, str | None]:
    """Class and picture of a training point, as far as the dataset shows them."""
    row = rows_of(audit.dataset, dataset)(index)
    if dataset is None or row is None:
        return {"class": None, "picture": None}
    picture = None if painter is None else painter.point(row)
    return {"class": dataset.class_of(row), "picture": picture}


def _asked(audit: SamplesAudit, place: int) -> str:
    """The condition of a sample, where each has its own; of a long text its beginning."""
    return _cut(audit.asked[place]) if isinstance(audit, Audit) and audit.asked else ""


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _samples(
    audit: SamplesAudit,
    dataset: Dataset | None,
    places: Iterable[int],
    painter: pictures.Painter | None,
    copies: Copies | None = None,
) -> list[dict[str, Any]]:
    """Generated samples, each with its nearest and second nearest training point, as `copies` has
    them: those of whole samples without."""
    copies = copies or audit.copies

    def named(what: str, index: int) -> dict[str, Any]:
        seen = _seen(audit, dataset, index, painter)
        told = {what: index, f"{what}_file": copies.files.get(index)}
        return told | {f"{what}_{key}": value for key, value in seen.items()}

    rows = []
    for k in places:
        rows.append(
            {
                "place": k,
                "picture": painter and painter.paint(audit.copies.states[k].astype(np.float64)),
                "ratio": f"{copies.ratio[k]:.2f}",
                "asked": _asked(audit, k),
                "copied": bool(copies.copied[k]),
                "moved": "" if copies.moved[k] == AS_IT_IS else str(copies.moved[k]),
                **named("near", int(copies.point[k])),
                "distance": number(float(copies.distance[k])),
                **named("second", int(copies.second[k])),
                "second_distance": number(float(copies.second_distance[k])),
            }
        )
    return rows

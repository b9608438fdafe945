"""Results in a notebook: a compact page, the main figure, the report and the folder of each type.

The page is a fragment without scripts that stands on whatever background the notebook has: ink is
the colour of the text around it, the other colours read on white and on black alike. Every id
carries a number of its own, so that many results share one notebook.
"""

from __future__ import annotations

from functools import singledispatch
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..advising.told import PAGE, Advice
from ..auditing.findings import Audit, SamplesAudit
from ..backward.outcome import Outcome
from ..common.checks import InputError
from ..common.files import write_atomically
from ..common.readable import count as grouped
from ..common.readable import fixed, interval_text, number
from ..data.datasets import Dataset
from ..results import Analysis, Curves
from .figures import advice as of_advice
from .figures import analysis as of_analysis
from .figures import audit as of_audit
from .figures.backward import LABELS, plot_outcome
from .figures.curves import plot_curves
from .figures.style import SIZE, STYLE, Plot, png_bytes, svg_bytes
from .figures.timeline import plot_regimes
from .folder import staged, with_figures
from .page.advice import render_advice, write_advice
from .page.analysis import full_page, narrow_regimes
from .page.audit import model_name, render_audit, write_audit
from .page.base import environment, figure_of
from .page.pictures import inline_svg
from .runs import write_outcome, write_run
from .tables import curves_csv

_shown = count()


def html(result: Any) -> Markup:
    """The compact page of a result, an HTML fragment."""
    return Markup(environment().get_template("compact.html.j2").render(**_compact(result)))


@singledispatch
def _compact(result: Any) -> dict[str, Any]:
    """What the compact page of a result says; see `_page`."""
    raise TypeError(f"a {type(result).__name__} has no page")


def _page(
    eyebrow: str,
    headline: str,
    panels: list[tuple[str, Figure]],
    *,
    sentences: tuple[str, ...] = (),
    cards: list[dict[str, str]] | None = None,
    wide: tuple[str, Figure, Figure] | None = None,
    table: tuple[list[str], list[list[str]]] | None = None,
) -> dict[str, Any]:
    line = wide and (_svg(wide[0], wide[1]), _svg(wide[0], wide[2]))
    return {
        "eyebrow": eyebrow,
        "headline": headline,
        "sentences": sentences,
        "cards": cards or [],
        "line": line,
        "table": table,
        "panels": [(title, _svg(title, figure)) for title, figure in panels],
    }


def _svg(title: str, figure: Figure) -> Markup:
    data = svg_bytes(figure)
    # the number keeps apart what is shown twice, the digest what two kernels have shown
    return inline_svg(data, f"d{sha256(data).hexdigest()[:8]}-{next(_shown)}", title)


def _card(
    kind: str, words: str, t: float | None, low: float | None, high: float | None, more: str
) -> dict[str, str]:
    value, span = interval_text(t, low, high)
    interval = f"{span} (95 %) · " if span else ""
    return {"kind": kind, "words": words, "value": value, "more": f"{interval}{more}"}


@_compact.register
def _(analysis: Analysis) -> dict[str, Any]:
    facts, panels = analysis.dataset, of_analysis.FIGURES
    cards = []
    for kind, words in (("speciation", "the class is decided"), ("collapse", "copying begins")):
        x = analysis.time(kind)
        step = "" if x.ddpm_step is None else f" · {x.clock} {x.ddpm_step}"
        cards.append(_card(kind, words, x.t, x.low, x.high, f"by {x.method}{step}"))
    return _page(
        f"{facts.name} · n = {grouped(facts.n)}, d = {grouped(facts.d)}",
        analysis.verdict.headline,
        [(panels[x].title, figure_of(panels[x](analysis))) for x in ("probabilities", "entropy")],
        sentences=analysis.verdict.sentences,
        cards=cards,
        wide=(
            panels["regimes"].caption,
            figure_of(panels["regimes"](analysis)),
            narrow_regimes(analysis),
        ),
    )


@_compact.register
def _(audit: SamplesAudit) -> dict[str, Any]:
    return _page(
        f"audit of {model_name(audit)} · trained on {audit.dataset.name}",
        audit.verdict.headline,
        [(of_audit.FIGURES["ratios"].title, figure_of(of_audit.plot_ratios(audit)))],
        sentences=audit.sentences,
    )


@_compact.register
def _(audit: Audit) -> dict[str, Any]:
    panels, share = of_audit.FIGURES, audit.copies.share
    value, _, interval = share.in_percent().partition(", ")
    clone = next(x for x in audit.collapse if x.method == "clone")
    decided = audit.speciation
    exact = "exact score " + interval_text(clone.exact, None, None)[0]
    return _page(
        f"audit of {model_name(audit)} · trained on {audit.dataset.name}",
        audit.verdict.headline,
        [(panels[x].title, figure_of(panels[x](audit))) for x in ("ratios", "clones")],
        sentences=audit.sentences,
        cards=[
            {
                "kind": "share",
                "words": f"copies among {grouped(share.of)} samples",
                "value": value,
                "more": interval,
            },
            *([] if decided is None else [_card(
                "speciation", "the class is decided", decided.t, decided.low, decided.high,
                f"by {decided.method}",
            )]),
            _card(
                "collapse", "the point is decided", clone.t, clone.low, clone.high,
                f"by {clone.method}; {exact}",
            ),
        ],
    )  # fmt: skip


@_compact.register
def _(advice: Advice) -> dict[str, Any]:
    rows = [
        [x.name, number(x.at.t), number(x.at.sigma), "–" if x.at.step is None else str(x.at.step)]
        for item in advice.items for x in item.settings if x.at is not None
    ]  # fmt: skip
    known = [x for x in advice.items if x.answered]
    panels = [x for x in ("guidance", "training noise") if x in of_advice.drawable(advice)]
    return _page(
        f"advice for {advice.source} · steps of {advice.schedule} ({advice.steps})",
        f"{len(known)} of {len(advice.items)} questions answered",
        [(advice[x].question, figure_of(of_advice.FIGURES[x](advice))) for x in panels],
        sentences=tuple(f"{x.question} {x.answer}" for x in known),
        table=(["level", "t", "sigma", advice.clock], rows),
    )


@_compact.register
def _(outcome: Outcome) -> dict[str, Any]:
    t, words = outcome.simulated.t, {"clones": "clones", "uturn": "U-turns"}[outcome.kind]
    heads, rows = ["t"], [[number(x)] for x in t]
    for name, value in outcome.simulated.values.items():
        heads += [LABELS[name][0], "forward", "z"]
        se, forward, z = outcome.simulated.se[name], outcome.forward[name], outcome.z[name]
        for k, row in enumerate(rows):
            row += [f"{value[k]:.3f} ± {se[k]:.3f}", f"{forward[k]:.3f}", fixed(z[k], 1)]
    rows = [[x.replace("-", "−") for x in row] for row in rows]
    return _page(
        f"{words} beside the forward pass · {grouped(outcome.simulated.draws)} pairs",
        f"Largest |z| {_worst(outcome):.1f} in {len(t)} times",
        [("", figure_of(plot_outcome(outcome)))],
        sentences=outcome.notes,
        table=(heads, rows),
    )


def _worst(outcome: Outcome) -> float:
    return max(float(np.abs(z).max()) for z in outcome.z.values())


@_compact.register
def _(curves: Curves) -> dict[str, Any]:
    first, last = number(curves.t[0]), number(curves.t[-1])
    return _page(
        f"curves · {grouped(curves.draws)} noised samples",
        f"{len(curves.values)} curves at {len(curves.t)} times, t = {first} to {last}",
        [("", figure_of(plot_curves(curves)))],
        sentences=(", ".join(curves.values),),
    )


# the main figure of each type, and its size in inches
MAIN: dict[type, tuple[Plot[Any], tuple[float, float]]] = {
    Analysis: (plot_regimes, (10.4, 2.9)),
    SamplesAudit: (of_audit.plot_ratios, (1.2 * SIZE[0], 1.15 * SIZE[1])),
    Audit: (of_audit.plot_ratios, (1.2 * SIZE[0], 1.15 * SIZE[1])),
    Advice: (of_advice.plot_advice, (1.2 * SIZE[0], 1.15 * SIZE[1])),
    Outcome: (plot_outcome, (1.2 * SIZE[0], 1.15 * SIZE[1])),
    Curves: (plot_curves, (1.2 * SIZE[0], 1.15 * SIZE[1])),
}


def plot(result: Any, ax: Axes | None = None) -> Axes:
    """The main figure of a result on `ax`, or on a new one of pyplot: that a notebook shows, and
    pyplot.show() a script."""
    draw, size = MAIN[type(result)]
    if ax is not None:
        return draw(result, ax)
    from matplotlib import pyplot

    with rc_context(STYLE):
        made = pyplot.figure(figsize=size, layout="constrained", facecolor="white")
        return draw(result, made.add_subplot())


@singledispatch
def _text(result: Any, dataset: Dataset | None) -> str:
    """The page of a result as text: for those that have no page of their own, the compact one."""
    if dataset is not None:
        raise InputError(
            f"the page of {type(result).__name__} shows no points: leave the dataset away."
        )
    return environment().get_template("alone.html.j2").render(body=html(result))


_text.register(Analysis, full_page)
_text.register(SamplesAudit, render_audit)
_text.register(Advice, render_advice)


def write_page(result: Any, path: str | Path, dataset: Dataset | None = None) -> Path:
    """Write the page of a result to `path`, whole or not at all; into it, where it is a folder."""
    place = Path(path)
    if place.is_dir():
        place = place / (PAGE if isinstance(result, Advice) else "report.html")
    write_atomically(place, _text(result, dataset).encode())
    return place


@singledispatch
def _fill(result: Any, dataset: Dataset | None, folder: Path, *, figures: bool) -> None:
    """The files of a result into an existing folder."""
    raise TypeError(f"a {type(result).__name__} has no folder of its own")


_fill.register(Analysis, write_run)
_fill.register(SamplesAudit, write_audit)


@_fill.register
def _(advice: Advice, dataset: Dataset | None, folder: Path, *, figures: bool) -> None:
    write_advice(advice, folder, figures=figures)


@_fill.register
def _(outcome: Outcome, dataset: Dataset | None, folder: Path, *, figures: bool) -> None:
    write_page(outcome, folder / "report.html", dataset)
    write_outcome(outcome, folder)


@_fill.register
def _(curves: Curves, dataset: Dataset | None, folder: Path, *, figures: bool) -> None:
    write_page(curves, folder / "report.html", dataset)
    figure = figure_of(plot_curves(curves))
    (folder / "curves.csv").write_text(curves_csv(curves), encoding="utf-8")
    (folder / "curves.png").write_bytes(png_bytes(figure))
    (folder / "curves.svg").write_bytes(svg_bytes(figure))


def save(
    result: Any, folder: str | Path, dataset: Dataset | None = None, *, figures: bool = False
) -> Path:
    """Write what the command line writes into `folder`, all of it or nothing."""
    place = Path(folder)
    with staged(place) as stage:
        _fill(result, dataset, stage, figures=figures or with_figures(place))
    return place

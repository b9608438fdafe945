"""The look of the figures: colours, sizes, a figure where no axes are given, bytes for files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, Protocol, TypeVar

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.textpath import TextToPath

_TEXT = TextToPath()  # formulas that were measured in one figure are known in the next


class _Canvas(FigureCanvasSVG):
    """Lays a figure out with the very renderer that draws it. `savefig` has three for a figure, and
    each measures every text anew, which is most of the time of a small page."""

    def __init__(self, figure: Figure, out: io.StringIO):
        super().__init__(figure)
        width, height = figure.get_size_inches() * figure.dpi
        made: Any = RendererSVG  # which has no types
        self._renderer = made(width, height, out, metadata={"Date": None})
        self._renderer._text2path = _TEXT

    def get_renderer(self) -> Any:
        return self._renderer


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG without a date: the same bytes in every run."""
    return _saved(figure, _svg)


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, on white: a viewer with a dark background would swallow the axes."""
    return _saved(figure, _png)


def _saved(figure: Figure, how: Callable[[Figure], bytes]) -> bytes:
    with rc_context(STYLE):
        return how(figure)


def _svg(figure: Figure) -> bytes:
    out, canvas, dpi = io.StringIO(), figure.canvas, figure.dpi
    try:
        figure.dpi = 72  # of SVG
        renderer = _Canvas(figure, out).get_renderer()
        figure.draw(renderer)
        renderer.finalize()
    finally:
        figure.set_canvas(canvas)
        figure.dpi = dpi
    return out.getvalue().encode()


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=160, facecolor="white")
    return out.getvalue()


def legend(ax: Axes, columns: int = 2, above: float = 1.06) -> None:
    """What is drawn on `ax`, beyond its upper edge by so much of its height."""
    entries: dict[str, list[Artist]] = {}
    for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
        entries.setdefault(label, []).append(handle)
    # above the axes, clear of the curves and of the t_S, t_C marks
    ax.legend(
        [tuple(x) for x in entries.values()],  # a tuple is drawn one upon the other
        list(entries),
        loc="lower left",
        bbox_to_anchor=(-0.02, above),
        ncols=columns,
        handlelength=1.9,
        columnspacing=1.2,
        borderaxespad=0,
    )


INK = "#22262b"
# Okabe-Ito hues: told apart with every common colour blindness; line styles repeat the
# distinction for print without colour. Every role has its own hex value, even where two look the
# same: a page replaces each by a variable of its light or dark palette.
COLOURS = {
    "noise": "#8b95a1",
    "generalizing": "#0072b2",
    "memorizing": "#d55e00",
    "class": "#0072b3",
    "class2": "#56b4e9",
    "point": "#d55e01",
    "alt": "#9a5fb5",
}
# typed Any: the keys are a closed list in the stubs of new matplotlib, plain text in old ones
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "auto",
    # fixed salt: the same figure is the same bytes in every run; text stays text, which keeps
    # files small and lets the page set it in its own font
    "svg.hashsalt": "diffregimes",
    "svg.fonttype": "none",
    "path.simplify": True,
}
SIZE = (4.6, 3.2)


Found = TypeVar("Found", contravariant=True)


class Plot(Protocol[Found]):
    """What every plotting function is: draw on `ax`, or on a new figure, and return the Axes."""

    def __call__(self, found: Found, /, ax: Axes | None = None) -> Axes: ...


@dataclass(frozen=True)
class Panel(Generic[Found]):
    """A figure of a page, declared once: what draws it, the question that stands above it, and what
    it shows, for those who cannot see it."""

    draw: Plot[Found]
    title: str
    caption: str

    def __call__(self, found: Found, ax: Axes | None = None) -> Axes:
        return self.draw(found, ax=ax)


def styled(
    size: tuple[float, float] = SIZE,
) -> Callable[[Callable[[Found, Axes], None]], Plot[Found]]:
    """Give a drawing function its `ax=None`: a figure in the package's style where none is."""

    def decorate(draw: Callable[[Found, Axes], None]) -> Plot[Found]:
        @wraps(draw)
        def plot(found: Found, ax: Axes | None = None) -> Axes:
            if ax is not None:
                draw(found, ax)
                return ax
            with rc_context(STYLE):
                made = Figure(figsize=size, layout="constrained").add_subplot()
                draw(found, made)
            return made

        del plot.__wrapped__  # help() is to show `ax=None`
        return plot

    return decorate

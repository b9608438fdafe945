"""advice.html: every question with its answer, its settings in all units and the figure that the
numbers come from, and the lines for diffusers.

Like the page of `report` it loads nothing from anywhere, and the same advice gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...advising.told import PAGE, Advice, Item, Level, Setting
from ...common.checks import InputError
from ...common.files import write_atomically
from ...common.readable import number, short
from ...data.datasets import Dataset
from ...process import DDPM_STEP
from ..figures.advice import FIGURES, drawable
from ..figures.style import svg_bytes
from . import pictures
from .base import figure_files, figure_of, rendered

JSON = "advice.json"
# what a person reads of the numbers of an item; the others stand in its answer or its figure
_SHOWN = {
    "guidance": {"start": "start of a guider", "stop": "stop of a guider"},
    "late start": {"saved": "share of the steps saved", "epsilon": "ε, nats"},
    "training noise": {"P_mean": "P_mean", "P_std": "P_std", "sigma_data": "sigma_data"},
    "validation": {
        "gap, share of the variance": "largest gap, share of the variance",
        "nats to t_C": "½∫gap dγ down to t_C, nats", "nats": "½∫gap dγ down to the data, nats",
    },
    "experts": {"boundary_ratio": "boundary_ratio", "flow_time": "flow time"},
    "points": {
        "n at t_S": "points at t_S", "n where the class is settled": "points at its end",
    },
    "training length": {
        "pilot": "step of the pilot", "steps": "steps", "low": "from", "high": "to",
        "at least": "steps at least",
    },
}  # fmt: skip


def write_advice(advice: Advice, folder: str | Path, *, figures: bool = False) -> None:
    """Write advice.html and, last, advice.json into `folder`; with `figures` also figures/*.png and
    *.svg. Raises `OSError` where a file cannot be written."""
    plotted = {x: figure_of(FIGURES[x](advice)) for x in drawable(advice)}
    drawn = {name: svg_bytes(figure) for name, figure in plotted.items()}
    files = {PAGE: render_advice(advice, None, drawn).encode()}
    if figures:
        files |= figure_files(plotted, drawn)
    files[JSON] = (advice.to_json() + "\n").encode()
    for relative, data in files.items():
        write_atomically(Path(folder) / relative, data)


def render_advice(
    advice: Advice, dataset: Dataset | None = None, drawn: Mapping[str, bytes] | None = None
) -> str:
    """The page as text; `drawn` holds the SVG of every figure, where they are there already.

    It shows no points: `InputError` where a dataset comes along.
    """
    if dataset is not None:
        raise InputError("the page of Advice shows no points: leave the dataset away.")
    if drawn is None:
        drawn = {x: svg_bytes(figure_of(FIGURES[x](advice))) for x in drawable(advice)}
    return rendered(
        "advice.html.j2",
        {
            name: pictures.inline_svg(svg, name.replace(" ", "-"), FIGURES[name].caption)
            for name, svg in drawn.items()
        },
        a=advice,
        name=Path(advice.source).stem or advice.source,
        scale=_scale(advice.scale),
        answered=[_told(x, advice.clock) for x in advice.items if x.answered],
        open=[x for x in advice.items if not x.answered],
        captions={name: panel.caption for name, panel in FIGURES.items()},
        ddpm=advice.clock == DDPM_STEP,
    )


def _scale(scale: tuple[float, float] | None) -> str:
    if scale is None:
        return "the data as they came"
    return f"pixels on [{scale[0]:g}, {scale[1]:g}]".replace("-", "\N{MINUS SIGN}")


def _told(item: Item, clock: str) -> dict[str, Any]:
    """What stands on the page of an item."""
    wanted = _SHOWN.get(item.name, {})
    return {
        "item": item,
        "anchor": item.name.replace(" ", "-"),
        "rows": [_row(x, clock) for x in item.settings if x.at is not None],
        "numbers": [
            (words, _three(item.numbers[key])) for key, words in wanted.items()
            if key in item.numbers
        ],
    }  # fmt: skip


def _three(value: float) -> str:
    """To three digits, also where there are more before the point."""
    return number(float(f"{value:.3g}"))


def _row(one: Setting, clock: str) -> dict[str, str]:
    at = one.at
    assert at is not None
    ends = [short(x.t) if x else "0" for x in (one.low, one.high)]
    return {
        "name": one.name,
        "t": short(at.t),
        "span": "–" if one.low is None and one.high is None else f"{ends[0]} to {ends[1]}",
        "sigma": short(at.sigma),
        "flow": f"{at.flow_time:.3f}",
        "step": "beyond" if at.step is None else str(at.step),
        "timestep": _timestep(at, clock),
        "part": "–" if at.part is None else f"{at.part:.2f}",
    }


def _timestep(at: Level, clock: str) -> str:
    return str(at.timestep) if clock == DDPM_STEP and at.timestep is not None else "–"

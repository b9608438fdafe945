"""What the page shows of parts of the samples: maps, times against the width, what they mean."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ...common.readable import number
from ...data.datasets import Dataset
from ...results import Analysis
from ..figures.windows import SIZES, groups_figure, lines_figure, map_windows, maps_figure
from .base import figure_of
from .pictures import Painter

_POINTS = 500  # that the mean image is taken from
CAPTIONS = {
    "windows": "t_S and t_C of windows by their place in the sample.",
    "sizes": SIZES.caption,
    "feature_groups": "t_S and t_C of each group of features, and of the whole.",
}


def figures(analysis: Analysis, dataset: Dataset | None) -> dict[str, Figure]:
    """Those that the windows and groups of the analysis need, by name."""
    out = {}
    if map_windows(analysis):
        out["windows"] = maps_figure(analysis, _mean(dataset))
    elif any(x.width is not None for x in analysis.windows):
        out["windows"] = lines_figure(analysis)
    if "windows" in out:
        out["sizes"] = figure_of(SIZES(analysis))
    if any(x.width is None for x in analysis.windows):
        out["feature_groups"] = groups_figure(analysis)
    return out


def _mean(dataset: Dataset | None) -> np.ndarray | None:
    if dataset is None or not dataset.is_image:
        return None
    some = np.linspace(0, dataset.n - 1, min(dataset.n, _POINTS)).astype(int)
    return Painter(dataset).shown(dataset.points[some].mean(axis=0, dtype=np.float64))


def meaning(analysis: Analysis) -> Markup:
    """The sentence that says what t_C(p) means, with the numbers of the smallest and the largest
    window."""
    known = [x for x in analysis.windows if x.width is not None and x.collapse.mean is not None]
    whole = analysis.time("collapse")
    if not known:
        return Markup("")
    image = len(known[0].rows) > 0
    one = "patches" if image else "stretches"
    said = [Markup("{} at <i>t</i> = {}").format(x.name, number(x.collapse.mean)) for x in known]
    out = Markup(
        "Below <i>t</i><sub>C</sub>(<i>p</i>) {} of that size are copied while the whole is still "
        "new: what is seen through such a window is then one training point's, and a model that "
        "looks no farther puts samples together from pieces of different ones. Copying begins for "
        "{}"
    ).format(one, Markup(", ").join(said))
    if whole.t is None:
        return out + "."
    return out + Markup("; one that sees the whole copies it from <i>t</i> = {} on.").format(
        number(whole.t)
    )

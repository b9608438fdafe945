"""Groups of points that are one thing seen several times: the slices of a patient, the frames of a
scene, the crops of a photograph.

Two points of a group are alike without any copying, and a point that is held out tells nothing of
the law where another of its group was trained on. So a group counts as one, and lies on one side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.reading import readable
from .classes import checked_labels, to_numpy
from .datasets import Dataset
from .request import Raw, Request

FOLDER = "folder"  # the group of an image is the folder that it lies in
LABEL = "label"  # the condition of a point is its class
_WHAT = {"group": "groups", "given": "conditions"}  # by option


def with_beside(
    data: Dataset,
    raw: Raw,
    request: Request,
    captions: str | None,
    given: str | None,
    read: Callable[[Request], Raw],
) -> Dataset:
    """The data with the group, the condition and the caption of each point, where they are asked
    for."""
    if request.group is not None:
        groups = groups_of(request, request.group, read)
        data = replace(data, groups=_of_points(groups, "group", request.group, data, raw))
    if request.given is not None:
        values = groups_of(request, request.given, read, "given")
        data = replace(data, given=_of_points(values, "given", request.given, data, raw))
    elif given == LABEL:
        data = replace(data, given=given_label(data))
    if captions is not None:
        texts = captions_of(request, captions, read)
        data = replace(data, captions=_of_points(texts, "prompts", captions, data, raw))
    return data


def given_label(data: Dataset) -> np.ndarray:
    """The class of each point as its condition (n,)."""
    if not data.labelled:
        raise InputError(
            f"given (--given) is {LABEL!r}, but {data.source} has no labels; expected some, or "
            "the name of a column or a file. Name the labels by labels (--labels)."
        )
    return np.asarray(np.array(data.class_names)[data.labels])


def of_points(dataset: Dataset, values: Any, listed: int, name: str) -> np.ndarray:
    """Values (n,), integers or strings, of the points that were taken of the `listed` ones."""
    array = to_numpy(values, name)
    if array.shape != (listed,) or array.dtype.kind not in "iubUSOT":
        raise InputError(
            f"{name} has the shape {array.shape} and dtype {array.dtype}; expected ({listed},) "
            "integers or strings, one for each point."
        )
    found = checked_labels(array, listed)
    return found if len(found) == dataset.n else found[dataset.indices]


def _of_points(values: np.ndarray, option: str, given: str, data: Dataset, raw: Raw) -> np.ndarray:
    """Those of the points that were taken, of values of all points in the source."""
    n = int(data.indices.max()) + 1 if raw.indices is not None else len(raw.points)
    if len(values) < n or (raw.indices is None and len(values) > n):
        what = _WHAT.get(option, "texts")
        raise InputError(
            f"{option} (--{option}) is {given!r}, {len(values)} {what} for the {n} points of "
            f"{data.source}; expected one for each, in the same order."
        )
    return np.asarray(values[data.indices])


def groups_of(
    request: Request, group: str, read: Callable[[Request], Raw], option: str = "group"
) -> np.ndarray:
    """The groups of all points of a source, in its order: read as labels are, pixels aside.

    `group` is a key, a column or a file, as `labels` may be, or FOLDER; `option` is what it is
    called. Raises `InputError`.
    """
    asked = "none" if group == FOLDER else group
    alone = replace(
        request, labels=asked, group=None, given=None, classes=None, per_class=None,
        labels_only=True,
    )  # fmt: skip
    try:
        raw = read(alone)
        if group == FOLDER:
            return _folders(raw, request)
        if raw.labels is None or raw.columns_taken:
            raise InputError(
                f"labels (--labels) is {group!r}, which names no {_WHAT.get(option, 'texts')}; "
                "expected the name of a key or column, a file with one for each point, or folder."
            )
        return checked_filled(checked_labels(raw.labels, len(raw.labels)), group, option)
    except InputError as error:
        # what is said of labels is said of groups
        called = f"{option} (--{option})"
        told = str(error).replace("labels (--labels)", called).replace("--labels", f"--{option}")
        raise InputError(told if called in told else f"{called} is {group!r}: {told}") from None


def captions_of(request: Request, given: str, read: Callable[[Request], Raw]) -> np.ndarray:
    """The captions of all points of a source, in its order: the lines of a .txt, or read as groups
    are. Raises `InputError`, also for an empty one."""
    path = Path(given).expanduser()
    if path.suffix == ".txt" and path.is_file():
        with readable(path, "a text file", "expected UTF-8, one caption a line."):
            lines = path.read_text(encoding="utf-8").splitlines()
        found = np.array(lines, dtype=str)
    else:
        found = groups_of(request, given, read, "prompts").astype(str)
    return checked_filled(found, given, "prompts")


def checked_filled(values: np.ndarray, given: str, option: str) -> np.ndarray:
    """`values` (n,) themselves; raises `InputError` where some are empty."""
    words = values.dtype.kind == "U"
    empty = np.flatnonzero(np.char.strip(values) == "") if words else np.empty(0, dtype=np.int64)
    if len(empty):
        what = {"group": "a group", "given": "a condition"}.get(option, "a text")
        raise InputError(
            f"{option} (--{option}) is {given!r}, and {len(empty)} of {len(values)} points have "
            f"none, the first in row {int(empty[0]) + 1}; expected {what} for each. Write these, "
            "or leave their points out."
        )
    return values


def _folders(raw: Raw, request: Request) -> np.ndarray:
    if not raw.files:
        raise InputError(
            f"group (--group) is {FOLDER!r}, and the points of {request.text} are no files in "
            "folders; expected the name of a key or column, or a file."
        )
    return np.array([x.rpartition("/")[0] for x in raw.files])


def hold_out(
    labels: np.ndarray, share: float, seed: int = 0, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training points and of the held-out ones, in order: a share of each class, or,
    where there are groups, whole groups that are about that share of all points."""
    from ..common.rng import numpy_generator  # late: it brings torch, and --help must not wait

    if not 0 <= share < 1:
        raise InputError(f"held_out (--held-out) is {share!r}; expected a share from 0 to below 1.")
    held = [np.zeros(0, dtype=np.int64)]
    if groups is not None:
        names, of = np.unique(groups, return_inverse=True)
        order = numpy_generator(seed, "held-out groups").permutation(len(names))
        # in random order, as many as come nearest to the share of all points
        total = np.append(0, np.cumsum(np.bincount(of)[order]))
        held.append(np.flatnonzero(np.isin(of, order[: np.abs(total - share * len(of)).argmin()])))
    else:
        for code in np.unique(labels):
            mine = np.flatnonzero(labels == code)
            order = numpy_generator(seed, "held-out", int(code)).permutation(len(mine))
            held.append(mine[order[: round(share * len(mine))]])
    out = np.sort(np.concatenate(held))
    kept = np.setdiff1d(np.arange(len(labels)), out)
    if len(kept) < 2 or (share and not len(out)):
        what = "each class" if groups is None else f"the {len(np.unique(groups))} groups"
        raise InputError(
            f"held_out (--held-out) {share:g} of {what} leaves {len(kept)} training points and "
            f"{len(out)} held out; expected two to train on and one held out, or 0 to hold out "
            "none."
        )
    return kept, out

"""Which class each point belongs to: labels checked, classes chosen, each given a code.

Labels are integers or strings. A class is named by its label or, where the source has names
(folders, CIFAR's lists), by its name; the command line knows strings alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.readable import printable
from ..common.reading import readable

# what a column or an array of labels is called, the plainest first
_LABEL_WORDS = (
    ("label", "labels"),
    ("target", "targets", "class", "classes", "y", "gnd"),
    ("species", "category", "fine_label", "label_name", "class_name", "cls", "ans"),
)


def label_name(names: Sequence[str]) -> str | None:
    """The one among the names that labels are called by; None without, or where several are."""
    for words in _LABEL_WORDS:
        found = [x for x in names if x.strip().lower() in words]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def to_numpy(values: Any, what: str) -> np.ndarray:
    """The values as a numpy array, torch tensors on any device included; `what` names them."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        masked = int(np.ma.getmaskarray(values).sum())
        raise InputError(
            f"{what}: {masked} values are masked; expected all of them. "
            "Fill them (values.filled(0)) or leave these samples out."
        )
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        try:
            return np.asarray(tensor.numpy())
        except TypeError:  # numpy has no bfloat16
            return np.asarray(tensor.float().numpy())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(
            f"{what} cannot be made into one array ({error}); expected the same shape for every "
            "sample. Crop, resize or pad them first."
        ) from None


def checked_labels(labels: Any, n: int) -> np.ndarray:
    """Labels (n,) of integers or strings from anything like them; `InputError` says what is not."""
    values = to_numpy(labels, "labels")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if one_hot(values):
        values = values.argmax(1)
    if values.shape != (n,):
        raise InputError(
            f"labels have the shape {values.shape} for {n} points; expected ({n},): one label for "
            "each point, in the same order. Class probabilities need .argmax(1)."
        )
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind == "S":
        with readable("labels", "UTF-8", "decode them: np.char.decode(labels, 'latin-1')."):
            return np.char.decode(values, "utf-8")
    if values.dtype.kind in "iuU":
        return values
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values % 1 == 0).all():
        _check_told_apart(values)
        return values.astype(np.int64)
    if values.dtype.kind in "OT":  # columns of strings from pandas, or numpy's own
        if all(isinstance(x, str) for x in values):
            return values.astype(str)
        if all(isinstance(x, int | np.integer) for x in values):
            small = all(-(2**63) <= x < 2**63 for x in values)
            return values.astype(np.int64 if small else str)
    raise InputError(
        f"labels of dtype {values.dtype} are not all integers or all strings (the first is "
        f"{values[0]!r}); expected one of the two. Convert them, and give every point a label."
    )


def one_hot(values: np.ndarray) -> bool:
    """Whether each row has a single 1 among zeros: its class is where that stands."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "biuf":
        return False
    return bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all())


def grouped(groups: Any, n: int) -> np.ndarray:
    """Groups (n,) of integers or strings; `InputError` says what is not."""
    values = to_numpy(groups, "groups")
    if values.shape != (n,) or values.dtype.kind not in "iubUSOT":
        raise InputError(
            f"groups have the shape {values.shape} and dtype {values.dtype} for {n} points; "
            f"expected ({n},) integers or strings, one for each point."
        )
    return checked_labels(values, n)


def _check_told_apart(values: np.ndarray) -> None:
    """Raise for floats so large that two whole numbers may be one of them."""
    most = float(np.abs(values).max(initial=0))
    digits = np.finfo(values.dtype).nmant + 1
    if most >= 2**digits:
        raise InputError(
            f"labels of dtype {values.dtype} reach {most:.6g}; expected less than 2^{digits}, below"
            " which floats tell whole numbers apart. Save them as integers or strings."
        )


def select(
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The points that `classes` and `per_class` keep: (indices, their class codes, class names).

    `labels` (n,) as `from_arrays` takes them; indices ascend; codes count 0..K-1 in the order of
    `classes`, else of the sorted labels. Raises `InputError` for a class that does not exist or
    comes twice and for a `per_class` that is not a positive integer.
    """
    whole = isinstance(per_class, int | np.integer) and not isinstance(per_class, bool)
    if per_class is not None and (not whole or per_class < 1):
        raise InputError(
            f"per_class (--per-class) is {per_class!r}; expected a positive integer, or leave it "
            "out to take all points."
        )
    values, codes = np.unique(labels, return_inverse=True)
    names = _names(values, class_names)
    if classes is not None:
        order = _match(classes, values, names)
        lookup = np.full(len(values), -1)
        lookup[order] = np.arange(len(order))
        codes, names = lookup[codes], tuple(names[k] for k in order)
    kept = [np.flatnonzero(codes == k)[:per_class] for k in range(len(names))]
    indices = np.sort(np.concatenate(kept))
    return indices, codes[indices].astype(np.int64), names


def conditions(labels: np.ndarray, indices: np.ndarray, codes: np.ndarray) -> tuple[int, ...]:
    """The number of each chosen class in the source: its integer label, else its place among the
    sorted names. `indices` and `codes` are those of `select`."""
    _, first = np.unique(codes, return_index=True)
    own = labels[indices[first]]
    if labels.dtype.kind not in "iu":
        own = np.searchsorted(np.unique(labels), own)
    return tuple(int(x) for x in own)


def _match(
    classes: Sequence[int | str] | str, values: np.ndarray, names: tuple[str, ...]
) -> list[int]:
    """Positions of the wanted classes. The command line knows strings only: "1" means label 1."""
    if isinstance(classes, str):
        classes = classes.split(",")
    wanted = list(classes) if isinstance(classes, Iterable) else [classes]
    as_text = [str(x) for x in values.tolist()]
    order: list[int] = []
    for item in wanted:
        text = str(item).strip()
        # A string means a name first (a folder called "1"), an integer means a label first.
        first, second = (list(names), as_text) if isinstance(item, str) else (as_text, list(names))
        place = first.index(text) if text in first else second.index(text) if text in second else -1
        if place < 0:
            raise InputError(
                f"class {text!r} does not exist; the data have the classes {listed(names)}. "
                "Choose among these in `classes` (--classes)."
            )
        if place in order:
            raise InputError(
                f"class {text!r} comes twice in `classes` (--classes); expected each class once. "
                "Drop the repetition."
            )
        order.append(place)
    if not order:
        raise InputError(
            f"`classes` (--classes) is empty; the data have the classes {listed(names)}. "
            "Name one or more, or leave it out to take all."
        )
    return order


def _names(values: np.ndarray, class_names: Sequence[str] | None) -> tuple[str, ...]:
    if class_names is None:
        names = tuple(printable(str(x)) for x in values.tolist())
        if len(set(names)) < len(names):
            raise InputError(
                f"labels differ in characters that cannot be printed alone ({listed(names)}); "
                "expected names that can be told apart. Rename the classes."
            )
        return names
    given = [printable(str(x)) for x in class_names]
    if len(set(given)) < len(given):
        raise InputError(f"class_names repeats a name: {listed(given)}. Give each class its own.")
    if values.dtype.kind in "iu" and values[0] >= 0 and values[-1] < len(given):
        return tuple(given[k] for k in values)
    if len(given) != len(values):
        raise InputError(
            f"class_names has {len(given)} names for {len(values)} classes "
            f"({listed([str(x) for x in values.tolist()])}); expected one name for each."
        )
    return tuple(given)


def check_counts(counts: np.ndarray, names: tuple[str, ...]) -> None:
    """Raise `InputError` unless there are two points in each class."""
    small = int((counts < 2).sum())
    if small:
        others = f" (so have {small - 1} others)" if small > 1 else ""
        raise InputError(
            f"class {names[int(np.argmin(counts))]} has {int(counts.min())} point{others}; "
            "expected at least 2 in every class. Add points to it, leave it out by `classes` "
            "(--classes), or raise `per_class` (--per-class)."
        )


def check_several(names: tuple[str, ...]) -> None:
    """Raise `InputError` where one class alone came and speciation is asked for."""
    if len(names) < 2:
        raise InputError(
            f"there is one class only, {names[0]}; expected at least two, which speciation is the "
            'choice between. Choose more classes, or drop the labels (for files: labels="none", '
            "--labels none) to split the data by their first principal component."
        )


def listed(names: Sequence[str], most: int = 20) -> str:
    """The names for a message, cut off after `most`."""
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def check_no_choice(classes: Sequence[int | str] | str | None, per_class: int | None) -> None:
    """Raise `InputError` if classes are to be chosen where there are no labels."""
    for name, value in (("classes (--classes)", classes), ("per_class (--per-class)", per_class)):
        if value is not None:
            raise InputError(
                f"{name} is {value!r} but there are no labels to choose by. Pass labels, or "
                "leave it out: the classes are then the sides of the first principal component."
            )

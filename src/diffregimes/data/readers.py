"""Datasets from sources: a word, the name of a law, a file, a folder.

Each kind of source is one declaration in `READERS`: what it is called, which sources are of it, and
how it is read. Nothing executable is ever loaded: arrays that need pickle are refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.checks import InputError
from ..populations.specs import EXAMPLE
from . import kinds
from .arrayfiles import IDX_NAME
from .classes import listed
from .datasets import Dataset, from_arrays
from .imagefolder import SUFFIXES, holds_images
from .kinds import Raw, Request
from .pixels import Range

if TYPE_CHECKING:
    from ..common.parallel import Progress


@dataclass(frozen=True)
class Reader:
    """A kind of source.

    name : of the kind
    words : what is accepted, in messages and in --help
    recognises : whether a source is of this kind, from its text and path
    read : its points; what it takes stands in the docstring
    check : raises `InputError` for options of `load` that make no sense with it
    """

    name: str
    words: str
    recognises: Callable[[str, Path], bool]
    read: Callable[[Request], Raw]
    check: Callable[[Request], None] = kinds.no_key


def _ends(suffix: str) -> Callable[[str, Path], bool]:
    return lambda text, path: path.suffix.lower() == suffix and path.is_file()


# the first that recognises a source reads it: images win over IDX files in one folder
READERS = (
    Reader("digits", 'the word "digits"', lambda text, path: text == "digits", kinds.digits),
    Reader(
        "gmm",
        f"{EXAMPLE} (samples of two Gaussian classes)",
        lambda text, path: text.startswith("gmm:"),
        kinds.drawn,
        kinds.no_options,
    ),
    Reader("npz", "an .npz file", _ends(".npz"), kinds.npz, kinds.any_options),
    Reader("npy", "an .npy file", _ends(".npy"), kinds.npy),
    Reader(
        "images",
        "a folder of images with one subfolder a class",
        lambda text, path: path.is_dir() and holds_images(path),
        kinds.images,
    ),
    Reader(
        "idx",
        "a folder with the IDX files of MNIST, or one such file",
        lambda text, path: bool(
            kinds.idx_names(path)
            if path.is_dir()
            else IDX_NAME.search(path.name) and path.is_file()
        ),
        kinds.idx,
    ),
)
ACCEPTED = ", ".join(x.words for x in READERS)


def load(
    source: str | PathLike[str],
    *,
    labels: str | int | PathLike[str] | None = None,
    key: str | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    pixel_range: Range = None,
    pad: int = 0,
    standardize: bool = False,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """The dataset in `source`, read by the first of `READERS` that knows its kind; each says in its
    docstring what it takes.

    `labels`: a key in the .npz; a column of a 2-D array ("-1" or "column:3"), which is then taken
    out of the points; a file (.npy, .txt, .csv, "file.csv:column", IDX) of labels in the order
    of the points, or for a folder of images a .csv of file names and labels; or "none" to leave
    labels out. `key` names the data among the arrays of an .npz. `classes`, `per_class`,
    `pixel_range`, `pad` and `standardize` are those of `from_arrays`. `skip_unreadable` leaves out
    the images of a folder that cannot be read and counts them in a note. `progress(done, total,
    text)` is called for each image of a folder. No option changes a known law.

    Raises `InputError` for what cannot be read, with the way out.
    """
    request = Request(
        str(source),
        Path(source).expanduser(),
        None if labels is None else str(labels),
        key,
        classes,
        per_class,
        pixel_range,
        pad,
        standardize,
        skip_unreadable,
        progress,
    )
    try:
        reader = _reader(request)
        reader.check(request)
        raw = reader.read(request)
    except OSError as error:  # a folder that may not be listed, a disk that fails
        raise InputError(
            f"{request.text} cannot be read ({error}); check that it is there and that you may "
            "read it."
        ) from error
    data = from_arrays(
        raw.points,
        raw.labels,
        class_names=raw.class_names,
        classes=classes,
        per_class=per_class,
        pixel_range=pixel_range,
        pad=pad,
        standardize=standardize,
        white=raw.white,
        source=request.text,
        files=raw.files,
        notes=raw.notes,
    )
    return _named(data, raw)


def _named(data: Dataset, raw: Raw) -> Dataset:
    """The data with what its reader knows of it beside the values."""
    if raw.indices is not None:
        data = replace(data, indices=raw.indices[data.indices])
    if raw.classes:
        known = tuple(raw.classes.index(x) for x in data.class_names)
        data = replace(data, conditions=known)
    return replace(data, population=raw.population)


def _reader(request: Request) -> Reader:
    """The reader of a source; `InputError` with a hint where none recognises it."""
    text, path = request.text, request.path
    for reader in READERS if text else ():
        if reader.recognises(text, path):
            return reader
    if not text or not path.exists():
        raise InputError(_missing(text, path))
    kinds.no_key(request)
    raise InputError(_no_data(path) if path.is_dir() else _unknown(path))


def _no_data(folder: Path) -> str:
    shown = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
    inside = [x.name + "/" * x.is_dir() for x in shown]
    contents = f"it holds {listed(inside, 6)}" if inside else "it is empty"
    deeper = [x for x in shown if x.is_dir() and holds_images(x)]
    files = [x for x in shown if x.is_file() and any(y.recognises(str(x), x) for y in READERS)]
    hint = "Give another folder or put data into it."
    if deeper:
        hint = f"Images lie deeper: give {deeper[0]} instead."
    elif files:
        hint = f"Give a file of it, for example {files[0]}."
    return (
        f"no data in the folder {folder}: {contents}; expected images ({', '.join(SUFFIXES)}) in "
        f"it or in its subfolders, one a class, or MNIST's IDX files. {hint}"
    )


def _missing(text: str, path: Path) -> str:
    parent = path.parent
    names = ["digits"]
    if parent.is_dir():
        names += [str(x) for x in parent.iterdir() if not x.name.startswith(".")]
    close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.6)
    if text.lower().startswith("gmm"):
        hint = f"Did you mean {EXAMPLE}?"
    elif close:
        hint = f"Did you mean {' or '.join(close)}?"
    else:
        hint = "Check the spelling" + (
            "." if parent.is_dir() else f"; there is no folder {parent}."
        )
    return f"there is no file or folder {text!r}; expected {ACCEPTED}. {hint}"


def _unknown(path: Path) -> str:
    suffix = path.suffix.lower()
    hint = "Convert the data to .npz: np.savez(path, images=images, labels=labels)."
    if suffix == ".mat":
        hint = (
            "Convert it: np.savez(path, images=scipy.io.loadmat(file)[name]), with the axis of "
            "the points first."
        )
    elif suffix in (".pt", ".pth", ".pkl", ".pickle", ".ckpt"):
        hint = "Such files can run code and are never loaded. " + hint
    elif suffix in SUFFIXES:
        hint = f"It is a single image: give its folder, {path.parent}."
    kind = suffix or "no suffix"
    return f"{path} is of a kind that is not read ({kind}); expected {ACCEPTED}. {hint}"

"""Datasets from sources: a word, the name of a law, a file, a folder.

Each kind of source is one declaration in `READERS`: what it is called, which sources are of it, and
how it is read. Nothing executable is ever loaded: arrays that need pickle are refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.checks import InputError, in_range
from ..common.reading import readable
from ..populations.specs import EXAMPLE
from . import archives, arrow, kinds, objects, texttables, zarrs
from .classes import listed
from .datasets import Dataset, from_arrays
from .declared import ARRAYS, BLOCKS, OPTIONAL, PICTURES, ROWS, Held, Reader
from .groups import LABEL, with_beside
from .labelled import like_classes
from .pictures import SUFFIXES
from .pixels import Range
from .request import Raw, Request
from .streams import within
from .trees import holds_images
from .unread import converting, is_pointer, pull

if TYPE_CHECKING:
    from ..common.parallel import Progress


def _ends(*suffixes: str) -> Callable[[str, Path], bool]:
    return lambda text, path: path.suffix.lower() in suffixes and path.is_file()


# the first that recognises a source reads it: images win over IDX files in one folder
READERS = (
    Reader("digits", 'the word "digits"', lambda text, path: text == "digits", kinds.digits),
    Reader(
        "gmm",
        f"{EXAMPLE} (samples of two Gaussian classes)",
        lambda text, path: text.startswith("gmm:"),
        kinds.drawn,
        check=kinds.no_options,
    ),
    Reader("npz", "an .npz file", _ends(".npz"), archives.npz, ARRAYS),
    Reader("npy", "an .npy file", _ends(".npy"), kinds.npy),
    Reader("mat", "a .mat file", _ends(".mat"), archives.mat, ARRAYS),
    Reader("hdf5", "HDF5 (.h5)", _ends(".h5", ".hdf5", ".he5"), archives.hdf5, BLOCKS),
    Reader("zarr", "zarr (a folder, .zarr.zip or an address)", zarrs.is_zarr, zarrs.zarr, BLOCKS),
    Reader(
        "safetensors", "a .safetensors file", _ends(".safetensors"), archives.safetensors, ARRAYS
    ),
    Reader(
        "table",
        "a table of numbers (.csv, .tsv, .txt)",
        _ends(*texttables.TABLES),
        texttables.csv_table,
        frozenset({"split"}),
    ),
    Reader(
        "arrow",
        "parquet or Arrow files, or a folder of them (Hugging Face)",
        lambda text, path: bool(arrow.data_files(path)) if path.is_dir()
        else _ends(*arrow.FILES)(text, path),
        arrow.arrow,
        ROWS,
    ),
    Reader("zip", "a .zip of images", _ends(".zip"), kinds.zipped, PICTURES),
    Reader(
        "images",
        "a folder of images with one subfolder a class",
        lambda text, path: path.is_dir() and holds_images(path),
        kinds.images,
        PICTURES,
    ),
    Reader(
        "tar",
        "a .tar of images, or a folder of such (WebDataset)",
        lambda text, path: bool(kinds.tar_names(path)) if path.is_dir()
        else _ends(".tar")(text, path),
        kinds.tarred,
        PICTURES,
    ),
    Reader(
        "idx",
        "a folder with the IDX files of MNIST, or one such file",
        lambda text, path: kinds.is_idx(path),
        kinds.idx,
        frozenset({"split"}),
    ),
)  # fmt: skip
HELD = (
    Held("a pandas or polars data frame", objects.is_frame, objects.frame, frozenset({"split"})),
    Held("a Dataset of Hugging Face", objects.is_rows, objects.hugging_face, ROWS),
    Held("a torch DataLoader", objects.is_loader, objects.loader),
    Held("a torch Dataset", objects.is_map, objects.map_style),
)
ACCEPTED = ", ".join(x.words for x in READERS)


def load(
    source: Any,
    *,
    labels: str | int | PathLike[str] | None = None,
    label: str | None = None,
    key: str | None = None,
    group: str | int | PathLike[str] | None = None,
    given: str | int | PathLike[str] | None = None,
    captions: str | PathLike[str] | None = None,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    pixel_range: Range = None,
    pad: int = 0,
    split: str | None = None,
    resize: int | None = None,
    crop: bool = False,
    standardize: bool = False,
    skip_unreadable: bool = False,
    memory_mib: int | None = None,
    keep: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The dataset in `source`, a word, path or object, read by the first of `READERS` or `HELD`
    that knows its kind; each says in its docstring what it takes.

    `labels`: a key in an archive ("key:3" for one column of it); a column of a table by its name
    (`label` is the same), or of a 2-D array ("-1" or "column:3"), which is then taken
    out of the points; a file (.npy, .txt, .csv, "file.csv:column", IDX) of labels in the order
    of the points, or for images a .csv of file names and labels; or "none" to leave
    labels out. `key` names the data among the arrays of an archive or the columns of a dataset.
    `group` says what the groups of the points are, as `labels` does, in "folder" that of a file;
    `given` likewise under what condition each is learned, in "label" its class.
    `captions` says where texts of the points stand: a column or key likewise, such as "text" of the
    metadata.jsonl beside images, or a .txt with a line for each point.
    `split` names the part to read where there are several, train unless given. `resize` brings
    images to so many pixels on each side (Lanczos), `crop` cuts out their centre squares before.
    `classes`, `per_class`, `pixel_range`, `pad` and `standardize` are those of `from_arrays`.
    `skip_unreadable` leaves out the images that cannot be read and counts them in a note.
    With `memory_mib`, points that would take more as floats stay in their file and are read some at
    a time, where rows of it can be reached: .npy, .npz without compression, IDX, .safetensors, zarr
    and HDF5. Images of folders, archives and parquet, and lists in parquet, stay what they are,
    bytes, and where these are more than that too they are decoded once into an .npy in the folder
    `keep`, which stays until you remove it. `analyze` knows what to do with them.
    `progress(done, total, text)` is called for each image. No option changes a known law.

    Raises `InputError` for what cannot be read, with the way out.
    """
    labels = _labels(labels, label)
    in_memory = not isinstance(source, str | PathLike)
    text = _called(source) if in_memory else str(source)
    request = Request(
        text, Path() if in_memory else _expanded(text), None if labels is None else str(labels),
        key, classes, per_class, pixel_range, pad, split, resize, crop, standardize,
        skip_unreadable, progress, source if in_memory else None,
        None if group is None else str(group), False, memory_mib,
        None if keep is None else _expanded(str(keep)),
        None if given in (None, LABEL) else str(given),
    )  # fmt: skip
    raw = _read(request)
    data = from_arrays(
        within(raw.points, request.path, memory_mib),
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
    data = _named(data, raw)
    unlabelled = request.labels is None and not data.labelled
    if unlabelled and not data.is_image and not data.in_file:
        data = replace(data, notes=(*data.notes, *like_classes(data.points, raw.columns)))
    texts = None if captions is None else str(captions)
    return with_beside(data, raw, request, texts, None if given is None else str(given), _read)


def _read(request: Request) -> Raw:
    """What the reader of the source makes of it; `InputError` whatever goes wrong."""
    progress, stops = request.progress, list[BaseException]()

    def told(done: float, total: float, text: str) -> None:
        try:
            if progress is not None:
                progress(done, total, text)
        except BaseException as stop:  # of the caller, who may stop the run: no fault of the file
            stops.append(stop)
            raise

    request = replace(request, progress=told)
    try:
        with readable(request.text, "data", "check that it is there and that you may read it."):
            reader = _reader(request) if request.held is None else _holder(request)
            _check_taken(request, reader)
            return reader.read(request)
    except InputError:
        if stops:
            raise stops[0] from None
        raise


def _expanded(text: str) -> Path:
    with readable(text, "a path", "expected a user that exists after ~."):
        return Path(text).expanduser()


def _named(data: Dataset, raw: Raw) -> Dataset:
    """The data with what its reader knows of it beside the values."""
    if raw.indices is not None:
        data = replace(data, indices=raw.indices[data.indices])
    if raw.classes:
        known = tuple(raw.classes.index(x) for x in data.class_names)
        data = replace(data, conditions=known)
    return replace(data, population=raw.population, columns=raw.columns)


def _labels(labels: Any, label: str | None) -> Any:
    if label is not None and labels is not None:
        raise InputError(f"labels is {labels!r} and label is {label!r}; expected one of them.")
    return labels if label is None else label


def _called(source: Any) -> str:
    """What an object is called in results: its own name, or that of its type."""
    name = type(source).__name__
    return f"{name} of {len(source)}" if hasattr(source, "__len__") else name


def _holder(request: Request) -> Held:
    for held in HELD:
        if held.recognises(request.held):
            return held
    raise InputError(
        f"data cannot be read from {type(request.held).__name__}; expected a file, a folder, "
        f"{', '.join(x.words for x in HELD)}. Arrays and tensors go to from_arrays(points, labels)."
    )


def _check_taken(request: Request, reader: Reader | Held) -> None:
    """Raise `InputError` for options that this kind of source does not understand."""
    if isinstance(reader, Reader):
        reader.check(request)
    for name, option in OPTIONAL.items():
        value = getattr(request, name)
        if value not in (None, False) and name not in reader.takes:
            fits = listed([x.words for x in READERS if name in x.takes])
            raise InputError(
                f"{name} ({option}) is {value!r}, but {request.text!r} is {reader.words}, which "
                f"has no use for it; it is for {fits}. Leave it out."
            )
    if request.resize is not None:
        in_range("resize (--resize)", request.resize, 1, 2**14, "It is a number of pixels.")


def _reader(request: Request) -> Reader:
    """The reader of a source; `InputError` with a hint where none recognises it."""
    text, path = request.text, request.path
    special = text == "digits" or text.startswith("gmm:")
    if text and not special and path.exists():
        _check_pointers(path)
        if (known := converting(path)) is not None and not _is_read(text, path):
            raise InputError(known)
    for reader in READERS if text else ():
        if reader.recognises(text, path):
            return reader
    if not text or not path.exists():
        raise InputError(_missing(text, path))
    raise InputError(_no_data(path) if path.is_dir() else _unknown(path))


def _is_read(text: str, path: Path) -> bool:
    return any(x.recognises(text, path) for x in READERS)


def _check_pointers(path: Path) -> None:
    """Raise `InputError` for a pointer of Git LFS in the place of data; images tell it later."""
    files = [path]
    if path.is_dir():
        named = [path / x for x in (*kinds.tar_names(path), *kinds.idx_names(path))]
        files = [*arrow.data_files(path), *named]
    regular = (x for x in files if x.is_file())  # to open a pipe is to wait for its other end
    pointer = next((x for x in regular if is_pointer(partial(open, x, "rb"))), None)
    if pointer is not None:
        raise InputError(pull(pointer))


def _no_data(folder: Path) -> str:
    shown = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
    inside = [x.name + "/" * x.is_dir() for x in shown]
    contents = f"it holds {listed(inside, 6)}" if inside else "it is empty"
    files = [x for x in shown if x.is_file() and any(y.recognises(str(x), x) for y in READERS)]
    hint = "Give another folder or put data into it."
    if files:
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
    if suffix in SUFFIXES:
        hint = f"It is a single image: give its folder, {path.parent}."
    kind = suffix or "no suffix"
    return f"{path} is of a kind that is not read ({kind}); expected {ACCEPTED}. {hint}"

"""Files of arrays that have names: .npz, MATLAB's .mat, HDF5, safetensors.

The headers alone say which array is the data and which its labels; then these two are read, and of
the data only the rows of the classes that were asked for, where the format can be read by rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.reading import check_regular, readable
from .arrayfiles import Headers, npz_headers, stored_npz
from .blocks import Blocks, without_damaged
from .classes import label_name, listed, one_hot
from .extras import extra
from .labelled import with_labels
from .matfiles import is_newer, mat_array, mat_headers
from .request import Raw, Request
from .splits import choose, part_of, without_part, words_of
from .stored import Stored, written
from .streams import Streamed
from .unread import SPARSE, STRUCTS, refusal

_BLOCK = 256  # rows of an HDF5 file without chunks
_MOST_HEADER = 2**27  # bytes
_FEWER = "Take fewer points (--per-class)."
_SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?", "U8": "u1", "I8": "i1",
    **{f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (2, 4, 8)},
}  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """Shape and dtype of each array, and `read(key)`, which gives it, read or `Stored`.

    `columns` where the points may lie along the last axis, as MATLAB keeps them.
    """

    path: Path | str
    headers: Headers
    read: Callable[[str], np.ndarray | Stored]
    columns: bool = False

    @property
    def shown(self) -> str:
        arrays = [f"{name} {shape} {dtype}" for name, (shape, dtype) in self.headers.items()]
        return listed(arrays) or "no arrays"

    def counts(self, key: str) -> set[int]:
        """The lengths of the axes that may count the points."""
        shape = self.headers[key][0]
        return {shape[0], shape[-1]} if self.columns else {shape[0]}

    def small(self, key: str) -> np.ndarray:
        """An array of labels."""
        found = self.read(key)
        if isinstance(found, Blocks):
            found.check()
        return found.read() if isinstance(found, Stored) else found


def npz(request: Request) -> Raw:
    """An .npz: `images` (n, H, W[, C]) or `points` (n, d), or the array named by `key`, or the only
    one that can be meant; with the array `labels`, or the only one that can be labels. Of the keys
    of several parts, such as x_train and x_test, those of `split` are read, train without."""
    path = request.path
    headers = npz_headers(path)
    if {"format", "shape", "data"} <= set(headers) and request.key is None:
        raise InputError(refusal(path, SPARSE))
    return named_arrays(request, Archive(path, headers, lambda key: stored_npz(path, key)))


def mat(request: Request) -> Raw:
    """A .mat of MATLAB: arrays as in an .npz. Points along the last axis, as in SVHN's
    (32, 32, 3, n), are told by the number of labels, or by the shape of images. Version 7.3 is
    HDF5 and needs the extra "hdf5"."""
    path = request.path
    if is_newer(path):
        return named_arrays(request, replace(_hdf5(path, matlab=True), columns=True))
    headers, kinds = mat_headers(path)
    shapes = [shape for shape, _ in headers.values()]
    if {"struct", "sparse"} & kinds and not any(len(x) >= 2 and min(x) > 1 for x in shapes):
        raise InputError(refusal(path, STRUCTS))
    archive = Archive(path, headers, lambda key: mat_array(path, key, *headers[key]), columns=True)
    return named_arrays(request, archive)


def hdf5(request: Request) -> Raw:
    """HDF5 (.h5, .hdf5): arrays as in an .npz, named by their path, such as train/images; needs the
    extra "hdf5"."""
    return named_arrays(request, _hdf5(request.path))


def safetensors(request: Request) -> Raw:
    """A .safetensors file of arrays (latents, embeddings), as in an .npz."""
    path, kind = request.path, "a .safetensors file"
    size = check_regular(path, kind).st_size
    with readable(path, kind), path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        if not 8 < start <= min(size, _MOST_HEADER):
            raise ValueError(f"its header has {start - 8} bytes")
        told = json.loads(file.read(start - 8))
        if not isinstance(told, dict):
            raise ValueError("its header is no table of names")
        named = {k: _of_safetensors(x) for k, x in told.items() if k != "__metadata__"}
        arrays = {k: x for k, x in named.items() if x is not None}

    def read(key: str) -> Streamed:
        shape, dtype, (first, last) = arrays[key]

        @contextmanager
        def opened() -> Iterator[IO[bytes]]:
            with path.open("rb") as file:
                file.seek(start + first)
                yield file

        room = min(last - first, size - start - first)
        return Streamed(path, kind, shape, dtype, opened, room, direct=opened)

    return named_arrays(request, Archive(path, {key: x[:2] for key, x in arrays.items()}, read))


def _of_safetensors(told: Any) -> tuple[tuple[int, ...], np.dtype, tuple[int, int]] | None:
    """Shape, dtype and place in bytes of an array by its header; None of kinds that numpy lacks."""
    try:
        kind, shape, (first, last) = told["dtype"], tuple(told["shape"]), told["data_offsets"]
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError("an array has no dtype, shape and data_offsets") from error
    whole = all(type(x) is int and x >= 0 for x in (*shape, first, last))
    if not whole or not isinstance(kind, str):
        raise ValueError("the dtype, shape or data_offsets of an array are none")
    return (shape, np.dtype(_SAFETENSORS[kind]), (first, last)) if kind in _SAFETENSORS else None


def _hdf5(path: Path, *, matlab: bool = False) -> Archive:
    """`matlab` turns the axes around: HDF5 writes those of MATLAB from the last to the first."""
    with extra("hdf5", path):
        import h5py
    headers: Headers = {}

    def note(name: str, found: Any) -> None:
        plain = isinstance(found, h5py.Dataset) and found.shape and found.dtype.kind in "buifSO"
        if plain and not name.startswith("#"):
            text = h5py.check_string_dtype(found.dtype) is not None
            shape = found.shape[::-1] if matlab else found.shape
            headers[name] = shape, np.dtype("U1") if text else found.dtype

    with readable(path, "an HDF5 file"), h5py.File(path, "r") as file:
        file.visititems(note)
    headers = {name: x for name, x in headers.items() if not x[1].hasobject}

    def block(key: str, first: int, last: int) -> np.ndarray:
        with h5py.File(path, "r") as file:
            return np.asarray(file[key][first:last])

    def read(key: str) -> np.ndarray | Stored:
        shape, dtype = headers[key]
        if not matlab and dtype.kind in "buif":
            with readable(path, "an HDF5 file"), h5py.File(path, "r") as file:
                rows = (file[key].chunks or (_BLOCK,))[0]
            return Blocks(
                path, "an HDF5 file", shape, dtype, partial(block, key), rows,
                partial(written, path),
            )  # fmt: skip
        check_fits(prod(shape) * dtype.itemsize, f"the array {key} of {path}", _FEWER)
        with readable(path, "an HDF5 file"), h5py.File(path, "r") as file:
            words = dtype.kind == "U"
            found = np.asarray(file[key].asstr()[...].astype(str) if words else file[key][...])
            return found.T if matlab else found

    return Archive(path, headers, read)


def named_arrays(request: Request, archive: Archive) -> Raw:
    """The data and labels of an archive."""
    key, notes = _data_key(request, archive)
    if key not in ("images", "points"):
        notes.append(f"the points are the array {key}")
    shape = archive.headers[key][0]
    wanted, labels, label_key = request.labels, None, _label_key(request, archive, key)
    if label_key is not None:
        name = label_key if label_key in archive.headers else label_key.rpartition(":")[0]
        column = label_key[len(name) + 1 :] if name != label_key else None
        labels = _one_column(archive.small(name), name, column, archive)
        if wanted is None and label_key != "labels":
            notes.append(f"the labels are the array {label_key}")
    if request.labels_only and labels is not None:
        return Raw(np.empty((len(labels), 0)), labels)
    turned = archive.columns and _turned(shape, labels)
    if turned:
        notes.append(f"{key} {shape}: its last axis counts the points")
    elif archive.columns and len(shape) == 2 and labels is None:
        notes.append(
            f"{key} {shape} is read as {shape[0]} points of {shape[1]} values; if its columns are "
            f"the points, save {key}' in its place"
        )
    points = archive.read(key)
    if turned:
        points = np.moveaxis(np.asarray(points), -1, 0)
    raw = Raw(points, labels, tuple(notes))
    raw = raw if label_key is not None else with_labels(raw, wanted, archive.shown)
    return without_damaged(raw, request.skip_unreadable)


def _turned(shape: tuple[int, ...], labels: np.ndarray | None) -> bool:
    """Whether the points of a MATLAB array lie along its last axis: there are as many labels, or
    one entry of it has the shape of an image."""
    if labels is not None:
        return shape[-1] == len(labels) != shape[0]
    if len(shape) == 4:
        return shape[2] in (1, 3) and shape[3] not in (1, 3)
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


def _data_key(request: Request, archive: Archive) -> tuple[str, list[str]]:
    """The array that is the data, and notes."""
    path, key, wanted, headers = archive.path, request.key, request.labels, archive.headers
    if key is not None:
        if key not in headers:
            raise InputError(
                f"{path} has no array {key!r} (--key); it holds {archive.shown}. Name one of these."
            )
        return key, []
    label_key, moments = wanted if wanted in headers else "labels", _moments(headers)
    known = [name for name in ("images", "points") if name in headers]
    arrays = [
        name
        for name, (shape, dtype) in headers.items()
        if len(shape) >= 2 and dtype.kind in "buif" and name != label_key and 0 not in shape
        and not (len(shape) == 2 and _says_labels(name)) and name not in moments
    ]  # fmt: skip
    wide = [x for x in arrays if max(headers[x][0]) < np.prod(headers[x][0])]
    candidates, notes = known or wide or arrays, list[str]()
    if request.split is not None or (
        len(candidates) > 1 and all(part_of(x) is not None for x in candidates)
    ):
        candidates, notes = choose(candidates, request.split, path)
    if len(candidates) == 1:
        return candidates[0], notes
    what = "no data"
    if moments:
        what = "a mean and a covariance, as FID keeps them, which are no points"
    if candidates:
        what = f"several arrays that could be the data ({listed(candidates)})"
    raise InputError(
        f"{path} holds {what}; expected one called images (n, H, W[, C]) or points (n, d). "
        f"It has {archive.shown}. Name the one to read by key (--key), and its labels by labels "
        "(--labels)."
    )


def _moments(headers: Headers) -> set[str]:
    """The arrays that are the mean (d,) and the covariance (d, d) of a law, by name and shape."""
    shapes = {x: shape for x, (shape, _) in headers.items()}
    means = {x for x, y in shapes.items() if len(y) == 1 and {"mu", "mean"} & {*words_of(x)}}
    squares = {2 * shapes[x] for x in means}
    spreads = {x for x in shapes if {"sigma", "cov", "covariance"} & {*words_of(x)}}
    spreads = {x for x in spreads if shapes[x] in squares}
    return means | spreads if spreads else set()


def _says_labels(name: str) -> bool:
    """Whether a name is one of labels, such as y_train or train/labels."""
    return any(label_name([x]) for x in without_part(name.rsplit("/", 1)[-1]))


def _label_key(request: Request, archive: Archive, key: str) -> str | None:
    """The array of the labels of the array `key`, None without."""
    wanted, headers = request.labels, archive.headers
    if wanted is not None:
        return wanted if wanted in headers or wanted.rpartition(":")[0] in headers else None
    counts = archive.counts(key)
    fitting = [
        name
        for name, (shape, dtype) in headers.items()
        if name not in (key, *request.beside) and part_of(name) in (None, part_of(key)) and shape
        and dtype.kind in ("iuUSf" if _says_labels(name) else "iuUS")
        and (max(shape) == np.prod(shape) or _says_labels(name))
        and (shape[0] in counts or (archive.columns and max(shape) in counts))
    ]  # fmt: skip
    own = [x for x in fitting if part_of(x) == part_of(key)] or fitting
    said = [x for x in own if _says_labels(x)] or own
    if "labels" in headers and ("labels" in said or not said):
        return "labels"
    if len(said) > 1:
        raise InputError(
            f"{archive.path} holds several arrays that could be labels ({listed(said)}); name one "
            'by labels (--labels), or "none" to leave labels out.'
        )
    return said[0] if said else None


def _one_column(labels: np.ndarray, key: str, column: str | None, archive: Archive) -> np.ndarray:
    """One label a point; of several the column that was named."""
    if labels.ndim > 1 and labels.size == max(labels.shape):
        labels = labels.reshape(-1)
    if column is None and (labels.ndim < 2 or one_hot(labels)):
        return labels
    width = labels.shape[1] if labels.ndim == 2 else 0
    if column is None or not column.isdecimal() or int(column) >= width:
        came = f"names the column {column} but" if column is not None else "are several:"
        raise InputError(
            f"the labels of a point {came} {key} in {archive.path} has the shape {labels.shape}; "
            f'expected one label for each point. Name one of the {width} columns, "{key}:0" '
            f'(--labels {key}:0), or leave labels out by "none" (--labels none).'
        )
    return labels[:, int(column)]

"""Arrays of MATLAB's .mat files, by scipy, up to version 7.2; version 7.3 is HDF5.

The headers are read first, and then one array of plain numbers: what scipy makes of damaged cells
and structs can end the process, as can a type of an element that there is none of, which it takes
for a place in a list. So the types are looked at before.
"""

from __future__ import annotations

import struct
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.reading import check_regular, readable
from .streams import DEFLATED

KIND = "a .mat file"
_MATLAB = {
    "double": "f8", "single": "f4", "logical": "b1",
    **{f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)},
    **{f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)},
}  # fmt: skip


_ELEMENTS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18}  # types of the format
_MATRIX, _DEFLATED = 14, 15
_PARTS = 4096  # bytes in which flags, axes, name and the head of the values of an array lie


def is_newer(path: Path) -> bool:
    """Whether it is of version 7.3."""
    check_regular(path, KIND)
    with readable(path, KIND), path.open("rb") as file:
        return file.read(10) == b"MATLAB 7.3"


def mat_headers(path: Path) -> tuple[dict[str, tuple[tuple[int, ...], np.dtype]], set[str]]:
    """Shape and dtype of every array of plain numbers, and the kinds of all that is held."""
    from scipy import io  # late: most runs read no such file

    with readable(path, KIND):
        with path.open("rb") as file:
            _check_types(file)
        found = io.whosmat(path)
    return {
        name: (tuple(shape), np.dtype(_MATLAB[kind]))
        for name, shape, kind in found
        if kind in _MATLAB
    }, {kind for _, _, kind in found}


def mat_array(path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """One array of plain numbers, of which the header says this. Raises `InputError`."""
    from scipy import io  # late: most runs read no such file

    size = path.stat().st_size
    need = prod(shape) * dtype.itemsize
    if need > DEFLATED * size * dtype.itemsize:  # doubles may be kept as bytes
        raise InputError(
            f"{path} is truncated: {key} {shape} cannot be held in {size} bytes. Copy or "
            "download it again."
        )
    check_fits(2 * need, f"the array {key} of {path}", "Give a smaller file.")
    with readable(path, KIND):
        return np.asarray(io.loadmat(path, variable_names=[key])[key])


def _check_types(file: IO[bytes]) -> None:
    """Raise `ValueError` where an element of a file of version 5 is of no type that there is."""
    head = file.read(128)
    if len(head) < 128 or 0 in head[:4]:  # version 4 has no such types
        return
    order = "<" if head[126:] == b"IM" else ">"
    while len(tag := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        start = file.tell()
        inside = file.read(min(size, 2 * _PARTS))
        if kind == _DEFLATED:
            inside = zlib.decompressobj().decompress(inside, _PARTS)
            kind, _ = struct.unpack(f"{order}II", inside[:8])
            inside = inside[8:]
        if kind == _MATRIX:
            _check_parts(inside, order)
        file.seek(start + size)


def _check_parts(inside: bytes, order: str) -> None:
    """Flags, axes, name and values of an array: each with its type and size before it, or, up to
    four bytes, both in one word."""
    place = 0
    for _ in range(5):  # the last of complex numbers
        if place + 8 > len(inside):
            return
        kind, size = struct.unpack_from(f"{order}II", inside, place)
        small = kind >> 16
        if small:
            kind, size = kind & 0xFFFF, 0
        if kind not in _ELEMENTS or small > 4:
            raise ValueError(f"an element of it is of the type {kind}")
        place += 8 + -(-size // 8) * 8

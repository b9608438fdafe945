"""Arrays of MATLAB's .mat files, by scipy, up to version 7.2; version 7.3 is HDF5.

The headers are read first, and then one array of plain numbers: what scipy makes of damaged cells
and structs can end the process.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

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


def is_newer(path: Path) -> bool:
    """Whether it is of version 7.3."""
    check_regular(path, KIND)
    with readable(path, KIND), path.open("rb") as file:
        return file.read(10) == b"MATLAB 7.3"


def mat_headers(path: Path) -> tuple[dict[str, tuple[tuple[int, ...], np.dtype]], set[str]]:
    """Shape and dtype of every array of plain numbers, and the kinds of all that is held."""
    from scipy import io  # late: most runs read no such file

    with readable(path, KIND):
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

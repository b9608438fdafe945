"""A small valid file of every kind that is read, for tests that damage it.

A kind is one line of `KINDS`: its name, what writes it into an empty folder and gives the file that
is to be damaged, and what reads it from there.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from diffregimes.data.readers import load
from diffregimes.process import schedule

N = 12
PIXELS = np.random.default_rng(0).integers(0, 255, (N, 6, 5)).astype(np.uint8)
CODES = np.arange(N) % 2
LABELS = np.array(["cat", "dog"])[CODES]


class Kind(NamedTuple):
    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path, Path], Any]


def _saved(name: str, save: Callable[[Path], Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save(folder / name)
        return folder / name

    return write


def idx(values: np.ndarray) -> bytes:
    code = {"uint8": 8, "float64": 14}[values.dtype.name]
    axes = b"".join(x.to_bytes(4, "big") for x in values.shape)
    big = values.astype(values.dtype.newbyteorder(">"))
    return bytes([0, 0, code, values.ndim]) + axes + big.tobytes()


def _pictures(suffix: str, **options) -> Callable[[Path], Path]:
    """One folder a class; the first of the second class is to be damaged."""

    def write(folder: Path) -> Path:
        for k, (image, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
            place = folder / label
            place.mkdir(exist_ok=True)
            Image.fromarray(image).save(place / f"{k:02}{suffix}", **options)
        return folder / "dog" / f"01{suffix}"

    return write


def _labels(name: str, content: bytes | None = None, save: Any = None) -> Callable[[Path], Path]:
    """Labels beside points."""

    def write(folder: Path) -> Path:
        np.save(folder / "points.npy", PIXELS)
        if save is not None:
            save(folder / name)
        else:
            (folder / name).write_bytes(content or b"")
        return folder / name

    return write


def _by_name(folder: Path) -> Path:
    for k, image in enumerate(PIXELS):
        Image.fromarray(image).save(folder / f"{k:02}.png")
    rows = "".join(f"{k:02}.png,{label}\n" for k, label in enumerate(LABELS))
    (folder / "names.csv").write_text(f"file,label\n{rows}")
    return folder / "names.csv"


def _whole(folder: Path, path: Path) -> Any:
    return load(path)


def _chosen(folder: Path, path: Path) -> Any:
    """Rows of an array with labels in its own last column."""
    return load(path, labels="-1", per_class=3)


def _folder(folder: Path, path: Path) -> Any:
    return load(folder)


def _beside(folder: Path, path: Path) -> Any:
    return load(folder / "points.npy", labels=path, per_class=4)


def _named(folder: Path, path: Path) -> Any:
    return load(folder, labels=path)


def _clock(folder: Path, path: Path) -> Any:
    return schedule(str(path))


FLAT = np.column_stack([PIXELS.reshape(N, -1).astype(np.float32), CODES])
ARRAYS = {"images": PIXELS, "labels": LABELS}
DDPM = {
    "_class_name": "DDPMScheduler", "beta_schedule": "linear", "num_train_timesteps": 100,
    "beta_start": 1e-4, "beta_end": 0.02,
}  # fmt: skip
EDM = {
    "_class_name": "EDMEulerScheduler", "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0,
    "num_train_timesteps": 100, "sigma_schedule": "karras",
}  # fmt: skip

KINDS = (
    Kind("npy", _saved("a.npy", lambda x: np.save(x, PIXELS)), _whole),
    Kind("npy, chosen", _saved("a.npy", lambda x: np.save(x, FLAT)), _chosen),
    Kind("npy, Fortran", _saved("a.npy", lambda x: np.save(x, np.asfortranarray(FLAT))), _chosen),
    Kind("npz", _saved("a.npz", lambda x: np.savez(x, **ARRAYS)), _whole),
    Kind("npz, deflated", _saved("a.npz", lambda x: np.savez_compressed(x, **ARRAYS)), _whole),
    Kind("idx", _saved("a-images-idx3-ubyte", lambda x: x.write_bytes(idx(PIXELS))), _whole),
    Kind(
        "idx, gzipped",
        _saved("a-images-idx3-ubyte.gz", lambda x: x.write_bytes(gzip.compress(idx(PIXELS)))),
        _whole,
    ),
    Kind("png", _pictures(".png"), _folder),
    Kind("jpeg", _pictures(".jpg"), _folder),
    Kind("webp", _pictures(".webp", lossless=True), _folder),
    Kind("bmp", _pictures(".bmp"), _folder),
    Kind("gif", _pictures(".gif"), _folder),
    Kind("tiff", _pictures(".tif", compression="tiff_lzw"), _folder),
    Kind("csv of labels", _labels("l.csv", "\n".join(LABELS).encode()), _beside),
    Kind("txt of labels", _labels("l.txt", "\n".join(LABELS).encode()), _beside),
    Kind("npy of labels", _labels("l.npy", save=lambda x: np.save(x, LABELS)), _beside),
    Kind("idx of labels", _labels("l-idx1-ubyte", idx(CODES.astype(np.uint8))), _beside),
    Kind("csv by name", _by_name, _named),
    Kind("DDPM scheduler", _saved("s.json", lambda x: x.write_text(json.dumps(DDPM))), _clock),
    Kind("EDM scheduler", _saved("s.json", lambda x: x.write_text(json.dumps(EDM))), _clock),
)

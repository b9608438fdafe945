"""A small valid file of every kind that is read, for tests that damage it.

A kind is one line of `KINDS`: its name, what writes it into an empty folder and gives the file that
is to be damaged, and what reads it from there.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.io
from PIL import Image
from safetensors.numpy import save_file
from scipy.io import savemat

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


def _classes(folder: Path, path: Path) -> Any:
    """Rows of one half of the classes, without the others."""
    return load(path, per_class=4)


def _encoded() -> list[dict[str, Any]]:
    out = []
    for image in PIXELS:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        out.append({"bytes": file.getvalue(), "path": None})
    return out


def _hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=PIXELS, chunks=(4, 6, 5), compression="gzip")
        file["labels"] = CODES


def _parquet(values: Callable[[], Any]) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pa.table({"image": values(), "label": LABELS}), path)

    return save


def _arrow(kind: str) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        pa = pytest.importorskip("pyarrow")
        table = pa.table({"image": PIXELS.tolist(), "label": LABELS})
        with getattr(pa.ipc, kind)(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=5)

    return save


def _table() -> str:
    rows = [",".join(map(str, [*x, y])) for x, y in zip(FLAT[:, :4], LABELS, strict=True)]
    return "\n".join(["a,b,c,d,label", *rows])


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for k, image in enumerate(_encoded()):
            out.writestr(f"{LABELS[k]}/{k:02}.png", image["bytes"])


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as out:
        for k, image in enumerate(_encoded()):
            for suffix, data in (("png", image["bytes"]), ("cls", str(CODES[k]).encode())):
                info = tarfile.TarInfo(f"{k:02}.{suffix}")
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))


def _beside_images(name: str, text: Callable[[list[str]], str]) -> Callable[[Path], Path]:
    """A file that says what images are; it is to be damaged."""

    def write(folder: Path) -> Path:
        names = [f"{k:02}.png" for k in range(N)]
        for k, image in zip(names, PIXELS, strict=True):
            Image.fromarray(image).save(folder / k)
        (folder / name).write_text(text(names))
        return folder / name

    return write


def _metadata(names: list[str]) -> str:
    return "file_name,label\n" + "".join(f"{x},{y}\n" for x, y in zip(names, LABELS, strict=True))


def _json_lines(names: list[str]) -> str:
    rows = zip(names, LABELS, strict=True)
    return "\n".join(json.dumps({"file_name": x, "label": str(y)}) for x, y in rows)


def _dataset_json(names: list[str]) -> str:
    pairs = zip(names, CODES.tolist(), strict=True)
    return json.dumps({"labels": [list(x) for x in pairs]})


MATLAB = {"X": np.moveaxis(PIXELS, 0, -1), "y": CODES[:, None].astype(float)}
SAFE = {"images": PIXELS, "labels": CODES}
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


def _lists() -> str:
    rows = zip(LABELS, PIXELS.reshape(N, -1), strict=True)
    return "kind,pixels\n" + "\n".join(f"{x},{' '.join(map(str, y))}" for x, y in rows)


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
    Kind("ppm", _pictures(".ppm"), _folder),
    Kind("mat", _saved("a.mat", lambda x: scipy.io.savemat(x, MATLAB)), _whole),
    Kind(
        "mat, deflated",
        _saved("a.mat", lambda x: scipy.io.savemat(x, MATLAB, do_compression=True)),
        _whole,
    ),
    Kind("hdf5", _saved("a.h5", _hdf5), _classes),
    Kind("safetensors", _saved("a.safetensors", lambda x: save_file(SAFE, x)), _whole),
    Kind("table", _saved("a.csv", lambda x: x.write_text(_table())), _whole),
    Kind("parquet of images", _saved("a.parquet", _parquet(_encoded)), _classes),
    Kind("parquet of lists", _saved("a.parquet", _parquet(PIXELS.tolist)), _classes),
    Kind("arrow, stream", _saved("a.arrow", _arrow("new_stream")), _classes),
    Kind("arrow, file", _saved("a.arrow", _arrow("new_file")), _classes),
    Kind("zip of images", _saved("a.zip", _zip), _whole),
    Kind("tar of images", _saved("a.tar", _tar), _whole),
    Kind("metadata.csv", _beside_images("metadata.csv", _metadata), _folder),
    Kind("metadata.jsonl", _beside_images("metadata.jsonl", _json_lines), _folder),
    Kind("dataset.json", _beside_images("dataset.json", _dataset_json), _folder),
    Kind("csv of labels", _labels("l.csv", "\n".join(LABELS).encode()), _beside),
    Kind("txt of labels", _labels("l.txt", "\n".join(LABELS).encode()), _beside),
    Kind("npy of labels", _labels("l.npy", save=lambda x: np.save(x, LABELS)), _beside),
    Kind("idx of labels", _labels("l-idx1-ubyte", idx(CODES.astype(np.uint8))), _beside),
    Kind("npz of labels", _labels("l.npz", save=lambda x: np.savez(x, labels=LABELS)), _beside),
    Kind("mat of labels", _labels("l.mat", save=lambda x: savemat(x, {"codes": CODES})), _beside),
    Kind("csv by name", _by_name, _named),
    Kind("table of lists", _saved("a.csv", lambda x: x.write_text(_lists())), _whole),
    Kind("DDPM scheduler", _saved("s.json", lambda x: x.write_text(json.dumps(DDPM))), _clock),
    Kind("EDM scheduler", _saved("s.json", lambda x: x.write_text(json.dumps(EDM))), _clock),
)

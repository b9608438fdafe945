"""Kinds of files that are not read, each with the one line that converts it.

Pickles can run code and are never loaded here; who trusts a file runs its line. Other kinds
need a package of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POINTER = b"version https://git-lfs.github.com/"  # how a pointer of Git LFS begins


@dataclass(frozen=True)
class Unread:
    """A kind that is not read: `words` say why, `line` is a shell command that converts `{source}`
    to `{name}.npz`, a folder or a table; `recognises` knows it by its path and first bytes."""

    words: str
    line: str
    recognises: Callable[[Path, bytes], bool]


def _suffix(*suffixes: str) -> Callable[[Path, bytes], bool]:
    return lambda path, start: path.name.lower().endswith(suffixes)


def _python(code: str) -> str:
    return f'python -c "{code}"'


def _is_cifar(path: Path, start: bytes) -> bool:
    return path.is_dir() and bool(_batches(path))


def _batches(folder: Path) -> list[Path]:
    """The files of CIFAR's python version in a folder."""
    if not (folder / "batches.meta").is_file() and not (folder / "meta").is_file():
        return []
    return sorted([*folder.glob("data_batch_*"), *folder.glob("train")])


def _is_pickle(path: Path, start: bytes) -> bool:
    by_name = path.suffix.lower() in (".pkl", ".pickle", ".p")
    return path.is_file() and (by_name or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"))


_CIFAR = _python(
    "import pickle, glob, numpy as np; "
    "d = [pickle.load(open(f, 'rb'), encoding='bytes') for f in {batches}]; "
    "np.savez('{name}.npz', "
    "images=np.concatenate([x[b'data'] for x in d]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), "
    "labels=np.concatenate([x[b'labels'] if b'labels' in x else x[b'fine_labels'] for x in d]))"
)
_IMAGES_OF_LMDB = _python(
    "import lmdb, pathlib; p = pathlib.Path('{name}-images'); p.mkdir(); "
    "[p.joinpath(k.hex() + '.webp').write_bytes(v) "
    "for k, v in lmdb.open('{source}', readonly=True, lock=False).begin().cursor()]"
)

# the first that recognises a path speaks
UNREAD = (
    Unread(
        "CIFAR's python version, which is pickled: such files can run code and are never loaded",
        _CIFAR,
        _is_cifar,
    ),
    Unread(
        "a pickled file: such files can run code and are never loaded",
        _python(
            "import pickle, numpy as np; x = pickle.load(open('{source}', 'rb'), "
            "encoding='bytes'); np.savez('{name}.npz', **({{str(k, 'utf-8') if isinstance(k, "
            "bytes) else str(k): np.asarray(v) for k, v in x.items() if not isinstance(v, (str, "
            "bytes))}} if isinstance(x, dict) else {{'points': np.asarray(x)}}))"
        ),
        _is_pickle,
    ),
    Unread(
        "a file of torch.save, which is pickled and never loaded here",
        _python(
            "import torch, numpy as np; x = torch.load('{source}', weights_only=True, "
            "map_location='cpu'); np.savez('{name}.npz', **({{k: v.numpy() for k, v in x.items()}} "
            "if isinstance(x, dict) else {{k: v.numpy() for k, v in zip(('points', 'labels'), x)}} "
            "if isinstance(x, (list, tuple)) else {{'points': x.numpy()}}))"
        ),
        _suffix(".pt", ".pth", ".ckpt"),
    ),
    Unread(
        "a database of LMDB",
        f"pip install lmdb && {_IMAGES_OF_LMDB}",
        lambda path, start: (path / "data.mdb").is_file() or path.suffix.lower() in (".mdb",),
    ),
    Unread(
        "zarr",
        "pip install zarr && "
        + _python("import zarr, numpy as np; np.save('{name}.npy', zarr.open('{source}')[:])"),
        lambda path, start: (
            any((path / x).is_file() for x in ("zarr.json", ".zarray", ".zgroup"))
            or path.name.lower().endswith((".zarr", ".zarr.zip"))
        ),
    ),
    Unread(
        "an image of DICOM",
        "pip install pydicom && "
        + _python(
            "import pydicom, glob, numpy as np; np.save('{name}.npy', np.stack([pydicom.dcmread(f)"
            ".pixel_array for f in sorted(glob.glob('{folder}/*.dcm'))]).astype('f4'))"
        ),
        lambda path, start: (
            start[128:132] == b"DICM"
            or path.suffix.lower() in (".dcm", ".dicom")
            or (path.is_dir() and any(path.glob("*.dcm")))
        ),
    ),
    Unread(
        "a volume of NIfTI",
        "pip install nibabel && "
        + _python(
            "import nibabel, numpy as np; np.save('{name}.npy', np.moveaxis(nibabel.load("
            "'{source}').get_fdata(dtype='f4'), 2, 0))"
        ),
        _suffix(".nii", ".nii.gz"),
    ),
    Unread(
        "a spreadsheet",
        "pip install pandas openpyxl && "
        + _python("import pandas; pandas.read_excel('{source}').to_csv('{name}.csv', index=False)"),
        _suffix(".xlsx", ".xls", ".ods"),
    ),
    Unread(
        "a table of ARFF",
        "pip install pandas && "
        + _python(
            "import pandas; from scipy.io import arff; x = pandas.DataFrame(arff.loadarff("
            "'{source}')[0]); x.map(lambda v: v.decode() if isinstance(v, bytes) else v).to_csv("
            "'{name}.csv', index=False)"
        ),
        _suffix(".arff"),
    ),
    Unread(
        "a sparse table of LIBSVM",
        _python(
            "from sklearn.datasets import load_svmlight_file as load; import numpy as np; "
            "x, y = load('{source}'); np.savez('{name}.npz', points=x.toarray(), labels=y)"
        ),
        _suffix(".libsvm", ".svm", ".svmlight"),
    ),
    Unread(
        "a packed .tar",
        "mkdir {name} && tar xf {source} -C {name}",
        _suffix(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"),
    ),
    Unread("a packed file", "gunzip -k {source}", _suffix(".gz")),
    Unread("a packed file", "bunzip2 -k {source}", _suffix(".bz2")),
    Unread("a packed file", "unxz -k {source}", _suffix(".xz")),
    Unread("a packed file", "unzstd {source}", _suffix(".zst")),
    Unread("an archive of 7z", "7z x {source} -o{name}", _suffix(".7z")),
    Unread("an archive of RAR", "mkdir {name} && unrar x {source} {name}/", _suffix(".rar")),
    Unread(
        "a table of JSON",
        "pip install pandas && "
        + _python(
            "import pandas; pandas.read_json('{source}', lines={lines}).to_csv('{name}.csv', "
            "index=False)"
        ),
        _suffix(".json", ".jsonl"),
    ),
)


def converting(path: Path) -> tuple[str, str] | None:
    """What a file or folder is, where its kind is known and not read, and the line that converts
    it."""
    start = first_bytes(path)
    for kind in UNREAD:
        if kind.recognises(path, start):
            # a name may be anything: what a shell or Python would take amiss is left to the user
            name = path.name.split(".")[0] or "data"
            lines = path.suffix.lower() == ".jsonl"
            folder = path if path.is_dir() else path.parent
            return kind.words, kind.line.format(
                source=path, name=name, folder=folder, lines=lines,
                batches=[str(x) for x in _batches(path)] if path.is_dir() else [],
            )  # fmt: skip
    return None


def first_bytes(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(132)


def is_pointer(opener: Callable[[], IO[bytes]]) -> bool:
    """Whether the binary file that `opener` gives is a pointer of Git LFS."""
    try:
        with opener() as file:
            return file.read(len(POINTER)) == POINTER
    except Exception:  # damaged, in any of the ways of its kind: it is none
        return False


def pull(what: object) -> str:
    """What is said of a pointer of Git LFS."""
    return (
        f"{what} is a pointer of Git LFS, not the data; expected the file that it stands for. Run "
        "git lfs pull in the repository."
    )

"""Kinds of files that are not read, each with the one line that converts it.

Pickles can run code and are never loaded here; who trusts a file runs its line. Other kinds
need a package of their own.
"""

from __future__ import annotations

import mmap
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

_HANDFUL = 4  # arrays in a folder that are one set: images.npy, labels.npy, ...
POINTER = b"version https://git-lfs.github.com/"  # how a pointer of Git LFS begins


@dataclass(frozen=True)
class Unread:
    """A kind that is not read: `words` say why, `line` is a shell command that converts SOURCE to
    OUT with a suffix, or to a folder OUT; `recognises` knows it by its path and first bytes."""

    words: str
    line: str
    recognises: Callable[[Path, bytes], bool]


def _suffix(*suffixes: str) -> Callable[[Path, bytes], bool]:
    return lambda path, start: path.name.lower().endswith(suffixes)


def _python(code: str, packages: str = "") -> str:
    """A line of Python with the source as `s` and the name of what it writes as `o`."""
    install = f"pip install {packages} && " if packages else ""
    return f'{install}python -c "import sys; s, o = sys.argv[1:]; {code}" SOURCE OUT'


def _is_cifar(path: Path, start: bytes) -> bool:
    return any((path / x).is_file() for x in ("batches.meta", "meta")) and any(
        (path / x).is_file() for x in ("data_batch_1", "train")
    )


def _is_pickle(path: Path, start: bytes) -> bool:
    by_name = path.suffix.lower() in (".pkl", ".pickle", ".p")
    return path.is_file() and (by_name or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5"))


def _is_dicom(path: Path, start: bytes) -> bool:
    by_name = path.suffix.lower() in (".dcm", ".dicom")
    return (
        by_name
        or start[128:132] == b"DICM"
        or any(any(path.glob(x)) for x in ("*.dcm", "*/*.dcm") if path.is_dir())
    )


def _is_partitioned(path: Path, start: bytes) -> bool:
    return path.is_dir() and any(path.glob("*=*/**/*.parquet"))


def _has_pages(path: Path, start: bytes) -> bool:
    """Whether it is one image file with several images in it."""
    if path.suffix.lower() not in (".tif", ".tiff", ".gif") or not path.is_file():
        return False
    from PIL import Image  # late: most sources are no image

    try:
        with path.open("rb") as file, Image.open(file, formats=("TIFF", "GIF")) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # damaged, in any of the ways of its kind
        return False


def _has_several(path: Path, pattern: str) -> bool:
    """Whether a folder holds files by the name at any depth, more than a handful."""
    return path.is_dir() and sum(1 for _ in islice(path.rglob(pattern), _HANDFUL + 1)) > _HANDFUL


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() != ".json" or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return all(text.find(x) >= 0 for x in (b'"images"', b'"annotations"', b'"categories"'))


_RUNS = "such files can run code and are never loaded"

# the first that recognises a path speaks
UNREAD = (
    Unread(
        f"CIFAR's python version, which is pickled: {_RUNS}",
        _python(
            "import pickle, glob, numpy as np; d = [pickle.load(open(f, 'rb'), encoding='bytes') "
            "for f in sorted(glob.glob(s + '/data_batch_*') + glob.glob(s + '/train'))]; "
            "np.savez(o + '.npz', images=np.concatenate([x[b'data'] for x in d])"
            ".reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels=np.concatenate("
            "[x.get(b'labels', x.get(b'fine_labels')) for x in d]))"
        ),
        _is_cifar,
    ),
    Unread(
        "CIFAR's binary version",
        _python(
            "import numpy as np, glob; w = 2 if glob.glob(s + '/train.bin') else 1; "
            "d = np.concatenate([np.fromfile(f, 'u1').reshape(-1, 3072 + w) for f in sorted("
            "glob.glob(s + '/data_batch_*.bin') + glob.glob(s + '/train.bin'))]); np.savez("
            "o + '.npz', images=d[:, w:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), "
            "labels=d[:, w - 1])"
        ),
        lambda path, start: any((path / x).is_file() for x in ("data_batch_1.bin", "train.bin")),
    ),
    Unread(
        "the binary version of STL-10",
        _python(
            "import numpy as np; np.savez(o + '.npz', images=np.fromfile(s + '/train_X.bin', 'u1')"
            ".reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1), labels=np.fromfile(s + '/train_y.bin', "
            "'u1'))"
        ),
        lambda path, start: (path / "train_X.bin").is_file(),
    ),
    Unread(
        "arrays in files of their own, one for each point",
        _python(
            "import numpy as np, pathlib; f = sorted(pathlib.Path(s).rglob('*.npy')); "
            "c = [x.parent.name for x in f]; a = map(np.load, f); np.savez(o + '.npz', "
            "points=np.stack([x.reshape(x.shape[-3:]) for x in a]), **(dict(labels=c) "
            "if len(set(c)) > 1 else {}))"
        ),
        lambda path, start: _has_several(path, "*.npy"),
    ),
    Unread(
        f"files of torch.save, which are pickled, one for each point: {_RUNS}",
        _python(
            "import torch, numpy as np, pathlib; f = sorted(pathlib.Path(s).rglob('*.pt')); "
            "c = [x.parent.name for x in f]; a = [torch.load(x, weights_only=True, map_location="
            "'cpu').float().numpy() for x in f]; np.savez(o + '.npz', points=np.stack(["
            "x.reshape(x.shape[-3:]) for x in a]), **(dict(labels=c) if len(set(c)) > 1 else {}))"
        ),
        lambda path, start: _has_several(path, "*.pt"),
    ),
    Unread(
        "annotations of COCO",
        _python(
            "import json, csv; d = json.load(open(s)); n = {x['id']: x['name'] for x in "
            "d['categories']}; c = {}; [c.setdefault(x['image_id'], n[x['category_id']]) for x in "
            "d['annotations']]; csv.writer(open(o + '.csv', 'w', newline='')).writerows("
            "[['file_name', 'label'], *([x['file_name'], c.get(x['id'], 'none')] for x in "
            "d['images'])])"
        ),
        lambda path, start: _is_coco(path),
    ),
    Unread(
        f"a pickled file: {_RUNS}",
        _python(
            "import pickle, numpy as np; x = pickle.load(open(s, 'rb'), encoding='latin1'); "
            "x = x if isinstance(x, dict) else dict(zip(('points', 'labels'), x)) "
            "if isinstance(x, tuple) else dict(points=x); np.savez(o + '.npz', **{k: np.asarray(v) "
            "for k, v in x.items() if np.ndim(v)})"
        ),
        _is_pickle,
    ),
    Unread(
        f"a file of torch.save, which is pickled: {_RUNS}",
        _python(
            "import torch, numpy as np; x = torch.load(s, weights_only=True, map_location='cpu'); "
            "x = x if isinstance(x, dict) else dict(zip(('points', 'labels'), x)) "
            "if isinstance(x, (list, tuple)) else dict(points=x); np.savez(o + '.npz', "
            "**{k: v.numpy() for k, v in x.items() if hasattr(v, 'numpy')})"
        ),
        _suffix(".pt", ".pth", ".ckpt"),
    ),
    Unread(
        "a database of LMDB",
        _python(
            "import lmdb, os; os.mkdir(o); [open(o + '/' + k.hex() + '.png', 'wb').write(v) "
            "for k, v in lmdb.open(s, readonly=True, lock=False).begin().cursor()]",
            "lmdb",
        ),
        lambda path, start: (path / "data.mdb").is_file(),
    ),
    Unread(
        "of DICOM",
        _python(
            "import pydicom, glob, os, numpy as np; f = [x for x in glob.glob(s + '/**', "
            "recursive=True) if os.path.isfile(x)]; np.save(o + '.npy', np.stack([pydicom.dcmread("
            "x).pixel_array for x in sorted(f or [s])]).astype('f4'))",
            "pydicom",
        ),
        _is_dicom,
    ),
    Unread(
        "of parquet files in folders that are values of a column (label=cat/)",
        _python("import pandas; pandas.read_parquet(s).to_parquet(o + '.parquet')", "pandas"),
        _is_partitioned,
    ),
    Unread(
        "a volume of NIfTI",
        _python(
            "import nibabel, numpy as np; x = nibabel.load(s).get_fdata(dtype='f4'); np.save("
            "o + '.npy', np.moveaxis(x.reshape(*x.shape[:2], -1), 2, 0))",
            "nibabel",
        ),
        _suffix(".nii", ".nii.gz"),
    ),
    Unread(
        "one file with several images",
        _python(
            "from PIL import Image, ImageSequence as q; import numpy as np; np.save(o + '.npy', "
            "np.stack([np.asarray(x.convert('RGB') if x.mode == 'P' else x) for x in "
            "q.Iterator(Image.open(s))]))"
        ),
        _has_pages,
    ),
    Unread(
        "a spreadsheet",
        _python(
            "import pandas; pandas.read_excel(s).to_csv(o + '.csv', index=False)", "pandas openpyxl"
        ),
        _suffix(".xlsx", ".xls", ".ods"),
    ),
    Unread(
        "a table of ARFF",
        _python(
            "import pandas; from scipy.io import arff; pandas.DataFrame(arff.loadarff(s)[0]).map("
            "lambda v: v.decode() if isinstance(v, bytes) else v).to_csv(o + '.csv', index=False)",
            "pandas",
        ),
        _suffix(".arff"),
    ),
    Unread(
        "a sparse table of LIBSVM",
        _python(
            "from sklearn.datasets import load_svmlight_file as load; import numpy as np; "
            "x, y = load(s); np.savez(o + '.npz', points=x.toarray(), labels=y)"
        ),
        _suffix(".libsvm", ".svm", ".svmlight"),
    ),
    Unread(
        "a table of JSON",
        _python(
            "import pandas; pandas.read_json(s, lines=s.endswith('l')).to_csv(o + '.csv', "
            "index=False)",
            "pandas",
        ),
        _suffix(".json", ".jsonl"),
    ),
    Unread(
        "a packed .tar",
        "mkdir OUT && tar xf SOURCE -C OUT",
        _suffix(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"),
    ),
    Unread("a packed file", "gunzip -k SOURCE", _suffix(".gz")),
    Unread("a packed file", "bunzip2 -k SOURCE", _suffix(".bz2")),
    Unread("a packed file", "unxz -k SOURCE", _suffix(".xz")),
    Unread("a packed file", "unzstd SOURCE", _suffix(".zst")),
    Unread("an archive of 7z", "7z x SOURCE -oOUT", _suffix(".7z")),
    Unread("an archive of RAR", "mkdir OUT && unrar x SOURCE OUT/", _suffix(".rar")),
)


# of kinds that are read as a rule; their readers find out
SPARSE = Unread(
    "a sparse matrix of scipy",
    _python(
        "import numpy as np; from scipy import sparse; "
        "np.savez(o + '-dense.npz', points=sparse.load_npz(s).toarray())"
    ),
    lambda path, start: False,
)
STRUCTS = Unread(
    "a .mat file whose arrays lie in structs, or are sparse",
    _python(
        "import numpy as np; from scipy import io; m = io.loadmat(s, simplify_cells=True); "
        "m |= {k: v for x in [*m.values()] if isinstance(x, dict) for k, v in x.items()}; "
        "m = {k: getattr(v, 'toarray', lambda: v)() for k, v in m.items() if hasattr(v, 'dtype')}; "
        "np.savez(o + '.npz', **{k: v for k, v in m.items() if v.dtype != object})"
    ),
    lambda path, start: False,
)


def converting(path: Path) -> str | None:
    """What is said of a file or folder whose kind is known and not read."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe holds nothing
        return None
    start = first_bytes(path)
    kind = next((x for x in UNREAD if x.recognises(path, start)), None)
    if kind is None:
        return None
    return refusal(path, kind)


def refusal(path: Path, kind: Unread) -> str:
    """What is said of a file or folder of such a kind, with the line that converts it."""
    out, source = shlex.quote(path.resolve().name.split(".")[0] or "data"), shlex.quote(str(path))
    line = kind.line.replace("OUT", out).replace("SOURCE", source)
    return (
        f"{path} is {kind.words}; expected a kind that is read (diffregimes analyze --help lists "
        f"them). If you trust it, this converts it: {line}"
    )


def first_bytes(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(132)


def is_pointer(opener: Callable[[], Any]) -> bool:
    """Whether the binary file that `opener` gives is a pointer of Git LFS."""
    try:
        with opener() as file:
            return bool(file.read(len(POINTER)) == POINTER)
    except Exception:  # damaged, in any of the ways of its kind: it is none
        return False


def pull(what: object) -> str:
    """What is said of a pointer of Git LFS."""
    return (
        f"{what} is a pointer of Git LFS, not the data; expected the file that it stands for. Run "
        "git lfs pull in the repository."
    )

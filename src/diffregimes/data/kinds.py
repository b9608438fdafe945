"""What each kind of source holds: its points as they came, with labels, before classes are chosen
and pixels scaled.

Nothing here needs torch but the law of a mixture, which loads it when it is drawn.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..common.checks import InputError
from ..populations.specs import FULL_EXAMPLE, parse_gmm
from .arrayfiles import IDX_NAME, stored_idx, stored_npy
from .classes import listed
from .labelled import with_labels
from .layout import listing
from .pictures import SUFFIXES, read_pictures
from .pixels import PixelMap, scaling
from .request import Raw, Request
from .splits import choose
from .trees import Tree, folder_tree, tar_tree, zip_tree


def digits(request: Request) -> Raw:
    """scikit-learn's handwritten digits (1797, 8, 8); a file of that name is "./digits"."""
    rows = _digits()
    raw = Raw(rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64), white=16)
    return with_labels(raw, request.labels)


def _digits() -> np.ndarray:
    """(1797, 64 + 1) uint8, the label last. From scikit-learn's file itself where it is found, for
    `sklearn.datasets` takes longer to import than all that follows takes to compute."""
    found = find_spec("sklearn")  # does not load it
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            with gzip.open(file) as text:
                return np.loadtxt(text, delimiter=",", dtype=np.uint8)
    from sklearn.datasets import load_digits

    data, labels = load_digits(return_X_y=True)
    return np.column_stack([data, labels]).astype(np.uint8)


def drawn(request: Request) -> Raw:
    """n points drawn from the two Gaussian classes of `populations.two_gaussians`, in exact shares.

    The law is `Dataset.population`. d and n are required; mu, sigma, weight and seed have the
    values of `specs.FULL_EXAMPLE` unless given. A file of such a name is "./gmm:...".
    """
    import torch  # late: readers are listed in --help

    from ..populations.mixture import from_spec

    text = request.text
    mixture, n, seed = from_spec(text)
    points, codes = mixture.sample(n, seed, stratified=True, dtype=torch.float32)
    counts = torch.bincount(codes, minlength=2)
    if counts.min() < 2:
        raise InputError(
            f"{text!r} gives the classes +m and -m {counts[0]} and {counts[1]} points; expected "
            "at least 2 in each. Raise n, or bring weight nearer to 0.5."
        )
    law = ", ".join(f"{key} = {x if x % 1 else int(x)}" for key, x in parse_gmm(text).items())
    note = f"drawn from two Gaussian classes, means ±mu (1, ..., 1): {law}"
    return Raw(points, codes, (note,), class_names=("+m", "-m"), population=mixture)


def npy(request: Request) -> Raw:
    """An .npy file: points or images."""
    return with_labels(Raw(stored_npy(request.path)), request.labels)


def images(request: Request) -> Raw:
    """A folder of images (PNG, JPEG, WebP, BMP, PPM, first page of a TIFF, first frame of a GIF),
    one subfolder a class, or all in the folder itself; or with labels in a metadata.csv, a
    dataset.json or .cls files. All grey, or all RGB if any has colour; alpha is dropped."""
    return _of_tree(folder_tree(request.path), request)


def zipped(request: Request) -> Raw:
    """A .zip of images, laid out as a folder of them is."""
    with zip_tree(request.path) as tree:
        return _of_tree(tree, request)


def tarred(request: Request) -> Raw:
    """A .tar of images, or a folder of such (WebDataset): labels in .cls or .json files beside the
    images, or one folder a class."""
    path, notes = request.path, list[str]()
    paths = [path]
    if path.is_dir():
        names, notes = choose(tar_names(path), request.split, path)
        paths = [path / x for x in names]
        request = replace(request, split=None)
    with tar_tree(paths, str(path)) as tree:
        return _of_tree(tree, request, notes)


def tar_names(folder: Path) -> list[str]:
    """Names of the .tar files in a folder."""
    return sorted(x.name for x in folder.iterdir() if x.suffix == ".tar" and x.is_file())


def _of_tree(tree: Tree, request: Request, notes: Sequence[str] = ()) -> Raw:
    found = listing(tree, request.labels, request.split)
    if not found.names:
        raise InputError(
            f"{tree.where} holds no images; expected {', '.join(SUFFIXES)} in it. Unpack it, and "
            "give what it holds."
        )
    pictures = tree.pictures(found.names)
    return read_pictures(pictures, found.labels, request, notes=[*notes, *found.notes])


def idx(request: Request) -> Raw:
    """IDX: an images file, or a folder with one, as it is or in raw/ (torchvision's), of the part
    that `split` names, train without; the labels file lies beside it."""
    if request.path.is_dir():
        return with_labels(_idx_folder(request), request.labels)
    raw = _idx_pair(request.path, find_labels=request.labels is None)
    return with_labels(raw, request.labels)


def idx_names(folder: Path) -> list[str]:
    """Names of the IDX files in a folder, or in the folders raw/ of torchvision below it."""
    places = [folder.glob("*"), folder.glob("raw/*"), folder.glob("*/raw/*")]
    return next(
        (names for found in places if (names := sorted(
            x.relative_to(folder).as_posix() for x in found if IDX_NAME.search(x.name)
        ))), [],
    )  # fmt: skip


def is_idx(path: Path) -> bool:
    """Whether a path is a folder with IDX files, or one of these."""
    if path.is_dir():
        return bool(idx_names(path))
    return IDX_NAME.search(path.name) is not None and path.is_file()


def no_options(request: Request) -> None:
    """Raise `InputError` for options that would change a known law."""
    floats = scaling(request.pixel_range).floats
    kept = floats is None or (isinstance(floats, PixelMap) and floats.scale is None)
    given = {
        "labels (--labels)": request.labels,
        "key (--key)": request.key,
        "classes (--classes)": request.classes,
        "per_class (--per-class)": request.per_class,
        "pixel_range (--range)": None if kept else request.pixel_range,
        "pad (--pad)": request.pad or None,
        "standardize (--standardize)": request.standardize or None,
    }
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{name} is {value!r} with {request.text!r}, which names a known law; expected "
                "none, since it would change the law. Leave it out, and set the law itself: "
                f"{FULL_EXAMPLE}."
            )


def _idx_folder(request: Request) -> Raw:
    folder = request.path
    names = idx_names(folder)
    places = sorted({x.rpartition("/")[0] for x in names})
    if len(places) > 1:
        raise InputError(
            f"the folder {folder} holds several sets of IDX files, in {listed(places)}; expected "
            f"one. Give one of these folders, for example {folder / places[0]}."
        )
    images = [name for name in names if "images" in name]
    if not images:
        raise InputError(
            f"the folder {folder} has IDX files but none of images ({listed(names, 6)}); expected "
            "for example train-images-idx3-ubyte.gz. Download the images too."
        )
    kept, _ = choose(images, request.split, folder)
    # Plain before gzipped: both are often there, with one content.
    chosen = kept[0]
    same = chosen.removesuffix(".gz")
    others = [name for name in images if name.removesuffix(".gz") != same]
    raw = _idx_pair(folder / chosen)
    left = f" ({listed(others)} left out)" if others else ""
    return replace(raw, notes=(f"read {chosen}{left}", *raw.notes))


def _idx_pair(path: Path, *, find_labels: bool = True) -> Raw:
    """An IDX file of images and, by its name, the labels beside it."""
    images = stored_idx(path)
    if images.ndim < 2:
        raise InputError(
            f"{path} has the shape {images.shape}: labels, it seems; expected a file of images "
            "(n, H, W). Give that one (*-images-idx3-ubyte): the labels beside it are found by "
            "their name."
        )
    stem = IDX_NAME.sub("", path.name).replace("images", "labels")
    beside = [path.with_name(f"{stem}idx1-ubyte{end}") for end in ("", ".gz")]
    labels_files = [x for x in beside if x.is_file() and x.name != path.name]
    if not find_labels:
        return Raw(images)
    if not labels_files:
        return Raw(images, notes=(f"no labels file {beside[0].name}[.gz] beside {path.name}",))
    labels = stored_idx(labels_files[0]).read()
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"{path.name} holds {len(images)} images but {labels_files[0].name} has labels of the "
            f"shape {labels.shape}; expected one label for each image. The two files do not belong "
            "together: download both again."
        )
    return Raw(images, labels)

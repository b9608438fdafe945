"""A folder of images as one uint8 array: one subfolder a class, or all in the folder itself.

Two passes: the headers say whether all images have one size, and whether they are grey or
colour; then each image is decoded straight into its row of one array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.checks import InputError
from .arrayfiles import labels_by_name, labels_in_order, split_column
from .classes import check_no_choice, checked_labels, listed, select

if TYPE_CHECKING:  # torch is not needed to list the readers
    from ..common.parallel import Progress

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Only these decoders are tried, whatever a file is called: others start outside programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_GREY = {"1", "L", "LA", "La"}
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}


@dataclass(frozen=True)
class Images:
    """What was read of a folder.

    pixels (n, H, W[, 3])   uint8 or uint16
    labels (n,)             None without
    indices, files (n,)     where each image stands among all of the folder, and its path inside it
    classes                 the sorted names of all classes of the folder, of those left out too;
                            none where labels are not names
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    indices: np.ndarray
    files: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def holds_images(folder: Path) -> bool:
    """Whether there are images in the folder or in one of its subfolders."""
    return any(True for place in (folder, *_subfolders(folder)) for _ in _images(place))


def read_folder(
    folder: Path,
    labels: str | None = None,
    *,
    classes: Sequence[int | str] | str | None = None,
    per_class: int | None = None,
    skip_unreadable: bool = False,
    progress: Progress | None = None,
) -> Images:
    """The images of a folder.

    The arguments are those of `readers.load`. Images of classes that were not asked for are not
    opened. Raises `InputError`.
    """
    files, values, notes = _labelled_files(folder, labels)
    indices, known = np.arange(len(files)), tuple[str, ...]()
    if values is None:
        check_no_choice(classes, per_class)
    else:
        values = checked_labels(values, len(files))
        # Which images fail is known after decoding only: then the first so many are chosen later.
        indices, _, _ = select(values, None, classes, None if skip_unreadable else per_class)
        if values.dtype.kind == "U":
            known = tuple(np.unique(values).tolist())
        files, values = [files[k] for k in indices], values[indices]
    reader = _Reader(folder, skip_unreadable, progress)
    headers = list(reader.each(files, "reading image headers", lambda im: (im.mode, im.size)))
    if not headers:
        raise InputError(
            f"none of the {len(files)} images in {folder} can be read; expected {listed(SUFFIXES)}."
            " Check one of them in an image viewer."
        )
    _check_sizes(folder, [(files[k], size) for k, (_, size) in headers])
    modes = [mode for _, (mode, _) in headers]
    colour, deep = _common(folder, [(files[k], mode) for k, (mode, _) in headers], notes)
    width, height = headers[0][1][1]
    shape = (len(headers), height, width, 3) if colour else (len(headers), height, width)
    out = np.empty(shape, dtype=np.uint16 if deep else np.uint8)
    alive = [files[k] for k, _ in headers]
    taken: list[int] = []
    for k, pixels in reader.each(
        alive, "decoding images", lambda im: _pixels(im, colour=colour, deep=deep)
    ):
        out[len(taken)] = pixels
        taken.append(k)
    alpha = sum(mode in _ALPHA for mode in modes)
    if alpha:
        notes.append(f"the alpha channel of {alpha} images was dropped")
    if reader.failed:
        notes.append(
            f"{len(reader.failed)} images could not be read and were left out, the first "
            f"{reader.failed[0].name}"
        )
    places = np.array([k for k, _ in headers])[taken]
    names = tuple(files[k].relative_to(folder).as_posix() for k in places)
    codes = None if values is None else values[places]
    return Images(out[: len(taken)], codes, indices[places], names, known, tuple(notes))


class _Reader:
    """Opens one file after the other; a file that fails stops the run or is remembered."""

    def __init__(self, folder: Path, skip: bool, progress: Progress | None) -> None:
        self.folder, self.skip, self.progress = folder, skip, progress
        self.failed: list[Path] = []

    def each(
        self, files: Sequence[Path], text: str, use: Callable[[Any], Any]
    ) -> Iterable[tuple[int, Any]]:
        from PIL import Image  # late: most runs read no image

        for k, path in enumerate(files):
            try:
                with Image.open(path, formats=_FORMATS) as image:
                    result = use(image)
            except MemoryError:  # not the fault of the file
                raise
            except Exception as error:  # decoders of damaged files raise nearly anything
                if not self.skip:
                    raise InputError(
                        f"{path} cannot be read as an image ({error}); expected "
                        f"{listed(SUFFIXES)}. Repair or remove it, or leave such files out by "
                        "skip_unreadable=True (--skip-unreadable)."
                    ) from error
                self.failed.append(path)
            else:
                yield k, result
            if self.progress is not None:
                self.progress(k + 1, len(files), text)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(x for x in folder.iterdir() if x.is_dir() and not x.name.startswith("."))


def _images(folder: Path) -> Iterable[Path]:
    return (
        x
        for x in folder.iterdir()
        if x.suffix.lower() in SUFFIXES and not x.name.startswith(".") and x.is_file()
    )


def _labelled_files(
    folder: Path, labels: str | None
) -> tuple[list[Path], np.ndarray | None, list[str]]:
    direct = sorted(_images(folder))
    by_class = {place.name: sorted(_images(place)) for place in _subfolders(folder)}
    files = direct + [x for found in by_class.values() for x in found]
    notes = []
    empty = [name for name, found in by_class.items() if not found]
    if empty:
        notes.append(f"subfolders without images left out: {listed(empty)}")
    if labels == "none":
        return files, None, notes
    names = [x.relative_to(folder).as_posix() for x in files]
    if labels is None and direct and len(files) > len(direct):
        raise InputError(
            f"{folder} holds {len(direct)} images itself and {len(files) - len(direct)} in "
            "subfolders; expected one or the other. Move them, or say what they are by a .csv of "
            'file names and labels (labels="file.csv", --labels), or labels="none".'
        )
    if labels is None:
        folders = [name for name, found in by_class.items() for _ in found]
        return files, None if direct else np.array(folders), notes
    if split_column(labels)[0].suffix.lower() == ".csv":
        values, more = labels_by_name(labels, names)
        return files, values, notes + more
    return files, labels_in_order(labels, len(files)), notes


def _check_sizes(folder: Path, sizes: Sequence[tuple[Path, tuple[int, int]]]) -> None:
    first, size = sizes[0]
    for path, found in sizes:
        if found != size:
            differing = sum(x != size for _, x in sizes)
            raise InputError(
                f"images of different sizes in {folder}: {first.relative_to(folder)} is "
                f"{size[0]}×{size[1]} and {path.relative_to(folder)} is {found[0]}×{found[1]} "
                f"({differing} of {len(sizes)} differ from the first); expected one size. Resize "
                "or crop them all to one."
            )


def _common(folder: Path, modes: Sequence[tuple[Path, str]], notes: list[str]) -> tuple[bool, bool]:
    """(colour, 16 bits) that all images are read as; any colour makes all of them colour."""
    for path, mode in modes:
        if mode == "F":
            raise InputError(
                f"{path} holds floats; images must have whole numbers as pixels. Save such data as "
                "an .npz of float arrays."
            )
    deep = sum(mode.startswith("I") for _, mode in modes)
    grey = sum(mode in _GREY for _, mode in modes)
    colour = deep + grey < len(modes)
    if colour and deep + grey:
        notes.append(f"{deep + grey} grey images were made RGB, as others are in colour")
    if deep and deep < len(modes):
        notes.append(f"{deep} images of 16 bits were reduced to 8 bits, as others have 8")
    return colour, 0 < deep == len(modes)


def _pixels(image: Any, *, colour: bool, deep: bool) -> np.ndarray:
    if not image.mode.startswith("I"):
        return np.asarray(image.convert("RGB" if colour else "L"))
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"pixels from {pixels.min()} to {pixels.max()} are not 16-bit")
    if not deep:
        pixels = pixels >> 8
    return np.repeat(pixels[..., None], 3, axis=-1) if colour else pixels

"""Encoded images, wherever they lie, as one array.

Two passes: the headers say whether all images have one size, and whether they are grey or
colour; then each image is decoded straight into its row of one array.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.readable import printable
from . import decoded
from .classes import check_no_choice, checked_labels, listed, select
from .request import Raw, Request
from .unread import is_pointer, pull

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
# Only these decoders are tried, whatever a file is called: others start outside programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_GREY = {"1", "L", "LA", "La"}
_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}
_ORIENTATION = 0x0112  # the tag of EXIF
_SIDEWAYS = (5, 6, 7, 8)


Opener = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Pictures:
    """Encoded images: their names, and `opened(places)`, which gives for each place what opens it
    as a binary file. Paths are no choice: Pillow maps such files, and TIFFs on their side wrongly.
    `files(places)` are those that these lie in, None where they are in memory.
    """

    where: str
    names: tuple[str, ...]
    opened: Callable[[Sequence[int]], Iterator[Opener]]
    files: Callable[[Sequence[int]], Iterable[Path]] | None = None


@dataclass(frozen=True)
class Fit:
    """The size that images are brought to: the centre square cut out, then resampled to a square.

    With both it is what EDM's and StyleGAN's own tools do to a folder."""

    resize: int | None
    crop: bool

    def size(self, width: int, height: int) -> tuple[int, int]:
        if self.resize is not None:
            return self.resize, self.resize
        side = min(width, height)
        return (side, side) if self.crop else (width, height)

    def apply(self, image: Any) -> Any:
        """The image as it is to be; its mode must be one that can be resampled."""
        from PIL import Image

        if self.crop:
            width, height = image.size
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            image = image.crop((left, top, left + side, top + side))
        if self.resize is not None and image.size != (self.resize, self.resize):
            image = image.resize((self.resize, self.resize), Image.Resampling.LANCZOS)
        return image

    def told(self, sizes: Sequence[tuple[int, int]]) -> list[str]:
        """Notes for images of these sizes."""
        if self.resize is None and not self.crop:
            return []
        came = sorted(set(sizes))
        many = f"{len(came)} sizes from {came[0][0]}×{came[0][1]} to {came[-1][0]}×{came[-1][1]}"
        came_as = f"{came[0][0]}×{came[0][1]}" if len(came) == 1 else many
        cut = " their centre squares," if self.crop else ""
        to = f" resampled to {self.resize}×{self.resize} (Lanczos)" if self.resize else ""
        squeezed = sum(w != h for w, h in sizes) if not self.crop else 0
        said = f"; {squeezed} that are not square were squeezed" if squeezed else ""
        return [f"images of {came_as}:{cut}{to}".rstrip(",") + said]


@dataclass(frozen=True)
class _Header:
    mode: str
    size: tuple[int, int]  # the right way up
    transparent: bool
    turned: bool
    pages: bool


def _header(image: Any) -> _Header:
    orientation = image.getexif().get(_ORIENTATION, 1)
    # of a TIFF the size is told the right way up
    swap = orientation in _SIDEWAYS and image.format != "TIFF"
    return _Header(
        image.mode,
        image.size[::-1] if swap else image.size,
        image.mode in _ALPHA or "transparency" in image.info,
        orientation in range(2, 9),
        bool(getattr(image, "is_animated", False)),
    )


def read_pictures(
    pictures: Pictures,
    labels: Any,
    request: Request,
    *,
    notes: Sequence[str] = (),
    class_names: tuple[str, ...] | None = None,
) -> Raw:
    """The images with their labels, None without; `class_names` names integer labels.

    Images of classes that were not asked for are not opened. Raises `InputError`.
    """
    count = len(pictures.names)
    indices, known, values = np.arange(count), tuple[str, ...](), None
    if labels is None:
        check_no_choice(request.classes, request.per_class)
    else:
        values = checked_labels(labels, count)
        # Which images fail is known after decoding only: then the first so many are chosen later.
        most = None if request.skip_unreadable else request.per_class
        indices, _, _ = select(values, class_names, request.classes, most)
        if values.dtype.kind == "U":
            known = tuple(map(printable, np.unique(values).tolist()))
    if request.labels_only:
        return Raw(np.empty((count, 0)), values, files=tuple(pictures.names))
    files = pictures.files and partial(pictures.files, indices.tolist())
    at = decoded.place(request, files, [pictures.names[k] for k in indices], "images")
    points, taken, said = decoded.found(at) or _read(pictures, indices, request, at)
    return Raw(
        points,
        None if values is None else values[taken],
        (*notes, *said),
        class_names=class_names,
        indices=taken,
        files=tuple(pictures.names[k] for k in taken),
        classes=known,
    )


def _read(
    pictures: Pictures, indices: np.ndarray, request: Request, at: decoded.Place | None
) -> decoded.Decoded:
    """The images of these places, decoded into memory, or `at` a place where they are many."""
    where, opener = pictures.where, _Opener(pictures, request)
    headers = list(opener.each(indices, "reading image headers", _header))
    if not headers:
        raise InputError(
            f"none of the {len(indices)} images in {where} can be read; expected "
            f"{listed(SUFFIXES)}. Check one of them in an image viewer."
        )
    places, found = (list(x) for x in zip(*headers, strict=True))
    fit = Fit(request.resize, request.crop)
    names = [pictures.names[k] for k in places]
    sizes = [fit.size(*x.size) for x in found]
    _check_sizes(where, names, sizes)
    said = [*fit.told([x.size for x in found]), *_told(found)]
    colour, deep = _common(names, [x.mode for x in found], said)
    width, height = sizes[0]
    shape = (len(headers), height, width, 3) if colour else (len(headers), height, width)
    dtype = np.dtype(np.uint16 if deep else np.uint8)

    def work(after: int | None) -> decoded.Rows:
        left = places if after is None else places[bisect.bisect_right(places, after) :]
        pixels = partial(_pixels, fit=fit, colour=colour, deep=deep)
        return opener.each(left, "decoding images", pixels)

    def notes() -> list[str]:
        failed = list(dict.fromkeys(opener.failed))
        if not failed:
            return said
        left_out = f"{len(failed)} images could not be read and were left out, the first"
        return [*said, f"{left_out} {failed[0]}"]

    if at is not None and decoded.larger(request, shape, dtype):
        return decoded.decoded(at, shape, dtype, work, opener.failed, notes)
    out, taken = _room(shape, dtype, where), list[int]()
    for place, pixels in work(None):
        out[len(taken)] = pixels
        taken.append(place)
    return decoded.Decoded(out[: len(taken)], np.array(taken), tuple(notes()))


def _room(shape: tuple[int, ...], dtype: np.dtype, where: str) -> np.ndarray:
    """An empty array for images; `InputError` where they do not fit, as they are and as floats."""
    check_fits(
        prod(shape) * (dtype.itemsize + 4),
        f"the {shape[0]} images of {shape[2]}×{shape[1]} pixels in {where}",
        "Take fewer (--per-class), or make them smaller (--resize N).",
    )
    return np.empty(shape, dtype)


class _Opener:
    """Opens one image after the other; one that fails stops the run or is remembered."""

    def __init__(self, pictures: Pictures, request: Request) -> None:
        self.pictures, self.request = pictures, request
        self.failed: list[str] = []

    def each(
        self, places: Iterable[int], text: str, use: Callable[[Any], Any]
    ) -> Iterator[tuple[int, Any]]:
        """The places of the images that can be read, and what `use` makes of each."""
        from PIL import Image  # late: most runs read no image

        wanted = [int(x) for x in places]
        progress = self.request.progress
        for k, (place, opener) in enumerate(
            zip(wanted, self.pictures.opened(wanted), strict=True), 1
        ):
            try:
                with opener() as file, Image.open(file, formats=_FORMATS) as image:
                    result = use(image)
            except MemoryError:  # not the fault of the file
                raise
            except Exception as error:  # decoders of damaged files raise nearly anything
                self._fails(place, opener, error)
            else:
                yield place, result
            if progress is not None:
                progress(k, len(wanted), text)

    def _fails(self, place: int, opener: Opener, error: Exception) -> None:
        name = self.pictures.names[place]
        if is_pointer(opener):
            raise InputError(pull(f"{self.pictures.where}: {name}")) from None
        if not self.request.skip_unreadable:
            raise InputError(
                f"{name} in {self.pictures.where} cannot be read as an image ({error}); expected "
                f"{listed(SUFFIXES)}. Repair or remove it, or leave such images out by "
                "skip_unreadable=True (--skip-unreadable)."
            ) from error
        self.failed.append(name)


def _check_sizes(where: str, names: Sequence[str], sizes: Sequence[tuple[int, int]]) -> None:
    first = sizes[0]
    for name, found in zip(names, sizes, strict=True):
        if found != first:
            differing = sum(x != first for x in sizes)
            raise InputError(
                f"images of different sizes in {where}: {names[0]} is {first[0]}×{first[1]} and "
                f"{name} is {found[0]}×{found[1]} ({differing} of {len(sizes)} differ from the "
                "first); expected one size. Resize them all to N×N by resize=N (--resize N), with "
                "crop=True (--crop) of their centre squares."
            )


def _told(headers: Sequence[_Header]) -> list[str]:
    """Notes on what was done to images beside their pixels."""
    counts = {
        "the alpha channel of {} images was dropped": sum(x.transparent for x in headers),
        "{} images were turned upright, as their EXIF orientation says": sum(
            x.turned for x in headers
        ),
        "{} images have several frames or pages: the first was read": sum(x.pages for x in headers),
    }
    return [text.format(count) for text, count in counts.items() if count]


def _common(names: Sequence[str], modes: Sequence[str], notes: list[str]) -> tuple[bool, bool]:
    """(colour, 16 bits) that all images are read as; any colour makes all of them colour."""
    for name, mode in zip(names, modes, strict=True):
        if mode == "F":
            raise InputError(
                f"{name} holds floats; images must have whole numbers as pixels. Save such data as "
                "an .npz of float arrays."
            )
    deep = sum(mode.startswith("I") for mode in modes)
    grey = sum(mode in _GREY for mode in modes)
    colour = deep + grey < len(modes)
    if colour and deep + grey:
        notes.append(f"{deep + grey} grey images were made RGB, as others are in colour")
    if deep and deep < len(modes):
        notes.append(f"{deep} images of 16 bits were reduced to 8 bits, as others have 8")
    return colour, 0 < deep == len(modes)


def _pixels(image: Any, fit: Fit, *, colour: bool, deep: bool) -> np.ndarray:
    from PIL import ImageOps

    image.load()  # turns a TIFF itself, and takes the tag away
    image = ImageOps.exif_transpose(image)
    if not image.mode.startswith("I"):
        return np.asarray(fit.apply(image.convert("RGB" if colour else "L")))
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"pixels from {pixels.min()} to {pixels.max()} are not 16-bit")
    if fit != Fit(None, False):  # floats are what Pillow resamples without loss
        pixels = np.asarray(fit.apply(image.convert("I").convert("F"))).round().clip(0, 65535)
    pixels = pixels.astype(np.uint16)
    if not deep:
        pixels = pixels >> 8
    return np.repeat(pixels[..., None], 3, axis=-1) if colour else pixels

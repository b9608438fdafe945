"""Files by their names below a root: in a folder, in a .zip, in the .tar files of a WebDataset.

What the names mean is for `layout`; here is where they lie and how they are opened. Members of
archives are read one at a time, and their sizes are known before.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..common.checks import InputError
from ..common.reading import readable
from .pictures import SUFFIXES, Opener, Pictures

MOST_BYTES = 2**28  # of one member of an archive, or of a text beside images
_NUMBERED = re.compile(r"^(.*?)(\d+)$")


@dataclass(frozen=True)
class Tree:
    """Sorted names of files, with "/" between folders; `opened(name)` gives what opens one.

    `folders` are names of folders, empty ones too. `shards`: the first folder of a name is a part
    of the archive and says nothing of the class. `archives` are the files that hold all, none of a
    folder.
    """

    where: str
    names: tuple[str, ...]
    opened: Callable[[str], Opener]
    folders: tuple[str, ...] = ()
    shards: bool = False
    archives: tuple[Path, ...] = ()

    def text(self, name: str) -> str:
        """A text file beside the images."""
        with readable(Path(self.where, name), "a text file"), self.opened(name)() as file:
            return file.read(MOST_BYTES).decode("utf-8-sig")

    def pictures(self, names: Sequence[str]) -> Pictures:
        names = tuple(names)
        return Pictures(
            self.where,
            names,
            lambda places: (self.opened(names[place]) for place in places),
            lambda places: self.archives or (Path(self.where, names[k]) for k in places),
        )


def is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def holds_images(folder: Path) -> bool:
    """Whether there are images in the folder or below it."""
    return any(is_image(x) for x in files_below(folder))


def _hidden(name: str) -> bool:
    return any(x.startswith(".") or x == "__MACOSX" for x in PurePosixPath(name).parts)


def files_below(folder: Path) -> Iterator[str]:
    """Names of the files below a folder, sorted in each, and of the folders, these with a "/" at
    their end; links to folders are followed once."""
    seen = {os.path.realpath(folder)}

    def walk(place: str, prefix: str) -> Iterator[str]:
        with os.scandir(place) as entries:
            shown = sorted((x for x in entries if not _hidden(x.name)), key=lambda x: x.name)
        for entry in shown:
            if entry.is_file():
                yield prefix + entry.name
        for entry in shown:
            if entry.is_dir() and (real := os.path.realpath(entry.path)) not in seen:
                seen.add(real)
                yield f"{prefix}{entry.name}/"
                yield from walk(entry.path, f"{prefix}{entry.name}/")

    return walk(str(folder), "")


def folder_tree(folder: Path) -> Tree:
    """The files below a folder."""
    found = list(files_below(folder))
    return Tree(
        str(folder),
        tuple(x for x in found if not x.endswith("/")),
        lambda name: lambda: (folder / name).open("rb"),
        tuple(x[:-1] for x in found if x.endswith("/")),
    )


@contextmanager
def zip_tree(path: Path) -> Iterator[Tree]:
    """The files in a .zip."""
    with readable(path, "a .zip file"), zipfile.ZipFile(path) as archive:
        members = {x.filename: x for x in archive.infolist()}
        names = sorted(x for x, info in members.items() if not info.is_dir() and not _hidden(x))

        def opened(name: str) -> Opener:
            def opener() -> io.BytesIO:
                _check_member(path, name, members[name].file_size)
                with archive.open(name) as file:
                    return io.BytesIO(file.read(members[name].file_size + 1))

            return opener

        yield Tree(str(path), tuple(names), opened, archives=(path,))


@contextmanager
def tar_tree(paths: Sequence[Path], where: str) -> Iterator[Tree]:
    """The files in one .tar, or in several: then each is the first folder of its names."""
    with ExitStack() as stack:
        members: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]] = {}
        for path in paths:
            with readable(path, "a .tar file"):
                archive = stack.enter_context(tarfile.open(path, "r:"))
                inside = f"{path.name.removesuffix('.tar')}/" if len(paths) > 1 else ""
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isfile() and not _hidden(name):
                        members[inside + name] = archive, member

        def opened(name: str) -> Opener:
            def opener() -> io.BytesIO:
                archive, member = members[name]
                _check_member(where, name, member.size)
                file = archive.extractfile(member)
                return io.BytesIO(b"" if file is None else file.read())

            return opener

        shards = numbered([x.stem for x in paths])
        yield Tree(where, tuple(sorted(members)), opened, (), shards, tuple(paths))


def numbered(names: Sequence[str]) -> bool:
    """Whether names are one word with consecutive numbers, as those of the shards of a set are."""
    found = [_NUMBERED.match(x) for x in names]
    if len(found) < 2 or not all(found):
        return False
    words, numbers = zip(*((x[1], int(x[2])) for x in found if x), strict=True)
    first = min(numbers)
    return len(set(words)) == 1 and sorted(numbers) == list(range(first, first + len(numbers)))


def _check_member(where: object, name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(
            f"{name} in {where} has {size} bytes; expected at most {MOST_BYTES} in one image. "
            "Remove it from the archive."
        )

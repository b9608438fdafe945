"""Files that are whole or not there: written under a hidden name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden(path, f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write `data`, text as UTF-8, to `path` whole or not at all."""
    with replacing(path) as file:
        file.write(encoded(data) if isinstance(data, str) else data)


def encoded(text: str) -> bytes:
    """UTF-8, whatever the text holds: names of files may have what is no character."""
    return text.encode(errors="backslashreplace")


def hidden(path: Path, end: str) -> Path:
    """A hidden name beside `path`, from its own; of one near the limit of 255 bytes its head."""
    head = os.fsdecode(os.fsencode(path.name)[: 240 - len(end)])
    return path.parent / f".{head}{end}"

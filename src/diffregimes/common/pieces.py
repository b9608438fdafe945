"""Finished pieces of a long computation, kept so that one that was killed goes on where it stood.

A piece is some arrays in a file of its own, under a name that is a digest of all that they hang on:
pieces of other data or other options are other files. It is whole or not there.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .checks import InputError
from .files import replacing

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Pieces:
    """Those in `folder`, of what `key` names."""

    folder: Path
    key: str

    def get(self, what: tuple[Any, ...], work: Callable[[], Arrays]) -> Arrays:
        """The piece of this name, from its file, or as `work` makes it, kept from now on.

        Raises `InputError` where it cannot be written.
        """
        text = repr((self.key, *(x.tobytes() if isinstance(x, np.ndarray) else x for x in what)))
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"
        try:
            with np.load(path, allow_pickle=False) as known:
                return tuple(known[f"arr_{k}"] for k in range(len(known.files)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass  # not there, or of a disk that failed: made again
        found = work()
        try:
            with replacing(path) as file:
                np.savez(file, *found)
        except OSError as error:
            raise InputError(
                f"a piece of the computation cannot be kept in {self.folder}: {error.strerror}. "
                "Free some room there, or give another --out: finished pieces stay, and the same "
                "command goes on."
            ) from error
        return found


def kept(pieces: Pieces | None, what: tuple[Any, ...], work: Callable[[], Arrays]) -> Arrays:
    """`Pieces.get`, or without a place to keep them as `work` makes it."""
    return work() if pieces is None else pieces.get(what, work)

"""Points decoded once, into one .npy beside the output, where they are more than memory is for.

Encoded images, and lists in compressed columns, cannot be read some at a time at random. The name
of the .npy is a digest of the files that they came from (their names, sizes and times) and of what
was asked of them. It is written under another name, and a journal has a line for each block of rows
that is there: what was killed goes on after the last whole line. The name is given at the end.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ..common.checks import InputError
from ..common.files import write_atomically
from .arrayfiles import stored_npy
from .request import Request
from .stored import Stored, written

_BLOCK = 2**25  # bytes between two lines of the journal
_AGAIN = "finished blocks stay, and the same command goes on."
Rows = Iterable[tuple[int, np.ndarray]]  # where a point stands in the source, and its values


@dataclass(frozen=True)
class Place:
    """Where points that came from `files` are kept; `digest` tells them from others."""

    folder: Path
    digest: str
    files: Callable[[], Iterable[Path]]
    asked: str

    @property
    def array(self) -> Path:
        return self.folder / f"{self.digest}.npy"

    @property
    def index(self) -> Path:
        return self.folder / f"{self.digest}.json"

    def changed(self) -> bool:
        """Whether the files are other ones by now."""
        return _digest(self.files(), self.asked) != self.digest


class Decoded(NamedTuple):
    """Points, where each stands in the source (n,), and notes."""

    points: Stored | np.ndarray
    taken: np.ndarray
    notes: tuple[str, ...]


def place(
    request: Request, files: Callable[[], Iterable[Path]] | None, names: Sequence[str], *what: Any
) -> Place | None:
    """Where the points of `names` that come from `files` are kept; `what` tells of them too. None
    where there is no folder for it, or no files whose change would be seen."""
    if request.keep is None or request.memory_mib is None or files is None:
        return None
    asked = hashlib.sha256("\n".join(map(repr, names)).encode())
    options = request.key, request.resize, request.crop, request.skip_unreadable, *what
    asked.update(repr((version("diffregimes"), *options)).encode())
    told = asked.hexdigest()
    return Place(Path(request.keep), _digest(files(), told), files, told)


def _digest(files: Iterable[Path], asked: str) -> str:
    out = hashlib.sha256(asked.encode())
    for path in files:
        out.update(repr((str(path), *written(path))).encode())
    return out.hexdigest()[:32]


def found(at: Place | None) -> Decoded | None:
    """What was decoded before, whole."""
    if at is None or not (at.array.is_file() and at.index.is_file()):
        return None
    known = json.loads(at.index.read_bytes())
    return Decoded(stored_npy(at.array), np.array(known["taken"]), tuple(known["notes"]))


def larger(request: Request, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether points take more than they may in memory as they are."""
    budget = request.memory_mib
    return budget is not None and prod(shape) * dtype.itemsize > budget * 2**20


def decoded(
    at: Place,
    shape: tuple[int, ...],
    dtype: np.dtype,
    work: Callable[[int | None], Rows],
    failed: list[str],
    notes: Callable[[], Sequence[str]],
) -> Decoded:
    """The points, at most shape[0]. `work(k)` gives those that come after the one which stands at
    k in the source, all for None; what it cannot read goes into `failed`; `notes` are asked for at
    the end. Raises `InputError`."""
    need = prod(shape) * dtype.itemsize
    with _kept(at, need):
        at.folder.mkdir(parents=True, exist_ok=True)
    part, journal = at.array.with_suffix(".part"), at.array.with_suffix(".journal")
    with _kept(at, need), part.open("ab"):  # there from now on
        pass
    with part.open("r+b") as file:
        _alone(file, at)
        taken = list[int]()
        size = prod(shape[1:]) * dtype.itemsize
        start = _header(shape, dtype)
        for line in _lines(journal, part.stat().st_size - len(start), size):
            taken += line["taken"]
            failed += line["failed"]
        with _kept(at, need):
            _check_room(at, need - size * len(taken))
            file.write(start)
            file.seek(len(start) + size * len(taken))
            file.truncate()
        told = len(failed)
        for rows in _blocks(work(taken[-1] if taken else None), shape[1:], at):
            taken += (new := [k for k, _ in rows])
            with _kept(at, need):
                file.write(b"".join(np.ascontiguousarray(x, dtype).tobytes() for _, x in rows))
                file.flush()
                os.fsync(file.fileno())
                with journal.open("a") as lines:
                    lines.write(json.dumps({"taken": new, "failed": failed[told:]}) + "\n")
            told = len(failed)
        if at.changed():
            part.unlink()
            journal.unlink(missing_ok=True)
            raise _changed(at)
        with _kept(at, need):
            file.seek(0)
            file.write(_header((len(taken), *shape[1:]), dtype))
            file.flush()
            write_atomically(at.index, json.dumps({"taken": taken, "notes": list(notes())}))
            os.replace(part, at.array)
    journal.unlink(missing_ok=True)
    done = found(at)
    assert done is not None
    return done


def _header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """Of an .npy; as long for any number of rows, for numpy leaves room for more."""
    out = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, told)
    return out.getvalue()


def _lines(journal: Path, there: int, size: int) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal whose rows are in the file."""
    rows = 0
    whole = list[str]()
    with suppress(OSError, ValueError, LookupError, TypeError):
        for line in journal.read_text().splitlines():
            known = json.loads(line)
            rows += len(known["taken"])
            if size * rows > there:
                break
            whole.append(line)
    if journal.exists():
        write_atomically(journal, "".join(f"{x}\n" for x in whole))
    return map(json.loads, whole)


def _blocks(rows: Rows, shape: tuple[int, ...], at: Place) -> Iterator[list[tuple[int, Any]]]:
    """So many rows at a time."""
    block, size = list[tuple[int, Any]](), 0
    for k, values in rows:
        if values.shape != shape:  # of an image whose header said otherwise
            raise _changed(at)
        block.append((k, values))
        size += values.nbytes
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


@contextmanager
def _kept(at: Place, need: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"decoded points cannot be kept in {at.folder}: {error.strerror}; they take "
            f"{need / 2**30:.3g} GiB. Free some room there, or give another --out (keep=): {_AGAIN}"
        ) from error


def _check_room(at: Place, need: int) -> None:
    if shutil.disk_usage(at.folder).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _changed(at: Place) -> InputError:
    return InputError(
        f"{next(iter(at.files()))} or a file beside it was changed while its points were decoded; "
        "expected the same files from the first to the last. Start again when nothing writes into "
        "them any more."
    )


def _alone(file: IO[bytes], at: Place) -> None:
    """Raise `InputError` where another process writes the same file."""
    try:
        import fcntl
    except ImportError:  # no Unix
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(
            f"another run decodes the same points into {at.folder}; expected one at a time. Wait "
            "for it, or give another --out (keep=)."
        ) from None

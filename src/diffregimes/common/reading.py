"""The one boundary between files as they come and the program: a file that cannot be read is an
`InputError` that names it, whatever its parser raises.

Parsers of damaged files raise nearly anything, from struct.error and zlib.error to TokenError and
RecursionError, and warn of what they find. A failure of our own lines is a bug, and passes.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .checks import InputError

# what a program raises of itself when it is wrong
_BUGS = (TypeError, AttributeError, NameError, LookupError, AssertionError, ZeroDivisionError)
_PACKAGE = __name__.partition(".")[0]
_MOST_JSON = 64 * 2**20  # bytes; a list of a million betas has a third of it


@contextmanager
def readable(
    path: object,
    kind: str,
    way_out: str = "expected a file of that kind; it may be damaged or cut short. Copy, download "
    "or save it again.",
) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read as `kind` into an `InputError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:
        if _ours(error):
            raise
        raise InputError(f"{path} cannot be read as {kind} ({why(error)}); {way_out}") from error


def _ours(error: Exception) -> bool:
    """Whether a line of this package is wrong, and not what came or how a library takes it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return isinstance(error, _BUGS) and where.partition(".")[0] == _PACKAGE


def why(error: BaseException) -> str:
    """The first line of an error, short, and its type where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    return said if len(said) <= 200 else f"{said[:200]}..."


def check_regular(path: Path, kind: str) -> os.stat_result:
    """What the system knows of the file; raise unless it is one that ends: a pipe or a device may
    not."""
    with readable(path, kind, "check the path, and that you may read it."):
        found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise InputError(f"{path} is {what}; expected {kind}. Give the path of a file.")
    return found


def read_json(path: Path, wanted: str) -> Any:
    """What a JSON file holds; `wanted` says in messages what it should be."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if found.st_size > _MOST_JSON:
            raise OSError(errno.EFBIG, f"it has more than {_MOST_JSON} bytes")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} ({why(error)}); expected {wanted}.") from error
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({why(error)}); expected {wanted}.") from error

"""The output folder of a run: complete or untouched.

Everything is written into a hidden folder and moved file by file once all of it is there,
results.json last. A run killed at any moment, or a full disk, leaves earlier outputs
as they were.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EISDIR
from glob import escape
from pathlib import Path

from ..common.checks import InputError
from ..common.files import hidden
from ..common.reading import why

LAST = "results.json"  # its presence says that the rest is there
MAPS = "maps.npz"  # times of windows, where they are asked for
FIGURES = "figures"  # PNG and SVG, where they are asked for


def check_target(out: Path) -> None:
    """Raise `InputError` where `out` can be seen to be no place for results; touch nothing."""
    for place in (out, *out.parents):
        try:
            os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise _refused(out, why(error)) from error
        if os.path.isdir(place):
            if not os.access(place, os.W_OK | os.X_OK):
                raise _refused(out, f"you may not write into {place}")
            return
        raise _refused(out, f"{place} is a file, where a folder was expected")


def with_figures(out: Path) -> bool:
    """Whether `out` holds figures of an earlier run, which are not to stay beside newer numbers."""
    return os.path.isdir(out / FIGURES)  # no place at all is told by `check_target`


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder whose files replace those of `out` when the block ends well.

    It lies in `out`, or beside it where there is none yet: on the same disk in any case. Raises
    `InputError` if `out` cannot be written or the disk is full.
    """
    check_target(out)
    head = hidden(out, ".partial-").name
    stage = (out if out.is_dir() else out.parent) / f"{head}{os.getpid()}"
    made = [x for x in out.parents if not x.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for place in {out, out.parent}:
            _sweep_stale(place, head)
        stage.mkdir()
        yield stage
        _move(stage, out)
    except OSError as error:
        raise _refused(out, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):  # one that holds something by now, and those above it
            for place in made:
                place.rmdir()


def _refused(out: Path, why: str) -> InputError:
    return InputError(
        f"cannot write to {out}: {why}. Nothing there was changed; free some space or choose "
        "another folder with --out."
    )


def _move(stage: Path, out: Path) -> None:
    """Every file to its place. What can fail comes before the first is replaced."""
    files = sorted(x for x in stage.rglob("*") if x.is_file())
    files.sort(key=lambda x: x.name == LAST)
    targets = [out / x.relative_to(stage) for x in files]
    stale = out / MAPS
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(EISDIR, f"{target} is a folder, where a file was expected")
    for file, target in zip(files, targets, strict=True):
        os.replace(file, target)
    if stale not in targets and out / LAST in targets:
        stale.unlink(missing_ok=True)  # of an earlier run: not to stay beside newer numbers


def _sweep_stale(place: Path, head: str) -> None:
    """Remove hidden folders that killed runs left behind."""
    for stale in place.glob(f"{escape(head)}*"):
        pid = stale.name.removeprefix(head)
        # our own number on a folder that we did not make: every run in a container has the same
        if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
            shutil.rmtree(stale, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

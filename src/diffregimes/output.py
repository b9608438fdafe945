"""The output folder of a run: complete or untouched.

Everything is written into a hidden folder beside the target and moved file by file once all of
it is there, results.json last. A run killed at any moment, or a full disk, leaves earlier outputs
as they were.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .checks import InputError
from .datasets import Dataset
from .report import write_report
from .results import Analysis, Curves

LAST = "results.json"  # its presence says that the rest is there


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder whose files replace those of `out` when the block ends well.

    Raises `InputError` if `out` cannot be written or the disk is full.
    """
    stage = out.parent / f".{out.name}.partial-{os.getpid()}"
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file; expected a folder. Choose another --out.")
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep_stale(out)
        stage.mkdir()
        if out.exists() and not os.access(out, os.W_OK):
            raise PermissionError(13, "Permission denied", str(out))
        yield stage
        out.mkdir(exist_ok=True)
        files = sorted(x for x in stage.rglob("*") if x.is_file())
        files.sort(key=lambda x: x.name == LAST)
        for file in files:
            target = out / file.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
    except OSError as error:
        raise InputError(
            f"cannot write to {out}: {error.strerror or error}. Nothing there was changed; "
            "free some space or choose another folder with --out."
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _sweep_stale(out: Path) -> None:
    """Remove hidden folders that killed runs left behind."""
    for stale in out.parent.glob(f".{out.name}.partial-*"):
        pid = stale.name.rpartition("-")[2]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(stale, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def curves_csv(curves: Curves) -> str:
    """One row a time: t, then each observable and its standard error."""
    columns = curves.to_dict()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def write_run(analysis: Analysis, dataset: Dataset, folder: Path) -> None:
    """results.json, curves.csv, report.html and figures/ into an existing folder."""
    (folder / "curves.csv").write_text(curves_csv(analysis.curves), encoding="utf-8")
    write_report(analysis, dataset, folder)
    (folder / LAST).write_text(analysis.to_json() + "\n", encoding="utf-8")

"""What a monitor has seen, where others can read it: monitor.csv, one row a look, always; and
whatever other writers a training has.

A writer is told by what it can do: torch's SummaryWriter by `add_scalar(name, value, step)`, a run
of Weights & Biases, an Accelerator and loggers like them by `log(values, step=step)`. None of these
packages is imported here.

The table is written whole under a hidden name and renamed, so that a training killed at any moment
leaves no half of a row; monitor.json beside it says of which data, levels and options it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import serial
from ..common.checks import InputError
from ..common.files import write_atomically
from ..common.reading import read_json, readable

TABLE, RECIPE = "monitor.csv", "monitor.json"
Row = dict[str, float]


class Logbook:
    """The files of a monitor in `folder`, and its other `writers`.

    recipe : what tells this monitor from others; a folder with the table of another is refused
    `rows` are those found there and those written since.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], writers: Sequence[Any]) -> None:
        for writer in writers:
            _way_of(writer)
        self.folder, self.writers = folder, tuple(writers)
        self.recipe = json.loads(serial.text(serial.plain(dict(recipe))))
        self.found: dict[str, Any] = {}
        self.rows: list[Row] = []
        if (folder / RECIPE).exists():
            self._read()

    def _read(self) -> None:
        """What an earlier run left."""
        found = read_json(self.folder / RECIPE, "what a monitor wrote")
        stored = found.get("recipe") if isinstance(found, dict) else None
        if not isinstance(stored, dict):
            raise InputError(
                f"{self.folder / RECIPE} holds no recipe; expected what a monitor wrote. Remove "
                "the folder, or choose another (out=)."
            )
        differ = sorted(k for k in self.recipe if stored.get(k) != self.recipe[k])
        if differ:
            raise InputError(
                f"{self.folder} holds the table of another monitor ({', '.join(differ)} differ); "
                "expected the same data and options, to go on with it. Choose another folder "
                "(out=), or remove this one."
            )
        self.found, path = found, self.folder / TABLE
        if path.exists():
            with readable(path, "the table of a monitor"):
                table = csv.DictReader(path.read_text("utf-8").splitlines())
                if "step" not in (table.fieldnames or ()):
                    raise ValueError("no column of steps")
                self.rows = [_row(x) for x in table]

    def open(self, facts: Mapping[str, Any]) -> None:
        """Write monitor.json: the recipe, and `facts` found for it."""
        text = serial.text({"recipe": self.recipe, **serial.plain(dict(facts))})
        try:
            write_atomically(self.folder / RECIPE, text)
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be written ({error.strerror or error}); choose another "
                "folder (out=)."
            ) from error

    def write(self, row: Row) -> None:
        """Add a row, in place of those of its step and later ones: they are of a training that was
        killed and goes on from an earlier checkpoint."""
        step = int(row["step"])
        self.rows = [x for x in self.rows if x["step"] < step] + [row]
        out = io.StringIO()
        table = csv.DictWriter(out, list(row), lineterminator="\n")
        table.writeheader()
        table.writerows({k: _text(v) for k, v in x.items()} for x in self.rows)
        write_atomically(self.folder / TABLE, out.getvalue())
        values = {f"monitor/{k}": v for k, v in row.items() if k != "step" and v == v}
        for writer in self.writers:
            if _way_of(writer) == "log":
                writer.log(values, step=step)
                continue
            for name, value in values.items():
                writer.add_scalar(name, value, step)


def _way_of(writer: Any) -> str:
    """How it is told: "add_scalar" or "log"."""
    for way in ("add_scalar", "log"):
        if callable(getattr(writer, way, None)):
            return way
    raise InputError(
        f"a writer is a {type(writer).__name__}; expected a SummaryWriter of torch, a run of "
        "Weights & Biases, an Accelerator, or an object with add_scalar(name, value, step) or "
        "log(values, step=step)."
    )


def _row(line: Mapping[str | Any, Any]) -> Row:
    if None in line or None in line.values() or not line["step"]:
        raise ValueError("a row that is not as long as the head, or without a step")
    return {k: float(v) if v else float("nan") for k, v in line.items()}


def _text(value: float) -> str:
    """Nothing for what is not known; whole numbers as such."""
    if value != value:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

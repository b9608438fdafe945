"""Tables in text (.csv, .tsv, .txt, .data) as programs write them.

Lines that begin with # and Excel's "sep=;" come before the table; the last such line is its header
where it has as many cells as a row, as numpy writes it. Decimals may have commas where these do not
part the cells, and true and false are 1 and 0 but in a column of labels.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..common.checks import InputError
from ..common.memory import check_fits
from ..common.reading import check_regular, readable
from .classes import label_name
from .request import Raw, Request
from .tables import MISSING, Table, from_table

TABLES = (".csv", ".tsv", ".data", ".txt")
_LONGEST = 2**24  # characters of a list
_SNIFFED = 1000  # lines that say which columns are numbers
_FLAGS = {"false": 0.0, "true": 1.0}
_SEPARATED = re.compile(r"sep=(.)$", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?$", re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+$")  # or a decimal of three digits
_ONE = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"  # one way to read each: no backtracking
_LIST = re.compile(rf"[\[(]?\s*{_ONE}(?:(?:\s*[,;]\s*|\s+){_ONE}){{3,}}\s*[\])]?", re.IGNORECASE)
_BETWEEN = str.maketrans(dict.fromkeys(",;[]()", " "))
_UTF8 = "expected one in UTF-8 that is whole. Save it as such (of Excel: CSV UTF-8), or copy it."


@dataclass(frozen=True)
class _Written:
    """How a table is written: what parts the cells (None: spaces), how many lines come before its
    rows, and whether decimals have commas."""

    path: Path
    mark: str | None
    skip: int = 0
    commas: bool = False

    def cells(self, lines: Iterable[str]) -> list[list[str]]:
        rows = csv.reader(lines, delimiter=self.mark) if self.mark else (x.split() for x in lines)
        return [row for row in rows if any(x.strip() for x in row)]

    def number(self, text: str) -> float:
        text = text.strip().lower()
        if text in MISSING:
            return np.nan
        if text in _FLAGS:
            return _FLAGS[text]
        return float(text.replace(",", ".") if self.commas and _DECIMAL.match(text) else text)

    def is_number(self, text: str) -> bool:
        try:
            self.number(text)
        except ValueError:
            return False
        return True

    def columns(self, places: Sequence[int], *, words: bool) -> np.ndarray:
        """Columns of numbers (n, k), or one of words (n,)."""

        def load(**more: Any) -> np.ndarray:
            return np.loadtxt(
                self.path, dtype=np.str_ if words else np.float64, delimiter=self.mark,
                skiprows=self.skip, usecols=list(places), comments=None, quotechar='"',
                encoding="utf-8-sig", ndmin=1 if words else 2, **more,
            )  # fmt: skip

        with readable(self.path, "a table of numbers"):
            try:
                out = load()
            except ValueError:  # a cell that is no plain number, or empty
                out = load(converters=self.number)
        return np.char.strip(out) if words else out

    def lists(self, place: int) -> np.ndarray:
        """A column of lists of numbers (n, d); bytes where all are."""
        out = list[np.ndarray]()
        with (
            readable(self.path, "a table with a column of lists"),
            _long_cells(),
            self.path.open(encoding="utf-8-sig", newline="") as file,
        ):
            for row in csv.reader(islice(file, self.skip, None), delimiter=self.mark or " "):
                if not any(x.strip() for x in row):
                    continue
                if len(row) <= place:
                    raise ValueError(f"its row {len(out) + 1} has {len(row)} cells")
                out.append(_numbers(row[place]))
        lengths = sorted({len(x) for x in out})
        if len(lengths) > 1:
            raise InputError(
                f"the lists in column {place + 1} of {self.path} have {lengths[0]} to "
                f"{lengths[-1]} numbers; expected as many in all. Correct them."
            )
        return np.stack(out)


def _numbers(text: str) -> np.ndarray:
    values = np.array(text.translate(_BETWEEN).split(), dtype=np.float64)
    bytes_ = ((values >= 0) & (values <= 255)).all() and (values % 1 == 0).all()
    return values.astype(np.uint8) if bytes_ else values


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lists may be longer than what csv takes for a cell."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def csv_table(request: Request) -> Raw:
    """A table of numbers in text (.csv, .tsv, .data, .txt), with a header or without: each row is a
    point. `labels` names their column; without, one called label, target, class, y or species is
    it, else the only one of words."""
    path = request.path
    size = check_regular(path, "a table of text").st_size
    check_fits(5 * size, f"the table {path}", "Give a smaller one, or save it as .npy.")
    with readable(path, "a table of text", _UTF8), path.open(encoding="utf-8-sig", newline="") as x:
        lines = list(islice(x, _SNIFFED + 1))
    with readable(path, "a table of text"):
        written, names, body = _sniffed(path, lines)
    if len(set(names)) < len(names):
        double = next(x for x in names if names.count(x) > 1)
        raise InputError(f"{path} has two columns called {double!r}. Rename one of them.")
    cells = {x: [row[k].strip() for row in body] for k, x in enumerate(names)}
    lists = [x for x, found in cells.items() if all(map(_LIST.fullmatch, found))]
    held = None
    if len(lists) == 1 and lists[0] not in (request.labels, *request.beside):
        held = lists[0], partial(written.lists, names.index(lists[0]))
        cells.pop(lists[0])
    numeric = _numeric(written, cells, request.labels)

    def read(wanted: Sequence[str]) -> np.ndarray:
        places = [names.index(x) for x in wanted]
        return written.columns(places, words=len(wanted) == 1 and not numeric[wanted[0]])

    notes = ("decimal commas were read as points",) if written.commas else ()
    return from_table(request, Table(str(path), numeric, read, notes=notes, lists=held))


def _sniffed(path: Path, lines: list[str]) -> tuple[_Written, list[str], list[list[str]]]:
    """How the table is written, the names of its columns, and the rows of its first lines."""
    mark, before, told = None, 0, ""
    for line in lines:
        text = line.strip()
        if separated := _SEPARATED.match(text):
            mark = separated[1]
        elif text.startswith("#"):
            told = text
        elif text:
            break
        before += 1
    rest = lines[before:]
    written = _Written(path, mark or _mark(rest[0] if rest else ""), before)
    rows = written.cells(rest)
    if not rows:
        raise InputError(f"{path} is empty; expected a row of numbers for each point.")
    over = (written.cells([told.lstrip("# ")]) or [[]])[0]
    if len(over) == len(rows[0]) and not (len(rows) > 1 and _is_header(rows)):
        names, body, first = [x.strip() for x in over], rows, before + 1
    elif len(rows) > 1 and _is_header(rows):
        names, body, first = [x.strip() for x in rows[0]], rows[1:], before + 2
        written = _Written(path, written.mark, before + 1)
    else:
        names, body, first = [str(k) for k in range(len(rows[0]))], rows, before + 1
    for k, row in enumerate(body, first):
        if len(row) != len(names):
            raise InputError(
                f"{path} has {len(row)} cells in row {k} and {len(names)} in the first; expected "
                "a table with one row for each point. Correct the row."
            )
    found = [x.strip() for row in body for x in row if "," in x]
    decimal = [x for x in found if _DECIMAL.match(x)]
    if written.mark != "," and decimal and not all(map(_THOUSANDS.match, decimal)):
        written = _Written(path, written.mark, written.skip, commas=True)
    return written, names, body


def _numeric(written: _Written, cells: dict[str, list[str]], wanted: str | None) -> dict[str, bool]:
    """Which columns are of numbers: one of true and false that may be the labels is of words."""
    flags = [x for x, found in cells.items() if {y.lower() for y in found} <= set(_FLAGS)]
    label = wanted if wanted in cells else label_name(list(cells))
    if label is None and len(flags) == 1:
        label = flags[0]
    return {
        x: all(map(written.is_number, found))
        and any(y.lower() not in MISSING for y in found)
        and not (x in flags and x == label)
        for x, found in cells.items()
    }


def _mark(line: str) -> str | None:
    """What parts the cells of a line; None for spaces."""
    counts = {c: line.count(c) for c in ",;\t|"}
    best = max(counts, key=lambda c: counts[c])
    return best if counts[best] else None


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is words above numbers, words alone, or 0, 1, 2, ... as pandas numbers
    columns that have no names, with nothing above those of the rows."""
    first = [x.strip() for x in rows[0]]
    counted = [str(k) for k in range(len(first))]
    if (first == counted[: len(first)] != [] and len(first) > 1) or first == ["", *counted[:-1]]:
        return True
    if not any(x and _is_number(x) for x in first):
        return True
    columns = zip(first, zip(*rows, strict=False), strict=False)
    return any(not _is_number(x) and all(_is_number(y) for y in cells[1:]) for x, cells in columns)


def _is_number(text: str) -> bool:
    return _Written(Path(), None, commas=True).is_number(text)

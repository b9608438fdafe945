"""Tables as text: CSV columns of equal length."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ..results import Curves


def curves_csv(curves: Curves) -> str:
    """One row a time: t, then each observable and its standard error."""
    return columns_csv(curves.to_dict())


def columns_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """Columns of equal length under their names; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()

"""examples/tour.ipynb runs from top to bottom, and its stored outputs are those of its cells."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import matplotlib
import pytest

from command import without_drawing

TOUR = Path(__file__).parent.parent / "examples" / "tour.ipynb"
CELLS = [
    (cell, "".join(cell["source"]))
    for cell in json.loads(TOUR.read_text("utf-8"))["cells"]
    if cell["cell_type"] == "code"
]


def run(text: str, names: dict) -> tuple[str, object]:
    """Run a cell as Jupyter does: (what it prints, the value of its last line)."""
    body = ast.parse(text).body
    last = ast.Expression(body.pop().value) if isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = last and eval(compile(last, "cell", "eval"), names)
    return printed.getvalue(), value


def words(text: str) -> str:
    """The text without its numbers: these may differ in the last digit from machine to machine."""
    return re.sub(r"[-−+]?\d[\d.e]*", "#", text)


def stored(cell: dict, kind: str) -> str:
    out = [x for x in cell["outputs"] if x["output_type"] == kind]
    return "".join("".join(x.get("text", x.get("data", {}).get("text/plain", ""))) for x in out)


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_the_tour_runs_and_shows_what_it_says(few_forward_draws, monkeypatch):
    without_drawing(monkeypatch)  # of the folder that is saved last
    matplotlib.use("agg")
    names: dict = {}
    for cell, text in CELLS:
        assert cell["outputs"] or text.startswith("import"), "run the notebook before committing it"
        printed, value = run(text, names)
        assert words(printed) == words(stored(cell, "stream"))
        if value is not None:
            assert words(repr(value)) == words(stored(cell, "execute_result"))
    assert names["copier"].verdict.kind == "memorises"
    assert names["learner"].verdict.kind == "does not copy"


def test_results_are_stored_as_pages():
    pages = [
        x["data"].get("text/html") for cell, _ in CELLS for x in cell["outputs"] if "data" in x
    ]
    shown = ["".join(x) for x in pages if x]
    assert len(shown) >= 4
    assert not [x for x in shown if "<script" in x]
    assert TOUR.stat().st_size < 2**20

"""Every script in examples/ runs in its small version; what the corrections claim holds in it."""

from __future__ import annotations

import contextlib
import csv
import io
import runpy
import sys
from pathlib import Path

import pytest

from command import without_drawing

EXAMPLES = Path(__file__).parent.parent / "examples"


# what a quick run can do with less of, where a test of its own holds the numbers
SMALLER = {
    "diffregimes.common.numerics.RESAMPLES": 40,
    "diffregimes.transitions.scaling.RESAMPLES": 40,
    "diffregimes.reproduce.figure_2.DIMENSIONS": (256, 1024),
    "diffregimes.reproduce.figure_2.STEPS": 20,
    "diffregimes.reproduce.figure_3.DIMENSIONS": {16: (512, 0.01)},
    "diffregimes.transitions.comparison.DRAWS": 1500,
    "diffregimes.transitions.exact_times._CLOSE": 2**18,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run examples/NAME --quick once; its folder of output and what it printed."""
    done = {}

    def once(name):
        if name not in done:
            out = tmp_path_factory.mktemp(Path(name).stem)
            printed = io.StringIO()
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
                without_drawing(patch)
                for place, value in SMALLER.items():
                    patch.setattr(place, value)
                patch.setattr(sys, "argv", [name, "--quick", "--out", str(out)])
                runpy.run_path(str(EXAMPLES / name), run_name="__main__")
            done[name] = out, printed.getvalue()
        return done[name]

    return once


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_runs(run, name):
    out, printed = run(name)
    assert printed
    assert list(out.iterdir())


def test_corrections_hold(run):
    """Within 4 standard errors of our value; the printed one of every correction is far off."""
    out, _ = run("corrections.py")
    with open(out / "corrections.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbered = [row for row in rows if row["what"].startswith("(")]
    found = {row["what"].split()[0] for row in numbered}
    assert found == {"(i)", "(ii)", "(iii)", "(iv)", "(v)", "(vi)"}
    for row in rows:
        assert abs(float(row["z ours"])) < 4, row
    for row in numbered:
        assert abs(float(row["z printed"])) > 5, row

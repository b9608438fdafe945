"""What the terminal says before and after a run, on wide and on narrow terminals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from diffregimes.common.readable import fixed
from diffregimes.report.figures.phase import plot_phase_diagram
from diffregimes.report.terminal.analysis import print_plan, print_summary
from diffregimes.results import CLASS_FLAG, Flag
from diffregimes.theory import PhaseDiagram, TwoGaussians
from sample_analysis import digits, make_analysis, with_theory


def test_the_plan_says_what_would_be_done(capsys):
    dataset = dataclasses.replace(digits(0, 1), notes=("a note",))
    print_plan(dataset, Path("runs/x"), None, 0.005)
    text = capsys.readouterr().out
    assert f"{dataset.n} points, 8 x 8 x 1 (d = 64)" in text
    for name, count in zip(dataset.class_names, dataset.class_counts, strict=True):
        assert f"class {name}: {count}" in text
    assert "values in [0, 1]" in text
    assert "note: a note" in text
    assert "until the standard errors reach 0.005" in text
    assert "runs/x/results.json" in text
    print_plan(dataclasses.replace(dataset, scale=None), Path("runs/x"), 512, 0.005)
    text = capsys.readouterr().out
    assert "would draw 512 noised samples" in text
    assert "values as they came" in text


@pytest.mark.parametrize("columns", [30, 60, 120])
@pytest.mark.parametrize("theory", [False, True])
def test_the_summary_keeps_every_row_of_the_table(columns, theory, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    analysis = with_theory(make_analysis()) if theory else make_analysis()
    print_summary(analysis, Path("runs/x"))
    lines = capsys.readouterr().out.splitlines()
    for x in analysis.times:
        mark = "*" if analysis.recipe.headline.of(x.transition) == x.method else " "
        rows = [line for line in lines if line.startswith(f"{mark} {x.method} ")]
        assert any(f"{x.t:.3f}" in r and f"{x.low:.3f} to {x.high:.3f}" in r for r in rows)
    text = " ".join(lines)
    assert "check failed: i-mmse" in text
    assert "1 exact and 1 near duplicates" in " ".join(text.split())
    assert "report: runs/x/report.html" in text


def test_what_the_data_are_like_is_no_failed_check(capsys):
    flag = Flag(CLASS_FLAG, False, 9.0, 4.5, "few points decide the class")
    print_summary(dataclasses.replace(make_analysis(), reliability=(flag,)), Path("runs/x"))
    said = capsys.readouterr().out
    assert "warning: few points decide the class" in said
    assert "check failed" not in said


def test_numbers_below_zero_have_a_minus():
    assert [fixed(x, 1) for x in (-0.84, 2.26, -0.04)] == ["−0.8", "2.3", "0.0"]


def test_a_time_that_does_not_exist_is_none_with_its_reason(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    print_summary(make_analysis(t_c=None), Path("runs/x"))
    text = capsys.readouterr().out
    row = next(x for x in text.splitlines() if x.startswith("* free-energy"))
    assert row.split()[2:] == ["none"]
    assert "warning: collapse by free-energy: none found" in text


def diagram(collapse: float) -> PhaseDiagram:
    d, log_n = np.geomspace(10, 1000, 8), np.geomspace(2, 60, 9)
    times = collapse * d[:, None] / (d[0] * log_n[None])
    return PhaseDiagram(TwoGaussians(d=10.0), d, log_n, 0.5 * np.log(d), times, np.sqrt(d))


def test_the_phase_diagram_shows_lines_region_and_marks():
    made = diagram(1.0)
    ax = plot_phase_diagram(made, ((100.0, 9.0),))
    labels = set(ax.get_legend_handles_labels()[1])
    assert labels == {"no class before the collapse", "collapse $t_C$", "marked"}
    mark = next(x for x in ax.get_lines() if x.get_label() == "marked")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (100.0, 9.0)
    assert ax.get_xlim() == pytest.approx((10, 1000))
    assert ax.get_ylim() == pytest.approx((2, 60))
    ticks = {x.get_text() for x in ax.get_yticklabels()}
    assert "$10^{10}$" in ticks


def test_a_phase_diagram_without_collapse_says_why():
    ax = plot_phase_diagram(diagram(np.nan))
    assert any("no collapse" in x.get_text() for x in ax.texts)

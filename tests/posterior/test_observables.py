"""An observable is one declaration: what is declared is what a run measures, writes and explains.

The proof is a try: the mean norm of the exact score, added for the length of a test.
"""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

import diffregimes as dr
from clouds import blobs
from diffregimes.data.cloud import prepare
from diffregimes.posterior import observables as module
from diffregimes.posterior.observables import CURVES, OBSERVABLES, PRECISION_CURVES, Observable
from diffregimes.posterior.sweep import sweep
from diffregimes.process import signal, variance
from diffregimes.report.tables import curves_csv

TIMES = np.array([0.05, 0.2, 0.5, 1.0, 2.5])
MMSE = next(x.function for x in OBSERVABLES if x.name == "mmse")
# 1/Delta = 1 + gamma and e^{-2t}/Delta = gamma
SCORE_NORM = Observable(
    "tried_score_norm",
    "score norm",
    "inverse squared data units",
    False,
    "E|score|² = d/Δ − e^{−2t} mmse/Δ²",
    lambda c: (1 + c.gamma) * (c.d - c.gamma * MMSE(c)),
)


@pytest.fixture
def with_score_norm(monkeypatch):
    monkeypatch.setattr(module, "OBSERVABLES", (*OBSERVABLES, SCORE_NORM))


def test_the_declarations_are_sound():
    names = [x.name for x in OBSERVABLES]
    assert len(set(names)) == len(names)
    # what the columns of curves.csv mean hangs on it
    assert not [x for x in names if x == "t" or x.endswith("_se")]
    assert all(x.words and x.formula for x in OBSERVABLES)
    assert all(x.bounded and not x.unit for x in OBSERVABLES if x.precise)
    assert list(CURVES) == names


def test_the_precision_is_about_four_curves():
    assert PRECISION_CURVES == (
        "excess_entropy_over_alpha",
        "same_point_probability",
        "same_class_probability",
        "same_class_probability_loo",
    )


def test_bounded_ones_lie_between_0_and_1():
    values = sweep(prepare(*blobs(60, 6)), TIMES, draws=512).values
    for declared in OBSERVABLES:
        inside = values[declared.name].min() > -1e-6 and values[declared.name].max() < 1 + 1e-6
        assert inside or not declared.bounded, declared.name


def docs() -> tuple[list[str], list[str], str]:
    """The rows of the table in docs/results.md, those declared, and the page as written anew."""
    tables = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "tables.py"))
    text = tables["PAGE"].read_text(encoding="utf-8")
    return (
        text.split(tables["HEAD"])[1].split("\n\n")[0].splitlines(),
        tables["rows"](),
        (tables["written"](text)),
    )


def test_what_the_docs_say_of_an_observable_is_its_declaration():
    rows, declared, page = docs()
    assert len(rows) >= 13
    assert rows == [x for x in declared if x in rows]
    assert all(x in page for x in declared)


@pytest.mark.slow
def test_the_docs_list_every_observable():
    """make docs writes the table anew."""
    rows, declared, _ = docs()
    assert rows == declared


# --- the try ------------------------------------------------------------------------------------


def brute_score_norms(points: np.ndarray, t: float, draws: int) -> np.ndarray:
    """|score|^2 of the noised training points themselves, at independent draws."""
    rng = np.random.default_rng(1)
    e, delta = float(signal(t)), float(variance(t))
    x = e * points[rng.integers(len(points), size=draws)]
    x += np.sqrt(delta) * rng.standard_normal(x.shape)
    square = ((x[:, None] - e * points) ** 2).sum(-1)
    weights = softmax(-square / (2 * delta), axis=1)
    return (((e * weights @ points - x) / delta) ** 2).sum(-1)


@pytest.mark.usefixtures("with_score_norm")
def test_the_score_norm_follows_from_the_mmse():
    """Two columns are constant: the noise, and so the score, fills them too."""
    points, labels = blobs(40, 5)
    points = np.c_[points, np.ones((40, 2), dtype=np.float32)]
    curves = sweep(prepare(points, labels), TIMES, draws=16384).curves()
    z = []
    for k, t in enumerate(TIMES):
        norms = brute_score_norms(points.astype(np.float64), t, 20_000)
        error = np.hypot(norms.std() / np.sqrt(len(norms)), curves.se["tried_score_norm"][k])
        z.append((curves["tried_score_norm"][k] - norms.mean()) / error)
        assert error < 0.02 * norms.mean()
    assert np.abs(z).max() < 4, z


@pytest.mark.usefixtures("with_score_norm")
def test_a_new_observable_arrives_everywhere():
    found = dr.analyze(*blobs(60, 5), times=TIMES, draws=512)
    assert list(found.curves.values) == [*CURVES, "tried_score_norm"]
    written = json.loads(found.to_json())["curves"]
    assert written["tried_score_norm"] == found.curves["tried_score_norm"].tolist()
    assert len(written["tried_score_norm_se"]) == len(TIMES)
    header, *rows = csv.reader(curves_csv(found.curves).splitlines())
    column = [float(row[header.index("tried_score_norm")]) for row in rows]
    assert column == written["tried_score_norm"]
    again = dr.Analysis.from_dict(json.loads(found.to_json()))
    np.testing.assert_array_equal(
        again.curves["tried_score_norm"], found.curves["tried_score_norm"]
    )


def test_a_new_observable_changes_no_other_number(monkeypatch):
    cloud = prepare(*blobs(60, 5))
    before = sweep(cloud, TIMES).values
    monkeypatch.setattr(module, "OBSERVABLES", (*OBSERVABLES, SCORE_NORM))
    after = sweep(cloud, TIMES).values
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])

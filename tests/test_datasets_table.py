"""`diffregimes analyze` on datasets as people have them: right, or a message; never a warning."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax

import datasets_table as table
from command import runner, without_report
from diffregimes.results import Analysis

CLEAR = 1.2  # times apart by this factor: their order must be told
LIKE = 1.1  # `balance` is another definition than that of `right_of`, spectra lean on Gaussians


@pytest.fixture
def analyse(monkeypatch, capfd, tmp_path):
    """Runs the command on arrays, as a file; the warnings that it gave rise to come along."""
    run = runner(monkeypatch, capfd)

    def on(points, labels):
        file = tmp_path / "data.npz"
        np.savez(file, points=points, **({} if labels is None else {"labels": labels}))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            ran = run(file, "--format", "json", "--out", tmp_path / "out")
        assert [str(x.message) for x in seen] == []
        assert "Warning" not in ran.err
        return ran

    return on


def slow_but(names):
    return [x if x in table.FAST else pytest.param(x, marks=pytest.mark.slow) for x in names]


def overlap(one, two, factor=1.0):
    return one[0] <= factor * two[1] and two[0] <= factor * one[1]


@pytest.mark.parametrize("name", slow_but(table.ANALYSED))
def test_what_is_said_is_right(name, analyse, monkeypatch):
    points, labels = table.ANALYSED[name]()
    if name in table.FAST:
        without_report(monkeypatch)
    found = Analysis.from_dict(analyse(points, labels).results)
    judged, kinds = table.JUDGED.get(name, lambda: (points, labels))()
    right = table.right_of(table.in_units(judged), kinds)
    if right.speciation is None and right.collapse is None:
        pytest.fail("the judge knows nothing of these data")
    deciding, copying = found.time("speciation"), found.time("collapse")
    if right.collapse is not None:
        assert copying.t is not None
        assert overlap((copying.t, copying.t), right.collapse, 1.02)
    if deciding.t is not None:
        assert right.speciation is not None
        assert overlap((deciding.low, deciding.high), right.speciation, LIKE)
    assert_order(found.verdict.generalizes, right, deciding.t is not None)


def assert_order(generalizes, right, decided):
    """The verdict contradicts nothing, and is none only where nothing is clear."""
    if right.speciation is None or right.collapse is None:
        assert generalizes is not True
        return
    (s_low, s_high), (c_low, c_high) = right.speciation, right.collapse
    if s_low > CLEAR * c_high:
        assert generalizes is True
    elif CLEAR * s_high < c_low:
        assert generalizes is False or not decided
    elif s_low > c_high or s_high < c_low:  # else the judge does not know either
        assert generalizes is None or generalizes == (s_low > c_high)


@pytest.mark.parametrize("name", slow_but(table.REFUSED))
def test_what_cannot_be_analysed_is_refused(name, analyse):
    make, words = table.REFUSED[name]
    ran = analyse(*make())
    assert ran.code == 2
    assert words in " ".join(ran.err.split())


def test_the_judge_has_noise_of_its_own():
    """The data are from the seed of the judge, whose noise must not be their first numbers."""
    points, labels = table.pairs(150)
    low, high = table.right_of(points, labels).collapse
    n = len(points)
    rng = np.random.default_rng(1)
    # where phi_C is 0.35 and 0.65 it is that by the plain weights of x_t as well
    for t, level in ((low, table.COPIED[1]), (high, table.COPIED[0])):
        mu = np.arange(2000) % n
        noise = rng.standard_normal((len(mu), points.shape[1]))
        x = np.exp(-t) * points[mu] + np.sqrt(-np.expm1(-2 * t)) * noise
        weights = softmax(cdist(x, np.exp(-t) * points, "sqeuclidean") / (2 * np.expm1(-2 * t)), 1)
        own = weights[np.arange(len(mu)), mu]
        error = own.std() * np.sqrt(1 / len(mu) + 1 / table.DRAWS)
        assert abs(own.mean() - level) < 4 * error


def test_the_table_is_as_long_as_it_should_be():
    assert len(table.ANALYSED) + len(table.REFUSED) >= 40
    assert set(table.ANALYSED) | set(table.REFUSED) >= table.FAST

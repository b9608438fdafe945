"""Points that are listed more than once: the analysis is of the different ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import diffregimes as dr
from clouds import SCHEDULE, blobs
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.data.alike import different_points
from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import from_arrays
from diffregimes.report.page.analysis import full_page
from diffregimes.results import Analysis
from diffregimes.transitions import listed
from diffregimes.transitions.listed import _free_energies, listed_collapse

TIMES = np.geomspace(0.1, 4, 8)
FINE = np.geomspace(0.003, 4, 40)
POINTS, LABELS = blobs(90, 10)


def analyzed(points, labels=LABELS, **options):
    data = from_arrays(points, labels)
    return dr.analyze(data, times=TIMES, draws=256, **options), data


@pytest.fixture(scope="module")
def alone():
    return analyzed(POINTS)[0]


def again(rows, jitter=0.0, seed=0):
    """The points, and those of some rows once more at the end."""
    noise = jitter * np.random.default_rng(seed).standard_normal((len(rows), 10))
    return np.concatenate([POINTS, POINTS[rows] + noise]), np.append(LABELS, LABELS[rows])


LISTED = {
    "every one twice": (np.arange(90), 0.0, (90, 0)),
    "every one three times": (np.tile(np.arange(90), 2), 0.0, (180, 0)),
    "near copies of all": (np.arange(90), 1e-3, (0, 90)),
    "one in ninety": ([7], 0.0, (1, 0)),
    "one a hundred times": (np.full(100, 7), 0.0, (100, 0)),
    "each five times, a little changed": (np.tile(np.arange(90), 4), 1e-2, (0, 360)),
}


@pytest.mark.parametrize("name", LISTED)
def test_the_times_are_those_of_the_different_points(name, alone):
    rows, jitter, (exact, near) = LISTED[name]
    found, data = analyzed(*again(np.asarray(rows), jitter))
    assert found.times == alone.times  # intervals as well
    assert found.dataset == alone.dataset
    assert found.recipe.headline == alone.recipe.headline
    listed = found.listed
    assert (listed.n, listed.exact, listed.near, listed.conflicts) == (data.n, exact, near, 0)
    assert listed.left_out == tuple(range(90, data.n))
    assert listed.fingerprint == data.fingerprint
    assert f"{exact + near} of the {data.n} points are duplicates" in found.verdict.sentences[0]
    assert found.verdict.sentences[-len(alone.verdict.sentences) :] == alone.verdict.sentences
    assert Analysis.from_dict(found.to_dict()).to_json() == found.to_json()
    # as often as it is listed: the same where all are listed alike
    t, other = listed.collapse, alone.time("collapse", "free-energy")
    error = np.hypot(t.high - t.low, other.high - other.low) / 4
    if name == "one a hundred times":
        assert t.t is None or t.t > other.t + 4 * error
    elif name != "one in ninety":
        assert abs(t.t - other.t) < 4 * error
    if name != "near copies of all":
        return
    page = full_page(found, data)
    assert f"different points of {data.n}" in page
    with pytest.raises(InputError, match="pass the dataset analysed"):
        full_page(found, from_arrays(POINTS + 1, LABELS))


def test_without_labels_the_sides_are_those_of_the_different_points():
    alone = analyzed(POINTS, None)[0]
    found, data = analyzed(again(np.full(300, 7))[0], None)
    assert found.times == alone.times
    assert different_points(found, data).fingerprint == found.dataset.fingerprint


def test_near_copies_of_another_class_are_points_of_their_own():
    found, _ = analyzed(again(np.arange(90), 1e-3)[0], np.append(LABELS, 1 - LABELS))
    assert found.listed is None
    assert found.dataset.n == 180


@pytest.mark.parametrize(("torn", "open_"), [(3, False), (9, False), (10, True)])
def test_points_of_several_classes_are_told(torn, open_, alone):
    points, labels = again(np.arange(torn))
    labels[90:] = 1 - labels[90:]
    found, _ = analyzed(points, labels)
    assert found.times == alone.times
    assert found.listed.conflicts == torn
    assert f"{torn} points are listed under several classes" in " ".join(found.verdict.sentences)
    assert found.verdict.headline.startswith("Open, since") == open_
    assert found.verdict.generalizes == (None if open_ else alone.verdict.generalizes)


def test_the_free_energy_of_weighted_points_by_definition():
    cloud = prepare(POINTS, LABELS)
    weights = np.random.default_rng(1).integers(1, 9, 90).astype(float)
    rows, gammas = np.array([3, 50, 3]), np.array([0.1, 2.0])
    found = _free_energies(cloud, rows, np.log(weights), gammas, 4)
    a = cloud.coordinates.double().numpy() * cloud.scale
    noise = torch.randn((3, a.shape[1]), generator=torch_generator(4, "noise", 0)).double().numpy()
    for k, mu in enumerate(rows):
        others = np.delete(np.arange(90), mu)
        for j, gamma in enumerate(gammas):
            for sign, z in enumerate((noise[k], -noise[k])):
                gap = a[others] - a[mu]
                energy = -gamma / 2 * (gap**2).sum(axis=1) + np.sqrt(gamma) * gap @ z
                exact = logsumexp(energy, b=weights[others]) - np.log(weights[mu])
                assert found[sign, k, j] == pytest.approx(exact, rel=1e-4, abs=1e-4)


def test_points_are_drawn_as_often_as_they_are_listed():
    """Of two far clusters of a law, one listed a thousand times: its points decide when."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.standard_normal((60, 6)), 9 + 0.2 * rng.standard_normal((60, 6))])
    cloud = prepare(points.astype(np.float32), np.zeros(120, dtype=np.int64))
    wide, tight = (
        listed_collapse(cloud, counts, FINE, SCHEDULE).t
        for counts in (np.repeat([1000, 1], 60), np.repeat([1, 1000], 60))
    )
    alone = [listed_collapse(prepare(x.astype(np.float32), np.zeros(60, dtype=np.int64)),
                             np.ones(60, dtype=np.int64), FINE, SCHEDULE).t
             for x in np.split(points, 2)]  # fmt: skip
    assert wide == pytest.approx(alone[0], rel=0.1)
    assert tight == pytest.approx(alone[1], rel=0.3)
    assert wide > 2 * tight


@pytest.mark.parametrize("counts", [np.full(90, 2), np.arange(90) % 5 + 1, np.eye(90)[7] * 40 + 1])
def test_only_times_near_the_collapse_are_asked_of_all_draws(counts, monkeypatch):
    cloud = prepare(POINTS, LABELS)
    asked = []

    def spied(*args):
        asked.append((len(args[1]), len(args[3])))
        return _free_energies(*args)

    monkeypatch.setattr(listed, "_free_energies", spied)
    few = listed_collapse(cloud, counts.astype(int), FINE, SCHEDULE)
    assert [n for n, _ in asked] == [64, 512]
    assert asked[1][1] < len(FINE) / 2
    monkeypatch.setattr(listed, "_near_zero", lambda values: slice(None))
    every = listed_collapse(cloud, counts.astype(int), FINE, SCHEDULE)
    assert (few.t, few.low, few.high) == pytest.approx((every.t, every.low, every.high), rel=1e-12)

"""A criterion is one declaration: what is declared is what a run finds, in its order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import diffregimes as dr
import mixture_reference as mixture
from clouds import SCHEDULE, blobs, prepared
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.sweep import sweep
from diffregimes.results import Headline
from diffregimes.transitions import criteria
from diffregimes.transitions.balance import reaching
from diffregimes.transitions.criteria import (
    CRITERIA,
    LOO,
    METHODS,
    OWN,
    Criterion,
    Evidence,
    headline,
)
from diffregimes.transitions.crossing import clocked, curve_time, resample
from diffregimes.transitions.outliers import Bulk

TIMES = np.geomspace(0.02, 4, 12)
# without colours and groups
GREY = [x for x in METHODS if "first-channel" not in x[1] and "group" not in x[1]]
HALF = Criterion(
    "collapse",
    "half-entropy",
    "half of the entropy is gone",
    lambda e: curve_time(
        e.curves, e.schedule, "collapse", "half-entropy", "excess_entropy_over_alpha", 0.5
    ),
)


@pytest.fixture
def evidence():
    dataset, cloud, matrix, spectrum = prepared(*blobs(80, 6))
    rng = np.random.default_rng(0)
    sample = sweep(cloud, TIMES, draws=512)
    curves = resample(sample, rng)
    counts = dataset.class_counts
    whole = Bulk(cloud, matrix, spectrum, np.empty(0, dtype=np.int64))
    return Evidence(
        sample, curves, spectrum, matrix, cloud, whole, SCHEDULE, counts, rng, 0, 1024, 2,
        lambda *_: None,
    )  # fmt: skip


def test_the_names_of_the_criteria():
    """They stand in every results.json, and in this order."""
    assert [x.name for x in CRITERIA if x.transition == "speciation"] == [
        "spectral",
        "spectral-first-channel",
        "spectral-exact",
        "landau",
        "clone",
        "clone-loo",
        "balance",
        "group-clone-loo",
    ]
    collapse = "bounded-free-energy", "free-energy", "entropy", "clone", "gaussian-bound"
    found = tuple(x.name for x in CRITERIA if x.transition == "collapse")
    assert found == (*collapse, "group-free-energy")
    assert len(METHODS) == len(CRITERIA) == 14
    assert all(METHODS.values())


def test_every_criterion_signs_with_its_name(evidence):
    seen = []
    times = criteria.transition_times(evidence, lambda *x: seen.append(x))
    assert [(x.transition, x.method) for x in times] == GREY
    assert [x[:2] for x in seen] == [(k, 14) for k in range(15)]


def test_the_two_spectral_times_share_the_resamples(evidence):
    one, two = (CRITERIA[k].function(evidence) for k in (0, 2))
    # Lambda = e^{2t} by one and e^{2t} - 1 by the other, at every end of the intervals
    for end in ("t", "low", "high"):
        first, second = np.exp(2 * getattr(one, end)), np.exp(2 * getattr(two, end)) - 1
        assert first == pytest.approx(second, rel=1e-5)  # percentiles lie between two


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_first_channel_is_the_papers(scale):
    """Of colour images: (1/2) log of the top eigenvalue of one channel, with its interval; none of
    grey images, whose only channel is all of them."""
    rng = np.random.default_rng(0)
    images = scale * rng.normal(0, 0.5, (300, 4, 4, 3)) + 0.5
    images[..., 0] += scale * (np.arange(300) % 2)[:, None, None]  # the classes differ in red
    found = dr.analyze(images, np.arange(300) % 2, times=TIMES, draws=512)
    time = found.time("speciation", "spectral-first-channel")
    largest = np.linalg.eigvalsh(np.cov(images[..., 0].reshape(300, 16).T))[-1]
    assert found.spectrum.largest_first_channel == pytest.approx(largest, rel=1e-4)
    if scale < 1:
        assert time.t is None
        assert "of the first channel is" in time.warnings[0]
        return
    assert time.t == pytest.approx(0.5 * np.log(largest), abs=1e-4)
    resampled = []
    for _ in range(400):
        some = images[rng.integers(0, 300, 300), ..., 0].reshape(300, 16)
        resampled.append(0.5 * np.log(np.linalg.eigvalsh(np.cov(some.T))[-1]))
    assert time.high - time.low == pytest.approx(3.92 * np.std(resampled), rel=0.2)
    again = dr.Analysis.from_dict(found.to_dict())
    assert again.spectrum.largest_first_channel_se == found.spectrum.largest_first_channel_se
    grey = dr.analyze(images[..., 0], np.arange(300) % 2, times=TIMES, draws=512)
    assert [(x.transition, x.method) for x in grey.times] == GREY
    assert grey.spectrum.largest == pytest.approx(largest, rel=1e-4)


def test_the_interval_of_clone_loo_covers_the_population(evidence):
    times = {x.method: x for x in criteria.transition_times(evidence, lambda *_: None)[:5]}
    seen = times["clone-loo"]
    alone = curve_time(
        evidence.seen, SCHEDULE, "speciation", "clone-loo", "same_class_probability_loo",
        evidence.level,
    )  # fmt: skip
    assert seen.t == alone.t
    assert seen.high - seen.low > 1.1 * (alone.high - alone.low)


def test_a_new_criterion_arrives_and_changes_no_other_number(monkeypatch):
    before = dr.analyze(*blobs(80, 6), times=TIMES, draws=512)
    monkeypatch.setattr(criteria, "CRITERIA", (*CRITERIA, HALF))
    after = dr.analyze(*blobs(80, 6), times=TIMES, draws=512)
    assert after.times[:-1] == before.times
    assert after.time("collapse", "half-entropy").t is not None
    written = json.loads(after.to_json())["times"]
    assert written[-1]["method"] == "half-entropy"


@dataclass(frozen=True)
class Found:
    """What `headline` asks of the evidence."""

    counts: tuple[int, ...]
    calm: bool = False
    groups: np.ndarray | None = None

    @property
    def cloud(self):
        return SimpleNamespace(bounds=np.concatenate([[0], np.cumsum(self.counts)]))


def test_the_headline_hangs_on_the_labels_and_on_the_classes():
    assert headline(True, Found((40, 40))) == Headline("balance", "bounded-free-energy")
    assert headline(True, Found((40, 40), calm=True)).speciation == "clone-loo"
    # too many pairs, or a class too small for them
    assert headline(True, Found((9,) * 33)).speciation == "clone-loo"
    assert headline(True, Found((40, 3))).speciation == "clone-loo"
    for calm in (True, False):
        chosen = headline(False, Found((40, 40), calm))
        assert chosen == Headline("spectral", "bounded-free-energy")
        assert {("speciation", chosen.speciation), ("collapse", chosen.collapse)} <= set(METHODS)
        of_groups = Found((40, 40), calm, np.arange(80) // 2)
        assert headline(True, of_groups) == Headline("group-clone-loo", "group-free-energy")
        assert headline(False, of_groups) == Headline("spectral", "group-free-energy")


@pytest.mark.parametrize(("mean", "chosen"), [(1.0, "clone-loo"), (0.25, "balance")])
def test_the_weights_are_trusted_while_they_are_as_sure_as_right(mean, chosen):
    """Far above the collapse they are those of the law; behind it few points decide the class."""
    points, labels = GaussianMixture(np.outer([mean, -mean], np.ones(64)), 1.0).sample(400, 0)
    result = dr.analyze(points, labels, draws=512)
    time = result.time("speciation")
    assert time.method == result.recipe.headline.speciation == chosen
    exact = mixture.speciation_time(64, mean, 1.0)
    assert time.low < exact < time.high
    # the curves as they are there
    confidence, own = (np.interp(time.t, result.curves.t, result.curves[x]) for x in (LOO, OWN))
    assert (confidence - own < 0.03) == (chosen == "clone-loo")


def time(t, low, high):
    return clocked(SCHEDULE, "speciation", "balance", t, (low, high))


@pytest.mark.parametrize(
    ("t", "low", "high", "calm", "expected"),
    [
        (1.2, 1.1, 1.3, True, (1.1, 1.3)),  # they overlap
        (1.2, 1.16, 1.3, True, (0.95, 1.3)),  # disjoint
        (0.8, 0.7, 0.9, True, (0.7, 1.15)),
        (1.2, 1.1, 1.3, False, (0.95, 1.3)),  # t itself has to lie within
        (1.1, 1.0, 1.3, False, (1.0, 1.3)),
        (0.9, 0.85, 1.0, False, (0.85, 1.15)),
    ],
)
def test_a_balance_apart_from_the_weights_spans_both(t, low, high, calm, expected):
    found = reaching(time(t, low, high), time(1.0, 0.95, 1.15), calm)
    assert (found.low, found.high) == expected
    assert found.t == t
    apart = expected != (low, high)
    assert [x.startswith("the weights themselves put it between") for x in found.warnings] == (
        [True] if apart else []
    )


def test_no_interval_no_span():
    none = clocked(SCHEDULE, "speciation", "clone-loo", None)
    assert reaching(time(1.0, 0.9, 1.1), none, False) == time(1.0, 0.9, 1.1)
    assert reaching(none, time(1.0, 0.9, 1.1), True) is none


def test_classes_in_far_clusters_have_no_gaussian_log_odds():
    """Each class in two clusters, one of them far from the other class: the mean log-odds are those
    of the far one, while phi is that of both."""
    rng = np.random.default_rng(0)
    labels, far = rng.integers(0, 2, 1500), rng.random(1500) < 0.5
    points = rng.standard_normal((1500, 3)) * 0.3
    points[:, 0] += np.where(far, np.where(labels == 1, 12.0, -12.0), 0)
    points[:, 1] += np.where(labels == 1, 0.6, -0.6)
    result = dr.analyze(points, labels, draws=1024)
    balance, loo = (result.time("speciation", x) for x in ("balance", "clone-loo"))
    assert result.time("speciation") == loo
    assert balance.t > loo.high
    assert balance.low == loo.low
    assert "not Gaussian" in balance.warnings[-1]


def test_labels_that_mean_nothing_have_no_speciation():
    """One law, two names: no other criterion may speak in the place of the log-odds."""
    points = np.random.default_rng(0).standard_normal((200, 20))
    result = dr.analyze(points, np.arange(200) % 2, draws=512)
    assert result.time("speciation").t is None
    assert result.verdict.generalizes is None
    assert result.verdict.headline.startswith("No speciation time by balance")

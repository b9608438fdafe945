"""A criterion is one declaration: what is declared is what a run finds, in its order."""

from __future__ import annotations

import json

import numpy as np
import pytest

import diffregimes as dr
from clouds import SCHEDULE, blobs, prepared
from diffregimes.posterior.sweep import sweep
from diffregimes.results import TransitionTime
from diffregimes.transitions import criteria
from diffregimes.transitions.criteria import CRITERIA, METHODS, Criterion, Evidence, headline
from diffregimes.transitions.crossing import curve_time, resample

TIMES = np.geomspace(0.02, 4, 12)
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
    curves = resample(sweep(cloud, TIMES, draws=512), rng)
    counts = dataset.class_counts
    return Evidence(
        curves, spectrum, matrix, cloud, SCHEDULE, counts, rng, 0, 1024, 2, lambda *_: None
    )


def test_the_names_of_the_criteria():
    """They stand in every results.json, and in this order."""
    assert [x.name for x in CRITERIA if x.transition == "speciation"] == [
        "spectral",
        "spectral-exact",
        "landau",
        "clone",
        "clone-loo",
        "balance",
    ]
    collapse = "free-energy", "entropy", "clone", "gaussian-bound"
    assert tuple(x.name for x in CRITERIA if x.transition == "collapse") == collapse
    assert len(METHODS) == len(CRITERIA) == 10
    assert all(METHODS.values())


def test_every_criterion_signs_with_its_name(evidence):
    seen = []
    times = criteria.transition_times(evidence, lambda *x: seen.append(x))
    assert [(x.transition, x.method) for x in times] == list(METHODS)
    assert [x[:2] for x in seen] == [(k, 10) for k in range(11)]


def test_the_two_spectral_times_share_the_resamples(evidence):
    one, two = (CRITERIA[k].function(evidence) for k in (0, 1))
    # Lambda = e^{2t} by one and e^{2t} - 1 by the other, at every end of the intervals
    for end in ("t", "low", "high"):
        first, second = np.exp(2 * getattr(one, end)), np.exp(2 * getattr(two, end)) - 1
        assert first == pytest.approx(second, rel=1e-5)  # percentiles lie between two


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


def test_the_headline_hangs_on_the_labels_and_on_what_is_known():
    def at(method, t):
        return TransitionTime("speciation", method, t)

    known = [at("spectral", 1.0), at("clone-loo", 1.1), at("balance", 1.2)]
    assert headline(True, known) == criteria.Headline("balance", "free-energy")
    assert headline(False, known) == criteria.Headline("spectral", "free-energy")
    # many classes: no log-odds of their pairs
    assert headline(True, [*known[:2], at("balance", None)]).speciation == "clone-loo"
    assert headline(True, [at("clone-loo", None), at("balance", None)]).speciation == "balance"
    for labelled in (True, False):
        chosen = headline(labelled, known)
        assert {("speciation", chosen.speciation), ("collapse", chosen.collapse)} <= set(METHODS)

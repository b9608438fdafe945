"""The rank correlation of own collapse times and copies, beside scipy's and over many draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from diffregimes.analysis import analyze
from diffregimes.auditing import audit_samples
from diffregimes.auditing.own_times import _spearman
from diffregimes.data.datasets import from_arrays

RNG = np.random.default_rng(0)
N, D = 90, 12
# points in the crowd, and lonely ones: these collapse early
SPREAD = np.linspace(0.6, 2.5, N)[:, None]
DATA = from_arrays(SPREAD * RNG.standard_normal((N, D)), np.arange(N) % 2)


def copied(weights, count=300, rng=RNG):
    index = rng.choice(N, count, p=weights / weights.sum())
    noise = 0.01 * rng.standard_normal((count, D))
    return from_arrays((DATA.points[index] + noise).astype(np.float32), np.arange(count) % 2), index


def test_times_are_those_of_the_points_at_risk():
    found = audit_samples(copied(np.ones(N))[0], DATA).own_times
    own = dict(zip(found.index.tolist(), found.t, strict=True))
    assert len(own) == N
    exposed = analyze(DATA, draws=512).points
    assert len(exposed) > 5
    for x in exposed:
        assert abs(own[x.index] - x.t) < 4 * np.hypot(x.se, x.se)


@pytest.mark.parametrize(("power", "sign"), [(6.0, 1), (-6.0, -1)])
def test_what_comes_out_most_is_told(power, sign):
    samples, index = copied(SPREAD[:, 0] ** power)
    found = audit_samples(samples, DATA).own_times
    np.testing.assert_array_equal(found.copies, np.bincount(index, minlength=N))
    assert found.spearman == pytest.approx(spearmanr(found.t, found.copies).statistic, abs=1e-12)
    assert min(sign * found.low, sign * found.high) > 0.2
    assert ("early" if sign > 0 else "late") in found.message


@pytest.mark.parametrize("made", [copied(np.ones(N), 19)[0], copied(np.eye(N)[0], 60)[0]])
def test_too_few_copies_tell_nothing(made):
    found = audit_samples(made, DATA).own_times
    assert found.spearman is found.low is found.high is None
    assert "too few" in found.message


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_the_interval_holds_the_truth_as_often_as_it_says(slope):
    """Of counts with a known law, most of them 0; the truth is that of many points."""
    rng, inside, n, trials = np.random.default_rng(1), 0, 120, 60

    def drawn(size):
        t = rng.standard_normal(size)
        return t, rng.poisson(0.5 * np.exp(slope * t))

    truth = spearmanr(*drawn(200_000)).statistic
    for k in range(trials):
        _, low, high = _spearman(*drawn(n), k)
        inside += low <= truth <= high
    z = (inside / trials - 0.95) / np.sqrt(0.95 * 0.05 / trials)
    assert -3.5 < z < 3.0

"""What the chance of the class counts adds to the errors, beside sums done by hand."""

import numpy as np
import pytest

from clouds import SCHEDULE, prepared
from diffregimes.data.cloud import prepare
from diffregimes.posterior.groups import T95
from diffregimes.posterior.sample import Sample
from diffregimes.posterior.sweep import sweep
from diffregimes.process import time_from_snr
from diffregimes.transitions.collapse import free_energy_time
from diffregimes.transitions.criteria import Evidence
from diffregimes.transitions.crossing import resample
from diffregimes.transitions.outliers import Bulk
from diffregimes.transitions.shares import of_class_shares

TIMES = time_from_snr(np.array([4.0, 1.0, 0.25]))


def made(counts, means, noise=0.0, rounds=4, seed=0):
    """Units of one curve that has the `means` (K, T) in the classes, every point `rounds` times."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    rng.shuffle(labels)
    cloud = prepare(rng.standard_normal((len(labels), 3)).astype(np.float32), labels)
    points = np.tile(np.arange(len(labels)), rounds)
    values = np.asarray(means)[labels[points]]
    values = values + noise * rng.standard_normal(values.shape)
    return Sample(TIMES, points, {"curve": values}), cloud


def test_two_classes_by_hand():
    """p (1 - p) (m_1 - m_2)^2/n, and between the times the curve is straight in log gamma."""
    sample, cloud = made((30, 70), [[1.0, 2.0, 0.0], [0.0, -1.0, 0.0]])
    found = of_class_shares(sample, cloud, "curve", np.log([0.25, 0.5, 1.0, 2.0, 4.0, 9.0]))
    gaps = np.array([0.0, 1.5, 3.0, 2.0, 1.0, 1.0])
    np.testing.assert_allclose(found, 0.21 / 100 * np.outer(gaps, gaps), atol=1e-12)


def test_counts_that_were_chosen_have_no_chance():
    sample, cloud = made((50, 50), [[1.0] * 3, [0.0] * 3])
    assert not of_class_shares(sample, cloud, "curve", np.log([1.0])).any()


@pytest.mark.parametrize("counts", [(40, 60), tuple(range(1, 20))])
def test_noise_within_the_classes_is_no_difference_between_them(counts):
    """On average nothing is left of it but what the cut at 0 keeps; of true differences, all."""
    n, classes = sum(counts), len(counts)

    def over_sets(means):
        drawn = (made(counts, means, 1.0, 1, seed) for seed in range(200))
        return [of_class_shares(*x, "curve", np.zeros(1))[0, 0] for x in drawn]

    # a sum of K - 1 squares less its mean, cut at 0; without what is taken off it is K/n^2
    assert np.mean(over_sets(np.zeros((classes, 3)))) < 0.6 * np.sqrt(2 * (classes - 1)) / n**2
    means = np.linspace(0, 3, classes)[:, None] * np.ones(3)
    p = np.array(counts) / n
    exact = (p @ means[:, 0] ** 2 - (p @ means[:, 0]) ** 2) / n
    seen = over_sets(means)
    assert abs(np.mean(seen) - exact) < 4 * np.std(seen) / np.sqrt(200)


@pytest.mark.slow
def test_intervals_of_the_collapse_hold_where_classes_differ_in_spread():
    """Sets of one law with class counts as they come: t_C varies as its errors say."""
    d, n, sets = 96, 120, 32
    times = np.geomspace(1.2, 2.2, 5)
    found, errors = [], []
    for k in range(sets):
        rng = np.random.default_rng(k)
        labels = (rng.random(n) < 0.4).astype(int)
        points = rng.standard_normal((n, d)) * np.where(labels, 1.0, 3.0)[:, None]
        data, cloud, matrix, spectrum = prepared(points.astype(np.float32), labels)
        sample = sweep(cloud, times, draws=512, seed=k)
        whole = Bulk(cloud, matrix, spectrum, np.empty(0, dtype=np.int64))
        evidence = Evidence(
            sample, resample(sample, rng), spectrum, matrix, cloud, whole, SCHEDULE,
            data.class_counts, rng, k, 1024, 2, lambda *_: None,
        )  # fmt: skip
        time = free_energy_time(evidence.curves, SCHEDULE)
        found.append(time.t)
        errors.append((time.high - time.low) / (2 * T95))
    ratio = np.var(found, ddof=1) / np.mean(np.square(errors))
    assert 0.4 < ratio < 2.0  # chi^2 of 31 leaves it within 0.47 to 1.77 in 99 %

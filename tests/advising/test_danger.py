"""W, C and the zone where both are large, beside direct sampling and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import chi2, ncx2

import diffregimes as dr
from diffregimes.advising import danger
from diffregimes.advising.danger import Shells, shells
from diffregimes.common.checks import InputError
from diffregimes.data.alike import check_alike
from diffregimes.process import linear_schedule, time_from_snr

CLOCK = linear_schedule()
D = 300


def mixture(n, seed, d=D, shift=0.0):
    rng = np.random.default_rng(seed)
    sign = np.where(np.arange(n) % 2, 0.3, -0.3)[:, None]
    return rng.standard_normal((n, d)) + sign + shift


def grid(first=1.0, last=0.003, count=48):
    return time_from_snr(np.geomspace(first, last, count))


def test_both_beside_direct_sampling():
    """States made one by one, distances by scipy, at four times, with noise of its own."""
    training, held_out = mixture(150, 0), mixture(120, 1)
    times = time_from_snr(np.array([0.3, 0.1, 0.06, 0.03]))
    found = shells(training, held_out, times, seed=3)
    rng = np.random.default_rng(9)
    limit = chi2.ppf(0.95, D)
    for k, t in enumerate(times):
        scale, noise = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
        for points, mean, se in (
            (training, found.weight[k], found.weight_se[k]),
            (held_out, found.within[k], found.within_se[k]),
        ):
            seen = []
            for _ in range(4):
                x = scale * points + noise * rng.standard_normal(points.shape)
                square = cdist(x, scale * training, "sqeuclidean") / noise**2
                if points is training:
                    seen.append(softmax(-square / 2, axis=1).max(axis=1))
                else:
                    seen.append((square.min(axis=1) <= limit).astype(float))
            seen = np.mean(seen, axis=0)
            error = math.hypot(se, seen.std() / math.sqrt(len(seen)))
            assert abs(seen.mean() - mean) < 3 * max(error, 1e-3), (t, seen.mean(), mean)


def test_one_point_far_from_the_others_in_closed_form():
    """The shell of a point at the distance delta holds a noncentral chi^2's share of the states;
    the weight is that of two points that are 2 apart."""
    training = np.zeros((2, 50))
    training[1, 0] = 1e4
    held_out = np.zeros((400, 50))
    held_out[:, 1] = 3.0
    gamma = np.array([4.0, 2.0, 1.0, 0.2])
    found = shells(training, held_out, time_from_snr(gamma))
    exact = ncx2.cdf(chi2.ppf(0.95, 50), 50, 9 * gamma)
    assert np.abs((found.within - exact) / found.within_se).max() < 3
    assert np.ptp(exact) > 0.5
    assert np.allclose(found.weight, 1)


def test_weights_of_two_points_in_closed_form():
    """E max w of a logistic normal log-odds."""
    rng = np.random.default_rng(0)
    pair = np.zeros((2, 3))
    pair[1, 0] = 2.0
    # many such pairs, far from each other
    training = np.concatenate([pair + np.array([0, 1e3 * k, 0]) for k in range(200)])
    gamma = np.array([3.0, 1.0, 0.3, 0.1])
    found = shells(training, rng.standard_normal((5, 3)), time_from_snr(gamma))
    z, weight = np.polynomial.hermite_e.hermegauss(101)
    for k, g in enumerate(4 * gamma):
        own = 1 / (1 + np.exp(-g / 2 - math.sqrt(g) * z))
        exact = weight @ np.maximum(own, 1 - own) / weight.sum()
        assert abs(found.weight[k] - exact) < 3 * found.weight_se[k]


def test_a_zone_in_many_dimensions_and_none_far_away():
    training = mixture(150, 0)
    near = danger.told(shells(training, mixture(150, 1), grid()), CLOCK)
    assert near.answered
    assert near.answer.startswith("Rather undertrain")
    bottom, top = (near.setting(x).at.t for x in ("C = 0.5", "W = 0.8"))
    middle = np.array([math.sqrt(bottom * top)])
    inside = shells(training, mixture(150, 2), middle, seed=4)
    assert inside.weight[0] > 0.8 - 3 * inside.weight_se[0]
    assert inside.within[0] > 0.5 - 3 * inside.within_se[0]
    assert bottom < top
    far = danger.told(shells(training, mixture(150, 1, shift=3.0), grid()), CLOCK)
    assert far.answered
    assert far.answer.startswith("There is no such level")


def flat(weight, within, error=0.01):
    t = grid()
    ones = np.ones(len(t))
    return Shells(t, weight * ones, error * ones, within * ones, error * ones)


def test_what_cannot_be_told_is_not():
    t = grid()
    fall = 1 / (1 + (t / 2.0) ** 3)  # W is 0.8 at t = 1.26
    rise = 1 - 1 / (1 + (t / 1.27) ** 3)  # and C there nearly 1/2
    error = np.full(len(t), 0.02)
    item = danger.told(Shells(t, fall, error, rise, error), CLOCK)
    assert not item.answered
    assert "cannot be told" in item.answer
    small = np.full(len(t), 1e-4)
    sure = danger.told(Shells(t, fall, small, 1 - 1 / (1 + (t / 1.0) ** 3), small), CLOCK)
    assert sure.answer.startswith("Rather undertrain")
    assert sure.setting("W = 0.8").at.t == pytest.approx(2 * 0.25 ** (1 / 3), rel=1e-3)
    assert sure.setting("C = 0.5").at.t == pytest.approx(1.0, rel=1e-3)
    assert sure.numbers["both, of what is asked"] >= 1


def test_nothing_weighs_and_everything_is_covered():
    assert "0.40 at most" in danger.told(flat(0.4, 0.9), CLOCK).answer
    t = grid()
    fall = 1 / (1 + (t / 2.0) ** 3)
    error = np.full(len(t), 1e-3)
    item = danger.told(Shells(t, fall, error, np.full(len(t), 0.97), error), CLOCK)
    assert "near copies" in item.answer


def test_training_points_among_the_held_out_are_left_out():
    training = mixture(60, 0)
    both = np.concatenate([training[:20], mixture(40, 1)])
    found = shells(training, both, grid(count=4))
    assert found.shared == 20
    alone = shells(training, mixture(40, 1), grid(count=4), seed=7)
    error = np.hypot(found.within_se, alone.within_se) + 1e-3
    assert (np.abs(found.within - alone.within) < 4 * error).all()
    with pytest.raises(InputError, match="no training points"):
        shells(training, training[:10], grid(count=4))


def test_rows_at_a_time_change_nothing():
    training, held_out = mixture(80, 0, d=20), mixture(50, 1, d=20)
    one = shells(training, held_out, grid(count=5))
    few = shells(training, held_out, grid(count=5), memory_mib=1)
    np.testing.assert_allclose(one.weight, few.weight, rtol=1e-12)
    np.testing.assert_array_equal(one.within, few.within)


@pytest.fixture(scope="module")
def data():
    points = mixture(80, 0, d=20).astype(np.float32)
    return dr.from_arrays(points, np.arange(80) % 2)


@pytest.fixture(scope="module")
def analysis(data):
    return dr.analyze(data, draws=256)


def test_from_an_analysis(analysis, data):
    other = dr.from_arrays(mixture(50, 1, d=20).astype(np.float32), np.arange(50) % 2)
    item = analysis.advise(dataset=data, held_out=other)["danger zone"]
    assert item.lists["t"][0] == pytest.approx(analysis.curves.t[0])
    again = shells(data.points, other.points, np.array(item.lists["t"]))
    np.testing.assert_allclose(item.lists["within"], again.within)
    assert "--held-out" in analysis.advise()["danger zone"].answer


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (lambda d, o: {"held_out": o}, "give both"),
        (lambda d, o: {"held_out": o, "dataset": o}, "fingerprint"),
        (lambda d, o: {"held_out": dr.from_arrays(o.points[:, :9], o.labels), "dataset": d},
         "sample_shape of the held-out points"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(analysis, data, given, match):
    other = dr.from_arrays(mixture(50, 1, d=20).astype(np.float32), np.arange(50) % 2)
    with pytest.raises(InputError, match=match):
        analysis.advise(**given(data, other))


def test_held_out_of_another_scale():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8)
    labels = np.arange(60) % 2
    data = dr.from_arrays(images, labels)
    other = dr.from_arrays(images[:20] // 2, labels[:20], pixel_range=(-1, 1))
    with pytest.raises(InputError, match="scale of the held-out points"):
        check_alike(data, other)

"""Speciation by the mean log-odds: how they are carried on, and that the interval holds t_S."""

from __future__ import annotations

import numpy as np
import pytest

import diffregimes as dr
import mixture_reference as mixture
from clouds import SCHEDULE, blobs
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.groups import T95
from diffregimes.posterior.left_out import heated_same_point
from diffregimes.process import snr
from diffregimes.theory import class_channel
from diffregimes.transitions import balance
from diffregimes.transitions.balance import MOST_CLASSES, balance_time, carried

SLOPE = 0.64


def seen(m, beta):
    return carried(np.array([m(beta), m(SLOPE * beta)]), beta)


def shifted(distance, spread):
    """M(beta) of Gaussian classes with one covariance: delta_k^2 and s_k^2/Delta by direction."""
    return lambda beta: (beta / 2 * distance / (1 + beta * spread)).sum()


def spread_apart(one, two):
    """M(beta) of Gaussian classes with one mean: s_ak^2/Delta and s_bk^2/Delta."""
    return lambda b: (b**2 / 4 * (one - two) ** 2 / ((1 + b * one) * (1 + b * two))).sum()


@pytest.mark.parametrize("beta", [0.8, 0.5, 0.2])
def test_the_ends_hold_the_log_odds_of_gaussian_classes(beta):
    rng = np.random.default_rng(0)
    for _ in range(200):
        k = int(rng.integers(1, 6))
        m = shifted(rng.gamma(1, 1, k), np.exp(rng.normal(0, 2, k)))
        at = seen(m, beta)
        assert at.low * (1 - 5e-3) <= m(1.0) <= at.high * (1 + 5e-3)
        assert at.low <= at.value <= at.high
        one = rng.uniform(0, 0.8, k)  # M/beta rises up to beta = 1
        m = spread_apart(one, one * np.exp(rng.normal(0, 0.2, k)))
        at = seen(m, beta)
        assert at.low <= m(1.0) <= at.high * (1 + 5e-3)


def test_one_direction_is_carried_exactly_by_the_lower_end():
    for spread in (0.0, 0.1, 1.0, 10.0):
        m = shifted(np.array([3.0]), np.array([spread]))
        # the slope between beta and 0.64 beta stands for the one between them
        assert seen(m, 0.4).low == pytest.approx(m(1.0), rel=6e-3)
    # without spread within the classes M is proportional to beta
    at = seen(shifted(np.array([3.0]), np.array([0.0])), 0.1)
    assert (at.low, at.value, at.high) == pytest.approx((1.5, 1.5, 1.5))


def test_nothing_is_carried_where_many_points_compete():
    m = np.array([[1.7, 0.3], [1.1, 0.2]])
    at = carried(m, 1.0)
    for values in (at.value, at.low, at.high):
        np.testing.assert_array_equal(values, m[0])


def test_log_odds_that_noise_made_negative_do_no_harm():
    at = carried(np.array([[-0.1, 0.0, 1.0], [0.2, -0.1, 1e-9]]), 0.3)
    for values in (at.value, at.low, at.high):
        assert np.isfinite(values).all()
        assert (values >= 0).all()


def test_the_channel_of_classes_at_given_distances():
    """Against a grid over the plane, and the quadrature of two classes."""
    square = np.array([[0, 3, 5.0], [3, 0, 4], [5, 4, 0]])
    weights = np.array([0.2, 0.5, 0.3])
    places = class_channel.positions(square)
    np.testing.assert_allclose(((places[:, None] - places) ** 2).sum(-1), square, atol=1e-12)
    x = np.linspace(-9, 9, 361)
    y = np.stack(np.meshgrid(x, x), axis=-1)
    density = weights * np.exp(-0.5 * ((y[..., None, :] - places) ** 2).sum(-1)) / (2 * np.pi)
    exact = (density**2 / density.sum(-1, keepdims=True)).sum() * (x[1] - x[0]) ** 2
    assert class_channel.agreement(square, weights) == pytest.approx(exact, abs=1e-3)
    # two equal classes at distance 2: the paper's 0.775
    pair = class_channel.agreement(np.array([[0, 4.0], [4, 0]]), np.full(2, 0.5))
    assert pair == pytest.approx(0.7752, abs=1e-4)
    many = class_channel.agreement(np.zeros((5, 5)), np.full(5, 0.2))
    assert many == pytest.approx(0.2)


def times_of(law, n, seeds, exact, **options):
    out = []
    for seed in seeds:
        points, labels = law.sample(n, seed)
        cloud = prepare(points.numpy().astype(np.float32), labels.numpy())
        blind = float(((np.diff(cloud.bounds) / n) ** 2).sum())
        level = blind + 0.55 * (1 - blind)
        start = float(np.log(snr(exact))) + 0.5
        out.append(balance_time(cloud, start, SCHEDULE, level, blocks=2, seed=seed, **options))
    return out


def test_the_interval_where_many_points_compete():
    """Mean z^2 near 1 from both sides, and nothing is heated."""
    exact = mixture.speciation_time(64, 1.0, 1.0)
    law = GaussianMixture(np.outer([1, -1], np.ones(64)), 1.0)
    times = times_of(law, 400, range(24), exact)
    assert all(x.warnings == () for x in times)
    z = np.array([(x.t - exact) / ((x.high - x.low) / 2 / T95) for x in times])
    assert 0.45 < np.mean(z**2) * 13 / 15 < 1.9  # 99.9 % of chi^2_24/24


def test_the_interval_below_the_collapse():
    """d = 256, n = 200: the collapse comes long before. phi_loo crosses 0.2 too late."""
    law = GaussianMixture(np.outer([0.2, -0.2], np.ones(256)), 1.0)
    exact = mixture.speciation_time(256, 0.2, 1.0)
    times = times_of(law, 200, range(8), exact)
    assert sum(x.low <= exact <= x.high for x in times) >= 6  # 95 %: fewer once in 170
    assert np.median([x.high - x.low for x in times]) < 0.4
    assert all("heated" in x.warnings[0] for x in times)
    points, labels = law.sample(200, 0)
    result = dr.analyze(points.numpy().astype(np.float32), labels.numpy(), draws=1024)
    clone = result.time("speciation", "clone-loo")
    assert clone.t > exact + 0.1
    assert clone.low <= exact <= clone.high
    assert "overconfident" in clone.warnings[-1] or "true class" in clone.warnings[-1]
    flag = next(x for x in result.reliability if x.name == "class-nishimori")
    assert not flag.ok
    assert result.time("speciation").method == "balance"
    # the points needed follow from it: between them lies the information at the exact time
    needed = law.population_curves([exact, 2 * exact])["information"][0]
    assert result.points_needed.low <= needed
    assert result.points_needed.high is None or needed <= result.points_needed.high


def test_four_classes_of_unequal_weight():
    rng = np.random.default_rng(1)
    means = rng.standard_normal((4, 20))
    law = GaussianMixture(means, 0.5, [0.4, 0.3, 0.2, 0.1])
    grid = np.linspace(0.5, 2.5, 21)
    level = 0.3 + 0.55 * 0.7
    phi = law.population_curves(grid, draws=20_000)["same_class_probability"]
    exact = float(np.interp(-level, -phi, grid))
    times = times_of(law, 300, range(4), exact)
    assert sum(x.low <= exact <= x.high for x in times) >= 3
    assert max(x.high - x.low for x in times) < 0.3


def test_classes_that_differ_by_their_spread_are_told():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    points = rng.standard_normal((400, 200)) * np.where(labels == 1, 1.5, 1.0)[:, None]
    cloud = prepare(points.astype(np.float32), labels)
    time = balance_time(cloud, float(np.log(snr(0.4))), SCHEDULE, 0.775, blocks=3)
    assert any("differ by their spread" in x for x in time.warnings)


def test_what_has_no_log_odds_says_why():
    points, labels = blobs(120, 4, classes=MOST_CLASSES + 1)
    many = balance_time(prepare(points, labels), 0.0, SCHEDULE, 0.5, blocks=1)
    assert many.t is None
    assert "33 classes" in many.warnings[0]
    points, labels = blobs(60, 4)
    labels[:] = 0
    labels[:3] = 1
    few = balance_time(prepare(points, labels), 0.0, SCHEDULE, 0.775, blocks=1)
    assert few.t is None
    assert "3 points" in few.warnings[0]
    # one and the same law: its log-odds never reach 2
    noise = np.random.default_rng(0).standard_normal((80, 6)).astype(np.float32)
    same = balance_time(prepare(noise, np.arange(80) % 2), 0.0, SCHEDULE, 0.775, blocks=1)
    assert same.t is None
    assert "do not balance" in same.warnings[0]


def test_the_first_order_in_one_over_n_is_taken_off():
    """M(n) = M + c/n: of 16 groups left out in turn, whatever their noise."""
    rng = np.random.default_rng(0)
    n, true, c = 1600.0, 2.0, 300.0
    noise = rng.normal(0, 0.01, 16)
    without = true + c / (n * 15 / 16) + noise - noise.mean()
    seen_ = np.concatenate([[true + c / n], without])[None, :, None, None]
    corrected = balance.unbiased(seen_)[0, :, 0, 0]
    assert corrected[0] == pytest.approx(true, abs=1e-9)
    np.testing.assert_allclose(np.diff(corrected[1:]), np.diff(without))  # the spread stays


def test_the_calm_temperature_is_the_largest():
    cloud = prepare(*blobs(200, 30))
    times = np.array([0.5, 9.0])
    beta, one = balance._calm(cloud, times, 0, 1024)
    assert 0 < beta < 1 == one  # far from the data all points compete
    from diffregimes.posterior.left_out import heated_log_odds

    at = heated_log_odds(cloud, times[:1], np.array([[beta, beta / 0.8]]), blocks=1)
    assert at.same_point[0, 0] <= balance.CALM + 1 / 199 < at.same_point[0, 1]


def test_two_looks_find_what_all_temperatures_would():
    """From many points competing to the few of a twin, whose weights rest on one at any beta."""
    points, labels = blobs(120, 20)
    points[60:] = points[:60]
    labels[60:] = labels[:60]
    points[60:90] += 0.3 * np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)
    cloud, times = prepare(points, labels), np.array([9.0, 1.5, 0.8, 0.5, 0.3, 0.1, 1e-3])
    tried = balance._COOLING
    same = heated_same_point(cloud, times, np.tile(tried, (len(times), 1)))
    calm = same <= balance.CALM + 1 / 119
    expected = [tried[x.argmax()] if x.any() else 0.0 for x in calm]
    assert balance._calm(cloud, times, 0, 1024).tolist() == expected
    assert len(set(expected)) > 4
    assert expected[-1] == 0.0


def test_forty_points_may_compete():
    """All others alike: E sum w'^2 = 1/39 is no sign that few decide."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    points = rng.standard_normal((40, 16)) + 2.0 * (2 * labels - 1)[:, None]
    cloud, start = prepare(points.astype(np.float32), labels), float(np.log(snr(2.0)))
    assert balance._calm(cloud, np.array([9.0]), 0, 1024) == 1
    time = balance_time(cloud, start, SCHEDULE, 0.775, blocks=2)
    assert time.low < mixture.speciation_time(16, 2.0, 1.0) < time.high
    assert time.high - time.low < 0.5


@pytest.mark.parametrize("far", [0.0, 1.0])
def test_log_odds_that_are_carried_far_reach_down_to_the_floor(monkeypatch, far):
    """There clusters within the classes would go unseen, and make t_S smaller."""
    monkeypatch.setattr(balance, "FAR", far)
    law = GaussianMixture(np.outer([0.2, -0.2], np.ones(256)), 1.0)
    exact = mixture.speciation_time(256, 0.2, 1.0)
    bare, floored = (times_of(law, 200, [0], exact, floor=x)[0] for x in (None, 0.01))
    assert (floored.t, floored.high) == (bare.t, bare.high)
    assert 0.1 < bare.low < exact
    assert floored.low == (bare.low if far == 0 else pytest.approx(0.01))
    assert any("clusters within the classes" in x for x in floored.warnings) == (far == 1)

"""The gap between held-out and training loss of the exact score, by other routes."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax

import diffregimes as dr
from diffregimes.advising import gap
from diffregimes.data.cloud import prepare
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.posterior.sweep import sweep
from diffregimes.process import linear_schedule, snr, time_from_snr
from diffregimes.scores import EmpiricalScore

CLOCK = linear_schedule()


def passed(points, times, draws=4096, labels=None):
    """What the functions need of an analysis."""
    labels = np.zeros(len(points), dtype=np.int64) if labels is None else labels
    cloud = prepare(points.astype(np.float32), labels)
    curves = sweep(cloud, np.asarray(times), draws=draws, seed=0).curves()
    return SimpleNamespace(curves=curves, dataset=SimpleNamespace(n=len(points)))


def test_it_is_what_a_left_out_point_loses():
    """|a - D(x_t)|^2 of the other points' own exact score, at three times, by noise of its own."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((60, 6))
    times = np.array([0.2, 0.6, 1.4])
    found = passed(points, times)
    scale, noise = np.exp(-times), np.sqrt(-np.expm1(-2 * times))
    for k in range(3):
        seen = np.empty((60, 40))
        for i in range(60):
            others = np.delete(points, i, axis=0)
            x = scale[k] * points[i] + noise[k] * rng.standard_normal((40, 6))
            square = ((x[:, None] - scale[k] * others) ** 2).sum(-1)
            guess = softmax(-square / (2 * noise[k] ** 2), axis=1) @ others
            seen[i] = ((points[i] - guess) ** 2).sum(1)
        # both are means over the same points: the noise alone differs
        error = math.hypot(
            seen.std(axis=1).mean() / math.sqrt(2400), found.curves.se[gap.LEFT_OUT][k]
        )
        z = (seen.mean() - found.curves[gap.LEFT_OUT][k]) / error
        assert abs(z) < 3, (times[k], z)


def test_two_points_in_closed_form():
    """Left out, each has the other as its denoiser: it loses |a - b|^2 at all t. The weight of the
    true point is a logistic normal one."""
    points = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, -1.0]])
    times = np.array([0.1, 0.3, 0.8, 2.0])
    found = passed(points, times, draws=8192)
    np.testing.assert_allclose(
        found.curves[gap.LEFT_OUT], 6, atol=4 * found.curves.se[gap.LEFT_OUT].max() + 1e-4
    )
    z, weight = np.polynomial.hermite_e.hermegauss(101)
    for k, t in enumerate(times):
        far = 6 * float(snr(t))
        log_odds = far / 2 + math.sqrt(far) * z  # of the true point
        exact = weight @ np.logaddexp(0, log_odds) / weight.sum() - math.log(2)
        error = found.curves.se["loo_free_energy_over_log_n"][k] * math.log(2)
        error = math.hypot(error, found.curves.se["information"][k]) + 1e-6
        assert abs(gap.nats(found)[k] - exact) < 3 * error, t


def test_nats_are_the_integral_of_the_gap():
    """K(t) = (1/2) int (held-out - training) dgamma, from noise to three levels."""
    rng = np.random.default_rng(1)
    gamma = np.geomspace(30, 1e-4, 80)
    found = passed(rng.standard_normal((100, 4)), time_from_snr(gamma))
    value, error = gap.gap(found)
    log_gamma, nats = np.log(gamma), gap.nats(found)
    for k in (0, 10, 20):
        parts = slice(k, None)
        integral = -0.5 * np.trapezoid(value[parts] * gamma[parts], log_gamma[parts])
        slack = -0.5 * np.trapezoid(error[parts] * gamma[parts], log_gamma[parts])
        assert abs(nats[k] - integral) < 3 * slack + 2e-3 * nats[k], (k, nats[k], integral)
        assert slack < 0.2 * nats[k]


def test_it_is_the_gap_of_held_out_points_of_the_law():
    """Points of a mixture that were not trained on lose as much as those left out do."""
    law = GaussianMixture(np.array([[1.0] * 12, [-1.0] * 12]), 0.5)
    points, labels = law.sample(400, 0, stratified=True)
    times = [0.15, 0.35, 0.8]
    found = passed(points.numpy(), times, labels=labels.numpy())
    other, _ = law.sample(3000, 5)
    score = EmpiricalScore(points.numpy().astype(np.float32))
    rng = np.random.default_rng(2)
    value, error = gap.gap(found)
    for k, t in enumerate(times):
        noise = rng.standard_normal(other.shape) * math.sqrt(-math.expm1(-2 * t))
        x = (math.exp(-t) * other.numpy() + noise).astype(np.float32)
        guess = score.denoise(torch.from_numpy(x), t).numpy()
        lost = ((other.numpy() - guess) ** 2).sum(1)
        seen = lost.mean() - found.curves["mmse"][k]
        # the 400 points are a sample themselves: their own gap differs by what 400 losses do
        slack = math.hypot(lost.std() / math.sqrt(3000), lost.std() / math.sqrt(400))
        assert abs(seen - value[k]) < 3 * math.hypot(slack, error[k]), (t, seen, value[k])


def test_levels_that_may_be_the_largest_are_those_around_it():
    """A second rise, and a third, that lie below it for sure do not stretch its ends."""
    t = np.linspace(0.1, 0.8, 8)
    values = {gap.LEFT_OUT: np.array([0, 0.9, 0, 1, 0.99, 0, 0.9, 0]) + 1, "mmse": np.ones(8)}
    curves = dr.Curves(t, values, {k: np.full(8, 0.007) for k in values}, 100)
    found = gap.largest(SimpleNamespace(curves=curves), CLOCK)
    assert [x.t for x in (found.low, found.at, found.high)] == pytest.approx([0.4, 0.4, 0.5])
    values[gap.LEFT_OUT][:3] = 2
    found = gap.largest(SimpleNamespace(curves=curves), CLOCK)
    assert found.low is None
    assert found.high.t == pytest.approx(0.5)


def test_the_item_says_where_it_is_largest(analysis):
    item = gap.validation(analysis, CLOCK)
    value, error = gap.gap(analysis)
    at = item.setting(gap.LARGEST)
    k = int(np.argmax(value))
    assert at.at.t == analysis.curves.t[k]
    inside = (analysis.curves.t >= (at.low.t if at.low else 0)) & (analysis.curves.t <= at.high.t)
    assert inside[k]
    # what lies outside of the interval on either side is smaller for sure at its first level
    after = analysis.curves.t > at.high.t
    assert (value + 2 * error < value[k])[after][0]
    t_c = analysis.time("collapse").t
    assert item.numbers["nats to t_C"] == pytest.approx(gap.nats_at(analysis, t_c))
    assert item.numbers["nats"] > item.numbers["nats to t_C"] > 0
    assert "largest" in item.answer


def test_results_without_the_curve_have_the_times_alone(analysis):
    older = {k: v for k, v in analysis.curves.values.items() if k != gap.LEFT_OUT}
    item = gap.validation(replace(analysis, curves=replace(analysis.curves, values=older)), CLOCK)
    assert item.answered
    assert [x.name for x in item.settings] == ["t_S", "t_C"]

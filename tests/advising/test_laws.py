"""The laws behind the advice, each beside direct sampling of a mixture or exact scores."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

import diffregimes as dr
from diffregimes.advising import class_gain, clocks, image
from diffregimes.backward import Run, log_snr_times, mixture_classes, run_uturns
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import linear_schedule, sigma, signal, snr, time_from_snr, variance
from diffregimes.scores import MixtureScore

D = 16
LAW = GaussianMixture(np.vstack([np.full((1, D), 0.6), np.full((1, D), -0.6)]), 0.25, [0.7, 0.3])
CLOCK = linear_schedule()


@pytest.fixture(scope="module")
def points():
    return LAW.sample(3000, 0, stratified=True)


@pytest.fixture(scope="module")
def analysis(points):
    return dr.analyze(points[0].numpy(), points[1].numpy(), draws=4096)


def noised(t, n, seed):
    """States (n, d) of the law at t, the points behind them, and their components."""
    clean, component = LAW.sample(n, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return math.exp(-t) * clean + math.sqrt(float(variance(t))) * noise, clean, component


def test_guidance_adds_what_information_is_gained():
    """E|s_c - s_u|^2 = (e^-2t/Delta^2) 2 dI(c; x_t)/dgamma at ten times."""
    t = np.geomspace(0.05, 2.5, 80)
    entropy = LAW.population_curves(t)["class_entropy"]
    share = LAW.weights.numpy()
    found = class_gain.score_difference(t, -(share * np.log(share)).sum() - entropy)
    for k in range(4, 80, 8):
        x, _, component = noised(float(t[k]), 40_000, k)
        apart = LAW.denoise(x, float(t[k]))
        own = GaussianMixture(LAW.means[:1], 0.25), GaussianMixture(LAW.means[1:], 0.25)
        known = torch.stack([y.denoise(x, float(t[k])) for y in own])
        known = known[component, torch.arange(len(x))]
        factor = float(signal(t[k]) ** 2 / variance(t[k]) ** 2)
        seen = (factor * (known - apart).square().sum(1)).numpy()
        z = (seen.mean() - found[k]) / (seen.std() / math.sqrt(len(seen)) + 1e-3 * found[k])
        assert abs(z) < 3, (t[k], seen.mean(), found[k])


def test_class_information_lies_between_its_ends(analysis):
    """Both ends of I(c; x_t)/H(c) from 3000 points beside the law's own."""
    ends, errors = class_gain.gained(analysis)
    t = analysis.curves.t
    clear = analysis.curves["same_point_probability"] < 0.1
    total = class_gain.class_entropy(analysis)
    exact = 1 - LAW.population_curves(t)["class_entropy"] / total
    assert (ends[0] - 4 * errors[0] - 0.01 < exact)[clear].all()
    assert (exact < ends[1] + 4 * errors[1] + 0.01)[clear].all()


def test_divergence_from_the_gaussian(analysis):
    """KL(P_t || Gaussian) between its ends, at ten times, by direct sampling."""
    low, high, se = image.above_gaussian(analysis)
    covariance, mean = LAW.covariance().dense(D), LAW.mean
    times = analysis.curves.t
    clear = np.flatnonzero(analysis.curves["same_point_probability"] < 0.1)
    for k in clear[np.linspace(0, len(clear) - 1, 10).astype(int)]:
        t = float(times[k])
        x, _, _ = noised(t, 20_000, int(k))
        noisy = math.exp(-2 * t) * covariance + float(variance(t)) * torch.eye(D).double()
        gaussian = torch.distributions.MultivariateNormal(math.exp(-t) * mean, noisy)
        ratio = (LAW.log_prob(x, t) - gaussian.log_prob(x)).numpy()
        error = math.hypot(ratio.std() / math.sqrt(len(ratio)), se[k])
        # 0.02: the covariance of 3000 points is not that of the law
        assert low[k] - 3 * error - 0.02 < ratio.mean() < high[k] + 3 * error + 0.02, t


def test_strength_keeps_the_class(analysis):
    """The class of a second point behind the same state, at the strengths found."""
    item = class_gain.strength(analysis, CLOCK)
    for level in class_gain.KEPT[1:]:
        found = item.setting(f"class kept in {level:.0%}")
        x, _, component = noised(found.at.t, 20_000, 5)
        again = torch.multinomial(
            LAW.class_posterior(x, found.at.t), 1, generator=torch.Generator().manual_seed(0)
        )[:, 0]
        kept = float((again == component).double().mean())
        error = math.sqrt(level * (1 - level) / len(x))
        slack = abs(found.high.t - found.low.t) * 0.5  # of d kept/dt
        assert abs(kept - level) < 3 * error + slack, (level, kept)
    assert "by chance alone" in item.answer  # 0.58 of two such classes


def descend(x, start):
    """DDIM of the exact score from states at t = start, by 60 levels even in log snr."""
    ends = float(np.log(snr(start))), math.log(1e5)
    times = time_from_snr(np.exp(np.linspace(*ends, 60)))
    state = x / math.exp(-start)
    for k, t in enumerate(times):
        now = float(sigma(t))
        then = float(sigma(times[k + 1])) if k + 1 < len(times) else 0.0
        clean = LAW.denoise(math.exp(-float(t)) * state, float(t))
        state = clean + then / now * (state - clean)
    return state


def along(x):
    """Of samples, over the distance of the classes."""
    return (x @ (LAW.means[0] - LAW.means[1])).numpy()


def gaussian_start(t, n, seed):
    noisy = (
        math.exp(-2 * t) * LAW.covariance().dense(D) + float(variance(t)) * torch.eye(D).double()
    )
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, D, generator=generator, dtype=torch.float64)
    return math.exp(-t) * LAW.mean + drawn @ torch.linalg.cholesky(noisy).T


def test_a_late_start_ends_alike_and_one_of_half_its_time_does_not(analysis):
    item = image.late_start(analysis, CLOCK, 0.01)
    t = item.setting("late start").at.t
    exact, _ = LAW.sample(4000, 77)
    late = descend(gaussian_start(t, 4000, 1), t)
    early = descend(gaussian_start(6.0, 4000, 2), 6.0)
    assert ks_2samp(along(late), along(early)).pvalue > 0.01
    assert ks_2samp(along(late), along(exact)).pvalue > 0.01
    wrong = descend(gaussian_start(t / 2, 4000, 3), t / 2)
    assert ks_2samp(along(wrong), along(early)).pvalue < 1e-4


def test_levels_do_what_they_are_for():
    """Variances of a Gaussian with a broad spectrum after DDIM, in closed form."""
    spread = 1 / np.arange(1, 65) ** 2
    ends = 2 * math.log(0.01), 2 * math.log(80)
    x = np.linspace(*ends, 200)
    nats = 0.5 * np.log1p(np.exp(-x)[:, None] * spread).sum(axis=1)

    def off(t):
        s = np.append(sigma(t), 0.0)
        factor = np.ones_like(spread)
        for now, then in itertools.pairwise(s):
            shrink = spread / (spread + now**2)
            factor *= shrink + then / now * (1 - shrink)
        ratio = factor**2 * s[0] ** 2 / spread
        return (ratio - 1 - np.log(ratio)).sum() / 2

    advised = off(image.levels(x, nats, np.zeros(200), ends, 10))
    log_snr = off(time_from_snr(1 / np.geomspace(80, 0.01, 10) ** 2))
    karras = off(time_from_snr(np.linspace(80 ** (1 / 7), 0.01 ** (1 / 7), 10) ** -14.0))
    assert advised < 0.6 * log_snr < 0.6 * karras


def test_levels_reach_both_ends_and_decrease():
    x = np.linspace(-6, 6, 50)
    nats = np.linspace(40, 0, 50)
    known = np.linspace(1, 0, 50)
    t = image.levels(x, nats, known, (-8.0, 9.0), 12)
    assert (np.diff(t) < 0).all()
    np.testing.assert_allclose(np.log(snr(t[[0, -1]])), [-9, 8], rtol=1e-6)


def test_a_crossing_that_one_end_does_not_make_reaches_down():
    t = np.geomspace(0.1, 2, 30)
    fall = 1 / (1 + (t / 0.5) ** 4)
    zeros = np.zeros(30)
    found = clocks.crossing("x", CLOCK, t, (fall, fall), (zeros, zeros), 0.5)
    assert found.at.t == pytest.approx(0.5, rel=1e-3)
    assert found.low.t == pytest.approx(found.high.t)
    half = clocks.crossing("x", CLOCK, t, (0.3 * fall, fall), (zeros, zeros), 0.5)
    assert half.low is None
    assert half.high.t == pytest.approx(0.5, rel=1e-3)


def test_uturns_keep_the_class_as_the_strengths_say(analysis):
    """Points noised to the strengths found and denoised by the exact score of the law."""
    item = class_gain.strength(analysis, CLOCK)
    found = [item.setting(f"class kept in {x:.0%}").at.t for x in class_gain.KEPT[1:]]
    grid = np.sort(np.append(log_snr_times(max(found) + 0.2, 1e-3, 80), found))[::-1]
    points, labels = LAW.sample(2000, 9)
    run = Run(grid, sampler="bridge", seed=0)
    ends = run_uturns(
        MixtureScore(LAW), points, labels.numpy(), found, 2000, run=run,
        classify=mixture_classes(LAW),
    )  # fmt: skip
    curves = ends.curves()
    for level, t in zip(class_gain.KEPT[1:], found, strict=True):
        k = int(np.argmin(np.abs(curves.t - t)))
        seen = curves["same_class_probability"][k]
        error = math.sqrt(level * (1 - level) / 2000)
        assert abs(seen - level) < 3 * error + 0.01, (level, seen)  # 0.01: of the strength itself

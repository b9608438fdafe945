"""What the studies on trained networks (benchmarks/) compute: energy distances with their errors by
closed forms and loops, and steps that were passed by curves made up to pass them."""

from __future__ import annotations

import importlib
from itertools import combinations, product
from math import erf, exp, pi, sqrt
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def mean_distance(m: float, variance: float) -> float:
    """E|N(m, variance)|."""
    s = sqrt(variance)
    return s * sqrt(2 / pi) * exp(-(m**2) / (2 * variance)) + m * erf(m / (s * sqrt(2)))


def test_energy_distance_of_two_gaussians_with_its_error(study):
    """E = 2 E|X - Y| - E|X - X'| - E|Y - Y'| in closed form: the mean over 300 draws is it, their
    spread is the error that each says, and of two sides shifted together the difference is known
    much better than both."""
    energy = study("energy").energy
    exact = 2 * mean_distance(1.0, 3.25) - mean_distance(0, 4.5) - mean_distance(0, 2)
    rng, found, errors, gaps = np.random.default_rng(0), [], [], []
    for _ in range(300):
        x, y = rng.normal(0, 1.5, (80, 1)), rng.normal(1, 1, (50, 1))
        one, other = energy(x, y), energy(x + 0.1 * rng.standard_normal(x.shape), y)
        found.append(one.value)
        errors.append(one.se)
        gaps.append(((one - other).value, (one - other).se))
    spread = np.std(found, ddof=1)
    assert abs(np.mean(found) - exact) < 4 * spread / sqrt(300)
    # a standard deviation of 300 draws is known to 4 %
    assert abs(spread / sqrt(np.mean(np.square(errors))) - 1) < 4 * 0.041
    gap, error = np.array(gaps).T
    assert abs(gap.std(ddof=1) / sqrt(np.mean(error**2)) - 1) < 4 * 0.041
    assert error.mean() < spread / 3


def test_energy_distance_by_loops(study):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))

    def over(pairs):
        return np.mean([np.linalg.norm(a - b) for a, b in pairs])

    slow = 2 * over(product(x, y)) - over(combinations(x, 2)) - over(combinations(y, 2))
    assert study("energy").energy(x, y).value == pytest.approx(slow)


def test_influences_by_leaving_out(study):
    """Leaving out one of m samples moves the energy distance by its influence/(m - 1), those of
    pairs by 1/(m - 2)."""
    tools, rng = study("energy"), np.random.default_rng(4)
    x, y = rng.normal(size=(40, 2)), rng.normal(1, 1, size=(30, 2))
    whole, pairs = tools.energy(x, y), tools.apart(x)
    for part, side in zip(whole.parts, (x, y), strict=True):
        left = [np.delete(side, k, axis=0) for k in range(len(side))]
        other = [tools.energy(*((a, y) if side is x else (x, a))).value for a in left]
        moved = (len(side) - 1) * (whole.value - np.array(other))
        assert np.abs(part - part.mean() - moved).max() < 0.1 * part.std()
    one = [tools.apart(np.delete(x, k, axis=0)).value for k in range(40)]
    centred = pairs.parts[0] - pairs.parts[0].mean()
    assert centred == pytest.approx(38 * (pairs.value - np.array(one)))


def test_averages_over_classes_and_over_networks(study):
    """Classes are independent draws, networks are given the same ones."""
    tools, rng = study("energy"), np.random.default_rng(2)
    x = rng.normal(size=(2, 30))
    one, two = (tools.mean(v) for v in x)
    apart = tools.average([one, two])
    assert apart.value == pytest.approx(x.mean())
    assert apart.se == pytest.approx(sqrt(one.se**2 + two.se**2) / 2)
    together = tools.common([one, one])
    assert (together.value, together.se) == pytest.approx((one.value, one.se))
    assert tools.common([one, two]).se == pytest.approx(x.mean(0).std(ddof=1) / sqrt(30))


def looks(steps, z, share, copies):
    names = "step", "nats_gap", "nats_se_gap", "share_gap", "copies"
    return [
        dict(zip(names, row, strict=True))
        for row in zip(steps, z, np.ones(len(steps)), share, copies, strict=True)
    ]


def test_steps_at_which_a_training_opens_and_copies(study):
    """A share that grows as step^1/2, interpolated in log step between looks; a gap that closes
    once more opens at the look after."""
    stop = study("stop_step")
    steps = [0, *np.round(50 * 2 ** (np.arange(20) / 4))]
    z = [0, 1, 4, 4, 2, *[5] * 16]
    share = [0.0, *0.1 * np.sqrt(np.array(steps[1:]) / 200)]
    copies = [0] * 15 + [0.1 * 256, *[0.2 * 256] * 5]
    found = stop.times(looks(steps, z, share, copies))
    assert found["open"] == steps[5]
    assert found["share"] == pytest.approx(200, rel=0.01)
    assert found["copy 10"] == pytest.approx(steps[15])
    assert found["copy 5"] == pytest.approx(sqrt(steps[14] * steps[15]))
    assert stop.times(looks(steps, z, np.add(share, 1), copies))["share"] == steps[1]
    never = stop.times(looks(steps, z[::-1], share[::-1], [0] * 21))
    assert all(np.isinf(never[k]) for k in ("open", "share", "copy 5"))


def test_the_power_of_n_holds_its_error(study):
    """b of runs scattered by chance: its 95 % interval holds the truth in so many of 300 cases."""
    exponent, rng = study("stop_step").exponent, np.random.default_rng(3)
    n = np.array([64, 128, 256])
    held = 0
    for _ in range(300):
        b, wide = exponent(n, 7 * n**0.8 * np.exp(0.3 * rng.standard_normal(3)))
        held += abs(b - 0.8) < wide
    assert abs(held / 300 - 0.95) < 4 * sqrt(0.95 * 0.05 / 300)

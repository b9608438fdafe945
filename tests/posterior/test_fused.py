"""The compiled sums against torch and against float64, and what they may leave out."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from clouds import blobs, digits01, near_duplicates
from diffregimes import posterior
from diffregimes.data.cloud import prepare, square_distances
from diffregimes.posterior import fused, left_out, sweep
from diffregimes.posterior.moments import draw_block, moments, products
from diffregimes.process import snr

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="numba is not installed"
)
TIMES = np.array([0.005, 0.03, 0.1, 0.3, 0.9, 2.0, 8.0])
CPU = torch.device("cpu")


def both(monkeypatch, work):
    """What `work` gives compiled and by torch."""
    out = []
    for compiled in (True, False):
        monkeypatch.setattr(fused, "worth", lambda *given, c=compiled: c)
        out.append(work())
    return out


@pytest.mark.parametrize(("n", "columns"), [(60, 1), (400, 7), (400, 150), (400, 4096)])
@pytest.mark.parametrize("classes", [1, 3, 10])
def test_moments_are_those_of_torch(classes, n, columns):
    cloud = prepare(*blobs(n, 30, classes))
    draws = next(draw_block(cloud, 0, 0).split(20))
    one, two = (moments(cloud, draws, snr(TIMES), compiled=x, columns=columns) for x in (1, 0))
    for key, value in vars(two).items():
        torch.testing.assert_close(getattr(one, key), value, rtol=2e-5, atol=2e-5, msg=key)


def test_groups_left_out_are_those_of_torch(monkeypatch):
    cloud = prepare(*blobs(300, 40, classes=3))
    names = ["same_class_probability_loo", "class_entropy", "loo_free_energy_over_log_n"]
    names += ["excess_entropy_over_alpha", "same_point_probability", "class_log_odds"]
    places = dict.fromkeys(names, TIMES)
    one, two = both(monkeypatch, lambda: left_out.left_out_means(cloud, places, blocks=1))
    for name in names:
        np.testing.assert_allclose(one[name], two[name], rtol=2e-5, atol=2e-5, err_msg=name)
    beta = np.tile([1.0, 0.3], (len(TIMES), 1))
    one, two = both(monkeypatch, lambda: left_out.heated_log_odds(cloud, TIMES, beta, blocks=1))
    np.testing.assert_allclose(one.same_point, two.same_point, rtol=2e-5)
    # some draws have 87 nats between classes, of which float32 knows no more, from t = 0.3 down
    np.testing.assert_allclose(one.log_odds[4:], two.log_odds[4:], rtol=2e-5, atol=2e-5)
    assert two.log_odds[4].max() > 3


def test_a_sweep_is_that_of_torch(monkeypatch):
    cloud = prepare(*digits01())
    one, two = both(monkeypatch, lambda: sweep.sweep(cloud, TIMES, draws=256))
    for name, values in two.values.items():
        slack = 5e-6
        if name == "mmse_loo":  # l/gamma: the rounding of l, over a gamma of 1e-7 at the last t
            slack = np.maximum(slack, 1e-9 / snr(TIMES))
        np.testing.assert_array_less(
            np.abs(one.values[name] - values), 2e-5 * np.abs(values) + slack
        )
    monkeypatch.setattr(fused, "worth", lambda *given: True)
    again = sweep.sweep(cloud, TIMES, draws=256)
    for name, values in again.values.items():
        np.testing.assert_array_equal(values, one.values[name])


def sums_in_float64(square, along, gamma, own):
    """log sum, mean of l and of the distance, sum w^2 of the rows: (T, 2, p) each."""
    square, along = square.double(), along.double()
    exponent = torch.stack([
        torch.stack([-0.5 * g * square + s * np.sqrt(g) * along for s in (1, -1)]) for g in gamma
    ])  # fmt: skip
    exponent[:, :, torch.arange(len(own)), own] = -torch.inf
    free = torch.logsumexp(exponent, -1)
    w = (exponent - free[..., None]).exp()
    mean = torch.where(w > 0, w * exponent, 0).sum(-1)
    return free, mean, (w * square).sum(-1), w.square().sum(-1)


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_points_that_leave_are_not_missed(spread):
    """A thousand points at one distance, one nearer, and others that come near at last."""
    rng = np.random.default_rng(0)
    n = 2000
    square = torch.from_numpy(2 + spread * rng.random((6, n))).float()
    square[:, 0] = 1.0
    square[:, -9:] = torch.linspace(1e-4, 1e-3, 9)
    along = torch.from_numpy(rng.standard_normal((6, n))).float() * square.sqrt()
    along[:, -9:] -= 14.0  # for one sign 100 nats below at gamma = 200, and largest from 800 on
    gamma = np.geomspace(1e-3, 1e5, 60)[::-1].copy()
    own = np.arange(6) + 5
    found = fused.row_sums(square, along, own, gamma, np.array([900, n - 900]), points=n)
    total = found.stretch.double().sum(-1)
    free = np.log(2) * found.top + total.log()
    mean = np.log(2) * (found.top + found.logs[..., 0] / total)
    seen = free, mean, found.distances[..., 0] / total, found.squares[..., 0] / total.square()
    for value, expected in zip(seen, sums_in_float64(square, along, gamma, own), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-5)


def test_each_stretch_keeps_its_largest():
    """A class far below the other has its log-odds all the same."""
    square = torch.tensor([[9.0, 0.5, 0.6, 3.0, 3.1, 3.2]])
    gamma = np.geomspace(1, 50, 20)
    given = square, torch.zeros_like(square), np.array([0]), gamma, np.array([3, 3])
    found = fused.row_sums(*given, points=6)
    expected = torch.logsumexp(-0.5 * torch.from_numpy(gamma)[:, None] * square[0, 3:].double(), 1)
    log_sum = np.log(2) * found.top[:, 0, 0] + found.stretch[:, 0, 0, 1].double().log()
    torch.testing.assert_close(log_sum, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(1200, 40), (700, 900)])
def test_near_distances_are_exact_where_gamma_is_large(n, d):
    cloud = prepare(*near_duplicates(n, d))
    draws = next(draw_block(cloud, 0, 0).split(30))
    exact = square_distances(cloud.coordinates[draws.points], cloud.coordinates)
    lengths = np.diff(cloud.bounds)
    for gamma in (1.0, 1e12):
        found, _ = products(cloud, draws, largest=gamma, lengths=lengths)
        # twins are 1e-5 apart, and rough distances know nothing below 1e-7
        twins = (exact > 1e-12) & (exact < 1e-8)
        assert twins.sum() >= 20
        error = ((found - exact).abs() / exact)[twins].max()
        assert (error < 1e-3) == (gamma > 1), (gamma, error)
        assert (found - exact).abs().max() < 1e-6


def test_many_that_compete_get_float64_products(monkeypatch):
    """In one dimension many are near at any gamma."""
    cloud = prepare(*blobs(500, 1))
    draws = draw_block(cloud, 0, 0)
    calls = []
    plain = square_distances
    monkeypatch.setattr(fused, "square_distances", lambda *x: calls.append(1) or plain(*x))
    found, _ = products(cloud, draws, largest=1e4, lengths=np.diff(cloud.bounds))
    assert calls
    exact = square_distances(cloud.coordinates[draws.points], cloud.coordinates)
    torch.testing.assert_close(found, exact, rtol=0, atol=0)


def test_where_it_is_worth_its_while(monkeypatch):
    assert fused.worth(5000, 1, 2, CPU)
    assert fused.worth(1000, 10**6, 2, CPU)
    assert not fused.worth(1000, 10_000, 2, CPU)
    assert not fused.worth(5000, 10**6, 1000, CPU)  # five points of a class
    assert not fused.worth(5000, 10**6, 2, torch.device("meta"))
    monkeypatch.setattr(fused, "_usable", lambda: False)
    assert not fused.worth(5000, 10**6, 2, CPU)


def refused(error):
    def find_spec(name, path=None, target=None):
        if name == "diffregimes.posterior.compiled":
            raise error

    return type("Finder", (), {"find_spec": staticmethod(find_spec)})


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("no locator available")])
def test_torch_serves_where_numba_does_not_load(monkeypatch, error):
    assert fused._usable()
    monkeypatch.delattr(posterior, "compiled", raising=False)
    monkeypatch.delitem(sys.modules, "diffregimes.posterior.compiled")
    monkeypatch.setattr(sys, "meta_path", [refused(error), *sys.meta_path])
    assert not fused._usable.__wrapped__()

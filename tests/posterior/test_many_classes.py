"""Many classes: what is needed of them are sums, in parts that fit the memory; against float64."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from clouds import blobs
from diffregimes.data.cloud import prepare
from diffregimes.posterior import groups, left_out, moments, sweep
from diffregimes.posterior.class_weights import LEAST, class_weights
from diffregimes.posterior.moments import FEW, Stretches, draw_block
from diffregimes.posterior.observables import observables
from diffregimes.process import snr

TIMES = np.array([0.05, 0.4, 0.9, 2.0])
CLASSES = 90


@pytest.fixture(scope="module")
def cloud():
    assert CLASSES > FEW
    return prepare(*blobs(260, 16, CLASSES))


@pytest.mark.parametrize(
    "lengths",
    [[5, 3, 12], [1] * 7, [2, 0, 1], [0, 30, 0], [3] * 100, [1] * 100, [*[0, 2, 5] * 40, 60]],
    ids=lambda x: f"{len(x)} of {max(x)}",
)
def test_sums_over_stretches(lengths):
    lengths = np.array(lengths)
    values = torch.rand(2, 3, int(lengths.sum()))
    out = torch.full((2, 3, len(lengths)), torch.nan)
    got = Stretches(lengths, values.device).sums(values, out)
    ends = np.cumsum(lengths)
    whole = values.double().numpy()
    expected = [whole[..., e - n : e].sum(-1) for e, n in zip(ends, lengths, strict=True)]
    np.testing.assert_allclose(got, np.stack(expected, axis=-1), rtol=1e-6, atol=0)
    assert got is out


def test_sums_over_classes():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(200, 0.05), size=(3, 4))
    own = p[..., 7]
    seen = class_weights(torch.from_numpy(p).float(), torch.from_numpy(own).float())
    held = np.maximum(p, LEAST)
    np.testing.assert_allclose(seen.own, own, rtol=1e-6)
    np.testing.assert_allclose(seen.square, (p**2).sum(-1), rtol=1e-6)
    np.testing.assert_allclose(seen.entropy, -(p * np.log(held)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(seen.log, np.log(held).sum(-1), rtol=1e-6)


def by_definition(cloud, drawn, t):
    """H(class), log-odds and own probability of every draw with z, from the points in float64."""
    places, labels = cloud.coordinates.double().numpy() * cloud.scale, cloud.labels.numpy()
    mu, z = drawn.points.numpy(), drawn.noise.double().numpy()
    gamma = float(snr(t))
    square = ((places[mu][:, None] - places) ** 2).sum(-1)
    along = z @ places.T - (z * places[mu]).sum(1, keepdims=True)
    exponent = -0.5 * gamma * square + np.sqrt(gamma) * along
    starts, rows = np.array(cloud.bounds[:-1]), np.arange(len(mu))
    sums = np.logaddexp.reduceat(exponent, starts, axis=1)
    p = np.exp(sums - logsumexp(sums, axis=1, keepdims=True))
    exponent[rows, mu] = -np.inf
    loo = np.logaddexp.reduceat(exponent, starts, axis=1)
    loo -= logsumexp(loo, axis=1, keepdims=True)
    counts = np.bincount(labels) - np.eye(len(starts))[labels[mu]]
    density = np.maximum(loo, np.log(LEAST)) - np.log(counts)
    own = density[rows, labels[mu]]
    odds = (len(starts) * own - density.sum(1)) / (len(starts) - 1)
    entropy = -np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0).sum(1)
    return {
        "class_entropy": entropy,
        "class_log_odds": odds,
        "own_class_probability_loo": np.exp(loo[rows, labels[mu]]),
        "same_class_probability_loo": (np.exp(loo) ** 2).sum(1),
    }


def test_what_is_said_of_ninety_classes(cloud):
    drawn = draw_block(cloud, 0, 0)
    gamma = snr(TIMES)
    seen = observables(moments.moments(cloud, drawn, gamma), cloud, drawn.points, gamma)
    for k, t in enumerate(TIMES):
        for name, value in by_definition(cloud, drawn, t).items():
            np.testing.assert_allclose(
                seen[name][k, 0], value, rtol=2e-4, atol=2e-4, err_msg=f"{name} at {t}"
            )


def test_parts_of_a_block_change_nothing(cloud, monkeypatch):
    whole = sweep.sweep(cloud, TIMES, draws=256)
    sizes = []

    def spied(*args, **options):
        found = moments.moments(*args, **options)
        sizes.append(found.class_probability.numel())
        return found

    limit = 2**14
    monkeypatch.setattr(sweep, "moments", spied)
    monkeypatch.setattr(sweep, "_PROBABILITIES", limit)
    monkeypatch.setattr(sweep, "pairs_together", lambda n, features: 50)
    parts = sweep.sweep(cloud, TIMES, draws=256)
    assert len(sizes) > 4
    assert max(sizes) <= limit
    np.testing.assert_array_equal(whole.points, parts.points)
    for name, values in whole.values.items():
        np.testing.assert_allclose(parts.values[name], values, rtol=1e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("tile", [2**11, 2**14])
def test_tiles_change_nothing_where_groups_are_left_out(cloud, monkeypatch, tile):
    places = dict.fromkeys(("class_entropy", "class_log_odds", "own_class_probability_loo"), TIMES)
    places |= {"same_class_probability": TIMES, "loo_free_energy_over_log_n": TIMES}
    whole = left_out.left_out_means(cloud, places, blocks=1)
    monkeypatch.setattr(left_out, "TILE", tile)
    monkeypatch.setattr(groups, "TILE", tile)
    monkeypatch.setattr(left_out, "pairs_together", lambda n, features: 50)
    parts = left_out.left_out_means(cloud, places, blocks=1)
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=2e-5, atol=2e-6, err_msg=name)


CHILD = """
import json, sys
import numpy as np
import diffregimes as dr
import diffregimes.analysis
# of this program alone: ru_maxrss begins with that of the process which started it
status = lambda: dict(x.split(':', 1) for x in open('/proc/self/status'))
peak = lambda: int(status()['VmHWM'].split()[0]) / 1024
start = peak()
classes, points, d = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
labels = rng.permutation(np.repeat(np.arange(classes), points)) if classes else None
x = rng.standard_normal((classes * points or points, d), dtype=np.float32)
found = dr.analyze(x, labels, memory_mib=512)
different = len(np.unique(x, axis=0))  # on a line some float32 are equal
assert "sklearn" not in sys.modules  # 100 MiB
print(json.dumps([peak(), start, found.dataset.n - different, len(found.to_json())]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "points", "d"), [(5000, 2, 64), (1000, 10, 64), (0, 100_000, 1)]
)
def test_memory_is_a_budget(classes, points, d):
    command = [sys.executable, "-c", CHILD, *map(str, (classes, points, d))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, start, missing, text = json.loads(done.stdout.splitlines()[-1])
    assert missing == 0
    # what numba brings, for 100 000 points, comes on top of what is loaded at the start
    assert peak < (512 if classes else start + 512)
    assert text < 10**6

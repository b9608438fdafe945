"""Scores against slow direct evaluations: the oracle softmax, the mixture's own formulas."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import oracles
from clouds import blobs, near_duplicates
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import signal, variance
from diffregimes.scores import CallableScore, EmpiricalScore, MixtureScore

TIMES = (1e-6, 1e-4, 1e-2, 0.1, 0.5, 1.0, 3.0, 8.0)
D = 5
MIXTURE = GaussianMixture(
    torch.randn(3, D, generator=torch_generator(0, "score means"), dtype=torch.float64),
    [0.3, Covariance.diagonal_of([0.1, 0.2, 0.3, 0.4, 0.5]), 0.05],
    [0.5, 0.3, 0.2],
)


def states(points, t, m=24, seed=1, dtype=torch.float64):
    """Noised points at t, (m, d)."""
    rng = np.random.default_rng(seed)
    points = np.asarray(points, float)
    mu, z = rng.integers(len(points), size=m), rng.standard_normal((m, points.shape[1]))
    return torch.from_numpy(oracles.noised(points, mu, z, t)).to(dtype)


def mixture_states(t, m=40, dtype=torch.float64):
    return states(MIXTURE.sample(m, seed=2)[0], t, m, dtype=dtype)


def diameter(points) -> float:
    return float(cdist(points, points).max())


@cache
def clouds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    points = blobs(300, 6)[0].astype(float)
    return {
        "n > d": points,
        "n < d": rng.standard_normal((7, 30)),
        "one point": rng.standard_normal((1, 4)),
        "one feature": rng.standard_normal((50, 1)),
        "near-duplicates": near_duplicates(40, 12)[0].astype(float),
        "duplicates": np.repeat(points[:20], 3, axis=0),
        "far from the origin": points + 10.0,
        "large": 100 * points,
    }


# ---- one interface


def exact_scores():
    return {"mixture": MixtureScore(MIXTURE), "empirical": EmpiricalScore(clouds()["n > d"][:, :D])}


@pytest.mark.parametrize("which", ["mixture", "empirical"])
@pytest.mark.parametrize("t", TIMES)
def test_tweedie(which, t):
    score, x = exact_scores()[which], mixture_states(t)
    a, s, z = score.denoise(x, t), score.score(x, t), score.noise(x, t)
    shrink, noise = math.exp(-t), -math.expm1(-2 * t)
    torch.testing.assert_close(shrink * a + math.sqrt(noise) * z, x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(s, -z / math.sqrt(noise), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", TIMES)
def test_mixture_score_is_the_gradient(t):
    x = mixture_states(t)
    found, wanted = MixtureScore(MIXTURE).score(x, t), MIXTURE.score(x, t)
    # Tweedie subtracts x from e^{-t} E[a|x]: rounding of x, over Delta
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-15 / float(variance(t)))


def test_empirical_score_is_the_gradient_of_the_log_density():
    points, t = clouds()["n > d"], 0.4
    x = states(points, t, 4)
    found, h = EmpiricalScore(points).score(x, t), 1e-5
    for k in range(x.shape[1]):
        step = np.zeros(x.shape[1])
        step[k] = h
        up, down = (oracles.minus_log_p(points, x.numpy() + s * step, t) for s in (1, -1))
        np.testing.assert_allclose(found[:, k], (down - up) / (2 * h), atol=1e-6)


# ---- the empirical score


@pytest.mark.parametrize("name", list(clouds()))
@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_denoise_against_the_oracle(name, t, dtype):
    points = clouds()[name]
    x = states(points, t, dtype=dtype)
    found = EmpiricalScore(points).denoise(x, t)
    assert found.dtype == dtype
    assert found.shape == x.shape
    w = oracles.weights(points, x.double().numpy(), t)
    wanted, size = w @ points, np.abs(points).max()
    if dtype == torch.float64:
        # exponents of size |x|^2 e^{-t}/Delta rounded by some 1e-16 of themselves, here and there
        scale = float(x.square().sum(1).max()) / float(variance(t))
        error = (1e-12 + 2e-15 * scale) * diameter(points) + 1e-14 * size
    else:
        error = 1e-3 * diameter(points) + 1e-6 * size
    assert float(np.abs(found.double().numpy() - wanted).max()) <= error


def test_float32_is_much_better_than_promised():
    points = clouds()["n > d"]
    for t in TIMES:
        x = states(points, t, 200, dtype=torch.float32)
        wanted = oracles.weights(points, x.double().numpy(), t) @ points
        error = np.abs(EmpiricalScore(points).denoise(x, t).double().numpy() - wanted).max()
        assert error < 1e-4


@pytest.mark.parametrize("t", [1e-6, 1e-4])
def test_small_states_of_large_points_at_small_times(t):
    """Near the mean of the data x.a is small and |a|^2 is not: its digits decide."""
    rng = np.random.default_rng(5)
    points = rng.standard_normal((60, 8))
    points *= 10 / np.linalg.norm(points, axis=1)[:, None]
    points = np.concatenate([points, -points])  # the mean is 0
    points *= 1 + 1e-7 * rng.random((120, 1))
    x = torch.zeros(1, 8)
    wanted = oracles.weights(points, x.double().numpy(), t) @ points
    found = EmpiricalScore(points).denoise(x, t).numpy()
    assert np.abs(found - wanted).max() < 1e-3 * diameter(points)


@pytest.mark.parametrize("t", [1e-4, 0.1, 1.0, 8.0])
def test_a_shift_of_the_data_shifts_the_mean(t):
    points = clouds()["n > d"]
    x = states(points, t)
    here = EmpiricalScore(points).denoise(x, t)
    there = EmpiricalScore(points + 10).denoise(x + 10 * float(signal(t)), t)
    torch.testing.assert_close(there - 10, here, rtol=0, atol=3e-10)


def test_one_point_is_the_answer_at_any_time():
    point = clouds()["one point"]
    for t in TIMES:
        found = EmpiricalScore(point).denoise(torch.randn(3, 4, dtype=torch.float64), t)
        np.testing.assert_allclose(found, np.repeat(point, 3, axis=0), rtol=1e-14)


@pytest.mark.parametrize("nearest", [None, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_any_memory_budget_gives_the_same(nearest, dtype):
    points = blobs(9000, 40)[0].astype(float)
    small = EmpiricalScore(points, memory_mib=1, nearest=nearest)
    large = EmpiricalScore(points, memory_mib=1024, nearest=nearest)
    for t in (0.05, 0.5, 2.0):
        x = states(points, t, 300, dtype=dtype)
        atol = 1e-11 if dtype == torch.float64 else 2e-5
        torch.testing.assert_close(small.denoise(x, t), large.denoise(x, t), rtol=0, atol=atol)
        torch.testing.assert_close(small.left_out(x, t), large.left_out(x, t), rtol=1e-3, atol=1e-7)
        assert torch.equal(small.nearest_points(x, t)[0], large.nearest_points(x, t)[0])


def test_rows_do_not_depend_on_their_neighbours():
    points = blobs(500, 20)[0]
    score = EmpiricalScore(points)
    for t in (0.01, 0.3, 2.0):
        x = states(points, t, 64, dtype=torch.float32)
        parts = torch.cat([score.denoise(part, t) for part in torch.split(x, 5)])
        torch.testing.assert_close(parts, score.denoise(x, t), rtol=0, atol=1e-5)


def test_no_states_no_answers():
    score = EmpiricalScore(clouds()["n > d"], nearest=2)
    x = torch.empty(0, 6)
    assert score.denoise(x, 1.0).shape == (0, 6)
    assert score.left_out(x, 1.0).shape == (0,)
    assert score.nearest_points(x, 1.0)[0].shape == (0, 2)


MEMORY = """
import resource, numpy as np, torch
from diffregimes.scores import EmpiricalScore
torch.set_num_threads(1)
rng = np.random.default_rng(0)
score = EmpiricalScore(rng.standard_normal((20000, 64)), memory_mib=64, nearest={nearest})
x = torch.randn(3000, 64, dtype=torch.float64)
score.denoise(x[:8], 1.0), score.nearest_points(x[:8], 1.0, 3), score.left_out(x[:8], 1.0)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
out = {call}
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("call", "nearest"),
    [
        ("score.denoise(x, 1.0)", None),
        pytest.param("score.denoise(x, 1.0)", 300, marks=pytest.mark.slow),
        pytest.param("score.left_out(x, 1.0)", 300, marks=pytest.mark.slow),
        pytest.param("score.nearest_points(x, 1.0, 100)", None, marks=pytest.mark.slow),
    ],
)
def test_peak_memory_keeps_the_budget(call, nearest):
    """All exponents at once would take 460 MiB, the gathered points of 300 nearest as much."""
    pytest.importorskip("resource")
    command = MEMORY.format(call=call, nearest=nearest)
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = 3000 * (64 if "denoise" in call else 200 if "points" in call else 1) * 8 / 2**20
    assert float(run.stdout) < 64 + result + 8  # 8 MiB for the allocator


# ---- the nearest points


@pytest.mark.parametrize("name", ["n > d", "n < d", "near-duplicates", "far from the origin"])
@pytest.mark.parametrize("t", [1e-9, 1e-4, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_nearest_points_against_all_distances(name, t, dtype):
    points = clouds()[name]
    x = states(points, t, dtype=dtype)
    index, square = EmpiricalScore(points).nearest_points(x, t, 3)
    exact = cdist(x.double().numpy(), math.exp(-t) * points, "sqeuclidean")
    # distances: of the points named, to rounding of the coordinates
    size = np.abs(points).max()
    named = np.take_along_axis(exact, index.numpy(), 1)
    rounding = 1e-15 * size * np.sqrt(named) + 1e-29 * size**2
    assert (np.abs(square.numpy() - named) <= 100 * rounding * points.shape[1]).all()
    assert (np.diff(square, axis=1) >= 0).all()
    assert all(len(set(row)) == 3 for row in index.tolist())
    # choice: none nearer, but for exponents that differ by rounding
    open_by = 2 * float(variance(t)) * (1e-3 if dtype == torch.float32 else 1e-10)
    open_by += 1e-13 * size**2 * points.shape[1]
    assert (named <= np.sort(exact, axis=1)[:, :3] + open_by).all()


def test_a_training_point_is_at_no_distance_from_itself():
    points = clouds()["far from the origin"]
    index, square = EmpiricalScore(points).nearest_points(torch.from_numpy(points), 1e-9, 1)
    assert index[:, 0].tolist() == list(range(len(points)))
    assert float(square.max()) < 1e-14  # e^{-t} has moved them by 1e-9 of their norm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("t", [0.01, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("k", [1, 4, 50, 299, 300])
def test_nearest_and_the_weight_that_it_leaves_out(k, t, dtype):
    points = clouds()["n > d"]
    x = states(points, t, dtype=dtype)
    score = EmpiricalScore(points, nearest=k)
    left, w = score.left_out(x, t).double().numpy(), oracles.weights(points, x.double().numpy(), t)
    small = np.sort(w, axis=1)[:, : 300 - k].sum(axis=1)
    # relative: a left-out weight of 1e-30 is not rounded to zero, nor to 1e-16
    atol = 1e-300 if dtype == torch.float64 else 1e-37
    np.testing.assert_allclose(left, small, rtol=1e-9 if atol < 1e-37 else 2e-3, atol=atol)
    error = np.linalg.norm(score.denoise(x, t).double().numpy() - w @ points, axis=1)
    rounding = 1e-12 if dtype == torch.float64 else 1e-4
    assert (error <= (left + rounding) * diameter(points)).all()
    kept = np.where(w >= np.sort(w, axis=1)[:, -k][:, None], w, 0)
    mean = kept @ points / kept.sum(axis=1, keepdims=True)
    assert np.abs(score.denoise(x, t).double().numpy() - mean).max() < 10 * rounding


def test_all_nearest_are_all():
    points, t = clouds()["n < d"], 0.7
    x = states(points, t)
    every = EmpiricalScore(points).denoise(x, t)
    torch.testing.assert_close(EmpiricalScore(points, nearest=7).denoise(x, t), every)
    assert (EmpiricalScore(points).left_out(x, t) == 0).all()


@pytest.mark.parametrize("kind", [list, torch.tensor, np.float32, np.uint8])
def test_points_of_any_kind(kind):
    points = np.arange(12).reshape(4, 3) ** 2 % 7
    given = points.tolist() if kind is list else kind(points)
    x = torch.randn(5, 3, dtype=torch.float64)
    found = EmpiricalScore(given).denoise(x, 0.5)
    np.testing.assert_allclose(found, oracles.weights(points, x.numpy(), 0.5) @ points, rtol=1e-10)


def test_half_precision_states_and_points():
    points = torch.randn(20, 3, generator=torch_generator(0, "half"))
    x = torch.randn(5, 3, generator=torch_generator(1, "half")).half()
    exact = EmpiricalScore(points.bfloat16()).denoise(x.double(), 0.5)
    found = EmpiricalScore(points.bfloat16().requires_grad_()).denoise(x, 0.5)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.double(), exact, rtol=1e-3, atol=1e-3)


# ---- any function


def predictions(x, t, score):
    """What a network of each kind would say, by definition of the prediction."""
    a, z = score.denoise(x, t), score.noise(x, t)
    velocity = float(signal(t)) * z - math.sqrt(float(variance(t))) * a
    return {"denoised": a, "noise": z, "score": score.score(x, t), "velocity": velocity}


@pytest.mark.parametrize("predicts", ["denoised", "noise", "score", "velocity"])
@pytest.mark.parametrize("t", TIMES)
def test_four_predictions_are_one(predicts, t):
    exact, x = MixtureScore(MIXTURE), mixture_states(t)
    score = CallableScore(lambda y, s: predictions(y, s, exact)[predicts], predicts=predicts)
    atol = 1e-14 * math.exp(t)  # noise and score give a by division by e^{-t}
    torch.testing.assert_close(score.denoise(x, t), exact.denoise(x, t), rtol=0, atol=atol)
    rounding = 1e-14 / float(variance(t))
    torch.testing.assert_close(score.score(x, t), exact.score(x, t), rtol=1e-9, atol=rounding)


def test_images_reach_the_function_as_images():
    exact, seen = MixtureScore(GaussianMixture(torch.zeros(1, 12), 0.5)), []

    def network(x, t):
        seen.append((tuple(x.shape), t))
        return exact.denoise(x.flatten(1), t).reshape(x.shape)

    score = CallableScore(network, shape=(3, 2, 2))
    x = torch.randn(5, 12, generator=torch_generator(0, "images"))
    torch.testing.assert_close(score.denoise(x, 0.3), exact.denoise(x, 0.3))
    assert seen == [((5, 3, 2, 2), 0.3)]
    assert score.dimension == 12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_function_has_its_own_precision(dtype):
    exact, seen, t = MixtureScore(MIXTURE), [], 0.7

    def network(x, s):
        seen.append(x.dtype)
        return exact.noise(x.double(), s).to(dtype)

    x = mixture_states(t, dtype=torch.float32)
    found = CallableScore(network, predicts="noise", dtype=dtype).denoise(x, t)
    assert seen == [dtype]
    assert found.dtype == torch.float32
    # x itself is not rounded: only what the network saw and said
    rounding = 40 * torch.finfo(dtype).eps + 1e-6
    torch.testing.assert_close(found, exact.denoise(x, t), rtol=0, atol=rounding)


def test_the_function_has_its_own_device():
    seen = []

    def network(x, t):
        seen.append(x.device.type)
        return x

    with pytest.raises(RuntimeError, match="meta"):  # from which nothing can be read
        CallableScore(network, device="meta").denoise(torch.zeros(2, 3), 1.0)
    assert seen == ["meta"]


def test_no_gradients_are_kept():
    layer = torch.nn.Linear(3, 3)
    found = CallableScore(lambda x, t: layer(x)).denoise(torch.zeros(2, 3), 1.0)
    assert not found.requires_grad


# ---- messages


def nan_in_one(x, t):
    return torch.where(torch.arange(len(x))[:, None] == 1, math.nan, x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, t: x.numpy(), "gave a ndarray; expected a torch tensor"),
        (lambda x, t: (x,), "gave a tuple"),
        (lambda x, t: x[:, :2], r"gave the shape \(4, 2\) for states of the shape \(4, 3\)"),
        (lambda x, t: x[0], r"gave the shape \(3,\)"),
        (lambda x, t: x.to("meta"), "answered on meta to states on cpu.*device="),
        (nan_in_one, r"NaN or infinite values for 1 of 4 states at t = 0\.5; .*dtype="),
        (lambda x, t: x / 0, "NaN or infinite values for 4 of 4"),
    ],
)
def test_functions_that_are_no_scores(function, message):
    with pytest.raises(InputError, match=message):
        CallableScore(function).denoise(torch.ones(4, 3), 0.5)


def test_unknown_prediction():
    with pytest.raises(InputError, match="predicts is 'eps'; expected one of denoised, noise"):
        CallableScore(lambda x, t: x, predicts="eps")


def all_scores():
    any_function = CallableScore(lambda x, t: x, shape=(D,))
    return [*exact_scores().values(), any_function]


@pytest.mark.parametrize("score", all_scores(), ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, D + 1), rf"shape \(2, {D + 1}\).*\(m, {D}\)"),
        (torch.zeros(D), rf"shape \({D},\)"),
        (torch.zeros(2, D, dtype=torch.int64), "float"),
    ],
)
def test_states_of_another_shape(score, x, message):
    with pytest.raises(InputError, match=message):
        score.denoise(x, 1.0)


@pytest.mark.parametrize("score", all_scores(), ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("t", [0.0, -1.0, math.nan, math.inf])
def test_times_without_a_score(score, t):
    x = torch.zeros(2, D)
    with pytest.raises(InputError, match=r"t is .*; expected t > 0"):
        score.score(x, t)
    with pytest.raises(InputError, match=r"t is .*; expected t > 0"):
        score.noise(x, t)
    if not isinstance(score, MixtureScore):  # whose denoiser at t = 0 is x
        with pytest.raises(InputError, match=r"t is .*; expected t > 0"):
            score.denoise(x, t)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(3), r"shape \(3,\) and dtype float64; expected numbers \(n, d\)"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        ([["a", "b"]], "dtype <U1"),
        ([[1.0, math.nan], [0, 0], [math.inf, 0]], "2 of 3 points hold NaN.*index 0"),
        (torch.tensor([[math.nan, 0]], dtype=torch.bfloat16), "1 of 1 points hold NaN"),
    ],
)
def test_points_that_are_no_training_set(points, message):
    with pytest.raises(InputError, match=message):
        EmpiricalScore(points)


@pytest.mark.parametrize("nearest", [0, -1, 4])
def test_nearest_out_of_range(nearest):
    with pytest.raises(InputError, match=rf"nearest is {nearest}; .* from 1 to 3"):
        EmpiricalScore(np.eye(3), nearest=nearest)
    with pytest.raises(InputError, match=rf"count is {nearest}; .* from 1 to 3"):
        EmpiricalScore(np.eye(3)).nearest_points(torch.zeros(1, 3), 1.0, nearest)


def test_memory_out_of_range():
    with pytest.raises(InputError, match="memory_mib is 0"):
        EmpiricalScore(np.eye(3), memory_mib=0)

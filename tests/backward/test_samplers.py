"""Steps of the backward process: their order, their laws, and diffusers' steps beside them."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist
from scipy.stats import chi2_contingency, chisquare, kstest
from torch import Tensor

from clouds import SCHEDULE, digits01, z_score
from diffregimes.backward.samplers import (
    SAMPLERS,
    ddpm_times,
    decreasing,
    log_snr_times,
    noisy,
    sampler,
    scheduler_times,
    uniform_times,
)
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import cosine_schedule, linear_schedule, signal, snr, variance
from diffregimes.scores import AbstractScore, EmpiricalScore, MixtureScore

GRIDS = {"uniform": uniform_times, "log-snr": log_snr_times}
ORDER = {name: x.order for name, x in SAMPLERS.items()}


class Fixed(AbstractScore):
    """The denoised mean is known: the conditional given a."""

    def __init__(self, a: Tensor) -> None:
        self.a = a

    def denoise(self, x: Tensor, t: float) -> Tensor:
        return self.a.expand_as(x)


def column(values) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).reshape(-1, 1)


def slope(steps, errors) -> tuple[float, float]:
    """p and its standard error in log |error| = c + p log h + q h + r h^2, h = 1/steps."""
    h = 1 / np.asarray(steps, float)
    columns = np.stack([np.ones_like(h), np.log(h), h, h**2], axis=1)
    found, square, *_ = np.linalg.lstsq(columns, np.log(np.abs(errors)))
    spread = np.linalg.inv(columns.T @ columns) * square / (len(h) - columns.shape[1])
    return float(found[1]), math.sqrt(spread[1, 1])


# ---- weak order: one Gaussian, where every step is affine


def affine(name, score, t, s) -> tuple[float, float, float]:
    """x -> shift + slope x + spread z, read off three points."""
    end = SAMPLERS[name].step(score, column([0, 1, 0]), t, s, column([0, 0, 1]))
    shift, one, noise = end[:, 0].tolist()
    return shift, one - shift, noise - shift


def error_of_moments(name, times, mean, spread) -> tuple[float, float]:
    """Errors of mean and variance at the end, N(mean, spread), started from the exact marginal."""
    score = MixtureScore(GaussianMixture([[mean]], spread))

    def marginal(t):
        return mean * float(signal(t)), spread * float(signal(2 * t)) + float(variance(t))

    first, second = marginal(times[0])
    for t, s in pairwise(times.tolist()):
        shift, factor, noise = affine(name, score, t, s)
        first, second = factor * first + shift, factor**2 * second + noise**2
    wanted = marginal(times[-1])
    return first - wanted[0], second - wanted[1]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("grid", "spread"), [("uniform", 0.25), ("log-snr", 4.0)])
def test_order_on_one_gaussian(name, grid, spread):
    steps = [100, 141, 200, 283, 400, 566]
    found = [error_of_moments(name, GRIDS[grid](4.0, 0.1, n), 1.5, spread) for n in steps]
    mean, square = np.transpose(found)
    if name in ("bridge", "ddpm", "ddim"):
        # noisy: the mean is E[x_s | x_t] whatever the law; ddim: follows e^{-t} 1.5 exactly
        assert np.abs(mean).max() < 1e-12
    elif (name, spread) != ("flow-heun", 4.0):  # whose error changes its sign nearby
        order, error = slope(steps, mean)
        assert order == pytest.approx(ORDER[name], abs=0.001)
        assert error < 0.0003
    order, error = slope(steps, square)
    assert order == pytest.approx(ORDER[name], abs=0.001)
    assert error < 0.0003


def test_exact_cases():
    """ddpm for data of variance 1; bridge for a point; the flows' variance where it stays 1."""
    times = uniform_times(4.0, 0.1, 20)
    assert np.abs(error_of_moments("ddpm", times, 1.5, 1.0)).max() < 1e-14
    for name in ("flow-euler", "flow-heun"):
        assert abs(error_of_moments(name, times, 1.5, 1.0)[1]) < 1e-14
    for name in ("bridge", "ddim"):
        assert np.abs(error_of_moments(name, times, 1.5, 1e-16)).max() < 1e-12


# ---- weak order: two classes on a line, where no step is affine


TWO = GaussianMixture([[1.5], [-1.0]], [0.3, 0.1], [0.3, 0.7])
REACH = np.linspace(-6.5, 6.5, 541)


def expectations(name, times) -> np.ndarray:
    """E[p_1(x)] and E[x^2] at the end, from the exact law at times[0], by quadrature.

    Functions of the end are carried back step by step: Gauss-Hermite over the noise, cubic splines
    between the points."""
    score, x = MixtureScore(TWO), column(REACH)
    end = float(times[-1])
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()

    def wanted(y: Tensor) -> np.ndarray:
        return np.stack([TWO.class_posterior(y, end)[:, 0].numpy(), y[:, 0].square().numpy()], 1)

    if SAMPLERS[name].noisy:
        values = wanted(x)
        at, z = x.repeat_interleave(len(nodes), 0), column(np.tile(nodes, len(x)))
        for t, s in reversed(list(pairwise(times.tolist()))):
            ends = SAMPLERS[name].step(score, at, t, s, z)[:, 0].numpy()
            values = CubicSpline(REACH, values)(ends).reshape(len(x), len(nodes), -1)
            values = np.einsum("xzf,z->xf", values, weights)
    else:
        y = x
        for t, s in pairwise(times.tolist()):
            y = SAMPLERS[name].step(score, y, t, s, None)
        values = wanted(y)
    density = TWO.log_prob(x, float(times[0])).exp().numpy()
    return density @ values / density.sum()


def exact_expectations(end) -> np.ndarray:
    second = TWO.weights @ (TWO.means[:, 0] ** 2 + torch.tensor([0.3, 0.1], dtype=torch.float64))
    return np.array([0.3, float(second) * float(signal(2 * end)) + float(variance(end))])


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("grid", ["log-snr", pytest.param("uniform", marks=pytest.mark.slow)])
def test_order_on_two_classes(name, grid):
    steps = [40, 57, 80, 113, 160, 226]
    errors = np.array([expectations(name, GRIDS[grid](3.0, 0.2, n)) for n in steps])
    errors -= exact_expectations(0.2)
    for values in errors.T:
        order, error = slope(steps, values)
        assert order == pytest.approx(ORDER[name], abs=0.03)
        assert error < 0.006


# ---- single steps


def test_bridge_is_the_conditional_given_a():
    """x_s given x_t and a, by linear algebra from the joint law of (x_s, x_t)."""
    for t, s, a in [(2.0, 1.9, 0.7), (1.0, 0.01, -3.0), (0.3, 0.2, 0.0), (5.0, 4.0, 2.0)]:
        between = math.exp(s - t)
        joint = np.array(
            [[variance(s), between * variance(s)], [between * variance(s), variance(t)]]
        )
        gain = joint[0, 1] / joint[1, 1]
        shift, factor, noise = affine("bridge", Fixed(column(a)), t, s)
        assert factor == pytest.approx(gain, rel=1e-13)
        assert shift == pytest.approx(a * (math.exp(-s) - gain * math.exp(-t)), rel=1e-12)
        assert noise**2 == pytest.approx(joint[0, 0] - gain * joint[0, 1], rel=1e-12)


def test_bridge_over_two_steps_is_one():
    """Given a the steps compose: through u from t to s as straight from t to s."""
    score, (t, u, s) = Fixed(column(0.8)), (1.5, 0.9, 0.2)
    (c1, f1, n1), (c2, f2, n2) = affine("bridge", score, t, u), affine("bridge", score, u, s)
    c, f, n = affine("bridge", score, t, s)
    assert f1 * f2 == pytest.approx(f, rel=1e-13)
    assert c2 + f2 * c1 == pytest.approx(c, rel=1e-13)
    assert n2**2 + f2**2 * n1**2 == pytest.approx(n**2, rel=1e-13)


def test_ddpm_and_bridge_share_the_mean():
    score, x = MixtureScore(TWO), column(REACH)
    zero = torch.zeros_like(x)
    for t, s in [(3.0, 2.5), (0.5, 0.4), (0.1, 0.0)]:
        means = [SAMPLERS[name].step(score, x, t, s, zero) for name in ("ddpm", "bridge")]
        torch.testing.assert_close(*means, rtol=1e-11, atol=1e-11)


def test_ends_without_noise():
    score, x, z = MixtureScore(TWO), column(REACH), column(np.ones_like(REACH))
    a = score.denoise(x, 0.01)
    for name in ("bridge", "ddpm", "ddim"):
        torch.testing.assert_close(
            SAMPLERS[name].step(score, x, 0.01, 0.0, z), a, rtol=1e-11, atol=1e-11
        )
    guess = SAMPLERS["flow-euler"].step(score, x, 0.01, 0.0, None)
    assert torch.equal(SAMPLERS["flow-heun"].step(score, x, 0.01, 0.0, None), guess)


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - set(noisy())))
def test_flows_take_no_noise(name):
    score, x = MixtureScore(TWO), column(REACH)
    one = sampler(name).step(score, x, 1.0, 0.9, torch.full_like(x, math.nan))
    assert torch.equal(one, sampler(name).step(score, x, 1.0, 0.9, None))


@pytest.mark.parametrize("name", noisy())
def test_noisy_steps_ask_for_noise(name):
    with pytest.raises(InputError, match="needs noise: pass z"):
        sampler(name).step(MixtureScore(TWO), column([0.0]), 1.0, 0.9, None)


@pytest.mark.parametrize("name", SAMPLERS)
def test_precision_of_the_state_is_kept(name):
    score, x = MixtureScore(TWO), column(REACH)
    exact = SAMPLERS[name].step(score, x, 1.0, 0.9, torch.ones_like(x))
    found = SAMPLERS[name].step(score, x.float(), 1.0, 0.9, torch.ones_like(x).float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


def test_unknown_sampler():
    with pytest.raises(
        InputError, match="sampler is 'euler'; expected one of euler-maruyama, ddpm"
    ):
        sampler("euler")


# ---- grids


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 37, 1000])
def test_grids(grid, steps):
    times = GRIDS[grid](5.0, 0.01, steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (5.0, 0.01)
    assert np.array_equal(decreasing(times), times)
    even = np.diff(times if grid == "uniform" else np.log(snr(times)))
    np.testing.assert_allclose(even, even.mean(), rtol=1e-9)


def test_a_uniform_grid_may_end_in_the_data():
    assert uniform_times(1.0, 0.0, 4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("schedule", [linear_schedule(), cosine_schedule(), linear_schedule(37)])
def test_times_of_a_schedule(schedule):
    times = ddpm_times(schedule)
    assert np.array_equal(times[:-1][::-1], schedule.times)
    assert times[-1] == 0
    decreasing(times)
    few = ddpm_times(schedule, 10)
    every = len(schedule.times) // 10
    assert np.array_equal(few[:-1][::-1], schedule.times[::every][:10])
    assert np.array_equal(ddpm_times(schedule, len(schedule.times)), times)
    assert ddpm_times(schedule, 1).tolist() == [schedule.times[0], 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uniform_times(1.0, 2.0, 3), "times from 1.0 to 2.0; expected the larger first"),
        (lambda: uniform_times(1.0, 1.0, 3), "expected the larger first"),
        (lambda: uniform_times(1.0, -0.1, 3), "at 0 or above"),
        (lambda: uniform_times(math.inf, 0.0, 3), "times from inf"),
        (lambda: uniform_times(math.nan, 0.0, 3), "times from nan"),
        (lambda: uniform_times(1.0, 0.0, 0), "steps is 0; expected a number from 1"),
        (lambda: log_snr_times(1.0, 0.0, 3), "the end at 1e-12 or above"),
        (lambda: log_snr_times(1.0, 0.1, 0), "steps is 0"),
        (lambda: ddpm_times(SCHEDULE, 0), "steps is 0; expected a number from 1 to 1 000"),
        (lambda: ddpm_times(SCHEDULE, 1001), "steps is 1001; expected a number from 1 to 1 000"),
        (lambda: decreasing([1.0]), "at least two finite numbers"),
        (lambda: decreasing([[2.0, 1.0]]), "at least two finite numbers"),
        (lambda: decreasing([1.0, math.nan]), "at least two finite numbers"),
        (lambda: decreasing([0.1, 1.0]), "must decrease.*these go from 0.1 to 1"),
        (lambda: decreasing([1.0, 1.0]), "must decrease"),
        (lambda: decreasing([1.0, -1.0]), "end at 0 or above"),
        (lambda: scheduler_times(object()), "object has no alphas_cumprod.*set_timesteps"),
        (
            lambda: scheduler_times(SimpleNamespace(alphas_cumprod=[0.9], timesteps=[0.5])),
            "no alphas_cumprod and integer timesteps",
        ),
        (
            lambda: scheduler_times(SimpleNamespace(alphas_cumprod=[0.9], timesteps=[3])),
            "no alphas_cumprod and integer timesteps",
        ),
    ],
)
def test_messages(call, message):
    with pytest.raises(InputError, match=message):
        call()


# ---- diffusers beside ours


LAW = GaussianMixture(
    torch.randn(3, 4, generator=torch_generator(0, "sampler means"), dtype=torch.float64),
    [0.2, Covariance.diagonal_of([0.1, 0.2, 0.3, 0.4]), 0.05],
    [0.5, 0.3, 0.2],
)


@pytest.fixture
def diffusers():
    return pytest.importorskip("diffusers")


def their_scheduler(diffusers, name, steps):
    kind, options = {
        "bridge": ("DDPMScheduler", {"variance_type": "fixed_small"}),
        "ddpm": ("DDPMScheduler", {"variance_type": "fixed_large"}),
        "ddim": ("DDIMScheduler", {"set_alpha_to_one": True}),
    }[name]
    made = getattr(diffusers, kind)(clip_sample=False, **options)
    made.set_timesteps(steps)
    return made


@pytest.mark.parametrize("steps", [1000, 250, 7])
@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_times_of_a_diffusers_scheduler(diffusers, name, steps):
    times = scheduler_times(their_scheduler(diffusers, name, steps))
    # alphas_cumprod is float32: 1 - alpha at the first steps has three digits
    np.testing.assert_allclose(times, ddpm_times(SCHEDULE, steps), rtol=1e-3, atol=1e-9)
    assert len(times) == steps + 1
    decreasing(times)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and numpy 2
def test_schedulers_of_another_clock(diffusers):
    for kind in ("EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"):
        made = getattr(diffusers, kind)()
        made.set_timesteps(10)
        with pytest.raises(InputError, match=f"{kind} has no alphas_cumprod and integer timesteps"):
            scheduler_times(made)


def exact_numbers(theirs):
    """The same scheduler with its products in float64."""
    theirs.alphas_cumprod = torch.cumprod(1 - theirs.betas.double(), 0)
    theirs.one = torch.ones((), dtype=torch.float64)
    return theirs


def walked(theirs, name, dtype, ours_from_theirs=False) -> tuple[Tensor, Tensor]:
    """All states of 16 trajectories, by diffusers and by us, from the same noise: (steps, 16, 4).

    `ours_from_theirs`: each of our steps starts where diffusers stands."""
    score, times = MixtureScore(LAW), scheduler_times(theirs)
    x = y = torch.randn(16, 4, generator=torch_generator(0, "start"), dtype=dtype)
    one, two = torch_generator(1, "noise"), torch_generator(1, "noise")
    found: tuple[list, list] = ([], [])
    for (t, s), number in zip(pairwise(times.tolist()), theirs.timesteps.tolist(), strict=True):
        z = torch.randn(y.shape, generator=two, dtype=dtype)
        y = sampler(name).step(score, x if ours_from_theirs else y, t, s, z)
        extra = {"eta": 0.0} if name == "ddim" else {"generator": one}
        x = theirs.step(score.noise(x, t), number, x, **extra).prev_sample
        assert x.dtype == y.dtype == dtype
        found[0].append(x)
        found[1].append(y)
    return torch.stack(found[0]), torch.stack(found[1])


@pytest.mark.parametrize("name", ["bridge", "ddpm", "ddim"])
@pytest.mark.parametrize("steps", [pytest.param(1000, marks=pytest.mark.slow), 250, 50])
def test_same_noise_same_trajectory(diffusers, name, steps):
    theirs, ours = walked(
        exact_numbers(their_scheduler(diffusers, name, steps)), name, torch.float64
    )
    assert float((theirs - ours).abs().max()) < 1e-10


@pytest.mark.parametrize("name", ["bridge", "ddpm", "ddim"])
@pytest.mark.parametrize("steps", [pytest.param(1000, marks=pytest.mark.slow), 250])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_step_with_their_float32_numbers(diffusers, name, steps, dtype):
    """They take beta = 1 - alpha_t/alpha_s in float32, wrong by up to 2^-24 whatever its size. The
    mean has beta a/(1 - alpha_t), the noise sqrt(beta) z: this much, and 1e-5 for all the rest."""
    scheduler = their_scheduler(diffusers, name, steps)
    theirs, ours = walked(scheduler, name, dtype, ours_from_theirs=True)
    times = scheduler_times(scheduler)
    t, beta, size = times[:-1], variance(times[:-1] - times[1:]), float(theirs.abs().max())
    rounding = 2**-24 * size * (1 / variance(t) + 1 / (2 * np.sqrt(beta)))
    rounding *= name != "ddim"  # which needs no beta
    assert ((theirs - ours).abs().amax((1, 2)).numpy() < 1e-5 + rounding).all()


# ---- samples


def drawn(score, name, times, m, seed=0) -> Tensor:
    """m states at times[-1], started from pure noise."""
    generator = torch_generator(seed, "samples")
    x = torch.randn(m, score.dimension, generator=generator, dtype=torch.float64)
    for t, s in pairwise(times.tolist()):
        x = sampler(name).step(score, x, t, s, torch.randn(x.shape, generator=generator).double())
    return x


def projected(x, direction, end) -> float:
    """P of Kolmogorov and Smirnov for x.direction against its exact law at `end`."""
    centres = float(signal(end)) * LAW.means @ direction
    square = torch.stack(
        [(direction**2 * c.diagonal).sum() * float(signal(2 * end)) for c in LAW.covariances]
    )
    normal = torch.distributions.Normal(centres, (square + float(variance(end))).sqrt())

    def cumulative(y):
        return (normal.cdf(torch.from_numpy(np.atleast_1d(y))[:, None]) @ LAW.weights).numpy()

    return float(kstest((x @ direction).numpy(), cumulative).pvalue)


@pytest.mark.parametrize(
    ("name", "m"),
    [
        ("bridge", 2000),
        pytest.param("flow-heun", 10000, marks=pytest.mark.slow),
        *(
            pytest.param(name, 4000, marks=pytest.mark.slow)
            for name in ("ddpm", "euler-maruyama", "ddim", "flow-euler")
        ),
    ],
)
def test_samples_of_a_mixture(name, m):
    end = 1e-3
    x = drawn(MixtureScore(LAW), name, log_snr_times(7.0, end, 400), m)
    # class weights, beside as many exact samples
    others, _ = LAW.sample(m, seed=5)
    others = float(signal(end)) * others + math.sqrt(float(variance(end))) * torch.randn(
        others.shape, generator=torch_generator(5, "other"), dtype=torch.float64
    )
    counts = [
        LAW.class_posterior(y, end).argmax(1).bincount(minlength=3).numpy() for y in (x, others)
    ]
    assert chi2_contingency(np.stack(counts)).pvalue > 1e-3
    # mean and covariance, beside the law's
    shrink, law = float(signal(end)), LAW.covariance()
    full = torch.diag(law.diagonal.expand(4)) + law.factor @ law.factor.T
    exact = shrink**2 * full + float(variance(end)) * torch.eye(4)
    centred = x - shrink * LAW.mean
    products = torch.einsum("ni,nj->nij", centred, centred).reshape(m, -1) - exact.reshape(-1)
    assert np.abs(z_score(centred)).max() < 4
    assert np.abs(z_score(products)).max() < 4
    # whole marginals
    directions = torch.randn(6, 4, generator=torch_generator(0, "directions"), dtype=torch.float64)
    assert (
        min(projected(x, v / v.norm(), end) for v in [*torch.eye(4).double(), *directions]) > 1e-3
    )


def test_the_tests_of_samples_see_a_wrong_law():
    """The same tests refuse 4 % more variance or one class too many."""
    x, labels = LAW.sample(10000, seed=1)
    directions = torch.randn(6, 4, generator=torch_generator(0, "directions"), dtype=torch.float64)
    spans = [v / v.norm() for v in directions]
    assert min(projected(x, v, 1e-9) for v in spans) > 1e-3
    assert (
        min(projected(x[(labels != 2) | (torch.arange(10000) % 4 > 0)], v, 1e-9) for v in spans)
        < 1e-3
    )


@pytest.mark.parametrize(
    "name", ["bridge", *(pytest.param(x, marks=pytest.mark.slow) for x in ("ddpm", "ddim"))]
)
def test_samples_of_a_training_set_are_its_points(name):
    points, _ = digits01()
    score, m = EmpiricalScore(points), 5 * len(points)
    x = drawn(score, name, ddpm_times(SCHEDULE, 125), m)
    index, square = score.nearest_points(x, 1e-9, 1)
    distances = cdist(points.astype(float), points.astype(float))
    typical = np.median(np.sort(distances, axis=1)[:, 1])
    assert float(square.max().sqrt()) < 1e-3 * typical
    counts = index[:, 0].bincount(minlength=len(points)).numpy()
    assert chisquare(counts).pvalue > 1e-3

"""Gaussian mixtures: densities against scipy, identities of the process, curves by two routes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import entr, logsumexp
from scipy.stats import ks_2samp, multivariate_normal

import mixture_reference as reference
from diffregimes.common.checks import InputError
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture, from_spec, two_gaussians
from diffregimes.process import signal, snr, variance

D = 4
KINDS = ("isotropic", "diagonal", "low rank", "full")
TIMES = (0.0, 1e-3, 0.3, 2.0)
NAMES = ("same_class_probability", "class_entropy", "information", "mmse")


def covariance(kind, rng, d=D):
    if kind == "isotropic":
        return Covariance.isotropic(rng.uniform(0.3, 2))
    if kind == "diagonal":
        return Covariance.diagonal_of(rng.uniform(0.1, 2, d))
    if kind == "low rank":
        return Covariance.low_rank(rng.uniform(0.1, 2, d), rng.standard_normal((d, 2)))
    root = rng.standard_normal((d, d))
    return Covariance.full(root @ root.T)


def mixture(kind, k, shared=True, seed=0, d=D):
    rng = np.random.default_rng([KINDS.index(kind), k, seed])
    weights = rng.uniform(0.5, 1, k)
    several = [covariance(kind, rng, d) for _ in range(1 if shared else k)]
    return GaussianMixture(rng.standard_normal((k, d)), several, weights / weights.sum())


def every(*counts):
    """(kind, components, shared)"""
    cases = [(kind, k, shared) for kind in KINDS for k in counts for shared in (True, False)]
    return pytest.mark.parametrize(("kind", "k", "shared"), [c for c in cases if c[1] > 1 or c[2]])


def dense(law, t=None):
    """Means (K, d) and covariances (K, d, d) of the data, or of x_t."""
    several = law.covariances * (law.n_components if law.shared else 1)
    matrices = np.stack([c.dense(law.d).numpy() for c in several])
    if t is None:
        return law.means.numpy(), matrices
    return signal(t) * law.means.numpy(), variance(t) * np.eye(law.d) + signal(2 * t) * matrices


def noised(law, t, n, seed=0):
    """Data, their components, and x_t."""
    a, labels = law.sample(n, seed)
    z = torch.from_numpy(np.random.default_rng(seed).standard_normal(a.shape))
    return a, labels, float(signal(t)) * a + float(variance(t)) ** 0.5 * z


def z_score(values, expected):
    return (np.mean(values, axis=0) - expected) / (
        np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
    )


# ---- the law at time t


@every(1, 3)
@pytest.mark.parametrize("t", TIMES)
def test_density_posterior_and_denoiser_of_dense_matrices(kind, k, shared, t):
    law = mixture(kind, k, shared)
    x = noised(law, t, 50)[2]
    means, matrices = dense(law, t)
    joint = np.log(law.weights.numpy()) + np.stack(
        [multivariate_normal(m, c).logpdf(x) for m, c in zip(means, matrices, strict=True)], axis=1
    )
    p = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(law.log_prob(x, t), logsumexp(joint, axis=1), rtol=1e-10)
    np.testing.assert_allclose(law.class_posterior(x, t), p, atol=1e-10)
    gains = [
        signal(t) * np.linalg.solve(at, c) for at, c in zip(matrices, dense(law)[1], strict=True)
    ]
    guesses = [
        a + (x.numpy() - m) @ g for a, m, g in zip(law.means.numpy(), means, gains, strict=True)
    ]
    np.testing.assert_allclose(law.denoise(x, t), np.einsum("nk,knd->nd", p, guesses), atol=1e-9)


@every(1, 2, 3, 4)
@pytest.mark.parametrize("t", TIMES)
def test_score_is_the_gradient_and_tweedie_holds(kind, k, shared, t):
    law = mixture(kind, k, shared)
    x = noised(law, t, 20)[2].requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_prob(x, t).sum(), x)
    score = law.score(x, t)
    torch.testing.assert_close(score, gradient, rtol=1e-9, atol=1e-9)
    tweedie = math.exp(t) * (x + float(variance(t)) * score)
    torch.testing.assert_close(law.denoise(x, t), tweedie, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", [0.0, 0.5])
def test_densities_integrate_to_one(kind, t):
    line = mixture(kind, 3, shared=False, d=1)
    total = quad(lambda y: line.log_prob(torch.tensor([[y]]), t).exp().item(), -40, 40, limit=500)
    assert total[0] == pytest.approx(1, abs=1e-7)
    plane = mixture(kind, 3, shared=False, d=2)
    grid = torch.arange(-25, 25, 0.05, dtype=torch.float64)
    x = torch.cartesian_prod(grid, grid)
    assert float(plane.log_prob(x, t).exp().sum()) * 0.05**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("t", [1e-6, 1e-2, 1.0, 50.0])
@pytest.mark.parametrize("turned", [False, True])
def test_variances_over_eight_decades_keep_their_digits(t, turned):
    """Columns of the factor far above the noise: x and every answer in the axes of C."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    sizes = np.logspace(-3, 5, 20)
    factor = axes * np.sqrt(sizes - 1e-3)
    if turned:  # the same C by columns that are not orthogonal
        factor = factor @ np.linalg.qr(rng.standard_normal((20, 20)))[0]
    law = GaussianMixture(np.zeros((1, 20)), Covariance.low_rank(1e-3, factor))
    at = variance(t) + signal(2 * t) * sizes
    z = rng.standard_normal((10, 20))
    x = torch.from_numpy((np.sqrt(at) * z) @ axes.T)
    expected = -0.5 * (z**2 + np.log(2 * np.pi * at)).sum(axis=1)
    np.testing.assert_allclose(law.log_prob(x, t), expected, atol=1e-8)
    score = -(z / np.sqrt(at)) @ axes.T
    np.testing.assert_allclose(law.score(x, t), score, atol=1e-7 * np.abs(score).max())
    guess = (signal(t) * sizes / np.sqrt(at) * z) @ axes.T
    np.testing.assert_allclose(law.denoise(x, t), guess, atol=1e-12 * np.abs(guess).max())
    curves = law.population_curves([t, 60])
    # rounding of the entries of C counts times its condition number; which way it falls depends
    # on the machine
    rounding = np.finfo(float).eps * sizes[-1] / sizes[0]
    assert curves["information"][0] == pytest.approx(
        0.5 * np.log(at / variance(t)).sum(), abs=rounding
    )
    assert curves["mmse"][0] == pytest.approx((variance(t) * sizes / at).sum(), rel=1e-9)


def test_results_have_the_dtype_of_x_and_keep_its_digits():
    law = mixture("low rank", 3)
    x = noised(law, 0.5, 10)[2]
    for method in (law.log_prob, law.score, law.denoise, law.class_posterior):
        half = method(x.float(), 0.5)
        assert half.dtype == torch.float32
        exact = method(x.float().double(), 0.5)
        torch.testing.assert_close(half, exact.float(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [True, False])
def test_denoiser_at_both_ends_of_time(kind, shared):
    law = mixture(kind, 3, shared)
    a, _, x = noised(law, 1e-6, 50)
    assert float((law.denoise(x, 1e-6) - a).abs().max()) < 0.01  # sqrt(Delta) = 0.0014
    far = noised(law, 50.0, 50)[2]
    torch.testing.assert_close(law.denoise(far, 50.0), law.mean.expand(50, -1))
    torch.testing.assert_close(law.score(far, 50.0), -far)
    torch.testing.assert_close(law.class_posterior(far, 50.0), law.weights.expand(50, -1))
    torch.testing.assert_close(law.denoise(a, 0.0), a)


def test_posterior_in_a_million_dimensions():
    """Between the classes, where |x|^2 is 10^6 and the posterior is decided by a few nats."""
    law, t = two_gaussians(10**6), 0.1
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, law.d)))
    x += torch.tensor([[1e-6], [0.0], [-2e-6]]) - x.mean(dim=1, keepdim=True)
    logit = [2 * math.exp(-t) * math.fsum(row) for row in x.tolist()]  # Gamma_t = 1
    posterior = law.class_posterior(x, t)[:, 0]
    np.testing.assert_allclose(torch.logit(posterior), logit, atol=1e-9)


def test_span_of_the_means_holds_all_there_is_to_know_of_the_class():
    law = mixture("isotropic", 3, d=7)
    flat = law.in_span()
    assert flat.d == 2
    assert law.basis.shape == (7, 2)
    torch.testing.assert_close(law.basis.T @ law.basis, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(torch.pdist(flat.means), torch.pdist(law.means))
    for t in TIMES:
        x = noised(law, t, 30)[2]
        torch.testing.assert_close(
            flat.class_posterior(x @ law.basis, t), law.class_posterior(x, t)
        )
    assert two_gaussians(9).in_span().means.tolist() == pytest.approx(np.array([[3.0], [-3.0]]))
    assert mixture("isotropic", 1).in_span().d == 1


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_covariance_and_eigenvalues_of_the_whole(kind, shared):
    law = mixture(kind, 3, shared)
    means, matrices = dense(law)
    weights = law.weights.numpy()
    centred = means - weights @ means
    whole = np.einsum("k,kij->ij", weights, matrices) + (weights * centred.T) @ centred
    np.testing.assert_allclose(law.covariance().dense(D), whole, atol=1e-12)
    np.testing.assert_allclose(law.eigenvalues(), np.linalg.eigvalsh(whole)[::-1], atol=1e-12)


def test_eigenvalues_in_high_dimension_need_no_large_matrix():
    values = two_gaussians(16384, mu=0.5, sigma=2, weight=0.25).eigenvalues()
    assert len(values) == 16384
    assert values[0] == pytest.approx(4 + 0.75 * 16384 * 0.25)
    np.testing.assert_allclose(values[1:], 4, rtol=1e-12)


# ---- draws


@every(1, 3)
def test_samples_have_the_law(kind, k, shared):
    law = mixture(kind, k, shared)
    x, labels = law.sample(20000, seed=3)
    x, hits = x.numpy(), np.eye(k)[labels]
    means, matrices = dense(law)
    if k > 1:
        assert np.abs(z_score(hits, law.weights.numpy())).max() < 4
    for j in range(k):
        own = x[labels == j] - means[j]
        assert np.abs(z_score(own, 0)).max() < 4
        products = np.einsum("ni,nj->nij", own, own)
        assert np.abs(z_score(products, matrices[j])).max() < 4.5


def test_stratified_shares_and_seeds():
    law = GaussianMixture(np.zeros((3, 2)), 1.0, [0.5, 0.3, 0.2])
    x, labels = law.sample(1004, seed=1, stratified=True)
    assert labels.bincount().tolist() == [502, 301, 201]
    assert 0.3 < float((labels[:502] == 0).double().mean()) < 0.7  # in random order
    again = law.sample(1004, seed=1, stratified=True)
    assert torch.equal(x, again[0])
    assert torch.equal(labels, again[1])
    assert not torch.equal(x, law.sample(1004, seed=2, stratified=True)[0])
    assert torch.equal(law.sample(300, dtype=torch.float32)[0], law.sample(300)[0].float())


@pytest.mark.parametrize("kind", ["isotropic", "low rank"])
@pytest.mark.parametrize("t", [0.2, 1.0, 3.0])
def test_information_density_has_mean_information(kind, t):
    law = mixture(kind, 2, d=6)
    density = law.information_density(t, 20000, seed=1)
    assert abs(z_score(density, law.population_curves([t, 9])["information"][0])) < 4


def test_information_density_of_the_reduced_route_has_the_law_of_the_full_one():
    law = two_gaussians(12, 0.7, 0.9, 0.3)
    same = Covariance.diagonal_of(np.full(12, 0.9**2))  # not known to be isotropic
    whole = GaussianMixture(law.means, same, law.weights)
    for t in (0.1, 0.8, 2.0):
        fast = law.information_density(t, 20000, seed=1)
        slow = whole.information_density(t, 20000, seed=2)
        assert ks_2samp(fast, slow).pvalue > 0.01
        for power in (1, 2, 3):
            one, two = (np.abs(v - slow.mean()) ** power for v in (fast, slow))
            error = np.hypot(one.std(), two.std()) / math.sqrt(20000)
            assert abs(one.mean() - two.mean()) < 4 * error
    rng = np.random.default_rng(5)
    plain = reference.information_density(0.8, 12, 0.7, 0.9, 20000, rng)
    assert (
        ks_2samp(plain, two_gaussians(12, 0.7, 0.9).information_density(0.8, 20000)).pvalue > 0.01
    )


def test_information_density_is_smooth_in_t_and_cheap_in_d():
    law = two_gaussians(16384)
    at = [law.information_density(1.7 + k * 1e-4, 1000) for k in range(3)]
    assert np.abs(at[0] - 2 * at[1] + at[2]).max() < 1e-4 * np.abs(at[2] - at[0]).max()


# ---- curves


@pytest.mark.parametrize(("d", "mu", "sigma"), [(1, 1, 1), (64, 1, 0.5), (256, 0.2, 2), (9, 2, 0)])
def test_curves_of_two_classes_are_those_of_the_reference(d, mu, sigma):
    times = np.array([0.05, 0.5, 1.5, 3.0, 5.0])
    curves = two_gaussians(d, mu, sigma).population_curves(times)
    assert curves.draws == 0
    assert all((curves.se[name] == 0).all() for name in NAMES)
    for k, t in enumerate(times):
        assert curves["same_class_probability"][k] == pytest.approx(
            reference.phi(t, d, mu, sigma), abs=1e-10
        )
        hidden = math.log(2) - reference.class_information(t, d, mu, sigma)
        assert curves["class_entropy"][k] == pytest.approx(hidden, abs=1e-10)
        information = -reference.excess_entropy(t, 1, d, mu, sigma)
        assert curves["information"][k] == pytest.approx(information, rel=1e-10, abs=1e-10)


def brute(law, t, n, seed):
    """phi, class entropy, information and mmse of every draw, from dense matrices."""
    a, labels, x = noised(law, t, n, seed)
    means, matrices = dense(law, t)
    joint = np.log(law.weights.numpy()) + np.stack(
        [multivariate_normal(m, c).logpdf(x) for m, c in zip(means, matrices, strict=True)], axis=1
    )
    log_p = logsumexp(joint, axis=1)
    p = np.exp(joint - log_p[:, None])
    given = multivariate_normal(np.zeros(law.d), variance(t) * np.eye(law.d))
    information = given.logpdf(x - signal(t) * a) - log_p
    error = a - law.denoise(x, t)
    columns = [p[np.arange(n), labels], entr(p).sum(axis=1), information]
    return np.stack([*columns, error.square().sum(dim=1).numpy()], axis=1)


@pytest.mark.parametrize(
    ("kind", "k", "shared"),
    [("isotropic", 3, True), ("low rank", 3, True), ("full", 2, True), ("diagonal", 4, True)]
    + [(kind, 2, False) for kind in KINDS],
)
def test_curves_agree_with_draws_in_full_dimension(kind, k, shared):
    """phi by the other form, E[p_true] = E sum p^2; the errors are added in squares."""
    law = mixture(kind, k, shared, seed=1, d=6)
    times = np.array([0.1, 0.7, 1.5])
    curves = law.population_curves(times, draws=4000)
    assert (curves.draws == 0) == (k == 2 and shared)
    for i, t in enumerate(times):
        values = brute(law, t, 20000, seed=i)
        for j, name in enumerate(NAMES):
            se = math.hypot(values[:, j].std() / math.sqrt(20000), curves.se[name][i])
            assert abs(values[:, j].mean() - curves[name][i]) < 4 * se, (name, t)


def test_three_classes_on_a_line_go_by_quadrature_and_agree_with_draws():
    direction = np.array([[0.3, -1.0, 0.5]])
    means = np.array([[-1.0], [0.4], [2.0]]) * direction
    law = GaussianMixture(means, Covariance.diagonal_of([0.2, 1.0, 0.5]), [0.2, 0.5, 0.3])
    several = GaussianMixture(means, law.covariances * 3, law.weights)
    times = [0.1, 0.6, 1.2, 2.5]
    exact, drawn = law.population_curves(times), several.population_curves(times)
    assert exact.draws == 0
    assert drawn.draws == 20000
    for name in NAMES:
        assert (np.abs(exact[name] - drawn[name]) < 4 * drawn.se[name] + 1e-12).all()


def test_the_curves_of_drawn_classes_are_smooth_in_t():
    law = mixture("low rank", 4)
    curves = law.population_curves(0.5 + 1e-3 * np.arange(9), draws=500)
    for name in NAMES:
        steps = np.diff(curves[name])
        assert np.abs(np.diff(steps)).max() < 0.02 * np.abs(steps).max()


@pytest.mark.parametrize("kind", KINDS)
def test_information_and_mmse_are_derivative_and_integrand(kind):
    """I-MMSE: dI/dgamma = mmse/2."""
    law = mixture(kind, 2, seed=2)
    t = np.concatenate([[x - 1e-3, x, x + 1e-3] for x in (0.2, 0.9, 2.0)])
    curves = law.population_curves(t)
    information = curves["information"]
    slope = (information[2::3] - information[::3]) / (snr(t[2::3]) - snr(t[::3]))
    np.testing.assert_allclose(slope, curves["mmse"][1::3] / 2, rtol=1e-4)


@pytest.mark.parametrize(("kind", "k", "shared"), [("full", 3, True), ("diagonal", 2, False)])
def test_information_and_mmse_of_drawn_classes(kind, k, shared):
    """The same as an integral, within the errors of both (one upon the other, at the worst)."""
    gamma = np.linspace(2, 0.2, 40)
    t = 0.5 * np.log1p(1 / gamma)
    curves = mixture(kind, k, shared).population_curves(t, draws=3000)
    lost = curves["information"][0] - curves["information"][-1]
    gained = -np.trapezoid(curves["mmse"], gamma) / 2
    se = curves.se["information"][[0, -1]].sum() + curves.se["mmse"].max() * 1.8 / 2
    assert abs(lost - gained) < 4 * se + 1e-3 * lost  # trapezoids of a convex curve


@pytest.mark.parametrize("kind", KINDS)
def test_entropy_grows_by_the_score(kind):
    """de Bruijn: dS/dt = E|score|^2 - d, S = I(a; x_t) + (d/2) log(2 pi e Delta_t)."""
    law = mixture(kind, 2, seed=3)
    for t in (0.2, 1.0):
        around = np.array([t - 1e-3, t + 1e-3])
        gaussian = law.d / 2 * np.log(2 * np.pi * np.e * variance(around))
        entropy = law.population_curves(around)["information"] + gaussian
        slope = (entropy[1] - entropy[0]) / 2e-3
        x = noised(law, t, 20000, seed=7)[2]
        assert abs(z_score(-law.log_prob(x, t).numpy(), entropy.mean())) < 4
        square = law.score(x, t).square().sum(dim=1).numpy()
        assert abs(z_score(square - law.d, slope)) < 4


# ---- extremes and limits


@pytest.mark.parametrize(
    "law",
    [
        two_gaussians(10**6),
        two_gaussians(10**6, sigma=0),
        two_gaussians(10**6, sigma=1e-9),
        two_gaussians(100, mu=0),
        two_gaussians(3, mu=0, sigma=0),
        mixture("isotropic", 1),
        mixture("full", 1),
        mixture("low rank", 4),
        mixture("full", 3, shared=False),
        GaussianMixture(100 * np.eye(3), Covariance.low_rank(0, np.eye(3, 1)), [0.98, 0.01, 0.01]),
    ],
    ids=str,
)
def test_curves_stay_within_bounds_from_data_to_noise(law):
    times = [1e-6, 1e-3, 0.1, 1, 5, 50]
    curves = law.population_curves(times, draws=300)
    pi = law.weights.numpy()
    total = law.eigenvalues().sum()
    highest = {
        "same_class_probability": 1,
        "class_entropy": entr(pi).sum(),
        "information": math.inf,
        "mmse": total,
    }
    for name, high in highest.items():
        low = (pi**2).sum() if name == "same_class_probability" else 0
        error = 4 * curves.se[name]
        assert np.isfinite(curves[name]).all(), name
        assert (curves[name] >= low - error - 1e-9).all(), name
        assert (curves[name] <= high * (1 + 1e-9) + error + 1e-9).all(), name
    assert curves["information"][-1] == pytest.approx(0, abs=1e-9)
    assert curves["class_entropy"][-1] == pytest.approx(entr(pi).sum(), abs=1e-9)
    assert curves["same_class_probability"][-1] == pytest.approx((pi**2).sum(), abs=1e-9)
    assert curves["mmse"][-1] == pytest.approx(total, rel=1e-9)
    assert curves["mmse"][0] <= 2.01e-6 * law.d + 1e-12


def test_one_component_and_classes_that_coincide():
    for curves in (
        mixture("diagonal", 1).population_curves([0.1, 1]),
        GaussianMixture([[1.0, 2.0]], 0.5).population_curves([0.1, 1]),
    ):
        np.testing.assert_allclose(curves["same_class_probability"], 1)
        np.testing.assert_allclose(curves["class_entropy"], 0, atol=1e-15)
    curves = two_gaussians(5, mu=0, weight=0.3).population_curves([0.1, 1])
    np.testing.assert_allclose(curves["same_class_probability"], 0.58)
    np.testing.assert_allclose(curves["information"], 2.5 * np.log1p(snr(curves.t)))


def test_points_without_spread_are_named_by_their_class():
    """sigma = 0: I(a; x_t) = I(class; x_t), and mmse is that of a sign."""
    law, tiny = two_gaussians(4, sigma=0), two_gaussians(4, sigma=1e-7)
    t = [0.05, 0.4, 1, 3]
    curves, near = law.population_curves(t), tiny.population_curves(t)
    np.testing.assert_allclose(curves["information"], math.log(2) - curves["class_entropy"])
    for name in NAMES:
        np.testing.assert_allclose(near[name], curves[name], atol=1e-9)
    a, labels = law.sample(10)
    torch.testing.assert_close(a, law.means[labels])
    torch.testing.assert_close(law.denoise(math.exp(-1e-6) * a, 1e-6), a)


# ---- what is impossible


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Covariance.isotropic(-1), r"variance holds -1\.0.*0 or more"),
        (lambda: Covariance.isotropic(math.nan), "variance holds NaN"),
        (lambda: Covariance.diagonal_of([1, -2]), r"variances holds -2\.0"),
        (lambda: Covariance.diagonal_of([[1]]), r"variances has the shape \(1, 1\)"),
        (lambda: Covariance.low_rank(-1, np.ones((3, 1))), r"diagonal holds -1\.0"),
        (lambda: Covariance.low_rank([1, 2], np.ones((3, 1))), r"factor has the shape \(3, 1\)"),
        (lambda: Covariance.low_rank(1, np.full((3, 1), np.inf)), "factor holds NaN"),
        (lambda: Covariance.low_rank(1, np.ones((3, 0))), "factor has the shape"),
        (lambda: Covariance.full(np.ones((2, 3))), r"matrix has the shape \(2, 3\)"),
        (lambda: Covariance.full([[1, 0.5], [0, 1]]), "matrix is not symmetric.*0.5"),
        (lambda: Covariance.full([[1, 2], [2, 1]]), "not positive semidefinite.*-1"),
        (lambda: Covariance.full("abc"), "matrix is no array of real numbers"),
        (lambda: GaussianMixture([1, 2], 1.0), r"means has the shape \(2,\)"),
        (lambda: GaussianMixture([[1, np.nan]], 1.0), "means holds NaN"),
        (lambda: GaussianMixture([[1], [2]], -1.0), r"covariances\[0\] holds -1\.0"),
        (lambda: GaussianMixture([[1], [2]], [1.0, 1.0, 1.0]), "covariances has 3 entries for 2"),
        (lambda: GaussianMixture([[1], [2]], np.eye(2)), r"covariances\[0\] is of type ndarray"),
        (
            lambda: GaussianMixture([[1, 2, 3]], Covariance.diagonal_of([1, 2])),
            r"covariances\[0\] is of dimension 2, the means of dimension 3",
        ),
        (lambda: GaussianMixture([[1], [2]], 1.0, [0.5, 0.4]), "weights are.*sum 0.9"),
        (lambda: GaussianMixture([[1], [2]], 1.0, [1.5, -0.5]), "weights are.*positive"),
        (lambda: GaussianMixture([[1], [2]], 1.0, [1]), "weights has 1 entries for 2 means"),
        (lambda: GaussianMixture([[1], [2]], 1.0, [0.5, np.nan]), "weights holds NaN"),
        (lambda: mixture("full", 2).in_span(), "in_span.. needs one isotropic.*another one"),
        (lambda: mixture("isotropic", 2, shared=False).in_span(), "has 2 of them"),
        (lambda: two_gaussians(0), "d is 0"),
        (lambda: two_gaussians(2.5), "d is 2.5"),
        (lambda: two_gaussians(2, mu=-1), "mu is -1"),
        (lambda: two_gaussians(2, sigma=-1), "sigma is -1"),
        (lambda: two_gaussians(2, weight=1), "weight is 1"),
        (lambda: two_gaussians(2).sample(0), "n is 0"),
        (lambda: two_gaussians(2).information_density(0, 5), "t is 0; expected t > 0"),
        (lambda: two_gaussians(2).population_curves([1]), "times holds 1 value"),
        (lambda: two_gaussians(2).population_curves([0, 1]), "times"),
        (lambda: two_gaussians(2).population_curves([1, 2], draws=1), "draws is 1"),
    ],
)
def test_impossible_parameters_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_impossible_arguments_are_named():
    law, x = two_gaussians(2, sigma=0), torch.zeros(1, 2)
    with pytest.raises(InputError, match=r"t is 0 and covariances\[0\] is degenerate"):
        law.log_prob(x, 0)
    flat = GaussianMixture(law.means, [1.0, Covariance.low_rank(0, np.ones((2, 1)))])
    with pytest.raises(InputError, match=r"covariances\[1\] is degenerate"):
        flat.score(x, 0.0)
    for t in (-1, math.nan):
        with pytest.raises(InputError, match=r"t is .*; expected a number from 0"):
            law.score(x, t)
    for bad in (torch.zeros(2), torch.zeros(1, 3), torch.zeros(1, 2, dtype=torch.long)):
        with pytest.raises(InputError, match=r"x has the shape .*expected a float tensor \(m, 2\)"):
            law.denoise(bad, 1)


def test_spec():
    law, n, seed = from_spec("gmm: d=1e1, n=50,")
    assert (law.d, n, seed) == (10, 50, 0)
    assert law.means[0].tolist() == [1.0] * 10
    law, n, seed = from_spec("gmm:n=7,d=2,mu=0.5,sigma=2,weight=0.25,seed=9")
    assert (n, seed, law.weights.tolist()) == (7, 9, [0.25, 0.75])
    assert (law.means[1].tolist(), law.covariances[0].diagonal.item()) == ([-0.5, -0.5], 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gmm:", "lacks d, the dimension.*gmm:d=1024,n=20000"),
        ("gmm:d=3", "lacks n, the number of points.*gmm:d=1024,n=20000"),
        ("gmm:d=3,n=9,sigm=1", "the key 'sigm'.*Did you mean sigma?"),
        ("gmm:d=3,n=9,q=1", "the key 'q'.*expected d, n, mu, sigma, weight, seed. Write"),
        ("gmm:d=3,n=9,d=4", "gives d twice"),
        ("gmm:d=3.5,n=9", "d is '3.5'.*a whole number"),
        ("gmm:d=0,n=9", "d is '0'"),
        ("gmm:d=3,n=1", "n is '1'.*2 or more"),
        ("gmm:d=3,n", "n is ''"),
        ("gmm:d=3,n=nan", "n is 'nan'"),
        ("gmm:d=3,n=9,mu=x", "mu is 'x'.*as in gmm:d=1024,n=20000,mu=1"),
        ("gmm:d=3,n=9,mu=inf", "mu is 'inf'"),
        ("gmm:d=3,n=9,sigma=-1", "sigma is '-1'.*0 or more"),
        ("gmm:d=3,n=9,weight=1", "weight is '1'.*between 0 and 1"),
        ("gmm:d=3,n=9,seed=-1", "seed is '-1'"),
    ],
)
def test_spec_that_is_wrong(text, message):
    with pytest.raises(InputError, match=message):
        from_spec(text)

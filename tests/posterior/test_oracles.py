"""The oracles judged by themselves: exact identities, closed forms and sampling."""

import numpy as np
import pytest
from scipy.special import entr, expit
from scipy.stats import multivariate_normal

import mixture_reference as mixture
import oracles

DRAWS = 4000
TIMES = [0.05, 0.2, 0.5, 1.2]


def z_score(samples):
    """Mean over standard error of per-draw differences that should average to zero."""
    samples = np.asarray(samples)
    return samples.mean() / (samples.std(ddof=1) / np.sqrt(len(samples)))


def make_cloud(n=60, d=5):
    """Uneven classes, off-centre, with two near-duplicates."""
    rng = np.random.default_rng(11)
    points = 0.7 * rng.standard_normal((n, d)) + 0.3
    points[0] = points[1] + 1e-3
    labels = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    points[:, 0] += labels
    return points, labels


def posterior_entropy(points, mu, z, t):
    """H(w) alone, (m,)."""
    x = oracles.noised(points, mu, z, t)
    return oracles.entropy(oracles.log_normalised(oracles.log_kernel(points, x, t)))


@pytest.fixture(scope="module")
def cloud():
    return make_cloud()


@pytest.fixture(scope="module")
def draws():
    """True indices and noise, the same at every time."""
    rng = np.random.default_rng(12)
    return rng.integers(60, size=DRAWS), rng.standard_normal((DRAWS, 5))


@pytest.fixture(scope="module", params=TIMES)
def measured(request, cloud, draws):
    return oracles.observables(*cloud, *draws, request.param)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("own_weight", "same_point"),
        ("entropy", "log_sum"),
        ("squared_error", "half_mean_distance"),
    ],
)
def test_two_forms_of_one_average(measured, one, other):
    assert abs(z_score(measured[one] - measured[other])) < 4


def test_chain_rule(measured):
    parts = measured["class_entropy"] + measured["within_class_entropy"]
    np.testing.assert_allclose(measured["entropy"], parts, rtol=1e-11, atol=1e-13)


def test_free_energies_differ_by_the_own_term(measured):
    with_own = np.logaddexp(0.0, measured["loo_free_energy"])
    np.testing.assert_allclose(measured["log_sum"], with_own, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(measured["own_weight"], np.exp(-measured["log_sum"]), rtol=1e-9)


def test_ranges(measured):
    assert np.all((measured["entropy"] >= 0) & (measured["entropy"] <= np.log(60) + 1e-12))
    assert np.all(measured["participation"] <= measured["effective"] * (1 + 1e-12))
    for key in ("same_class", "same_class_loo"):
        assert np.all((measured[key] >= 1 / 3 - 1e-12) & (measured[key] <= 1 + 1e-12))


@pytest.mark.parametrize("t", TIMES)
def test_entropy_falls_at_half_the_squared_error(cloud, draws, t):
    """I-MMSE: dH/dgamma = -mmse/2, central difference with the same noise on both sides."""
    gamma = np.exp(-2 * t) / oracles.variance(t)
    step = 1e-2 * gamma
    low, high = (
        posterior_entropy(cloud[0], *draws, oracles.time_of_snr(g))
        for g in (gamma - step, gamma + step)
    )
    w = oracles.weights(cloud[0], oracles.noised(cloud[0], *draws, t), t)
    mmse = np.sum((cloud[0][draws[0]] - w @ cloud[0]) ** 2, axis=1)
    assert mmse.mean() > 0.05
    assert abs(z_score((high - low) / (2 * step) + 0.5 * mmse)) < 4


def test_weights_agree_with_the_expanded_exponents(cloud, draws):
    points, (mu, z) = cloud[0], (draws[0][:50], draws[1][:50])
    t = 0.3
    gamma = np.exp(-2 * t) / oracles.variance(t)
    difference = points[mu][:, None] - points
    exponents = -0.5 * gamma * np.sum(difference**2, axis=2)
    exponents -= np.sqrt(gamma) * np.einsum("md,mnd->mn", z, difference)
    expected = np.exp(exponents) / np.exp(exponents).sum(axis=1, keepdims=True)
    w = oracles.weights(points, oracles.noised(points, mu, z, t), t)
    np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-15)
    log_sum = oracles.observables(*cloud, mu, z, t)["log_sum"]
    np.testing.assert_allclose(log_sum, np.log(np.exp(exponents).sum(axis=1)), atol=1e-11)


def test_leave_one_out_is_the_posterior_of_the_smaller_cloud(cloud, draws):
    points, labels = cloud
    mu, z, t = draws[0][:20], draws[1][:20], 0.6
    got = oracles.observables(points, labels, mu, z, t)["same_class_loo"]
    for own, noise, value in zip(mu, z, got, strict=True):
        x = oracles.noised(points, np.array([own]), noise[None], t)
        w = oracles.weights(np.delete(points, own, axis=0), x, t)[0]
        shares = np.bincount(np.delete(labels, own), weights=w)
        assert value == pytest.approx(np.sum(shares**2), rel=1e-12)


def test_far_points_underflow_quietly():
    """At tiny t every other weight is 0 in float64; nothing may turn into NaN."""
    points, labels = make_cloud(20)
    mu, z = np.arange(20), np.random.default_rng(0).standard_normal((20, 5))
    with np.errstate(all="raise", under="ignore"):
        got = oracles.observables(50 * points, labels, mu, z, 1e-6)
    assert all(np.all(np.isfinite(v)) for v in got.values())
    np.testing.assert_allclose(got["own_weight"], 1.0)
    assert np.all(got["loo_free_energy"] < -100)


def test_density_is_the_mixture_of_normals(cloud):
    points, t = cloud[0], 0.4
    x = np.random.default_rng(1).standard_normal((7, 5))
    variance = oracles.variance(t)
    density = np.mean(
        [multivariate_normal.pdf(x, np.exp(-t) * a, variance * np.eye(5)) for a in points], axis=0
    )
    np.testing.assert_allclose(oracles.minus_log_p(points, x, t), -np.log(density), rtol=1e-12)


def test_excess_entropy_is_the_entropy_gap(cloud, draws):
    """d (s^sep + log P / d) = log sum + (d - |z|^2)/2, draw by draw."""
    points, (mu, z), t = cloud[0], draws, 0.4
    entropy = oracles.minus_log_p(points, oracles.noised(points, mu, z, t), t)
    gap = 5 * oracles.separated_entropy_density(60, 5, t) - entropy
    log_sum = oracles.observables(*cloud, mu, z, t)["log_sum"]
    np.testing.assert_allclose(gap, log_sum + 0.5 * (5 - np.sum(z**2, axis=1)), atol=1e-11)


def test_landau_time_of_two_points():
    """Points +-m: equal norms, so Cov = m m^T at every gamma and gamma |m|^2 = 1."""
    points = np.array([[3.0, 4.0, 0.0], [-3.0, -4.0, 0.0]]) + 7.0
    assert oracles.landau_time(points) == pytest.approx(0.5 * np.log(26.0), rel=1e-9)


def test_landau_time_of_a_mixture():
    """Tilted by exp(-gamma |a|^2/2), classes N(+-m, s^2 I) vanish at gamma (|m|^2 - s^2) = 1."""
    mu, sigma, d = 2.0, 0.6, 4
    times = []
    for seed in range(8):
        points, _ = mixture.sample(4000, d, mu, sigma, np.random.default_rng(seed))
        times.append(oracles.landau_time(points))
    expected = 0.5 * np.log(1 + d * mu**2 - sigma**2)
    assert np.std(times) < 0.01
    assert abs(z_score(np.array(times) - expected)) < 4


def test_landau_time_may_not_exist():
    """Most points at the centre: the tilt empties the others faster than gamma grows."""
    points = np.vstack([np.eye(3), -np.eye(3), np.zeros((60, 3))])
    assert oracles.landau_time(points) is None


@pytest.mark.parametrize(("n", "d", "sigma"), [(100, 3, 1.0), (20000, 256, 0.5), (5, 40, 2.0)])
def test_gaussian_bound_of_isotropic_data(n, d, sigma):
    closed = 0.5 * np.log1p(sigma**2 / np.expm1(2 * np.log(n) / d))
    got = oracles.gaussian_bound(np.full(d, sigma**2), np.log(n))
    assert got == pytest.approx(closed, rel=1e-9)


MIXTURES = [(0.3, 2, 0.5, 1.0), (1.5, 64, 1.0, 0.7), (2.5, 256, 1.0, 1.0)]


def class_posteriors(t, d, mu, sigma, size=20_000):
    """P(+ | x_t) (size,) from whole sampled vectors and their distances to both noised means."""
    rng = np.random.default_rng(3)
    points, labels = mixture.sample(size, d, mu, sigma, rng)
    x = oracles.noised(points, np.arange(size), rng.standard_normal((size, d)), t)
    mean = np.exp(-t) * mu
    spread2 = oracles.variance(t) + sigma**2 * np.exp(-2 * t)
    log_odds = (np.sum((x + mean) ** 2, axis=1) - np.sum((x - mean) ** 2, axis=1)) / (2 * spread2)
    return expit(log_odds), labels


@pytest.mark.parametrize(("t", "d", "mu", "sigma"), MIXTURES)
def test_same_class_probability_against_sampling(t, d, mu, sigma):
    p, labels = class_posteriors(t, d, mu, sigma)
    exact = mixture.phi(t, d, mu, sigma)
    assert 0.5 < exact < 1
    assert abs(z_score(p**2 + (1 - p) ** 2 - exact)) < 4
    assert abs(z_score(np.where(labels == 1, p, 1 - p) - exact)) < 4


@pytest.mark.parametrize(("t", "d", "mu", "sigma"), MIXTURES)
def test_class_information_against_sampling(t, d, mu, sigma):
    p, _ = class_posteriors(t, d, mu, sigma)
    exact = mixture.class_information(t, d, mu, sigma)
    assert 0 < exact < np.log(2)
    assert abs(z_score(np.log(2) - entr(p) - entr(1 - p) - exact)) < 4


def test_quadrature_limits():
    """Resolved and unresolved classes; separations of thousands of widths stay exact."""
    for t, mu in [(1e-6, 1.0), (0.01, 50.0), (0.5, 1e4)]:
        assert mixture.phi(t, 256, mu, 0.1) == pytest.approx(1.0, abs=1e-10)
        assert mixture.class_information(t, 256, mu, 0.1) == pytest.approx(np.log(2), abs=1e-10)
    assert mixture.phi(20.0, 256, 1.0, 1.0) == pytest.approx(0.5, abs=1e-10)
    assert mixture.class_information(20.0, 256, 1.0, 1.0) == pytest.approx(0.0, abs=1e-10)
    u = 1e-2  # weak signal: I = u^2/2, phi = (1 + u^2)/2, up to u^4
    t = -np.log(u)
    assert mixture.phi(t, 1, 1.0, 1.0) == pytest.approx(0.5 + 0.5 * u**2, abs=2 * u**4)
    assert mixture.class_information(t, 1, 1.0, 1.0) == pytest.approx(0.5 * u**2, abs=2 * u**4)


def test_published_excess_entropy():
    """d = 256, n = 20000, t = 1.728: the exact form gives 0.516, the leading order 0.586."""
    n, d, t = 20_000, 256, 1.728
    exact = mixture.excess_entropy(t, n, d, 1.0, 1.0) / np.log(n)
    leading = mixture.leading_excess_entropy(t, n, d, 1.0) / np.log(n)
    assert exact == pytest.approx(0.516, abs=5e-4)
    assert leading == pytest.approx(0.586, abs=5e-4)


def test_information_density_averages_to_the_quadrature():
    """E i = I(a; x_t) = log n - d f: sampling whole vectors against the one-dimensional form."""
    n, d, t = 2000, 32, 1.2
    density = mixture.information_density(t, d, 1.0, 0.8, 20_000, np.random.default_rng(6))
    information = np.log(n) - mixture.excess_entropy(t, n, d, 1.0, 0.8)
    assert abs(z_score(density - information)) < 4


def test_sampled_clouds_lie_between_the_population_bounds():
    """d f <= mean over clouds of H(w) <= d f + E log(1 - 1/n + e^i/n), a gap of 0.03 nats."""
    n, d, t, sigma, rng = 200, 8, 0.7, 0.8, np.random.default_rng(5)
    lower = mixture.excess_entropy(t, n, d, 1.0, sigma)
    gap, gap_error = mixture.finite_cloud_excess(t, n, d, 1.0, sigma, 20_000, rng)
    means = []
    for _ in range(400):
        points, _ = mixture.sample(n, d, 1.0, sigma, rng)
        mu, z = rng.integers(n, size=60), rng.standard_normal((60, d))
        means.append(posterior_entropy(points, mu, z, t).mean())
    error = np.hypot(np.std(means) / np.sqrt(len(means)), gap_error)
    assert error < gap / 5
    assert lower - 4 * error < np.mean(means) < lower + gap + 4 * error


def test_one_large_cloud_gives_the_population_values():
    """Well above collapse the gap is 0.001 nats: H(w) and the leave-one-out phi of one cloud."""
    n, d, t, sigma, rng = 2000, 32, 1.6, 0.8, np.random.default_rng(8)
    points, labels = mixture.sample(n, d, 1.0, sigma, rng)
    mu, z = rng.integers(n, size=500), rng.standard_normal((500, d))
    got = oracles.observables(points, labels, mu, z, t)
    assert abs(z_score(got["entropy"] - mixture.excess_entropy(t, n, d, 1.0, sigma))) < 4
    assert abs(z_score(got["same_class_loo"] - mixture.phi(t, d, 1.0, sigma))) < 4


def test_speciation_time():
    """With sigma = 1 the level 0.775 is crossed near u = 1, that is t = (1/2) log(d mu^2)."""
    t = mixture.speciation_time(256, 1.0, 1.0)
    assert mixture.phi(t, 256, 1.0, 1.0) == pytest.approx(0.775, abs=1e-10)
    assert t == pytest.approx(0.5 * np.log(256), abs=0.1)

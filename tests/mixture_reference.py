"""Exact population values for two balanced Gaussian classes, by one-dimensional quadrature.

Law: a ~ (1/2) N(m, sigma^2 I) + (1/2) N(-m, sigma^2 I) with |m|^2 = d mu^2. At time t the class
is seen only through y, the coordinate of x_t along m: y ~ N(+-u, G) with u = mu sqrt(d) e^{-t}
and G = 1 - e^{-2t} + sigma^2 e^{-2t}. Nothing here is asymptotic in d, except that
`excess_entropy` takes the training points for the population, which holds well above collapse.
"""

from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import entr, expit
from scipy.stats import norm


def sample(n, d, mu, sigma, rng):
    """n points (n, d) and labels (n,): label 1 around +m, 0 around -m, m = mu (1, ..., 1).

    The classes are of equal size (for odd n the class 0 has one point more), in random order.
    """
    labels = rng.permutation(np.arange(n) % 2)
    signs = 2.0 * labels - 1.0
    return mu * signs[:, None] + sigma * rng.standard_normal((n, d)), labels


def channel(t, d, mu, sigma):
    """(u, G): distance of a class from the origin and variance of the noised class at time t."""
    shrink = np.exp(-t)
    return mu * np.sqrt(d) * shrink, -np.expm1(-2.0 * t) + (sigma * shrink) ** 2


def integrate(function, u, spread):
    """Integral of function(y) over |y| < u + 12 spread, cut where the integrand changes.

    It has peaks of width spread at +-u and, between them, a narrow feature of width spread^2 / u
    at the origin, where the class posterior turns over.
    """
    turn = 4.0 * spread**2 / max(u, spread)
    cuts = (turn, max(u - 12.0 * spread, 0.0), u, u + 12.0 * spread)
    edges = sorted({0.0, *cuts, *(-cut for cut in cuts)})
    options = {"epsabs": 1e-13, "epsrel": 1e-11, "limit": 200}
    return sum(quad(function, a, b, **options)[0] for a, b in pairwise(edges))


def phi(t, d, mu, sigma):
    """Same-class probability (1/2) int [G(y,u)^2 + G(y,-u)^2] / [G(y,u) + G(y,-u)] dy.

    Each ratio is formed from log densities, so that far tails do not divide zero by zero.
    """
    u, gamma = channel(t, d, mu, sigma)
    spread = np.sqrt(gamma)

    def integrand(y):
        plus, minus = norm.logpdf(y, u, spread), norm.logpdf(y, -u, spread)
        total = np.logaddexp(plus, minus)
        return 0.5 * (np.exp(2.0 * plus - total) + np.exp(2.0 * minus - total))

    return integrate(integrand, u, spread)


def class_information(t, d, mu, sigma):
    """I(class; x_t) = log 2 - E[H(class | y)] in nats, P(+ | y) = 1 / (1 + e^{-2uy/G})."""
    u, gamma = channel(t, d, mu, sigma)
    spread = np.sqrt(gamma)

    def integrand(y):
        density = 0.5 * (norm.pdf(y, u, spread) + norm.pdf(y, -u, spread))
        logit = 2.0 * u * y / gamma
        return density * (entr(expit(logit)) + entr(expit(-logit)))

    return np.log(2.0) - integrate(integrand, u, spread)


def excess_entropy(t, n, d, mu, sigma):
    """d f(t) = log n - (d/2) log(G/D) - I(class; x_t) in nats, D = 1 - e^{-2t}.

    The population value, a lower bound on the mean over clouds of n points; see
    `finite_cloud_excess` for how far above it they lie.
    """
    gamma = channel(t, d, mu, sigma)[1]
    gaussian = 0.5 * d * np.log(gamma / -np.expm1(-2.0 * t))
    return np.log(n) - gaussian - class_information(t, d, mu, sigma)


def information_density(t, d, mu, sigma, size, rng):
    """i(a; x_t) = log P(x_t | a) - log P(x_t) of sampled pairs, in nats: (size,).

    Its mean is I(a; x_t). P(x_t) is the mixture of N(+-m e^{-t}, G I), m = mu (1, ..., 1).
    """
    a, _ = sample(size, d, mu, sigma, rng)
    z = rng.standard_normal((size, d))
    variance, gamma = -np.expm1(-2.0 * t), channel(t, d, mu, sigma)[1]
    x, mean = np.exp(-t) * a + np.sqrt(variance) * z, mu * np.exp(-t)
    plus, minus = (-np.sum((x - s * mean) ** 2, axis=1) / (2.0 * gamma) for s in (1.0, -1.0))
    log_marginal = np.logaddexp(plus, minus) - np.log(2.0) - 0.5 * d * np.log(gamma)
    return -0.5 * np.sum(z**2, axis=1) - 0.5 * d * np.log(variance) - log_marginal


def finite_cloud_excess(t, n, d, mu, sigma, size, rng):
    """E log[e^{i - log n} + 1 - 1/n] by sampling: (mean, standard error) in nats.

    A cloud of n points has, averaged over clouds, an excess entropy between `excess_entropy`
    (concavity of the entropy in the law) and that plus this amount (Jensen over the n - 1 points
    that did not make x): E log(1 + Z) <= E log(1 + (n - 1) e^{-i}). It vanishes far above
    collapse, and tells how far is far: the spread of i counts, not its mean alone.
    """
    log_ratio = information_density(t, d, mu, sigma, size, rng) - np.log(n)
    values = np.logaddexp(log_ratio, np.log1p(-1.0 / n))
    return values.mean(), values.std(ddof=1) / np.sqrt(size)


def leading_excess_entropy(t, n, d, sigma):
    """The same without the class term, log n + (d/2) log(D/G): the large-d form, in nats."""
    gamma = channel(t, d, 0.0, sigma)[1]
    return np.log(n) + 0.5 * d * np.log(-np.expm1(-2.0 * t) / gamma)


def speciation_time(d, mu, sigma, level=0.775):
    """Root t of phi(t) = level; raises ValueError (brentq) if phi is below the level at t = 0."""
    return brentq(lambda t: phi(t, d, mu, sigma) - level, 1e-9, 30.0, xtol=1e-12)

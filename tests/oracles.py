"""Slow, direct evaluations of the posterior weights and of everything averaged from them.

Law: x_t = e^{-t} a_mu + sqrt(D) z with D = 1 - e^{-2t}, and the posterior weight of point nu is
softmax_nu(-|x - e^{-t} a_nu|^2 / 2D). Distances are taken between x and e^{-t} a_nu themselves,
never through the expanded exponents, so that this is a second route to every number of the
package. All arrays are float64; n points, d features, m draws, C classes.

Memory grows as m x n: meant for small clouds.
"""

from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.special import logsumexp


def variance(t):
    """D_t = 1 - e^{-2t}."""
    return -np.expm1(-2.0 * t)


def time_of_snr(gamma):
    """t = (1/2) log(1 + 1/gamma), the inverse of gamma = e^{-2t} / (1 - e^{-2t})."""
    return 0.5 * np.log1p(1.0 / gamma)


def noised(points, mu, z, t):
    """x_t = e^{-t} a_mu + sqrt(D) z: points (n, d), mu (m,), z (m, d) -> (m, d)."""
    return np.exp(-t) * np.asarray(points, float)[mu] + np.sqrt(variance(t)) * z


def log_kernel(points, x, t):
    """-|x - e^{-t} a_nu|^2 / 2D: points (n, d), x (m, d) -> (m, n)."""
    centres = np.exp(-t) * np.asarray(points, float)
    return -cdist(np.asarray(x, float), centres, "sqeuclidean") / (2.0 * variance(t))


def log_normalised(logits):
    """log softmax along the last axis: (m, k) -> (m, k)."""
    return logits - logsumexp(logits, axis=-1, keepdims=True)


def weights(points, x, t):
    """w_nu(x, t) = softmax_nu(-|x - e^{-t} a_nu|^2 / 2D): points (n, d), x (m, d) -> (m, n)."""
    return np.exp(log_normalised(log_kernel(points, x, t)))


def entropy(log_p):
    """-sum_k p_k log p_k in nats from log p (m, k) -> (m,); log p = -inf counts as zero."""
    p = np.exp(log_p)
    return -np.sum(p * np.where(p > 0.0, log_p, 0.0), axis=-1)


def class_log_probabilities(log_w, labels):
    """log p_c = log sum_{nu in c} w_nu: log_w (m, n), labels (n,) -> (m, C), sorted classes."""
    return np.stack([logsumexp(log_w[:, labels == c], axis=1) for c in np.unique(labels)], axis=1)


def within_class_entropy(log_w, labels):
    """sum_c p_c H(w | c), class by class from the conditional weights: (m, n) -> (m,)."""
    total = np.zeros(len(log_w))
    for c in np.unique(labels):
        members = log_w[:, labels == c]
        probability = np.exp(logsumexp(members, axis=1))
        total += probability * entropy(log_normalised(members))
    return total


def leave_one_out(log_e, mu, labels):
    """The point mu struck out: log_e (m, n) -> (log sum_{nu != mu} e^{l_nu}, sum_c p_c^2), (m,).

    The class probabilities are those of the weights renormalised over the n - 1 points left.
    """
    others = np.array(log_e)
    others[np.arange(len(mu)), mu] = -np.inf
    p = np.exp(class_log_probabilities(log_normalised(others), labels))
    return logsumexp(others, axis=1), np.sum(p**2, axis=1)


def observables(points, labels, mu, z, t):
    """Every observable of one posterior, draw by draw.

    points (n, d), labels (n,), mu (m,) indices, z (m, d) standard normal, t scalar.
    Returns a dict of (m,) arrays. The exponents with l_mu = 0 are log_kernel + |z|^2 / 2.
    """
    points, labels = np.asarray(points, float), np.asarray(labels)
    draws = np.arange(len(mu))
    kernel = log_kernel(points, noised(points, mu, z, t), t)
    log_e = kernel + 0.5 * np.sum(z**2, axis=1, keepdims=True)
    log_w = log_normalised(kernel)
    w, p = np.exp(log_w), np.exp(class_log_probabilities(log_w, labels))
    free_energy, same_class_loo = leave_one_out(log_e, mu, labels)
    h = entropy(log_w)
    return {
        "entropy": h,
        "log_sum": logsumexp(log_e, axis=1),
        "same_point": np.sum(w**2, axis=1),
        "own_weight": w[draws, mu],
        "same_class": np.sum(p**2, axis=1),
        "class_entropy": entropy(class_log_probabilities(log_w, labels)),
        "within_class_entropy": within_class_entropy(log_w, labels),
        "squared_error": np.sum((points[mu] - w @ points) ** 2, axis=1),
        "half_mean_distance": 0.5 * np.sum(w * cdist(points[mu], points, "sqeuclidean"), axis=1),
        "same_class_loo": same_class_loo,
        "loo_free_energy": free_energy,
        "participation": 1.0 / np.sum(w**2, axis=1),
        "effective": np.exp(h),
    }


def pairs_of_classes(points, labels, mu, z, t):
    """M_ab, E_a[r] and E_a[r^2 + (1 - r)^2] of every two classes, (3, C, C), a the true one.

    Densities of the classes are means over their points but mu; r = P_a/(P_a + P_b). points (n, d),
    labels (n,), mu (m,) indices, z (m, d) standard normal; C classes, each with draws.
    """
    kernel = log_kernel(points, noised(points, mu, z, t), t)
    kernel[np.arange(len(mu)), mu] = -np.inf
    classes = np.unique(labels)
    own = labels[mu]
    out = np.zeros((3, len(classes), len(classes)))
    for j, b in enumerate(classes):
        for i, a in enumerate(classes):
            rows = kernel[own == a]
            one = logsumexp(rows[:, labels == a], axis=1) - np.log((labels == a).sum() - 1)
            other = logsumexp(rows[:, labels == b], axis=1) - np.log((labels == b).sum() - (a == b))
            r = 1 / (1 + np.exp(other - one))
            out[:, i, j] = np.mean([one - other, r, r**2 + (1 - r) ** 2], axis=1)
    return out


def minus_log_p(points, x, t):
    """-log P_t^e(x), P_t^e(x) = (1/n) sum_nu N(x; e^{-t} a_nu, D I): x (m, d) -> (m,) nats."""
    n, d = np.shape(points)
    constant = np.log(n) + 0.5 * d * np.log(2.0 * np.pi * variance(t))
    return constant - logsumexp(log_kernel(points, x, t), axis=1)


def separated_entropy_density(n, d, t):
    """s^sep = (log n)/d + 1/2 + (1/2) log(2 pi D), nats per dimension."""
    return np.log(n) / d + 0.5 + 0.5 * np.log(2.0 * np.pi * variance(t))


def tilted_covariance(points, gamma):
    """Cov[a] under weights proportional to exp(-gamma |a|^2 / 2), points as given: (d, d)."""
    logits = -0.5 * gamma * np.sum(points**2, axis=1)
    w = np.exp(logits - logsumexp(logits))
    centred = points - w @ points
    return (centred * w[:, None]).T @ centred


def landau_time(points, grid=600):
    """Largest t at which I - gamma Cov has a zero eigenvalue, or None where there is none.

    Points are centred first; Cov is `tilted_covariance`. As gamma grows from 0 the first
    eigenvalue to vanish is that of the top of Cov, so this is the first root of
    gamma lambda_max - 1: scanned on a geometric grid from 1e-2/L to 1e4/L (L the top of the
    plain covariance; 2.3 % steps), then brentq. Two roots closer than one step are missed.
    """
    points = np.asarray(points, float) - np.mean(points, axis=0, dtype=float)

    def excess(gamma):
        return gamma * np.linalg.eigvalsh(tilted_covariance(points, gamma))[-1] - 1.0

    top = np.linalg.eigvalsh(tilted_covariance(points, 0.0))[-1]
    gammas = np.geomspace(1e-2, 1e4, grid) / top
    for below, above in pairwise(gammas):
        if excess(above) >= 0.0:
            return time_of_snr(brentq(excess, below, above, xtol=1e-14 / top, rtol=1e-12))
    return None


def gaussian_bound(eigenvalues, log_n):
    """Root t of (1/2) sum_k log(1 + gamma(t) lambda_k) = log n: eigenvalues (k,), log_n > 0."""
    eigenvalues = np.asarray(eigenvalues, float)

    def excess(log_gamma):
        return 0.5 * np.sum(np.log1p(np.exp(log_gamma) * eigenvalues)) - log_n

    low = high = -np.log(np.max(eigenvalues))
    while excess(low) > 0.0:
        low -= 5.0
    while excess(high) < 0.0:
        high += 5.0
    return time_of_snr(np.exp(brentq(excess, low, high, xtol=1e-13)))

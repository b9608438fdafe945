"""What the chance that deals out the classes adds to the error of a mean.

n points drawn from a population hold n_k of class k by chance. Where a curve differs between the
classes, its mean over all points moves with these counts, by

    Cov = 1/n sum_k p_k (m_k(t) - m(t)) (m_k(t') - m(t')),

which groups that all hold the same share of every class do not show (`posterior.left_out`). The
sum is that of an analysis of variance, without what the noise within the classes adds to it.
Classes of equal counts were chosen so: there is no chance in them.
"""

from __future__ import annotations

import numpy as np

from ..data.cloud import Cloud
from ..posterior.sample import Sample
from ..process import snr


def of_class_shares(sample: Sample, cloud: Cloud, name: str, log_gamma: np.ndarray) -> np.ndarray:
    """Covariance (P, P) of the mean of the curve `name` at the places `log_gamma` (P,)."""
    counts, places = np.diff(cloud.bounds), np.atleast_1d(log_gamma)
    nothing = np.zeros((len(places), len(places)))
    if len(set(counts.tolist())) == 1:
        return nothing
    own = cloud.labels.cpu().numpy()[cloud.row_of[sample.points]]
    seen, of, units = np.unique(own, return_inverse=True, return_counts=True)
    freedom = len(own) - len(seen)
    if freedom < 1:
        return nothing
    values = _at(sample, name, places)
    sums = np.zeros((len(seen), len(places)))
    np.add.at(sums, of, values)
    means = sums / units[:, None]
    within = values - means[of]
    noise = within.T @ within / freedom  # of a single unit
    apart = means - values.mean(axis=0)
    between = (apart * units[:, None]).T @ apart - (len(seen) - 1) * noise
    size, turn = np.linalg.eigh(between / len(own))
    return np.asarray((turn * np.maximum(size, 0.0)) @ turn.T / cloud.n)


def _at(sample: Sample, name: str, places: np.ndarray) -> np.ndarray:
    """The observable of every unit (units, P), between the times of the sample."""
    axis = np.log(snr(sample.times))[::-1]
    right = np.clip(np.searchsorted(axis, places), 1, len(axis) - 1)
    share = np.clip((places - axis[right - 1]) / (axis[right] - axis[right - 1]), 0, 1)
    values = sample.values[name][:, ::-1]
    return np.asarray((1 - share) * values[:, right - 1] + share * values[:, right])

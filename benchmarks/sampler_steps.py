"""Which noise levels a sampler should take: the advised ones beside those in use, on exact scores.

    python benchmarks/sampler_steps.py [SAMPLES]

On mixtures whose score and information are known: DDIM with 5, 10, 20 and 40 levels between
sigma = 80 and 0.01. Of the samples the error of the class shares (half the sum of absolute
differences) and the divergence of the variances within classes from the exact ones, sum over
features of (r - 1 - log r)/2 nats. A minute on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch

from diffregimes.advising.image import levels
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import linear_schedule, sigma, time_from_snr

ENDS = 80.0, 0.01  # sigma
COUNTS = 5, 10, 20, 40
_D = 64


def laws() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Means (K, d), variances (d,) and weights (K,)."""
    one = np.full((1, _D), 0.5)
    four = np.zeros((4, _D))
    four[:2, : _D // 2], four[2:, : _D // 2] = 1, -1
    four[::2, _D // 2 :], four[1::2, _D // 2 :] = 0.3, -0.3
    broad = 1 / np.arange(1, _D + 1) ** 2
    apart = np.zeros((2, _D))
    apart[:, 0] = 1.5, -1.5
    return {
        "two classes": (np.vstack([one, -one]), np.full(_D, 0.04), np.array([0.7, 0.3])),
        "four classes, two levels": (four, np.full(_D, 0.02), np.array([0.4, 0.1, 0.3, 0.2])),
        "a broad spectrum": (np.zeros((1, _D)), broad, np.ones(1)),
        "two classes, broad spectrum": (apart, broad, np.array([0.7, 0.3])),
    }


Rules = dict[str, Callable[[int], np.ndarray]]


def rules(law: GaussianMixture) -> Rules:
    """Those of `spaced` for a law."""
    places = tuple(2 * np.log(x) for x in ENDS)  # -log gamma
    x = np.linspace(places[1], places[0], 200)
    curves = law.population_curves(np.asarray(time_from_snr(np.exp(-x))))
    shares = law.weights.numpy()
    total = float(-(shares * np.log(shares)).sum())
    known = np.zeros(len(x))
    if total > 0:
        known = 1 - curves["class_entropy"] / total
    nats = np.maximum.accumulate(curves["information"][::-1])[::-1]
    return {
        "advised": lambda count: levels(x, nats, known, places[::-1], count),
        **spaced(x, nats, *ENDS),
    }


def spaced(x: np.ndarray, nats: np.ndarray, high: float, low: float) -> Rules:
    """Times (N,) from noise to data between two sigmas, by the number of levels; the information
    `nats` is known at -log gamma = x, increasing, which has both ends in it."""
    trained = sigma(linear_schedule().times)

    def at(sigmas: np.ndarray) -> np.ndarray:
        return np.asarray(time_from_snr(sigmas**-2.0))

    def equal(count: int) -> np.ndarray:
        wanted = np.linspace(nats[-1], nats[0], count)
        return np.asarray(time_from_snr(np.exp(-np.interp(wanted, nats[::-1], x[::-1]))))

    def karras(count: int) -> np.ndarray:
        one, two = (s ** (1 / 7) for s in (high, low))
        return at((one + np.linspace(0, 1, count) * (two - one)) ** 7)

    first, last = (float(at(np.array(s))) for s in (high, low))
    return {
        "equal information": equal,
        "log-SNR": lambda count: at(np.geomspace(high, low, count)),
        "Karras": karras,
        "uniform t": lambda count: np.linspace(first, last, count),
        "leading": lambda count: at(trained[np.arange(count)[::-1] * (1000 // count)]),
        "trailing": lambda count: at(trained[np.arange(1000, 0, -1000 // count) - 1]),
    }


def errors(
    law: GaussianMixture, variances: np.ndarray, times: np.ndarray, samples: int
) -> tuple[float, float]:
    """Of DDIM with these levels and a last one of no noise."""
    generator = torch.Generator().manual_seed(1)
    # the variance-exploding states of the same process
    x = float(sigma(times[0])) * torch.randn(samples, law.d, generator=generator).double()
    for k, t in enumerate(times):
        now, then = float(sigma(t)), float(sigma(times[k + 1])) if k + 1 < len(times) else 0.0
        clean = law.denoise(float(np.exp(-t)) * x, float(t))
        x = clean + then / now * (x - clean)
    p = law.class_posterior(x, 1e-7)
    off = float((p.mean(0) - law.weights).abs().sum()) / 2
    rest = x - law.means[p.argmax(1)]
    ratio = rest.var(0) / torch.from_numpy(variances)
    return off, float((ratio - 1 - ratio.log()).sum()) / 2


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    for name, parts in laws().items():
        means, variances, weights = parts
        law = GaussianMixture(means, Covariance.diagonal_of(variances), weights)
        print(f"{name}: error of the shares / of the variances in nats, N = {COUNTS}")
        for rule, times in rules(law).items():
            found = [errors(law, variances, times(count), samples) for count in COUNTS]
            print(f"  {rule:18}", "   ".join(f"{a:.3f} / {b:6.2f}" for a, b in found), flush=True)


if __name__ == "__main__":
    main()

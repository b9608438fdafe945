"""A made-up `Analysis` with smooth curves, and the datasets to draw it with."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from diffregimes import process
from diffregimes.data.datasets import Dataset, describe
from diffregimes.results import (
    Analysis,
    Comparison,
    Curves,
    Duplicate,
    ExactTime,
    Exposure,
    Flag,
    Headline,
    PointsNeeded,
    Recipe,
    Spectrum,
    TransitionTime,
    Verdict,
)
from diffregimes.transitions.regimes import GENERALIZING, MEMORIZING, WANDERING


@cache
def digits(*classes: int) -> Dataset:
    """The 8x8 handwritten digits of scikit-learn, all classes or those named."""
    data = load_digits()
    wanted = classes or tuple(range(10))
    keep = np.isin(data.target, wanted)
    labels = np.searchsorted(np.array(wanted), data.target[keep])
    points = (data.data[keep] / 16).astype(np.float32)
    names = tuple(str(c) for c in wanted)
    return Dataset(points, labels, names, (8, 8, 1), (0.0, 1.0), "scikit-learn digits")


def plain_points(n: int = 60, d: int = 5, seed: int = 3) -> Dataset:
    """Two clouds in d dimensions: no pictures."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    points = rng.standard_normal((n, d)) + 4 * labels[:, None]
    return Dataset(points.astype(np.float32), labels, ("left", "right"), (d,))


def _time(transition: str, method: str, t: float | None, *warnings: str) -> TransitionTime:
    if t is None:
        return TransitionTime(transition, method, None, warnings=warnings or ("none found",))
    step = process.linear_schedule().step(t)
    sigma, snr = float(process.sigma(t)), float(process.snr(t))
    return TransitionTime(transition, method, t, 0.97 * t, 1.03 * t, step, sigma, snr, warnings)


def fall(t: np.ndarray, middle: float, width: float) -> np.ndarray:
    """A smooth step from 1 at small t to 0 at large t, even in log-SNR."""
    gap = np.log(process.snr(t)) - np.log(process.snr(middle))
    return 1 / (1 + np.exp(-gap / width))


def make_curves(n: int, classes: int, t_s: float, t_c: float) -> Curves:
    t = np.geomspace(2e-3, 6, 60)
    base, log_n = 1 / classes, float(np.log(n))
    same_point = 1 / n + (1 - 1 / n) * fall(t, t_c, 0.35)
    excess = 1 - fall(t, 1.4 * t_c, 0.8)
    gamma = process.snr(t)
    decided = fall(t, t_s, 0.55)
    class_entropy = np.minimum(np.log(classes) * (1 - decided), excess * log_n)
    values = {
        "excess_entropy_over_alpha": excess,
        "excess_entropy_over_alpha_logsum": excess + 2e-4 * np.sin(9 * t),
        "information": log_n * (1 - excess),
        "same_point_probability": same_point,
        "same_class_probability": base + (1 - base) * np.maximum(decided, same_point),
        "same_class_probability_loo": base + (1 - base) * 0.98 * decided,
        "loo_free_energy_over_log_n": 1 - (1 + process.snr(t_c) ** -1 * gamma) / 2,
        "class_entropy": class_entropy,
        "within_class_entropy": excess * log_n - class_entropy,
        "mmse": -2 * np.gradient(excess * log_n, gamma),
        "effective_points": np.exp(excess * log_n),
        "effective_points_participation": 1 / same_point,
    }
    se = {name: 0.01 * np.abs(x) / (1 + np.abs(x)) + 1e-4 for name, x in values.items()}
    return Curves(t, values, se, 2048)


def make_analysis(
    dataset: Dataset | None = None, t_s: float | None = 0.96, t_c: float | None = 0.35
) -> Analysis:
    """An analysis of `dataset` (digits 0 and 1) with the transitions where they are asked for."""
    dataset = dataset or digits(0, 1)
    rng = np.random.default_rng(0)
    s, c = t_s or 0.9, t_c or 0.3
    centred = dataset.points - dataset.points.mean(axis=0)
    eigenvalues = np.linalg.svd(centred[:3000], compute_uv=False) ** 2 / min(dataset.n, 3000)
    first = float(eigenvalues[0]) if dataset.is_image else None
    order = rng.permutation(dataset.n)[:24]
    points = []
    for rank, i in enumerate(order):
        gaps = np.linalg.norm(dataset.points - dataset.points[i], axis=1)
        gaps[i] = np.inf
        near = int(np.argmin(gaps))
        own = None if t_c is None else c * (1.9 - 0.02 * rank)
        se = None if own is None else 0.012
        points.append(Exposure(int(i), int(dataset.labels[i]), own, se, near, float(gaps[near])))
    regimes: tuple[tuple[str, float | None, float], ...]
    opens = t_s is not None and (t_c is None or t_s > t_c)
    if opens:
        regimes = (
            (WANDERING.name, None, s),
            (GENERALIZING.name, s, c),
            (MEMORIZING.name, c, 0.0),
        )
        headline = f"A generalizing regime exists, from t = {s:.2f} down to t = {c:.2f}."
        sentences = (
            "Samples take their class at t_S and stay new until t_C.",
            "Stopping before t_C gives samples that are decided and not copies.",
        )
    else:
        regimes = ((WANDERING.name, None, c), (MEMORIZING.name, c, 0.0))
        headline = "No generalizing regime: these points are copied before the class is decided."
        sentences = ("Collapse comes before speciation at this number of points.",)
    speciation = ("spectral", "spectral-exact", "landau", "clone", "clone-loo")
    factor = {"spectral": 1.1, "spectral-exact": 1.15, "landau": 0.93, "clone": 1.05}
    times = [_time("speciation", m, t_s and t_s * factor.get(m, 1.0)) for m in speciation]
    collapse = ("free-energy", "entropy", "clone", "gaussian-bound")
    factor = {"entropy": 0.98, "clone": 0.91, "gaussian-bound": 1.4}
    times += [
        _time(
            "collapse",
            m,
            t_c and t_c * factor.get(m, 1.0),
            *(("an upper bound: data with structure collapse earlier",) if "bound" in m else ()),
        )
        for m in collapse
    ]
    # more points than there are where collapse comes first, and fewer otherwise
    needed = float(np.log(dataset.n)) * (s / c) ** -0.5 + (0 if opens else 12)
    return Analysis(
        dataset=describe(dataset),
        spectrum=Spectrum(float(eigenvalues[0]), first, float(eigenvalues[0]) / 30, eigenvalues),
        times=tuple(times),
        curves=make_curves(dataset.n, len(dataset.class_names), s, c),
        points=tuple(points),
        point_times=np.append(c * np.exp(0.25 * rng.standard_normal(min(dataset.n, 900))), np.nan),
        duplicates=(
            Duplicate(3, 7, 0.0, "exact"),
            Duplicate(5, 9, 2.5e-4, "near"),
        ),
        reliability=(
            Flag("nishimori", True, 0.7, 3.0, "E[w of the true point] and E[sum of w^2] agree."),
            Flag("i-mmse", False, 4.2, 3.0, "The slope of the entropy and the error disagree."),
        ),
        points_needed=PointsNeeded(s, needed, needed - 0.9, needed + 1.1, "information at t_S"),
        verdict=Verdict(headline, sentences, regimes, opens),
        recipe=Recipe(
            precision=0.005,
            draws=2048,
            times="adaptive",
            seed=7,
            schedule="linear",
            device="cpu",
            headline=Headline("clone-loo", "free-energy"),
            versions={"diffregimes": "0.1.0", "torch": "2.13.0"},
            command="analyze",
            options={"range": [0, 1]},
        ),
        notes=("Pixels were centred per channel.",),
    )


def with_theory(analysis: Analysis, z: float | None = 1.25) -> Analysis:
    """The same with a theory beside it: values near the curves, bands near the collapse, bounds,
    and z-scores of at most `z` above the collapse (None: none at all)."""
    curves = analysis.curves
    band = 0.2 * fall(curves.t, 0.5, 0.5) * (1 - fall(curves.t, 0.2, 0.5))
    one = ("same_class_probability_loo", "class_entropy", "mmse")
    two = {"excess_entropy_over_alpha": 1.0, "within_class_entropy": 5.0, "information": 5.0}
    low = {x: 0.99 * curves[x] for x in (*one, "same_point_probability")}
    high = {x: low[x] for x in one}
    high["loo_free_energy_over_log_n"] = curves["loo_free_energy_over_log_n"] + 0.05
    for name, size in two.items():
        low[name], high[name] = curves[name] - size * band, curves[name] + size * band
    above = curves.t > 0.6
    wave = np.where(above, 0.0 if z is None else -z * np.sin(np.arange(len(above))) ** 2, np.nan)
    wave[-1] = np.nan if z is None else -z
    scores = {x: np.full_like(wave, np.nan) if z is None else wave / 2 for x in (*one, *two)}
    scores["mmse"] = np.full_like(wave, np.nan) if z is None else wave
    scores["within_class_entropy"] = np.full_like(wave, np.nan)
    times = (
        ExactTime("speciation", "spectral", None, None),
        ExactTime("speciation", "clone-loo", 0.951, z and -0.4),
        ExactTime("collapse", "free-energy", 0.333, None),
    )
    return dataclasses.replace(analysis, theory=Comparison(low, high, scores, times))

"""The exact theory beside an analysis: z-scores that are honest, bands that hold, exact times."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
import torch

import diffregimes as dr
from clouds import SCHEDULE, blobs, prepared
from diffregimes.common.numerics import Z95
from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import Dataset
from diffregimes.data.spectrum import gaussian_information, information_bound
from diffregimes.populations.covariances import Covariance
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.results import Comparison, Curves
from diffregimes.theory import (
    TwoGaussians,
    collapse_time,
    finite_n,
    gaussian_bound,
    speciation_times,
)
from diffregimes.transitions import choice, collapse, comparison, exact_times
from diffregimes.transitions.collapse import BOUNDED, FREE
from diffregimes.transitions.comparison import EXCESS, LOO, SAME, WITHIN, compare
from diffregimes.transitions.criteria import clone_level
from diffregimes.transitions.crossing import clocked, resample

CURVES = (LOO, "class_entropy", "information", WITHIN, "mmse", EXCESS)
OF_POINTS = (FREE, BOUNDED, SAME)  # judged too where their means over sets of n points are known


def three_classes() -> GaussianMixture:
    """Three classes of different size, form and spread, their means in a plane."""
    spread = Covariance.diagonal_of(np.linspace(0.3, 1.5, 6))
    means = np.zeros((3, 6))
    means[0, 0], means[1, 1], means[2, 2] = 2, -1.5, 3
    return GaussianMixture(means, [1.0, spread, Covariance.isotropic(0.25)], [0.5, 0.3, 0.2])


def dataset(law: GaussianMixture, n: int, seed: int, stratified: bool = False) -> Dataset:
    points, labels = law.sample(n, seed, stratified=stratified, dtype=torch.float32)
    names = tuple(str(k) for k in range(law.n_components))
    return Dataset(points.numpy(), labels.numpy(), names, (law.d,), population=law)


def measured(data: Dataset, times, draws: int, seed: int) -> Curves:
    cloud = prepare(data.points, data.labels)
    return sweep(cloud, np.asarray(times), draws=draws, seed=seed).curves()


def remembering(monkeypatch):
    """What theory says of one law, times, n and seed is computed once."""

    def once(call):
        known = {}

        def told(*given):
            key = tuple(x.tobytes() if isinstance(x, np.ndarray) else x for x in given)
            return known[key] if key in known else known.setdefault(key, call(*given))

        return told

    for name in ("chosen", "_means"):
        monkeypatch.setattr(comparison, name, once(getattr(comparison, name)))


def compared(
    data: Dataset, times, seed: int = 0, law: GaussianMixture | None = None, draws: int = 2048
) -> tuple[Curves, Comparison]:
    curves = measured(data, times, draws, seed)
    level = clone_level(data.class_counts)
    return curves, compare(law or data.population, curves, (), data.n, level, seed)


# --- z-scores -------------------------------------------------------------------------------------

# law, n, times from near the collapse to pure noise
LAWS = {
    "small n": (two_gaussians(16), 300, np.geomspace(0.6, 3, 5)),
    "larger n": (two_gaussians(64), 2000, np.geomspace(1.0, 4, 5)),
    "unequal weights, narrow": (two_gaussians(32, 1, 0.5, 0.2), 1000, np.geomspace(0.5, 4, 5)),
    "wide": (two_gaussians(8, 1, 2.0), 500, np.geomspace(0.4, 4, 5)),
    "three classes": (three_classes(), 800, np.geomspace(0.25, 3, 5)),
}


def scores(name: str, stratified: bool, clouds: int) -> dict[str, list[np.ndarray]]:
    """By curve, the z-scores of each of so many independent clouds that has any."""
    law, n, times = LAWS[name]
    judged = CURVES + OF_POINTS * law.isotropic
    found: dict[str, list[np.ndarray]] = {curve: [] for curve in judged}
    for seed in range(clouds):
        _, theory = compared(dataset(law, n, 100 + seed, stratified), times, seed)
        assert set(theory.z) == set(judged)
        for curve, z in theory.z.items():
            found[curve] += [z[np.isfinite(z)]] if np.isfinite(z).any() else []
    return found


def check(found: dict[str, list[np.ndarray]]) -> None:
    """Mean square not above 1, none beyond 4. The z-scores of a cloud are taken for one number,
    whose square has the variance 2."""
    for curve, rows in found.items():
        squares = [np.mean(z**2) for z in rows]
        assert np.mean(squares) < 1 + 3 * math.sqrt(2 / len(squares)), curve
        assert max(np.abs(z).max() for z in rows) < 4, curve


@pytest.mark.slow
def test_z_scores_are_those_of_estimates_of_the_law(monkeypatch):
    monkeypatch.setattr(comparison, "DRAWS", 4000)
    remembering(monkeypatch)  # it knows nothing of how the points were chosen
    found: dict[str, list[np.ndarray]] = {curve: [] for curve in CURVES + OF_POINTS}
    for name in LAWS:
        for stratified in (False, True):
            for curve, rows in scores(name, stratified, 3).items():
                found[curve] += rows
    assert all(len(rows) >= 15 for rows in found.values())
    check(found)
    # nor are they so small that they could not tell
    assert all(np.mean([np.mean(z**2) for z in rows]) > 0.2 for rows in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("name", LAWS)
def test_z_scores_of_many_clouds(name, stratified):
    check({curve: rows for curve, rows in scores(name, stratified, 40).items() if rows})


@cache
def of_the_right_law() -> tuple[Dataset, Curves, Comparison]:
    data = dataset(two_gaussians(64), 2000, 3)
    assert clone_level(data.class_counts) == pytest.approx(0.775, abs=1e-3)
    return data, *compared(data, np.geomspace(1.2, 3.5, 8))


@pytest.mark.parametrize(("mu", "sigma"), [(1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9)])
def test_another_law_is_told_apart(mu, sigma):
    data, curves, right = of_the_right_law()
    wrong = compare(two_gaussians(64, mu, sigma), curves, (), data.n, 0.775)
    assert np.nanmax(np.abs(right.z[LOO])) < 4
    assert max(np.nanmax(np.abs(z)) for z in wrong.z.values() if np.isfinite(z).any()) > 5


def test_nothing_is_judged_by_bands_near_the_collapse_nor_by_events_too_rare(monkeypatch):
    monkeypatch.setattr(comparison, "DRAWS", 4000)
    curves, theory = compared(dataset(three_classes(), 500, 0), np.geomspace(0.01, 3, 12))
    deep = theory.low["same_point_probability"] > 0.5
    assert deep.sum() > 3
    assert all(np.isnan(z[deep]).all() for z in theory.z.values())
    curves, theory = compared(dataset(two_gaussians(32), 500, 0), np.geomspace(0.05, 5, 16))
    same = theory.low[SAME]
    near = (same > 0.03) & (same < 0.95)
    assert near.sum() > 3
    np.testing.assert_array_equal(same[near], theory.high[SAME][near])
    assert all(np.isfinite(theory.z[name][near]).all() for name in (SAME, EXCESS, FREE, BOUNDED))
    assert np.isnan(theory.z[SAME][np.minimum(same, 1 - same) * curves.draws < 20]).all()
    assert np.isnan(theory.z[EXCESS][(1 - same) * curves.draws < 20]).all()
    rare = (1 - theory.low[LOO]) * curves.draws < 20
    assert np.isnan(theory.z[LOO][rare]).all()


def test_what_hardly_any_draw_has_seen_is_no_error_of_the_curve():
    """Classes so far apart that a draw of some thousand is of the wrong one: its squared distance
    is in the mmse of the law, and in no standard error."""
    law = two_gaussians(3, 1, 0.02)
    for seed in range(4):
        times = time_from_snr(np.geomspace(0.5, 8, 12)[::-1])
        curves, theory = compared(dataset(law, 2000, seed), times, seed, draws=512)
        rare = (1 - theory.low[LOO]) * curves.draws < 20
        assert rare.any()
        assert not rare.all()
        for name in ("mmse", "information", EXCESS):
            z = theory.z[name]
            assert np.isfinite(z[~rare]).any()
            assert (np.abs(z[np.isfinite(z)]) < 4).all(), (seed, name, z)


@pytest.mark.slow
def test_the_choice_of_the_points_is_what_moves_clouds_apart():
    """Variance of the curves over clouds, each with so many draws that these hardly count."""
    law, n, clouds = two_gaussians(4, 0.8, 0.7, 0.3), 250, 100
    times = np.array([0.8, 1.3, 2.5])
    expected = choice.chosen(law, times, n, seed=1).choice
    means, errors = {}, {}
    for seed in range(clouds):
        curves = measured(dataset(law, n, seed), times, 2048, seed)
        for name in expected:
            means.setdefault(name, []).append(curves[name])
            errors.setdefault(name, []).append(curves.se[name])
    for name, chosen in expected.items():
        ratio = np.var(means[name], axis=0, ddof=1) / chosen**2
        draws = np.mean(np.square(errors[name]), axis=0) / chosen**2
        error = math.sqrt(2 / (clouds - 1))
        assert (ratio > 1 - 4 * error).all(), name
        assert (ratio < 1 + draws + 4 * error).all(), name
        assert (draws < 0.6).all(), name


# --- bands and bounds -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(two_gaussians(6, 1, 0.8, 0.3), marks=pytest.mark.slow),
        two_gaussians(3),
        three_classes(),
    ],
    ids=["unbalanced", "balanced", "three classes"],
)
def test_bands_hold_on_average_over_clouds(law, monkeypatch):
    monkeypatch.setattr(comparison, "_SOBOL", 8192)  # so that theory hardly errs
    n, clouds, times = 60, 80, np.geomspace(0.03, 3, 6)
    rows: dict[str, list[np.ndarray]] = {}
    for seed in range(clouds):
        curves = measured(dataset(law, n, seed), times, 256, seed)
        for name, value in curves.values.items():
            rows.setdefault(name, []).append(value)
    level = clone_level(tuple((n * law.weights.numpy()).round().astype(int)))
    theory = compare(law, curves, (), n, level)
    bounded = 0
    for name in {*theory.low, *theory.high} - {LOO, "class_entropy", "mmse"}:
        mean = np.mean(rows[name], axis=0)
        error = np.std(rows[name], axis=0) / math.sqrt(clouds) + 1e-6
        for side, sign in ((theory.low, 1), (theory.high, -1)):
            if name in side:
                assert (sign * (mean - side[name]) > -4 * error).all(), name
                bounded += 1
    assert bounded == (12 if law.isotropic else 8)
    for name in OF_POINTS if law.isotropic else ():
        assert (theory.low[name] == theory.high[name]).sum() > 3, name
    # the least loss of guesses that know the points lies below that of the law
    for name in ("mmse", "class_entropy"):
        error = np.std(rows[name], axis=0) / math.sqrt(clouds) + 1e-6
        assert (np.mean(rows[name], axis=0) < theory.high[name] + 4 * error).all(), name


def test_bands_are_ordered_and_close_far_above_the_collapse(monkeypatch):
    monkeypatch.setattr(comparison, "DRAWS", 4000)
    _, theory = compared(dataset(three_classes(), 500, 0), np.geomspace(0.05, 6, 20))
    assert set(theory.low) - set(theory.high) == {"same_point_probability"}
    assert set(theory.high) - set(theory.low) == {FREE}
    for name in set(theory.low) & set(theory.high):
        low, high = theory.low[name], theory.high[name]
        assert (low <= high).all(), name
        assert high[-1] - low[-1] < 0.01 * np.ptp(high), name
    assert all(np.isfinite(x).all() for x in (*theory.low.values(), *theory.high.values()))


# --- exact times ----------------------------------------------------------------------------------


@cache
def analysed(mu: float, sigma: float, weight: float) -> dr.Analysis:
    spec = f"gmm:d=32,n=400,mu={mu},sigma={sigma},weight={weight}"
    return dr.analyze(dr.load(spec), draws=512)


@pytest.mark.parametrize(
    ("mu", "sigma", "weight"), [(1, 1, 0.5), pytest.param(0.7, 0.5, 0.2, marks=pytest.mark.slow)]
)
def test_exact_times_are_those_of_the_closed_forms(mu, sigma, weight):
    theory = analysed(mu, sigma, weight).theory
    law = TwoGaussians(32, mu, sigma, weight)
    known = speciation_times(law)
    for method, name, rel in [
        ("clone", "clone", 1e-3),
        ("clone-loo", "clone", 1e-3),
        ("spectral", "spectral", 1e-9),
        ("spectral-exact", "spectral-exact", 1e-9),
    ]:
        assert theory.time("speciation", method).t == pytest.approx(known[name], rel=rel), method
    collapse = collapse_time(law, math.log(400))
    assert theory.time("collapse", "entropy").t == pytest.approx(collapse, rel=1e-3)
    assert theory.time("collapse", "entropy").z is None
    for method, curve, value in (
        ("bounded-free-energy", "bounded", 0.0),
        ("free-energy", "free", 0.0),
        ("clone", "same_point", 0.5),
    ):
        exact = theory.time("collapse", method)
        means = finite_n.means(law, [exact.t - 0.01, exact.t, exact.t + 0.01], math.log(400))
        at, slope = getattr(means, curve)[1], np.ptp(getattr(means, curve)) / 0.02
        error = math.hypot(exact.se, means.se[curve][1] / slope)
        assert abs(at - value) / slope < 4 * error + 1e-3 * exact.t, method
        assert exact.z is not None
        assert 0 < exact.se < 0.02 * exact.t
    # blind to the classes, the bound lies above
    assert theory.time("collapse", "gaussian-bound").t > collapse
    assert theory.time("speciation", "landau") is None
    for time in theory.times:
        assert time.z is None or abs(time.z) < 4


def test_without_classes_the_largest_eigenvalue_is_not_judged():
    """mu = 0: no largest eigenvalue stands out, and that of n points lies far above."""
    theory = dr.analyze(
        dr.load("gmm:d=40,n=80,mu=0"), draws=256, times=np.geomspace(0.1, 3, 8)
    ).theory
    assert theory.time("speciation", "spectral").t is None
    exact = theory.time("speciation", "spectral-exact")
    assert exact.t == pytest.approx(0.5 * math.log(2))
    assert exact.z is None
    assert theory.time("speciation", "clone-loo").t is None


def test_sampled_times_lie_within_their_errors(monkeypatch):
    """Three classes on a line have a quadrature: what is sampled in its place errs as it says."""
    monkeypatch.setattr(exact_times, "DRAWS", 500)
    monkeypatch.setattr(exact_times, "_CLOSE", 1)  # no more draws the second time
    line = np.zeros((3, 6))
    line[:, 0] = -2, 0.5, 2.5
    law = GaussianMixture(line, 1.0, [0.5, 0.3, 0.2])
    apart = GaussianMixture(line, [1.0, 1.0, 1.0], [0.5, 0.3, 0.2])  # no quadrature
    times = np.geomspace(0.1, 2, 12)
    known, phi, log_n = law.population_curves(times), 0.6, math.log(100)
    sampled = [apart.population_curves(times, draws=500, seed=seed) for seed in range(40)]
    for name, level in (("same_class_probability", phi), ("information", log_n)):
        exact, no_error, _ = exact_times.crossing(law, known, name, level, 0)
        z = []
        for seed, curves in enumerate(sampled):
            t, se, _ = exact_times.crossing(apart, curves, name, level, seed)
            z.append((t - exact) / se)
        assert no_error == 0
        assert abs(np.mean(z)) < 4 / math.sqrt(40)
        assert 1 - 3 * math.sqrt(2 / 40) < np.mean(np.square(z)) < 1 + 3 * math.sqrt(2 / 40)
        assert se < 0.1 * t


@pytest.mark.parametrize(("sigma", "right"), [(1.0, True), (1.1, False), (0.9, False)])
def test_collapse_times_are_judged(sigma, right, monkeypatch):
    """z of the times of n points about those of their law, and far from those of another."""
    remembering(monkeypatch)
    z: dict[str, list[float]] = {"bounded-free-energy": [], "free-energy": [], "clone": []}
    law = two_gaussians(16, 1, sigma)
    grid = np.geomspace(0.35, 0.9, 6)
    rng = np.random.default_rng(0)
    for seed in range(10 if right else 3):
        data = dataset(two_gaussians(16), 300, seed)
        sample = sweep(prepare(data.points, data.labels), grid, draws=1024, seed=seed)
        curves = resample(sample, rng)
        times = (
            collapse.bounded_free_energy_time(curves, SCHEDULE),
            collapse.free_energy_time(curves, SCHEDULE),
            collapse.clone_time(curves, SCHEDULE),
        )
        # of a wrong law once is enough: its own error hardly counts there
        theory = compare(law, sample.curves(), times, data.n, 0.775, seed if right else 0)
        for name in z:
            z[name].append(theory.time("collapse", name).z)
    for name, values in z.items():
        if right:
            square = np.mean(np.square(values))
            assert 0.1 < square < 1 + 3 * math.sqrt(2 / len(values)), name
        else:
            assert abs(np.mean(values)) > 3, name


def test_the_z_of_a_time_of_points_has_every_error():
    """Of the estimate, of the choice of the points, and of the theory: 3, 4 and 12 parts in 13."""
    grid = np.linspace(0.5, 1.5, 101)
    means, choice, own = ({FREE: x + 0 * grid} for x in (2 * (grid - 1), 0.08, 0.24))
    seen = clocked(SCHEDULE, "collapse", "free-energy", 1.2, (1.2 - 0.03 * Z95, 1.2 + 0.03 * Z95))
    for scale, error in ((1, 0.13), (0, 0.03)):
        errors = ({k: scale * x for k, x in of.items()} for of in (choice, own))
        found = exact_times.of_points(None, seen, grid, means, *errors)
        assert found.t == pytest.approx(1, abs=1e-6)
        assert found.z == pytest.approx(0.2 / error, rel=1e-4)
        assert found.se == pytest.approx(scale * 0.12)


def test_results_of_before_have_no_error():
    data = json.loads(analysed(1, 1, 0.5).to_json())
    for time in data["theory"]["times"]:
        time.pop("se", None)  # written where it is not 0
    assert all(x.se == 0 for x in dr.Analysis.from_dict(data).theory.times)


# --- in an analysis -------------------------------------------------------------------------------


def test_json_loses_nothing():
    found = analysed(1, 1, 0.5)
    text = found.to_json()
    theory = json.loads(text)["theory"]
    assert None in theory["z"]["mmse"]
    assert "NaN" not in text
    again = dr.Analysis.from_dict(json.loads(text)).theory
    assert again.times == found.theory.times
    for side in ("low", "high", "z"):
        one, two = getattr(found.theory, side), getattr(again, side)
        assert one.keys() == two.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_ordinary_data_have_no_theory():
    found = dr.analyze(*blobs(60, 5), draws=256)
    assert found.theory is None
    assert json.loads(found.to_json())["theory"] is None


def test_any_mixture_from_python(monkeypatch):
    """Three classes of unequal covariance; the same seed gives the same theory, bit for bit."""
    monkeypatch.setattr(comparison, "DRAWS", 1500)
    monkeypatch.setattr(exact_times, "DRAWS", 1500)
    monkeypatch.setattr(exact_times, "_CLOSE", 1)
    law = three_classes()
    data = dataset(law, 600, 5)
    times = np.geomspace(0.2, 3, 8)
    found, again = (dr.analyze(data, draws=1024, times=times) for _ in range(2))
    assert found.to_json() == again.to_json()
    judged = [z[np.isfinite(z)] for z in found.theory.z.values()]
    assert sum(map(len, judged)) > 20
    assert max(np.abs(z).max() for z in judged if len(z)) < 4
    assert found.theory.time("speciation", "spectral").t == pytest.approx(
        0.5 * math.log(law.eigenvalues()[0])
    )


# --- the Gaussian bound ---------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[3.0], [9.0, 1.0, 1e-3], np.geomspace(1e3, 1e-9, 300)])
@pytest.mark.parametrize("n", [10, 10**6])
def test_the_bound_of_theory_is_that_of_the_estimator_by_another_route(values, n):
    values = np.asarray(values, dtype=np.float64)
    t = gaussian_bound.time(values, np.log(n))
    assert information_bound(values, snr(t))[0] == pytest.approx(np.log(n), abs=1e-10)


@pytest.mark.parametrize(("fault", "seen"), [(1.0, False), (1.1, True)])
def test_a_fault_in_the_bound_of_the_estimator_shows(monkeypatch, fault, seen):
    """5000 points in 8 dimensions: the sample spectrum is that of the law to a few per cent."""
    monkeypatch.setattr(
        collapse, "gaussian_information", lambda *given: fault * gaussian_information(*given)
    )
    data = dataset(two_gaussians(8), 5000, 0)
    _, cloud, matrix, eigen = prepared(data.points, data.labels)
    time = collapse.gaussian_bound_time(eigen, matrix, cloud, SCHEDULE, np.random.default_rng(0))
    curves = measured(data, [0.5, 1.0, 2.0], 512, 0)
    level = clone_level(data.class_counts)
    theory = compare(data.population, curves, (time,), data.n, level)
    exact = theory.time("collapse", "gaussian-bound").t
    error = (time.high - time.low) / (2 * Z95)
    assert (abs(time.t - exact) > 4 * error) == seen

"""Draws until the precision is reached: reproducible, honest about errors, and a good guest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import diffregimes.data.cloud as cloud_module
import diffregimes.posterior.moments as posterior_module
import diffregimes.posterior.shards as shards_module
import diffregimes.posterior.sweep as sweep_module
from clouds import blobs, digits01, prepared, z_score
from diffregimes.data.cloud import prepare
from diffregimes.posterior.grid import adapt_times, near_square, pilot_times
from diffregimes.posterior.moments import PAIRS_PER_BLOCK
from diffregimes.posterior.observables import PRECISION_CURVES
from diffregimes.posterior.reliability import Z_LIMIT, i_mmse_residual, reliability
from diffregimes.posterior.sample import Sample
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr

TIMES = np.array([0.05, 0.1, 0.2, 0.4, 0.8, 1.6])


@pytest.fixture(scope="module")
def cloud():
    return prepare(*blobs(200, 10))


@pytest.fixture(scope="module")
def digits_sample():
    """16384 draws on digits 0 and 1 at the grid that `analyze` would use."""
    _, cloud, _, found = prepared(*digits01())
    wide = pilot_times(found.eigenvalues, cloud.n)
    return sweep(cloud, adapt_times(sweep(cloud, wide, draws=1024)), draws=16384)


def assert_equal(one, two):
    np.testing.assert_array_equal(one.points, two.points)
    for name, value in one.values.items():
        np.testing.assert_array_equal(value, two.values[name])


# --- the same numbers ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(cloud):
    one, two = (sweep(cloud, TIMES, draws=1024, seed=5) for _ in range(2))
    assert_equal(one, two)
    other = sweep(cloud, TIMES, draws=1024, seed=6)
    assert not np.array_equal(one.values["mmse"], other.values["mmse"])


def test_the_memory_budget_changes_rounding_alone():
    cloud = prepare(*blobs(3000, 8))
    runs = [sweep(cloud, TIMES, draws=512, memory_mib=mib) for mib in (16, 64, 1024)]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].points, other.points)
        one, two = runs[0].curves(), other.curves()
        for name, value in one.values.items():
            scale = max(1.0, np.abs(value).max())
            assert np.abs(value - two[name]).max() / scale < 1e-6, name


def test_one_thread_or_two_give_the_same_numbers(cloud):
    before = torch.get_num_threads()
    try:
        runs = []
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(sweep(cloud, TIMES, draws=1024))
    finally:
        torch.set_num_threads(before)
    for name, value in runs[0].values.items():
        np.testing.assert_allclose(value, runs[1].values[name], rtol=1e-5, atol=1e-6)


def test_more_draws_begin_with_the_same_draws(cloud):
    few, many = (sweep(cloud, TIMES, draws=draws) for draws in (512, 1536))
    assert few.units == 256
    assert many.units == 768
    np.testing.assert_array_equal(few.points, many.points[:256])
    for name, value in few.values.items():
        np.testing.assert_array_equal(value, many.values[name][:256])


def test_two_points_are_enough_for_the_pass():
    cloud = prepare(np.array([[0.0, 1.0], [2.0, 0.0]], np.float32), np.array([0, 1]))
    for value in sweep(cloud, TIMES, draws=256).values.values():
        assert np.isfinite(value).all()


# --- how many draws -----------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "given"), [(2, 256), (256, 256), (300, 512)])
def test_fixed_draws_fill_whole_blocks(cloud, asked, given):
    curves = sweep(cloud, TIMES, draws=asked).curves()
    assert curves.draws == given
    assert len(curves["mmse"]) == len(curves.se["mmse"]) == len(TIMES)


@pytest.mark.parametrize("precision", [0.02, 0.004])
def test_draws_go_on_until_the_precision_is_reached(cloud, precision):
    sample = sweep(cloud, TIMES, precision=precision)
    curves = sample.curves()
    worst = max(curves.se[name].max() for name in PRECISION_CURVES)
    assert worst <= 1.03 * precision
    first = 2 * PAIRS_PER_BLOCK * sweep_module.FIRST_BLOCKS
    if curves.draws > first:
        assert worst > 0.8 * precision  # and not much longer
    else:
        assert curves.draws == first


def test_standard_errors_are_neither_too_small_nor_far_too_large(cloud):
    """z-scores of 40 seeds have a spread of about one (below: points are drawn in strata).

    Left out is where nearly all draws agree (phi = 0.9998), by the standard error of the long run:
    there the mean of 2048 draws rests on a few rare ones.
    """
    truth = sweep(cloud, TIMES, draws=60_000, seed=999).curves()
    errors = np.array([truth.se[k] for k in PRECISION_CURVES])
    typical = errors * np.sqrt(truth.draws / 2048) > 1e-3
    assert typical.sum() >= 15  # of 24
    z = []
    for seed in range(40):
        curves = sweep(cloud, TIMES, draws=2048, seed=seed).curves()
        error = np.hypot([curves.se[k] for k in PRECISION_CURVES], errors)
        z.append(([curves[k] - truth[k] for k in PRECISION_CURVES] / error)[typical])
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.sqrt(np.mean(spread**2)) < 1.1, spread
    assert spread.max() < 1.4, spread  # chi^2 of 40: 1.37 in one of 1000
    assert spread.min() > 0.3, spread


def test_digits_figures():
    """f^e/alpha, phi_C and phi against an independent float64 evaluation of 40000 draws.

    Where it gave no error of its own, half a unit of its last digit stands for it.
    """
    _, cloud, _, _ = prepared(*digits01())
    curves = sweep(cloud, np.array([0.1, 0.5]), draws=40_000, seed=1).curves()
    names = "excess_entropy_over_alpha", "same_point_probability", "same_class_probability"
    figures = {0: [(0.3891, 8e-4), (0.2539, 11e-4), (0.9963, 5e-5)]}
    figures[1] = [(0.8294, 4e-4), (0.0145, 5e-5), (0.7811, 8e-4)]
    for k, expected in figures.items():
        for name, (value, error) in zip(names, expected, strict=True):
            z = (curves[name][k] - value) / np.hypot(curves.se[name][k], error)
            assert abs(z) < 4, (name, k, z)


# --- a good guest -------------------------------------------------------------------------------


def test_global_generators_and_threads_are_left_alone(cloud):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the state that must not move
    threads, state, legacy = torch.get_num_threads(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    sweep(cloud, TIMES, draws=1024)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert all(np.array_equal(a, b) for a, b in zip(legacy, np.random.get_state(), strict=True))  # noqa: NPY002


def test_an_exception_in_progress_stops_the_run(cloud, monkeypatch):
    drawn = []

    def counted(*args):
        drawn.append(args)
        return shards_module.draw_blocks(*args)

    def stop(done, total, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_module, "draw_blocks", counted)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        sweep(cloud, TIMES, draws=2_000_000, progress=stop)
    assert len(drawn) < 200  # of 7813 blocks
    assert torch.get_num_threads() == threads


def test_progress_counts_up_to_the_total(cloud):
    seen = []
    sweep(cloud, TIMES, draws=1024, progress=lambda *x: seen.append(x), text="pass")
    assert seen == [(k, 4, "pass") for k in (1, 2, 3, 4)]


# --- identities ---------------------------------------------------------------------------------


def test_nishimori_and_the_two_entropies(digits_sample):
    values = digits_sample.values
    for one, two in (
        ("own_point_probability", "same_point_probability"),
        ("excess_entropy_over_alpha", "excess_entropy_over_alpha_logsum"),
    ):
        gap = values[one] - values[two]
        moving = gap.std(axis=0) > 1e-3  # elsewhere both are constant and rounding is all
        assert moving.sum() > 10
        assert np.abs(z_score(gap[:, moving])).max() < 4


def test_i_mmse(digits_sample):
    residual = i_mmse_residual(digits_sample, 360)
    error = residual.std(axis=0, ddof=1) / np.sqrt(len(residual))
    # the quadrature over 40 times may add 1e-3 of log n
    assert np.all(np.abs(residual.mean(axis=0)) < 4 * error + 1e-3)
    total = np.ptp(digits_sample.curves()["excess_entropy_over_alpha"])
    assert total > 0.9  # nearly all of the entropy was integrated


def test_the_class_is_part_of_the_index(digits_sample):
    curves = digits_sample.curves()
    whole = curves["excess_entropy_over_alpha"] * np.log(360)
    parts = curves["class_entropy"] + curves["within_class_entropy"]
    np.testing.assert_allclose(whole, parts, atol=1e-9)
    assert curves["within_class_entropy"].min() > -1e-6
    assert np.all(curves["class_entropy"] <= np.log(2) + 1e-6)
    np.testing.assert_allclose(curves["information"], np.log(360) - whole, atol=1e-9)


def test_curves_fall_and_rise_as_they_must(digits_sample):
    curves = digits_sample.curves()
    entropy, error = (x["excess_entropy_over_alpha"] for x in (curves.values, curves.se))
    assert np.all(np.diff(entropy) > -2 * error[1:])
    assert entropy[0] < 0.05
    assert entropy[-1] > 0.97
    assert np.all(curves["effective_points_participation"] <= curves["effective_points"] + 1e-6)


# --- flags that can fail ------------------------------------------------------------------------


def flags(sample, n):
    return {x.name: x for x in reliability(sample, n)}


def fine_grid(cloud):
    return np.asarray(time_from_snr(np.geomspace(100, 0.02, 40) / cloud.scale**2))


def test_a_sound_run_raises_no_flag(digits_sample):
    found = flags(digits_sample, 360)
    assert set(found) == {"nishimori", "two-entropies", "i-mmse"}
    assert all(flag.ok for flag in found.values())
    assert all(np.isfinite([x.value, x.threshold]).all() for x in found.values())


def test_distances_that_are_wrong_break_the_identities(cloud, monkeypatch):
    plain = cloud_module.square_distances
    for module in (cloud_module, posterior_module):
        monkeypatch.setattr(module, "square_distances", lambda a, b: 1.05 * plain(a, b))
    found = flags(sweep(cloud, fine_grid(cloud), draws=8192), cloud.n)
    assert not found["nishimori"].ok
    assert not found["two-entropies"].ok


def test_a_time_that_is_wrong_breaks_i_mmse(cloud, monkeypatch):
    """Weights at 1.1 gamma are sound weights of another time: only I-MMSE can tell."""
    plain = sweep_module.moments
    monkeypatch.setattr(
        sweep_module, "moments", lambda c, d, gamma, **x: plain(c, d, gamma**1.1, **x)
    )
    found = flags(sweep(cloud, fine_grid(cloud), draws=8192), cloud.n)
    assert found["nishimori"].ok
    assert not found["i-mmse"].ok


def biased(sample, name, change):
    return replace(sample, values={**sample.values, name: change(sample.values[name])})


def test_small_biases_are_noticed(digits_sample):
    own = biased(digits_sample, "own_point_probability", lambda x: x + 0.1 * x * (1 - x))
    assert not flags(own, 360)["nishimori"].ok
    entropy = biased(digits_sample, "excess_entropy_over_alpha_logsum", lambda x: 1.02 * x)
    assert not flags(entropy, 360)["two-entropies"].ok
    mmse = biased(digits_sample, "mmse", lambda x: 1.06 * x)
    assert not flags(mmse, 360)["i-mmse"].ok


@pytest.mark.parametrize("shape", [(4, 4), (30, 3)])
def test_sound_runs_of_few_draws_raise_no_flag(shape):
    """Few points and draws: a mean may rest on a handful of units. Plain z-scores call 6 % of
    such runs unsound."""
    _, cloud, _, found = prepared(np.random.default_rng(0).standard_normal(shape), None)
    grid = adapt_times(sweep(cloud, pilot_times(found.eigenvalues, cloud.n), draws=1024))
    largest = []
    for seed in range(25):
        sample = sweep(cloud, grid, draws=1024, seed=seed)
        largest.append(max(x.value for x in reliability(sample, cloud.n)))
    assert max(largest) < Z_LIMIT, sorted(largest)[-3:]


@pytest.mark.parametrize("spread", [0.02, 0.7])
def test_few_given_times_are_no_alarm(spread):
    """The mmse between two times is not known, but lies between theirs; of tight clusters, too."""
    points, labels = blobs(150, 6)
    own = np.array([points[labels == c].mean(axis=0) for c in range(2)])[labels]
    _, cloud, _, found = prepared(own + spread / 0.7 * (points - own), labels)
    wide = pilot_times(found.eigenvalues, cloud.n, near_square(cloud))
    for count in (3, 5, 8, 12):
        for seed in range(4):
            ends = np.random.default_rng(seed).uniform(0, 47, count).astype(int)
            grid = wide[:: 48 // count] if seed == 0 else wide[np.unique(ends)]
            sample = sweep(cloud, grid, draws=512, seed=seed)
            assert flags(sample, cloud.n)["i-mmse"].ok, (count, seed)
    if spread > 0.1:  # the eight cross ten orders of magnitude otherwise
        few = sweep(cloud, wide[::6], draws=2048)
        assert not flags(biased(few, "mmse", lambda x: 2 * x), cloud.n)["i-mmse"].ok
    many = sweep(cloud, adapt_times(sweep(cloud, wide, draws=1024)), draws=4096)
    assert flags(many, cloud.n)["i-mmse"].ok
    assert not flags(biased(many, "mmse", lambda x: 1.1 * x), cloud.n)["i-mmse"].ok


# --- grids --------------------------------------------------------------------------------------


def test_pilot_times_span_from_nothing_known_to_all_known():
    _, cloud, _, found = prepared(*blobs(150, 12))
    wide = pilot_times(found.eigenvalues, cloud.n)
    assert np.all(np.diff(wide) > 0)
    curves = sweep(cloud, wide, draws=512).curves()
    assert curves["excess_entropy_over_alpha"][-1] > 0.97
    assert curves["same_point_probability"][0] > 0.99
    grid = adapt_times(sweep(cloud, wide, draws=512))
    assert len(grid) == 40
    assert np.all(np.diff(grid) > 0)
    assert grid[0] >= wide[0] * (1 - 1e-9)
    assert grid[-1] <= wide[-1] * (1 + 1e-9)


def test_the_grid_is_dense_where_curves_move():
    times = np.asarray(time_from_snr(np.geomspace(1e3, 1e-3, 48)))
    step = 1 / (1 + np.exp(-8 * (np.log(snr(times)) - 1.0)))
    values = {name: np.tile(1 - step, (4, 1)) for name in PRECISION_CURVES}
    values["same_point_probability"] = np.tile(0.9 * step, (4, 1))
    values["loo_free_energy_over_log_n"] = np.tile(1 - 2 * step, (4, 1))
    grid = adapt_times(Sample(times, np.arange(4), values))
    log_gamma = np.log(snr(grid))
    near = np.abs(log_gamma - 1.0) < 0.7
    assert near.sum() > 15  # of 40, on a tenth of the range

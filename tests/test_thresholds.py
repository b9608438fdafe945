"""What is decided by a number: just below it and just above."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest

from clouds import SCHEDULE, prepared
from diffregimes.auditing.findings import Copies, Entropy, ModelTime
from diffregimes.auditing.judgement import judged
from diffregimes.auditing.losses import Losses
from diffregimes.backward.tracking import Tracked
from diffregimes.common.checks import InputError
from diffregimes.data.cloud import prepare
from diffregimes.data.datasets import from_arrays
from diffregimes.data.neighbours import clusters, near_duplicates
from diffregimes.populations.mixture import two_gaussians
from diffregimes.posterior.grid import adapt_times, pilot_times
from diffregimes.posterior.reliability import reliability
from diffregimes.posterior.sample import Sample
from diffregimes.posterior.sweep import sweep
from diffregimes.process import snr, time_from_snr
from diffregimes.report.words import theory_in_words
from diffregimes.results import Share, Spectrum
from diffregimes.transitions.collapse import entropy_line, line_ends
from diffregimes.transitions.comparison import compare
from diffregimes.transitions.crossing import Resampled, curve_time
from diffregimes.transitions.needed import points_needed
from diffregimes.transitions.scaling import ScaledCurve, crossing
from diffregimes.transitions.speciation import landau_time
from sample_analysis import make_analysis, with_theory

# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "near"), [(0.095, True), (0.105, False)])
def test_a_tenth_of_the_usual_distance_is_a_near_duplicate(gap, near):
    """Of one in forty points, whose eighth neighbour is at a distance of 1."""
    distance = np.tile(np.linspace(0.99, 1, 8), (40, 1))
    distance[3, 0] = gap
    expected = np.zeros((40, 8), dtype=bool)
    expected[3, 0] = near
    np.testing.assert_array_equal(near_duplicates(distance), expected)


@pytest.mark.parametrize("far", [1.0, 300.0])
def test_a_few_points_far_from_all_others_make_no_near_ones_of_the_rest(far):
    line = np.append(np.arange(40.0), 1e3 + far * np.arange(1, 5)).astype(np.float32)[:, None]
    assert clusters(line).pairs == ()


# --- curves ---------------------------------------------------------------------------------------


def crossed(step, lost=0, resamples=400):
    """The time by a curve with steps of `step` in log gamma, level 0.5 between two of them."""
    grid = step * (np.arange(6) - 2.6)
    mean = 1 / (1 + np.exp(-grid))
    rows = np.tile(mean, (resamples, 1))
    rows[:lost] = 0.4  # these do not cross
    curves = Resampled(grid, {"curve": mean}, {"curve": rows})
    return curve_time(curves, SCHEDULE, "speciation", "clone", "curve", 0.5)


@pytest.mark.parametrize(("step", "coarse"), [(1.49, False), (1.51, True)])
def test_a_coarse_grid_is_told(step, coarse):
    time = crossed(step)
    assert time.t == pytest.approx(float(time_from_snr(1.0)), rel=0.05)
    assert any("interpolated between the times" in x for x in time.warnings) == coarse
    if coarse:
        ends = time_from_snr(np.exp(step * np.array([0.4, -0.6])))
        assert f"between the times {ends[0]:.3g} and {ends[1]:.3g}" in time.warnings[0]


@pytest.mark.parametrize(("lost", "told"), [(0, False), (4, False), (5, True)])
def test_one_resample_in_a_hundred_may_be_missing(lost, told):
    text = " ".join(crossed(0.5, lost).warnings)
    assert ("of the resamples do not cross" in text) == told


@pytest.mark.parametrize("places", [8, 29])
def test_the_entropy_line_rests_on_times_a_little_above_the_collapse(places):
    """0.003 <= phi_C - 1/n <= 0.03 whatever the grid; the curve is bent, so that any other choice
    has a line of its own."""
    n, log_n = 1000, math.log(1000)
    grid = np.linspace(-3, 4, places)  # increasing gamma: phi_C increases, as a straight line here
    same = 0.02 + 0.01 * grid
    bound = 0.5 * np.log1p(np.exp(grid)) / log_n
    value = 1 - bound + 0.3 * bound**2
    curves = {"same_point_probability": same + 1 / n, "excess_entropy_over_alpha": value}
    rows = {k: np.tile(v, (2, 1)) for k, v in curves.items()}
    law = Spectrum(1.0, None, 1.0, np.array([1.0]))
    line = entropy_line(Resampled(grid, curves, rows), law, n)
    used = np.linspace(-1.7, 1.0, 9)
    x, y = (np.interp(used, grid, c) for c in (bound, value))
    slope, intercept = np.polyfit(x, y, 1)
    assert line.slope[0] == pytest.approx(slope, rel=1e-9)
    assert line.intercept[0] == pytest.approx(intercept, rel=1e-9)


def test_the_entropy_line_takes_three_times_at_least():
    n, grid = 1000, np.linspace(-3, 4, 8)
    same = np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 0.029, 0.5, 0.9])
    bound = 0.5 * np.log1p(np.exp(grid)) / math.log(n)
    curves = {"same_point_probability": same + 1 / n, "excess_entropy_over_alpha": bound**2}
    rows = {k: np.tile(v, (2, 1)) for k, v in curves.items()}
    resampled = Resampled(grid, curves, rows)
    first, last = line_ends(resampled, n)
    assert first == grid[3]
    assert last == pytest.approx(grid[5] + 0.001 / 0.471)


@pytest.mark.parametrize("n", [100, 10_000])
def test_the_pilot_grid_begins_where_nothing_is_known(n):
    """The Gaussian bound is 1 % of log n there; a large eigenvalue alone begins at 0.05/Lambda."""
    spread = np.linspace(0.5, 1.5, 400)
    known = 0.5 * np.log1p(snr(pilot_times(spread, n)[-1]) * spread).sum() / math.log(n)
    assert known == pytest.approx(0.01, rel=0.01)
    assert snr(pilot_times(np.array([4.0, 1e-3]), n)[-1]) == pytest.approx(0.05 / 4)


def test_the_grid_leaves_out_what_is_resolved():
    """It begins one time below the last with phi_C above 0.999."""
    times = np.asarray(time_from_snr(np.geomspace(1e3, 1e-2, 20)))
    same = np.concatenate([np.full(5, 0.9995), [0.9991, 0.9989], np.linspace(0.9, 0.01, 13)])
    names = (
        "excess_entropy_over_alpha", "same_point_probability", "same_class_probability",
        "same_class_probability_loo", "loo_free_energy_over_log_n",
    )  # fmt: skip
    sample = Sample(times, np.array([0, 1]), {k: np.tile(same, (2, 1)) for k in names})
    assert adapt_times(sample)[0] == pytest.approx(times[4], rel=1e-9)


def test_flags_are_raised_where_chance_hardly_reaches():
    """Units that alternate about a bias of so many standard errors."""
    units, n = 10_000, 100
    times = np.array([0.5, 1.0])
    alternating = np.tile([1.0, -1.0], units // 2)[:, None] * np.ones(2)
    # the error allowed for: standard error, one unit like the largest, and a floor
    for z, ok in ((4.3, True), (4.7, False)):
        bias = z * (1 / math.sqrt(units) + 1 / units + 1e-4)
        zero = np.zeros((units, 2))
        values = {
            "own_point_probability": zero + alternating + bias, "same_point_probability": zero,
            "excess_entropy_over_alpha": zero, "mmse": zero,
            "excess_entropy_over_alpha_logsum": zero,
        }  # fmt: skip
        flags = {x.name: x for x in reliability(Sample(times, np.arange(units), values), n)}
        assert flags["nishimori"].value == pytest.approx(z, rel=0.01)
        assert flags["nishimori"].ok == ok
        assert flags["two-entropies"].ok


@pytest.mark.parametrize(("n", "enough"), [(511, False), (512, True)])
def test_so_many_points_carry_a_fit(n, enough):
    points, labels = two_gaussians(2).sample(n, seed=0)
    data = from_arrays(points.float().numpy(), labels.numpy())
    if enough:
        assert "subsets of 32 to 512 points" in points_needed(0.3, data).method
        return
    with pytest.raises(InputError, match="511 points came; expected 512"):
        points_needed(0.3, data)


@pytest.mark.parametrize(("n", "told"), [(48, True), (52, False)])
def test_a_landau_time_of_few_points_is_told(n, told):
    """Of points at -1 and 1 every one counts, whatever the tilt, and I - gamma Cov is 1 - gamma."""
    _, cloud, _, spectral = prepared(np.tile([-1.0, 1.0], n // 2)[:, None], np.arange(n) // 2 % 2)
    found = landau_time(spectral, cloud, SCHEDULE, np.random.default_rng(0))
    assert found.t == pytest.approx(float(time_from_snr(1.0)), rel=1e-3)
    expected = (f"the tilted average rests on {n} effective points",)
    assert found.warnings == (expected if told else ())


@pytest.mark.parametrize(("phi", "looked_at"), [(0.59, 0), (0.61, 1), (0.94, 1), (0.96, 0)])
def test_curves_cross_where_phi_is_neither_chance_nor_certain(phi, looked_at):
    x = np.linspace(0.6, 1.5, 9)
    flat = [ScaledCurve(d, x, np.full(9, phi), np.full(9, 1e-6)) for d in (256, 1024)]
    if looked_at:
        assert crossing(flat, np.random.default_rng(0)).phi == pytest.approx(phi, abs=1e-4)
        return
    with pytest.raises(InputError, match=r"between 0\.6 and 0\.95"):
        crossing(flat, np.random.default_rng(0))


# --- theory beside the analysis -------------------------------------------------------------------


@cache
def analysed():
    """A law and curves of 2000 of its points where the classes are nearly decided."""
    law = two_gaussians(64)
    points, labels = law.sample(2000, 5, stratified=True)
    cloud = prepare(points.float().numpy(), labels.numpy())
    curves = sweep(cloud, np.array([2.3, 2.5, 2.7]), draws=2048).curves()
    return law, curves, 1 - law.population_curves(curves.t)["same_class_probability"]


@pytest.mark.parametrize(("undecided", "is_judged"), [(19.5, False), (20.5, True)])
def test_phi_is_judged_by_twenty_undecided_draws(undecided, is_judged):
    law, curves, open_share = analysed()
    for at in range(3):
        few = dataclasses.replace(curves, draws=round(undecided / open_share[at]))
        theory = compare(law, few, (), 2000, 0.775)
        for name in ("same_class_probability_loo", "class_entropy"):
            assert np.isfinite(theory.z[name][at]) == is_judged, name
        assert np.isfinite(theory.z["information"][2])  # it has no such limit


@pytest.mark.parametrize(("z", "agrees"), [(3.4, True), (3.6, False)])
def test_theory_is_left_at_z_scores_that_chance_hardly_reaches(z, agrees):
    said = theory_in_words(with_theory(make_analysis(), z).theory)
    assert f"|z| is at most {z}" in said
    assert said.startswith("The analysis agrees") == agrees
    assert ("more than chance explains" in said) != agrees


# --- audits ---------------------------------------------------------------------------------------


def losses(gap, exact_gap=9.0):
    """Losses whose gaps are so many standard errors, of 1 each."""
    gaps = np.broadcast_to(np.asarray(gap, dtype=float), (3,))
    one, root = np.ones(3), math.sqrt(2)
    held_out, exact_held_out = 5 + root * gaps, 5 + root * exact_gap * one
    return Losses(np.array([0.1, 0.2, 0.3]), 5 * one, one, held_out, one, 5 * one, one,
                  exact_held_out, one)  # fmt: skip


@pytest.mark.parametrize(("gap", "apart"), [(2.99, False), (3.01, True)])
def test_losses_are_apart_by_three_standard_errors(gap, apart):
    assert losses(gap).separation() == (0.3 if apart else None)
    assert losses(0, gap).separation(exact=True) == (0.3 if apart else None)
    assert np.isfinite(losses(1, gap).copied()[0]).all() == apart
    assert (losses(1, gap).copied_near(0.2) is not None) == apart
    assert losses([9, gap, 1]).separation() == (0.2 if apart else 0.1)


def test_the_error_of_the_copied_share():
    """(h - l)/(H - L) with four independent errors of 1, to first order."""
    found = losses(2.0, 8.0)
    share, error = found.copied()
    np.testing.assert_allclose(share, 0.25)
    wide = 8 * math.sqrt(2)
    np.testing.assert_allclose(error, math.sqrt(2 + 2 * 0.25**2) / wide)


@pytest.mark.parametrize(("ratio", "copies"), [(0.3332, 1), (0.3334, 0)])
def test_a_copy_is_three_times_nearer(ratio, copies):
    one = np.ones(1)
    tracked = Tracked(one, ratio * one, one, one, one, one, one, 0.0)
    assert tracked.memorised().count == copies


def verdict_of(count, of, chance=0, of_chance=100_000):
    none, nothing = np.zeros(0), np.zeros(1)
    copies = Copies(
        *[none] * 6, Share.counted(count, of), Share.counted(chance, of_chance),
        "held-out points", none,
    )  # fmt: skip
    times = tuple(
        ModelTime(x, None, None, None, None, None, None, x)
        for x in ("clone", "entropy", "loss-gap")
    )
    return judged(copies, losses(0), Entropy(*[nothing] * 7), times, 100)


@pytest.mark.parametrize(
    ("count", "kind"),
    [(9_800, "does not copy"), (10_200, "copies some"), (499_000, "copies some"),
     (501_000, "memorises")],
)  # fmt: skip
def test_the_verdict_parts_at_one_percent_and_at_half(count, kind):
    found = verdict_of(count, 1_000_000)
    assert found.kind == kind
    # 1 % has a standard error of 0.01 %, half of 0.05 %: two of them
    assert found.confidence == pytest.approx(0.9772, abs=0.01)


def test_what_chance_brings_is_taken_off():
    """Shares of 12 % and 3 %, each beside 2.5 % among points that cannot be copies; half of the
    samples are copies at 2.5 + 97.5/2 = 51.25 %."""
    assert verdict_of(12_000, 100_000, 2_500).kind == "copies some"
    assert verdict_of(3_000, 100_000, 2_500).kind == "does not copy"
    assert verdict_of(50_900, 100_000, 2_500).kind == "copies some"
    assert verdict_of(51_600, 100_000, 2_500).kind == "memorises"


def test_a_confidence_below_nine_tenths_is_open():
    seen = set()
    for count in range(100, 121):
        found = verdict_of(count, 200)
        open_ = max(found.probabilities.values()) < 0.9
        told = "More samples would decide" in " ".join(found.sentences)
        none = found.confidence is None
        seen.add((found.headline.startswith("Open"), told, found.open, none, open_))
    assert seen == {(True,) * 5, (False,) * 5}
    # the posterior Beta(k + 1/2, 200 - k + 1/2) by its normal limit: z = 1.28 at k = 109
    assert verdict_of(108, 200).headline.startswith("Open")
    assert not verdict_of(111, 200).headline.startswith("Open")

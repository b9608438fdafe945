"""Faults put into a copy of the source on purpose, to see whether the nearest tests notice.

    python tests/mutants.py [word ...]

runs the faults whose module or text holds one of the words, all without. Exit code 0: every text
was found once, and nine of ten faults were caught. Not part of the suite: a fault
costs as long as its tests take to start and to fail.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import scipy.integrate
import scipy.interpolate
import scipy.stats
import sklearn.datasets
import sklearn.neighbors
import torch

ROOT = Path(__file__).resolve().parent.parent
WANTED = 0.9  # of the faults
HEAVY = scipy, sklearn, torch  # imported once, before the children


class Fault(NamedTuple):
    """In src/diffregimes/`module`, `text` (once) becomes `fault`; `tests` are the nearest."""

    module: str
    text: str
    fault: str
    tests: str


# fmt: off
ERRORS = "transitions/test_standard_errors.py"
LIMITS = "test_thresholds.py"
MANY = "posterior/test_many_classes.py"
NUMERICS = "common/test_resamples.py"
LEFT_OUT = "posterior/test_left_out.py"
BALANCE = "transitions/test_balance.py"
CRITERIA = "transitions/test_criteria.py"
VERDICT = "transitions/test_verdict.py"
BACKWARD = "theory/test_regimes.py"
POSTERIOR = "posterior/test_posterior.py"
GATE = "auditing/test_gate.py"
COPIED = "auditing/test_copies.py"
PARTS, FEATURES = "auditing/test_parts.py", "auditing/test_features.py"
POPULATIONS = "populations/test_populations.py"
SCHEDULERS = "test_schedulers.py"
COMMAND = "cli/test_cli_backward.py"
PIXELS = "data/test_pixels.py"
NAMES = "data/test_names.py"
PICTURES = "data/test_pictures.py"
FORMATS = "data/test_formats.py"
AUDITS = "cli/test_cli_audit.py"
READING = "common/test_reading.py"
STORED = "data/test_stored.py"
NONSENSE = "cli/test_nonsense.py"
ALONE = "auditing/test_samples.py"
CLOCKS = "learned/test_x0.py::test_the_last_step_gives_what_is_denoised"
LAYOUTS = "learned/test_layouts.py"
KINDS = "learned/test_conditional.py"
WATCH = "auditing/test_monitor.py"
STOP = "auditing/test_stopping.py"
LOSSES = "auditing/test_losses.py"

OUTLIERS = "transitions/test_outliers.py"
SAMPLES = "posterior/test_sample.py"
EXPOSURE = "transitions/test_exposure.py"
FUSED = "posterior/test_fused.py"

# faults that passed the tests once
ONCE = (
    Fault("transitions/criteria.py", "curves = of_population(self.seen, at, errors)",
          "curves = self.seen",
          f"{ERRORS}::test_the_clone_loo_interval_covers_and_no_more"),
    Fault("transitions/crossing.py", "factor = errors[name] * T95 / numerics.Z95 / at.std()",
          "factor = errors[name] * T95 / numerics.Z95",
          f"{ERRORS}::test_the_resamples_take_the_error_of_the_population"),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * np.var(left_out))",
          "math.sqrt(np.var(left_out))",
          f"{ERRORS}::test_the_jackknife_by_definition"),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * np.var(left_out))",
          "float((_PAIRS - 1) * np.var(left_out))",
          f"{ERRORS}::test_the_jackknife_by_definition"),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * np.var(left_out))",
          "math.sqrt((_PAIRS - 1) * np.var(left_out, ddof=1))",
          f"{ERRORS}::test_the_jackknife_by_definition"),
    Fault("transitions/speciation.py", "spectrum.largest * (resampled / resampled.mean() - 1)",
          "resampled - spectrum.largest",
          f"{ERRORS}::test_few_points_in_many_dimensions_do_not_move_the_spectral_interval"),
    Fault("transitions/regimes.py", 'f"About {power_of_ten(needed.log_n)} training',
          'f"About {power_of_ten(needed.log_n + 2)} training',
          f"{VERDICT}::test_the_number_of_points_is_said_as_it_is"),
    Fault("transitions/needed.py", "PointsNeeded(t, (low + high) / 2, ends",
          "PointsNeeded(t, (low + high) / 2 + 2, ends",
          f"{VERDICT}::test_points_needed_are_read_halfway_between_the_ends"),
    Fault("transitions/needed.py", "value = float(nats[0])", "value = float(nats[0]) + 2",
          f"{VERDICT}::test_beyond_the_collapse_the_line_is_carried_on"),
    Fault("data/neighbours.py", "NEAR = 0.1 ", "NEAR = 0.11 ",
          f"{LIMITS}::test_a_tenth_of_the_usual_distance_is_a_near_duplicate"),
    Fault("transitions/crossing.py", "COARSE = 1.5 ", "COARSE = 1.6 ",
          f"{LIMITS}::test_a_coarse_grid_is_told"),
    Fault("auditing/parts.py", "x - x.mean(axis=1, keepdims=True)", "x",
          f"{PARTS}::test_windows_against_a_plain_search"),
    Fault("auditing/parts.py", "telling = seen.second >= least", "telling = seen.second >= 0",
          f"{PARTS}::test_what_all_images_have_in_common_is_no_part "
          f"{PARTS}::test_shares_are_those_by_construction"),
    Fault("auditing/parts.py", "mine = here & (of[g, m] == one)", "mine = here",
          f"{PARTS}::test_shares_are_those_by_construction"),
    Fault("auditing/parts.py", "covered[pixels[g]]", "covered",
          f"{PARTS}::test_mirrored_parts_are_parts_under_the_mirror_alone"),
    Fault("auditing/parts.py", "chance, training.one[rows] if known.others is None else None",
          "chance, None", f"{PARTS}::test_shares_are_those_by_construction"),
    Fault("auditing/features.py", "one = joined(twins.of, known.training.one)", "one = twins.of",
          f"{FEATURES}::test_groups_count_as_one"),
    Fault("auditing/features.py", "by.back(k, points)", "points",
          f"{FEATURES}::test_mirrored_copies_under_the_mirror"),
    Fault("auditing/encoders.py", "y / np.where(length > 0, length, 1.0)", "y",
          f"{FEATURES}::test_distances_by_hand"),
    Fault("auditing/encoders.py", "(one(x) - mean).astype", "one(x).astype",
          f"{FEATURES}::test_what_all_features_have_in_common_takes_no_digits"),
    Fault("auditing/known.py", "one, twins = joined(one, codes), twins", "one, twins = one, twins",
          f"{FEATURES}::test_groups_count_as_one"),
    Fault("auditing/known.py", "np.flatnonzero(~alike)", "np.arange(held_out.n)",
          f"{FEATURES}::test_held_out_points_of_training_groups_are_left_out"),
    Fault("auditing/further.py", "if _copying(whole) >= UNSURE or not found:",
          "if _copying(whole) >= 0 or not found:",
          f"{FEATURES}::test_shifted_copies_are_seen_by_features_that_do_not_shift"),
    Fault("auditing/own_times.py", "for v in (t, count)", "for v in (-t, count)",
          "auditing/test_own_times.py::test_what_comes_out_most_is_told"),
    Fault("data/groups.py", "np.isin(of, order[:", "np.isin(groups, order[:",
          "data/test_groups.py::test_whole_groups_are_held_out"),
    Fault("data/readers.py", "groups=groups[data.indices]", "groups=groups[: data.n]",
          "data/test_groups.py::test_every_kind_of_source_has_its_groups"),
    Fault("auditing/losses.py", "SEPARATE = 3.0 ", "SEPARATE = 2.9 ",
          f"{LIMITS}::test_losses_are_apart_by_three_standard_errors"),
    Fault("transitions/comparison.py", "_UNDECIDED = 20 ", "_UNDECIDED = 19 ",
          f"{LIMITS}::test_phi_is_judged_by_twenty_undecided_draws"),
    Fault("transitions/regimes.py", "needed.log_n > math.log(20)", "needed.log_n > math.log(18)",
          f"{VERDICT}::test_fewer_than_twenty_points_are_no_window_to_close"),
)

FAULTS = (
    Fault("transitions/outliers.py", "far = (from_mean >= FAR * np.median(from_mean)) & (",
          "far = (from_mean >= 0) & (",
          f"{OUTLIERS}::test_no_point_of_gaussian_data_is_far_out"),
    Fault("transitions/outliers.py", " & (nearest >= FAR * np.median(apart))",
          "",
          f"{OUTLIERS}::test_a_small_class_by_itself_is_not_far_out"),
    Fault("transitions/outliers.py", "outside = head.low is None",
          "outside = head.low is not None",
          f"{OUTLIERS}::test_criteria_within_the_interval_of_the_headline_do_not_differ"),
    Fault("transitions/outliers.py", "np.delete(cloud.order, far)",
          "np.delete(np.arange(cloud.n), far)",
          f"{OUTLIERS}::test_points_far_out_move_no_headline_and_no_spectrum"),
    Fault("posterior/observables.py", "_softplus(free + self.log_n) - _softplus(free - self.log_n)",
          "_softplus(free + self.log_n) - _softplus(free)",
          f"{OUTLIERS}::test_the_collapse_is_found_in_few_dimensions"),
    Fault("theory/finite_n.py", "for sign in (1, -1))",
          "for sign in (1, -0.5))",
          "theory/test_finite_n.py::test_explicit_vectors"),
    Fault("posterior/grid.py", "max(1e3 / near, 100 * low)",
          "max(1 / near, 100 * low)",
          f"{OUTLIERS}::test_the_pilot_grid_reaches_the_nearest_points_at_any_scale"),
    Fault("posterior/grid.py", "square[square <= _SAME * (norms[few][:, None] + norms)] = math.inf",
          "square[torch.arange(len(few)), few] = math.inf",
          f"{OUTLIERS}::test_nearest_points_against_all_distances"),
    Fault("transitions/points.py", "gamma = _reaching(snr(sample.times), ",
          "gamma = (lambda x, _: x)(snr(sample.times), ",
          f"{EXPOSURE}::test_a_collapse_before_the_times_given_is_found"),
    Fault("posterior/reliability.py", "_ROUGH, _of_integral(sample, n)",
          "_ROUGH",
          "posterior/test_sweep.py::test_few_given_times_are_no_alarm"),
    Fault("posterior/reliability.py", "np.minimum(np.diff(np.log(gamma)), 1.0) ** 3",
          "np.ones(len(low))",
          "posterior/test_sweep.py::test_small_biases_are_noticed"),
    Fault("transitions/comparison.py", "np.hypot(own[k], x) for k, x in rare.items()",
          "own[k] for k, x in rare.items()",
          "transitions/test_comparison.py::test_what_hardly_any_draw_has_seen"
          "_is_no_error_of_the_curve"),
    Fault("common/reading.py", "isinstance(error, _BUGS) and where", "bool(where) and where",
          f"{READING}::test_what_the_package_says_of_a_file_is_no_bug"),
    Fault("common/reading.py", "        if _ours(error):\n            raise\n", "",
          f"{READING}::test_bugs_of_the_package_are_seen_and_those_of_libraries_told"),
    Fault("common/readable.py", '("Cc", "Cs", "Zl", "Zp")', '("Cc", "Zl", "Zp")',
          f"{READING}::test_names_are_printable"),
    Fault("common/memory.py", "int(most) - int(now) + cache", "int(most) - int(now)",
          f"{STORED}::test_of_a_group_of_processes_the_cache_can_be_had"),
    Fault("data/readers.py", "            raise stops[0] from None\n", "            raise\n",
          f"{READING}::test_a_caller_who_stops_the_run_is_not_a_damaged_file"),
    Fault("data/stored.py", "if self.exact and stream.read(1)", "if False and stream.read(1)",
          f"{STORED}::test_zeros_that_go_on_and_on_are_not_read"),
    Fault("data/stored.py", "            at = last + 1\n", "            at = last\n",
          f"{STORED}::test_rows_blocks_and_columns_are_those_of_the_array"),
    Fault("data/stored.py", "out.T if self.fortran else out", "out",
          f"{STORED}::test_rows_blocks_and_columns_are_those_of_the_array"),
    Fault("data/pixels.py", "return isinstance(scale, tuple) and not", "return not",
          f"{STORED}::test_values_that_were_not_chosen_are_asked_only_where_they_decide"),
    Fault("data/stored.py", "if not of_all or len(indices)", "if True or len(indices)",
          f"{STORED}::test_a_part_of_a_file_is_the_part_of_its_array"),
    Fault("report/folder.py", "                place.rmdir()", "                pass",
          f"{NONSENSE}::test_a_failed_run_leaves_no_folders"),
    Fault("common/files.py", "[: 240 - len(end)]", "[:]", f"{READING}::test_hidden_names_fit"),
    Fault("populations/covariances.py", "1 - self.shrink**2 * inside",
          "1 - self.shrink * inside",
          f"{POPULATIONS}::test_information_and_mmse_are_derivative_and_integrand"),
    Fault("populations/curves.py", "ddof=1) / np.sqrt(len(values))",
          "ddof=1) / len(values)",
          f"{ERRORS}::test_errors_of_sampled_population_curves_are_those_of_repetitions"),
    Fault("populations/mixture.py", "share / 2 * (one - other)",
          "share * (one - other)",
          f"{POPULATIONS}::test_information_density_of_the_reduced_route_has_the_law"
          "_of_the_full_one"),
    Fault("populations/specs.py", 'low < number < high if key == "weight"',
          'low <= number <= high if key == "weight"',
          "populations/test_specs.py"),
    Fault("theory/class_channel.py", "_NORMAL = np.exp(-0.5 * _NODES**2)",
          "_NORMAL = np.exp(-0.49 * _NODES**2)",
          "theory/test_theory.py::test_channel_against_adaptive_quadrature"),
    Fault("theory/finite_n.py",
          "real[:, 0], imaginary[:, 0] = real[:, 0] / 2, imaginary[:, 0] / 2", "pass",
          "theory/test_finite_n.py::test_explicit_vectors"),
    Fault("theory/finite_n.py", "+ pull * square", "+ 9 * pull * square",
          "theory/test_finite_n.py::test_sums_and_steps_do_not_matter"),
    Fault("theory/finite_n.py", "(n - 1) * np.log1p(", "n * np.log1p(",
          "theory/test_finite_n.py::test_explicit_vectors"),
    Fault("theory/finite_n.py", "self.d / 2 * np.log(width", "self.d / 2.05 * np.log(width",
          "theory/test_finite_n.py::test_order_statistics_of_many_points"),
    Fault("theory/finite_n.py", " - np.euler_gamma", "",
          "theory/test_finite_n.py::test_explicit_vectors"),
    Fault("theory/gaussian_mixture.py", "max(1.0, abs(low), abs(high))", "1.0",
          "theory/test_random_energy.py::test_roots_over_the_whole_range_of_parameters"),
    Fault("theory/gaussian_mixture.py", "1 - law.sigma**2 + law.square_mean / square)",
          "1 + law.sigma**2 + law.square_mean / square)",
          "theory/test_theory.py::test_landau_time_against_the_tilted_covariance"),
    Fault("theory/phases.py", "t_s, information(here, t_s)",
          "t_s, information(law, t_s)",
          "theory/test_theory.py::test_phase_diagram"),
    Fault("theory/random_energy.py", "1 - of.noise / of.spread * math.expm1",
          "1 - of.noise / of.total * math.expm1",
          "theory/test_random_energy.py::test_participation_is_one_minus_tilt"),
    Fault("theory/regimes.py", "then * float(variance(t - s)) / now",
          "then * float(variance(t)) / now",
          "theory/test_regimes.py::test_conditional_law_composes"),
    Fault("theory/regimes.py", "math.sqrt(2 * step)",
          "math.sqrt(step)",
          f"{BACKWARD}::test_noise_has_the_variance_two_mu_squared "
          f"{BACKWARD}::test_langevin_keeps_the_marginal_law"),
    Fault("process.py", "return level / (1 + level)",
          "return 1 / (1 + level)",
          "test_process.py"),
    Fault("process.py", "np.argmin(np.abs(times - t))) + 1",
          "np.argmin(np.abs(times - t)))",
          "test_process.py"),
    Fault("process.py", "(root - root[-1]) * root[0]",
          "root * root[0]",
          SCHEDULERS),
    Fault("process.py", "and scheduler not in _NEVER_RESCALED",
          "",
          SCHEDULERS),
    Fault("process.py", "shift * even / (1 + (shift - 1) * even)",
          "even",
          SCHEDULERS),
    Fault("process.py", 'steps + (scheduler == "EDMEulerScheduler")',
          "steps",
          SCHEDULERS),
    Fault("process.py", "t > times[-1] + math.log(2)",
          "t > times[-1]",
          SCHEDULERS),
    Fault("process.py", "np.interp(t, times, np.arange(1, len(times) + 1))",
          "np.interp(t, times, np.arange(0, len(times)))",
          "learned/test_adapters.py::test_steps_between_the_steps"),
    Fault("backward/experiment.py", "times[0] > latest + 1e-6",
          "times[0] > latest + 9",
          f"{COMMAND}::test_a_grid_beyond_the_model_is_told_before_the_work"),
    Fault("backward/descent.py", 'or not any(store.glob("block-*.npz"))',
          "",
          f"{COMMAND}::test_unfinished_run_of_other_options"),
    Fault("report/figures/backward.py", "(max(float(x), 1e-3) for x in (both.min(), both.max()))",
          "(float(x) for x in (both.min(), both.max()))",
          "report/test_plotting.py::test_last_changes_at_the_very_end"),
    Fault("transitions/speciation.py", "sign * numerics.Z95 * error",
          "sign * error",
          f"{CRITERIA}::test_the_first_channel_is_the_papers"),
    Fault("data/cloud.py", "part -= part.mean(axis=0)",
          "part -= part.mean()",
          f"{POSTERIOR}::test_coordinates_keep_the_distances_of_the_points "
          f"{POSTERIOR}::test_both_ways_to_coordinates_give_the_same_geometry"),
    Fault("data/neighbours.py", "float(np.median(beyond",
          "float(np.mean(beyond",
          "data/test_neighbours.py::test_the_usual_distance_leaves_out_duplicates"),
    Fault("data/spectrum.py", "(cloud.n - 1))",
          "cloud.n)",
          "transitions/test_transitions.py::test_spectral_times_of_a_known_covariance"),
    Fault("data/spectrum.py", "math.sqrt(features / dataset.n)",
          "math.sqrt(dataset.n / features)",
          "transitions/test_transitions.py::test_noise_is_warned_of_and_an_outlier_is_not"),
    Fault("posterior/moments.py", "_MOST_GAMMA = 1e30",
          "_MOST_GAMMA = 1e3",
          f"{POSTERIOR}::test_large_pixels_at_small_times "
          f"{POSTERIOR}::test_every_draw_agrees_with_float64"),
    Fault("posterior/moments.py", "one.log_square + 2 * (one.log_sum - log_sum)",
          "one.log_square + (one.log_sum - log_sum)",
          "posterior/test_posterior.py::test_moments_of_shards_merge"),
    Fault("posterior/grid.py", "low = 0.02 * math.log(n)",
          "low = 0.2 * math.log(n)",
          f"{LIMITS}::test_the_pilot_grid_begins_where_nothing_is_known"),
    Fault("posterior/grid.py", "max(0, resolved[-1] - 1)",
          "max(0, resolved[-1] + 1)",
          f"{LIMITS}::test_the_grid_leaves_out_what_is_resolved"),
    Fault("posterior/reliability.py", "Z_LIMIT = 4.5 ",
          "Z_LIMIT = 6.0 ",
          f"{LIMITS}::test_flags_are_raised_where_chance_hardly_reaches"),
    Fault("posterior/groups.py", "np.sqrt((groups - 1) * without.var(axis=-1))",
          "np.sqrt(without.var(axis=-1))",
          f"{LEFT_OUT}::test_the_error_is_that_of_other_sets_from_the_law"),
    Fault("posterior/left_out.py", "competing = (left[:, None] - mine).clamp_min(1).log()",
          "competing = left[:, None].clamp_min(1).log()",
          f"{LEFT_OUT}::test_log_odds_by_definition"),
    Fault("posterior/left_out.py", "for x in names]", "for x in sorted(names)]",
          LEFT_OUT),
    Fault("posterior/left_out.py", "np.concatenate([x.beta for x in questions])",
          "np.concatenate([x.beta for x in questions[::-1]])",
          f"{LEFT_OUT}::test_questions_asked_together_have_the_answers_of_each_alone"),
    Fault("report/folder.py", "return os.path.isdir(out / FIGURES)", "return False",
          "report/test_notebook.py::test_figures_as_files_are_asked_for_or_there"),
    Fault("posterior/groups.py", "others = 1 - torch.eye(", "others = 1 - 0 * torch.eye(",
          f"{LEFT_OUT}::test_means_without_a_group_by_definition"),
    Fault("posterior/moments.py", "out.zero_().index_add_(", "out.index_add_(",
          f"{MANY}::test_sums_over_stretches"),
    Fault("posterior/observables.py", "+ entr(self.other) - entr(mine)", "- entr(mine)",
          f"{MANY}::test_what_is_said_of_ninety_classes"),
    Fault("posterior/observables.py", "mine.log() + competing", "competing",
          f"{MANY}::test_what_is_said_of_ninety_classes"),
    Fault("posterior/sweep.py", "part = slice(k * pairs, (k + 1) * pairs)",
          "part = slice(0, len(some.points))", f"{MANY}::test_parts_of_a_block_change_nothing"),
    Fault("posterior/left_out.py", "own_class - first, 0)", "own_class, 0)",
          f"{MANY}::test_tiles_change_nothing_where_groups_are_left_out"),
    Fault("common/numerics.py", "min(some, times - start)", "some",
          f"{NUMERICS}::test_resamples_come_some_at_a_time"),
    Fault("posterior/groups.py", "alpha=-2 * beta * math.sqrt(gamma)",
          "alpha=-2 * math.sqrt(gamma)", f"{LEFT_OUT}::test_log_odds_by_definition"),
    Fault("transitions/exact_times.py", "math.hypot(error, chosen_error, se)", "error",
          "transitions/test_comparison.py::test_the_z_of_a_time_of_points_has_every_error"),
    Fault("transitions/criteria.py", "t is not None and not speciation.overconfidence(",
          "t is not None or not speciation.overconfidence(",
          f"{CRITERIA}::test_the_weights_are_trusted_while_they_are_as_sure_as_right"),
    Fault("transitions/balance.py", "if at.beta < FAR and", "if at.beta > FAR and",
          f"{BALANCE}::test_log_odds_that_are_carried_far_reach_down_to_the_floor"),
    Fault("transitions/balance.py", "if calm else (time.t, time.t)",
          "if calm else (time.low, time.high)",
          f"{CRITERIA}::test_a_balance_apart_from_the_weights_spans_both"),
    Fault("posterior/compiled.py", "k == 0 or sums[s, 1] > _FAR", "k == 0",
          f"{FUSED}::test_points_that_leave_are_not_missed"),
    Fault("posterior/compiled.py", " | np.int64(v[j] < _ZERO)", "",
          f"{FUSED}::test_points_that_leave_are_not_missed"),
    Fault("posterior/compiled.py", "m += np.int64(j != own)", "m += 1",
          f"{FUSED}::test_moments_are_those_of_torch"),
    Fault("posterior/compiled.py", " + reference[s, 1] * total", "",
          f"{FUSED}::test_moments_are_those_of_torch"),
    Fault("posterior/compiled.py", "best, place = x, j", "best, place = x, 0",
          f"{FUSED}::test_points_that_leave_are_not_missed"),
    Fault("posterior/fused.py", "_LEAVE = 44", "_LEAVE = 4",
          f"{FUSED}::test_points_that_leave_are_not_missed"),
    Fault("posterior/fused.py", "_SURE = 400.0", "_SURE = 4e30",
          f"{FUSED}::test_near_distances_are_exact_where_gamma_is_large"),
    Fault("posterior/fused.py", "np.asarray(beta) * _LOG2E", "_LOG2E",
          f"{FUSED}::test_groups_left_out_are_those_of_torch"),
    Fault("posterior/fused.py", "if done >= 0 else", "if True else",
          f"{FUSED}::test_many_that_compete_get_float64_products"),
    Fault("transitions/balance.py", "bias = (GROUPS - 1) * (", "bias = 0.5 * (",
          f"{BALANCE}::test_the_first_order_in_one_over_n_is_taken_off"),
    Fault("posterior/groups.py", "return self.squares.sum(-1) / total.square()",
          "return self.squares.sum(-1) / total",
          f"{BALANCE}::test_the_calm_temperature_is_the_largest"),
    Fault("theory/class_channel.py", "prior[place].T[:, :, None] - along + along[:, None]",
          "prior[place][:, :, None] - along + along[:, None]",
          f"{BALANCE}::test_the_channel_of_classes_at_given_distances"),
    Fault("transitions/balance.py", "CALM = 0.02", "CALM = 0.3",
          f"{BALANCE}::test_the_calm_temperature_is_the_largest"),
    Fault("transitions/balance.py", "rate = -fall / (middle * (1 + fall))",
          "rate = -fall / (beta * (1 + fall))",
          f"{BALANCE}::test_one_direction_is_carried_exactly_by_the_lower_end"),
    Fault("transitions/balance.py", "class_channel.agreement(2 * rows,",
          "class_channel.agreement(rows,",
          f"{BALANCE}::test_the_interval_where_many_points_compete"),
    Fault("transitions/balance.py", "error = T95 * math.sqrt((GROUPS - 1) * without.var())",
          "error = T95 * math.sqrt(without.var())",
          f"{BALANCE}::test_the_interval_where_many_points_compete"),
    Fault("transitions/speciation.py", "value = 1 / gaps.mean()", "value = others[0]",
          f"{ERRORS}::test_lambda_of_the_population_where_dimensions_are_many"),
    Fault("transitions/needed.py", "value = replace(value, low=min(value.low, late.low))",
          "value = replace(value, low=value.low)",
          "transitions/test_needed.py::test_the_points_needed_over_the_interval_of_the_time"),
    Fault("auditing/copies.py", "PAIRS = 2 ", "PAIRS = 1 ",
          "auditing/test_copies.py::test_training_points_are_near_to_one_another_in_pairs"),
    Fault("transitions/shares.py", "- (len(seen) - 1) * noise", "",
          "transitions/test_shares.py::test_noise_within_the_classes_is_no_difference_between_them"),
    Fault("transitions/criteria.py", "if name in (LOO, OWN,", "if name != OWN or name in (LOO,",
          "transitions/test_shares.py"
          "::test_intervals_of_the_collapse_hold_where_classes_differ_in_spread"),
    Fault("transitions/points.py", "means(k).max() >= 0.5", "means(k).mean() >= 0.5",
          f"{EXPOSURE}::test_half_is_found_from_few_weights"),
    Fault("transitions/points.py", "min(last + 3, count)", "min(last + 2, count)",
          f"{EXPOSURE}::test_half_is_found_from_few_weights"),
    Fault("transitions/points.py", "while high - low > 1:", "while high - low > 2:",
          f"{EXPOSURE}::test_half_is_found_from_few_weights"),
    Fault("transitions/points.py", "square[row], along[:, row] = 0, 0", "square[row] = 0",
          f"{EXPOSURE}::test_the_weight_of_a_point_is_that_of_the_pass"),
    Fault("transitions/points.py", "sign * b, scaled", "b, scaled",
          f"{EXPOSURE}::test_the_weight_of_a_point_is_that_of_the_pass"),
    Fault("posterior/sample.py", "before * share * gap**2", "share * gap**2", SAMPLES),
    Fault("posterior/sample.py", "place * self._n + self._row_of", "self._row_of", SAMPLES),
    Fault("posterior/sample.py", "sums /= self._counts[:, None]", "sums /= self._counts.mean()",
          SAMPLES),
    Fault("posterior/sample.py", "return self.merged[0] if self.merged else len(self.points)",
          "return len(self.points)", SAMPLES),
    Fault("transitions/crossing.py", "/ total[:, None]", "/ len(where)", SAMPLES),
    Fault("data/arrow.py", "part.validate(full=True)", "part.validate()",
          f"{FORMATS}::test_offsets_of_a_damaged_file_lead_nowhere"),
    Fault("data/archives.py", "type(x) is int and x >= 0", "x is not None",
          f"{FORMATS}::test_safetensors"),
    Fault("transitions/points.py", "weight /= np.bincount(where)[:, None]",
          "weight /= len(weight)",
          f"{EXPOSURE}::test_times_from_made_up_weights"),
    Fault("transitions/needed.py", "math.log(n - 1) - curves[FREE] * math.log(n)",
          "math.log(n - 1) - curves[FREE]",
          f"{VERDICT}::test_points_needed_are_read_halfway_between_the_ends"),
    Fault("transitions/needed.py", '["same_point_probability"]) > 0.1',
          '["same_point_probability"]) > 0.2',
          f"{VERDICT}::test_beyond_the_collapse_the_line_is_carried_on"),
    Fault("transitions/speciation.py", "if effective < 50:",
          "if effective < 60:",
          "test_thresholds.py::test_a_landau_time_of_few_points_is_told"),
    Fault("transitions/scaling.py", "(mean > 0.6)",
          "(mean > 0.55)",
          "test_thresholds.py::test_curves_cross_where_phi_is_neither_chance_nor_certain"),
    Fault("report/words.py", "LARGEST_Z = 3.5",
          "LARGEST_Z = 4.0",
          "test_thresholds.py::test_theory_is_left_at_z_scores_that_chance_hardly_reaches"),
    Fault("transitions/scaling.py", "c.phi + c.se * z",
          "c.phi + 2 * c.se * z",
          "transitions/test_scaling.py::test_the_intervals_cover"),
    Fault("transitions/crossing.py", "min(one, two), max(one, two)",
          "one, two",
          "transitions/test_bands.py"),
    Fault("scores.py", "shrink * x - math.sqrt(noise) * found",
          "shrink * x + math.sqrt(noise) * found",
          "test_scores.py::test_four_predictions_are_one"),
    Fault("scores.py", "mul_(math.log2(math.e)).clamp_(min=-100)",
          "clamp_(min=-100)",
          "test_scores.py::test_denoise_against_the_oracle"),
    Fault("backward/clones.py", "same / math.comb(clones, 2)",
          "same / (clones - 1)",
          "backward/test_clones.py::test_agreement_is_the_share_of_equal_pairs"),
    Fault("backward/tracking.py", "COPY = 1 / 3",
          "COPY = 0.35",
          f"{LIMITS}::test_a_copy_is_three_times_nearer"),
    Fault("auditing/losses.py", "np.hypot(error, share * exact_error) / wide",
          "np.hypot(error, exact_error) / wide",
          f"{LIMITS}::test_the_error_of_the_copied_share"),
    Fault("auditing/entropy.py", "AT_COLLAPSE = 0.55",
          "AT_COLLAPSE = 0.0",
          "auditing/test_audit.py::test_the_exact_score_follows_the_forward_pass[flow]"),
    Fault("auditing/entropy.py", "steadied = lack - slope * stein",
          "steadied = lack + slope * stein",
          "auditing/test_entropy.py"),
    Fault("auditing/judgement.py", "beta.sf(b + level * (1 - b)",
          "beta.sf(b * 0 + level",
          f"{LIMITS}::test_what_chance_brings_is_taken_off"),
    Fault("auditing/judgement.py", "beta.sf(b + level * (1 - b)",
          "beta.sf(b + level",
          f"{LIMITS}::test_what_chance_brings_is_taken_off"),
    Fault("auditing/judgement.py", 'names = REASONS if lean.kind == "does not copy"',
          "names = REASONS if lean.kind",
          f"{GATE}::test_copies_that_are_found_stay_found"),
    Fault("auditing/judgement.py", "lean.confidence >= UNSURE and not against",
          "lean.confidence >= UNSURE",
          f"{GATE}::test_samples_of_no_kind"),
    Fault("data/neighbours.py", "return min(out, before)",
          "return float(np.median(distance.min(axis=1)))",
          "data/test_neighbours.py::test_points_that_are_all_listed_more_than_once"),
    Fault("data/neighbours.py", "np.append(representative, two)",
          "np.append(mine, two)",
          COPIED),
    Fault("auditing/copies.py", "other = self.one[index] != self.one[point]",
          "other = index != point",
          COPIED),
    Fault("auditing/copies.py", "gaps[self.own[points] == own[open_, None]] = np.inf",
          "gaps[:, 0] = np.inf",
          COPIED),
    Fault("auditing/copies.py", "times[alike | again]",
          "times[alike]",
          COPIED),
    Fault("auditing/orbit.py", "np.argsort(self.places[element])",
          "self.places[element]",
          COPIED),
    Fault("auditing/gate.py", "binom.sf(far - 1, of, 0.5)",
          "binom.sf(far, of, 0.5)",
          GATE),
    Fault("auditing/gate.py", "0.5 * math.hypot(",
          "0.05 * math.hypot(",
          GATE),
    Fault("auditing/gate.py", "inside / m**2 - outside / n**2",
          "inside / m**2 - outside / m**2",
          GATE),
    Fault("auditing/gate.py", "(above + 1) / (_PERMUTATIONS + 1)",
          "above / _PERMUTATIONS",
          GATE),
    Fault("auditing/gate.py", "level = RARE if e.leaning.kind == VERDICTS[2] else MOST",
          "level = MOST",
          GATE),
    Fault("auditing/gate.py", "other.kind == e.leaning.kind",
          "other.kind != e.leaning.kind",
          GATE),
    Fault("auditing/known.py", "np.setdiff1d(np.flatnonzero(~alike), [x.other for x in shared])",
          "np.arange(held_out.n)",
          GATE),
    Fault("common/readable.py", "math.floor(100 * round(probability, 9))",
          "round(100 * probability)",
          "report/test_audit_page.py::test_the_confidence_is_never_rounded_up_to_certainty"),
    Fault("common/numerics.py", "change.shape[1] - 1 - np.argmax(change[:, ::-1], axis=1)",
          "np.argmax(change, axis=1)",
          "transitions/test_transitions.py::test_the_largest_of_several_crossings_counts"),
    Fault("common/numerics.py", "LEVEL = (2.5, 97.5)",
          "LEVEL = (5, 95)",
          "transitions/test_transitions.py::test_intervals_need_half_of_the_samples"),
    Fault("common/rng.py", 'numpy_generator(seed, "points", int(epoch))',
          'numpy_generator(seed, "points", 0)',
          "common/test_rng.py"),
    Fault("common/readable.py", "exponent = log_n / math.log(10)",
          "exponent = log_n / math.log(9)",
          f"{VERDICT}::test_large_numbers_are_powers"),
    Fault("report/words.py", "{_log_snr(high)} to {_log_snr(low)}",
          "{_log_snr(low)} to {_log_snr(high)}",
          "report/test_clocks.py"),
    Fault("data/pixels.py", "        out = chosen\n",
          "        out = PixelMap(dtype, came, chosen.scale)\n",
          f"{PIXELS}::test_what_is_compared_is_prepared_by_the_map_of_the_data"),
    Fault("data/pixels.py", "(whole != given.whole and _APART * width < own)", "False",
          f"{PIXELS}::test_other_units_are_refused"),
    Fault("data/pixels.py", "known is not None and known != given.source[1]", "False",
          f"{PIXELS}::test_another_dtype_or_white_is_told"),
    Fault("data/pixels.py", "return self.source[0] - (0.0 if self.offset",
          "return 0.0 * (0.0 if self.offset",
          f"{PIXELS}::test_pads_are_black_by_the_map_of_the_data"),
    Fault("data/datasets.py", "indices=self.indices[places],", "indices=np.arange(len(places)),",
          f"{NAMES}::test_indices_are_those_of_the_source"),
    Fault("data/readers.py", "raw.indices[data.indices]", "data.indices",
          f"{NAMES}::test_images_are_named_by_their_files"),
    Fault("data/pictures.py", "indices=np.array(taken)", "indices=np.arange(len(taken))",
          f"{NAMES}::test_images_are_named_by_their_files"),
    Fault("data/pictures.py", ' and image.format != "TIFF"', "",
          f"{PICTURES}::test_the_orientation_of_exif"),
    Fault("data/pictures.py", "(width - side) // 2, (height - side) // 2", "0, 0",
          f"{PICTURES}::test_cropped_images_are_centre_squares"),
    Fault("data/splits.py", "if wanted is not None else \"train\"",
          "if wanted is not None else \"test\"", f"{FORMATS}::test_medmnist"),
    Fault("data/layout.py", "}) < 2 or len(pairs) < len(below):", "}) < 2:",
          f"{FORMATS}::test_what_shards_are"),
    Fault("data/layout.py", "len({place for place, _ in pairs}) < 2 or ", "",
          f"{FORMATS}::test_what_shards_are"),
    Fault("data/layout.py", "place == number // _PER_SHARD * unit", "place <= number",
          f"{FORMATS}::test_what_shards_are"),
    Fault("data/layout.py", "for unit in (1, _PER_SHARD)", "for unit in (1,)",
          f"{FORMATS}::test_shards_are_no_classes"),
    Fault("data/archives.py", "block[rows[first:last] - rows[first]]",
          "block[: last - first]", f"{FORMATS}::test_hdf5"),
    Fault("data/archives.py", "return shape[-1] == len(labels) != shape[0]", "return False",
          f"{FORMATS}::test_matlab_with_points_along_the_last_axis"),
    Fault("data/labelled.py", "if table.setdefault(name, label) != label:", "if False:",
          f"{FORMATS}::test_labels_by_stem_or_name_and_rows_that_disagree"),
    Fault("data/arrow.py", "column[place - start]", "column[place % len(batch)]",
          f"{FORMATS}::test_images_of_hugging_face"),
    Fault("data/tables.py", "(labels % 1 != 0).any()", "False",
          f"{FORMATS}::test_columns_that_number_rows_and_regression_targets"),
    Fault("data/classes.py", "if most >= 2**digits:", "if most > 2**digits:",
          "data/test_datasets.py::test_floats_that_no_longer_tell_labels_apart"),
    Fault("data/classes.py", "np.searchsorted(np.unique(labels), own)", "np.arange(len(own))",
          f"{NAMES}::test_classes_have_the_numbers_of_the_source"),
    Fault("data/neighbours.py", "CHANCE = 0.005 ", "CHANCE = 0.05 ",
          "data/test_neighbours.py::test_the_chance_of_a_clean_set_to_have_near_duplicates"),
    Fault("data/neighbours.py", "np.minimum(farthest, usual_distance(distance))", "farthest",
          f"{LIMITS}::test_a_few_points_far_from_all_others_make_no_near_ones_of_the_rest"),
    Fault("data/features.py", "FAR = 100 ", "FAR = 110 ",
          "data/test_features.py::test_what_is_not_far_stays_as_it_came"),
    Fault("data/features.py", "np.square(part - shift)", "np.square(part)",
          "data/test_features.py::test_standardized_features_have_mean_0_and_variance_1"),
    Fault("transitions/listed.py", "numerics.log2_sum(rival) - weights[chosen]",
          "numerics.log2_sum(rival)",
          "transitions/test_listed.py::test_the_free_energy_of_weighted_points_by_definition"),
    Fault("transitions/listed.py", "p=weights / weights.sum()", "p=None",
          "transitions/test_listed.py::test_points_are_drawn_as_often_as_they_are_listed"),
    Fault("common/numerics.py", "lambda v: product(v) / unit", "lambda v: product(v)",
          "common/test_numerics.py::test_the_largest_eigenvector_of_any_covariance"),
    Fault("data/neighbours.py", "index=int(dataset.indices[x.index]),", "index=x.index,",
          f"{NAMES}::test_results_name_points_by_the_source"),
    Fault("transitions/points.py", "nearest_index=int(dataset.indices[x.nearest_index])",
          "nearest_index=x.nearest_index", f"{NAMES}::test_results_name_points_by_the_source"),
    Fault("learned/models.py", "x == str(label) or numbered.get(x) == label", "x == str(label)",
          "learned/test_models.py::test_the_class_that_a_label_means"),
    Fault("learned/models.py", "if recipe.get(\"indexed\") == INDEXED:", "if False:",
          f"{AUDITS}::test_held_out_points_are_known_by_rows_and_by_names"),
    Fault("learned/models.py", "training=opened.of_its_class(training)", "training=training",
          f"{AUDITS}::test_a_label_selects_its_class"),
    Fault("learned/models.py", "Scaling(integers, None if given.whole else given)",
          "Scaling(integers, scale)",
          "learned/test_models.py::test_the_scale_of_the_training_is_that_of_its_recipe"),
    Fault("cli/audit.py", "options.held_out, data.pixel_map, progress)\n    held_out = opened",
          "options.held_out, points.range_for(options.data, options.model), progress)\n"
          "    held_out = opened",
          f"{AUDITS}::test_floats_stay_and_held_out_points_follow_the_data"),
    Fault("report/page/base.py",
          "dataset.place_of if facts.indexed == INDEXED else lambda index: index",
          "dataset.place_of",
          "report/test_report.py::test_a_point_has_its_own_name_and_its_own_picture"),
    Fault("report/runs.py", "dataset.indices[rows].tolist()", "rows.tolist()",
          "cli/test_cli_backward.py::test_generated_points_are_named_by_their_files"),
    Fault("auditing/naming.py", "dataset.indices[copies.point], dataset.indices[copies.second]",
          "copies.point, copies.second", f"{AUDITS}::test_one_class_of_a_folder_is_audited"),
    Fault("auditing/samples.py", 'for what in ("sample_shape", "scale")', "for what in ()",
          f"{ALONE}::test_what_does_not_go_together"),
    Fault("learned/conventions.py", "level if kind == \"karras\" else level**2", "level",
          f"{CLOCKS} learned/test_x0.py::test_an_exact_score_comes_back_from_ve"),
    Fault("learned/conventions.py", "schedule, 1 - half)", "schedule)", CLOCKS),
    Fault("learned/conventions.py", '"noise": (shrunk, 1 / e, -n / e)', '"noise": (shrunk, 1, -n)',
          "learned/test_x0.py::test_samplers_with_the_sigmas_of_a_flow"),
    Fault("learned/conventions.py", "lambda t: 0.25 * math.log", "lambda t: math.log",
          "learned/test_x0.py::test_steps_that_are_logarithms_of_sigma"),
    Fault("process.py", "low, high = low**2, high**2", "pass",
          f"{SCHEDULERS}::test_the_sigmas_of_other_clocks"),
    Fault("learned/weights.py", 'float(state[alpha]) / rank', "float(state[alpha])",
          f"{LAYOUTS}::test_an_adapter_is_added_to_its_base"),
    Fault("learned/weights.py", "if left or not used:", "if not used:",
          f"{LAYOUTS}::test_adapters_of_another_kind"),
    Fault("learned/weights.py", 'k.replace("_orig_mod.", "")', "k",
          f"{LAYOUTS}::test_names_of_wrappers_are_taken_off"),
    Fault("learned/folders.py", "if average.is_dir() and not index:", "if average.is_dir():",
          f"{LAYOUTS}::test_a_checkpoint_has_its_average_taken_and_says_so"),
    Fault("learned/latents.py", "(z - self.shift) * self.factor)", "z * self.factor)",
          f"{KINDS}::test_the_code_is_the_mean_shifted_and_scaled_and_comes_back"),
    Fault("auditing/losses.py", "part = slice(first, first + rows)",
          "part = slice(first, len(draws))",
          f"{LOSSES}::test_batch_binds_and_changes_nothing"),
    Fault("auditing/audit.py", "batch=run.batch,", "batch=None,",
          f"{LOSSES}::test_the_batch_of_an_audit_binds_in_its_losses"),
    Fault("auditing/undisturbed.py", "random.setstate(states[0])", "pass",
          f"{WATCH}::test_a_network_that_draws_in_eval_mode"),
    Fault("auditing/undisturbed.py", "np.random.set_state(states[1])", "pass",
          f"{WATCH}::test_a_network_that_draws_in_eval_mode"),
    Fault("auditing/undisturbed.py", "torch.set_rng_state(states[2])", "pass",
          f"{WATCH}::test_a_network_that_draws_in_eval_mode"),
    Fault("auditing/undisturbed.py", "x.training = mode", "pass",
          f"{WATCH}::test_the_same_training_bit_for_bit"),
    Fault("auditing/undisturbed.py", "            network.eval()", "            pass",
          f"{WATCH}::test_the_same_training_bit_for_bit {WATCH}::test_running_averages"),
    Fault("auditing/watched.py", "average.copy_to(self._average.parameters())", "pass",
          f"{WATCH}::test_running_averages"),
    Fault("auditing/looking.py", "0.5 * np.asarray(snr(self.losses.t))",
          "np.asarray(snr(self.losses.t))",
          f"{WATCH}::test_nats_are_the_rate_of_the_information"),
    Fault("auditing/looking.py", "gap_probability(losses, points) if self.trusted else math.nan",
          "gap_probability(losses, points)", f"{WATCH}::test_held_out_points_of_another_law"),
    Fault("auditing/looking.py", "seed=plan.seed, batch=plan.batch)", "seed=plan.seed)",
          f"{WATCH}::test_the_batch_binds"),
    Fault("auditing/looking.py", "rows = plan.batch or max(1,", "rows = max(1,",
          f"{WATCH}::test_the_batch_binds"),
    Fault("auditing/levels.py", "linear - found.curves", "linear - 0 * found.curves",
          f"{WATCH}::test_the_levels_are_those_of_the_analysis"),
    Fault("auditing/stopping.py", "len(each) * float(each.min())", "float(each.min())",
          f"{STOP}::test_the_gap_of_one_law_is_as_rare_as_it_says"),
    Fault("auditing/stopping.py", "student.sf(losses.gap, points - 1)",
          "student.sf(losses.gap, 10**9)",
          f"{STOP}::test_the_gap_of_one_law_is_as_rare_as_it_says"),
    Fault("auditing/stopping.py", "betabinom.sf(copies - 1,", "betabinom.sf(copies,",
          f"{STOP}::test_copies_by_a_sum_over_what_chance_may_be"),
    Fault("auditing/stopping.py", "(look * (look + 1))", "look",
          f"{STOP}::test_all_looks_together_spend_alpha"),
    Fault("auditing/monitor.py", "self.seconds + self._last <= SHARE", "self.seconds <= SHARE",
          f"{WATCH}::test_five_percent_of_the_time"),
    Fault("auditing/monitor.py", "            self.seconds += self._last", "            pass",
          f"{WATCH}::test_five_percent_of_the_time"),
    Fault("auditing/monitor.py", " or step < self.rows[-1]", " and step < self.rows[-1]",
          f"{WATCH}::test_every_so_many_steps {WATCH}::test_killed_and_resumed"),
    Fault("auditing/monitor.py", "self._failures < FAILURES and", "",
          f"{WATCH}::test_a_failure_later_is_a_warning"),
    Fault("auditing/monitor.py",
          "points, others = _of_label(points, label), _of_label(others, label)",
          "pass", f"{WATCH}::test_a_conditional_network"),
    Fault("auditing/logbook.py", 'if x["step"] < step] + [row]', "] + [row]",
          f"{WATCH}::test_killed_and_resumed"),
    Fault("learned/latents.py", "{weights_digest(self.vae)} {dataset.fingerprint}",
          "{weights_digest(self.vae)}", f"{KINDS}::test_latents_are_encoded_once"),
    Fault("learned/score.py", "plain + self.guidance * (found - plain)",
          "found + self.guidance * (found - plain)",
          f"{KINDS}::test_dit_is_asked_for_its_class_and_guided_by_its_row_of_none"),
    Fault("learned/conditions.py", "torch.tensor([config.num_embeds_ada_norm])",
          "torch.tensor([0])",
          f"{KINDS}::test_dit_is_asked_for_its_class_and_guided_by_its_row_of_none"),
    Fault("learned/others.py", "-float(sigma(t))) if noise", "-1.0) if noise",
          "learned/test_others.py::test_sigma_and_noise"),
    Fault("learned/others.py", "max(model.sigma_min, SMALLEST)", "model.sigma_min",
          "learned/test_others.py::test_edm"),
    Fault("report/page/pictures.py", "if self.dataset.decode is not None:", "if False:",
          "cli/test_cli_models.py::test_pictures_of_latents_are_those_of_the_decoder"),
)
# fmt: on


def run(source: Path, tests: list[str]) -> int:
    """Exit code of pytest on `tests`, with the package of `source`: in a child that finds the
    heavy packages already imported."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", f"--rootdir={ROOT}"]
    child = os.fork()
    if child == 0:
        code = 3
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            sys.path.insert(0, str(source))
            os.environ["PYTHONPATH"] = str(source)  # for tests that start the program
            code = int(pytest.main([*options, *(str(ROOT / "tests" / x) for x in tests)]))
            if Path(sys.modules["diffregimes"].__file__ or "").parent.parent != source:
                code = 3
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(source: Path, fault: Fault) -> str:
    path = source / "diffregimes" / fault.module
    sound = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (times := sound.count(fault.text)) != 1:
        return f"TEXT FOUND {times} TIMES"
    path.write_text(sound.replace(fault.text, fault.fault), encoding="utf-8")
    try:
        code = run(source, fault.tests.split())
    finally:
        path.write_text(sound, encoding="utf-8")
    # 1: a test failed, 2: the package does not even load
    return {0: "SURVIVED", 1: "caught", 2: "caught"}.get(code, f"PYTEST SAYS {code}")


def main(words: list[str]) -> int:
    chosen = [x for x in ONCE + FAULTS if not words or any(w in x.module + x.text for w in words)]
    caught, stale = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder).resolve()
        shutil.copytree(ROOT / "src" / "diffregimes", source / "diffregimes")
        tests = list(dict.fromkeys(name for x in chosen for name in x.tests.split()))
        if code := run(source, tests):
            print(f"the tests do not pass on the sound source (pytest says {code}): mend them")
            return 2
        for fault in chosen:
            start = time.monotonic()
            found = outcome(source, fault)
            caught += found == "caught"
            stale += found.startswith(("TEXT", "PYTEST"))
            took = time.monotonic() - start
            line = f"{found:9} {took:4.0f} s  {fault.module}: {fault.text} -> {fault.fault}"
            print(line, flush=True)
    print(f"{caught} of {len(chosen)} caught")
    if stale:
        print(
            f"{stale} of the list are out of date: the source has moved on, mend tests/mutants.py"
        )
    return int(stale > 0 or caught < WANTED * len(chosen))


if __name__ == "__main__":
    sys.dont_write_bytecode = True  # a source of one second and one size would be taken for another
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))

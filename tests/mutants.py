"""Faults put into a copy of the source on purpose, to see whether the nearest tests notice.

    python tests/mutants.py [word ...]

runs the faults whose module or text holds one of the words, all without. Exit code 0: every text
was found once and at least 36 of 40 of the faults were caught. Not part of the suite: a fault
costs as long as its tests take to start and to fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WANTED = 0.9  # of the faults


class Fault(NamedTuple):
    """In src/diffregimes/`module`, `text` (once) becomes `fault`; `tests` are the nearest."""

    module: str
    text: str
    fault: str
    tests: str


# fmt: off
ERRORS = "transitions/test_standard_errors.py"
LIMITS = "test_thresholds.py"
VERDICT = "transitions/test_verdict.py"

# faults that passed the tests once
ONCE = (
    Fault("analysis.py", "influence.of_population(curves, moved, dataset.n, seed)", "curves",
          ERRORS),
    Fault("transitions/influence.py",
          "kept = 1 - influence.as_true_point / n / spread if spread else 0.0", "kept = 1.0",
          ERRORS),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * left_out.var())",
          "math.sqrt(left_out.var())", ERRORS),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * left_out.var())",
          "float((_PAIRS - 1) * left_out.var())", ERRORS),
    Fault("transitions/points.py", "math.sqrt((_PAIRS - 1) * left_out.var())",
          "math.sqrt((_PAIRS - 1) * left_out.var(ddof=1))", ERRORS),
    Fault("transitions/speciation.py", "resampled * spectrum.largest / resampled.mean()",
          "resampled", ERRORS),
    Fault("transitions/regimes.py", 'f"About {power_of_ten(needed.log_n)} training',
          'f"About {power_of_ten(needed.log_n + 2)} training', VERDICT),
    Fault("transitions/needed.py", "PointsNeeded(t, (low + high) / 2, ends",
          "PointsNeeded(t, (low + high) / 2 + 2, ends", VERDICT),
    Fault("transitions/needed.py", "value = float(found[0])", "value = float(found[0]) + 2",
          VERDICT),
    Fault("data/neighbours.py", "NEAR = 0.1 ", "NEAR = 0.11 ", LIMITS),
    Fault("transitions/crossing.py", "COARSE = 1.5 ", "COARSE = 1.6 ", LIMITS),
    Fault("auditing/losses.py", "SEPARATE = 3.0 ", "SEPARATE = 2.9 ", LIMITS),
    Fault("transitions/comparison.py", "_UNDECIDED = 20 ", "_UNDECIDED = 19 ", LIMITS),
    Fault("transitions/regimes.py", "needed.log_n > math.log(20)", "needed.log_n > math.log(18)",
          VERDICT),
)

FAULTS = (
    Fault("populations/covariances.py", "1 - self.shrink**2 * inside", "1 - self.shrink * inside",
          "populations/test_populations.py"),
    Fault("populations/curves.py", "ddof=1) / np.sqrt(len(values))", "ddof=1) / len(values)",
          ERRORS),
    Fault("populations/mixture.py", "share / 2 * (one - other)", "share * (one - other)",
          "populations/test_populations.py"),
    Fault("populations/specs.py", 'low < number < high if key == "weight"',
          'low <= number <= high if key == "weight"', "populations/test_specs.py"),
    Fault("theory/class_channel.py", "_NORMAL = np.exp(-0.5 * _NODES**2)",
          "_NORMAL = np.exp(-0.49 * _NODES**2)", "theory/test_theory.py"),
    Fault("theory/gaussian_mixture.py", "1 - law.sigma**2 + law.square_mean / square)",
          "1 + law.sigma**2 + law.square_mean / square)", "theory/test_theory.py"),
    Fault("theory/phases.py", "t_s, information(here, t_s)", "t_s, information(law, t_s)",
          "theory cli/test_cli_theory.py"),
    Fault("theory/random_energy.py", "1 - of.noise / of.spread * math.expm1",
          "1 - of.noise / of.total * math.expm1", "theory/test_random_energy.py"),
    Fault("theory/regimes.py", "then * float(variance(t - s)) / now",
          "then * float(variance(t)) / now", "theory/test_regimes.py"),
    Fault("theory/regimes.py", "math.sqrt(2 * step)", "math.sqrt(step)", "theory/test_regimes.py"),
    Fault("process.py", "return level / (1 + level)", "return 1 / (1 + level)", "test_process.py"),
    Fault("process.py", "np.argmin(np.abs(times - t))) + 1", "np.argmin(np.abs(times - t)))",
          "test_process.py"),
    Fault("data/cloud.py", "part -= part.mean(axis=0)", "part -= part.mean()",
          "posterior/test_posterior.py"),
    Fault("data/neighbours.py", "float(np.median(apart))", "float(np.mean(apart))", LIMITS),
    Fault("data/spectrum.py", "(cloud.n - 1))", "cloud.n)", "transitions/test_transitions.py"),
    Fault("data/spectrum.py", "math.sqrt(features / dataset.n)",
          "math.sqrt(dataset.n / features)", "transitions/test_transitions.py"),
    Fault("posterior/moments.py", "_MOST_GAMMA = 1e30", "_MOST_GAMMA = 1e3",
          "posterior/test_posterior.py"),
    Fault("posterior/moments.py", "one.log_square + 2 * (one.log_sum - log_sum)",
          "one.log_square + (one.log_sum - log_sum)", "posterior/test_posterior.py"),
    Fault("posterior/grid.py", "low = 0.02 * math.log(n)", "low = 0.2 * math.log(n)",
          "posterior/test_sweep.py"),
    Fault("posterior/grid.py", "max(0, resolved[-1] - 1)", "max(0, resolved[-1] + 1)", LIMITS),
    Fault("posterior/reliability.py", "Z_LIMIT = 4.5 ", "Z_LIMIT = 6.0 ", LIMITS),
    Fault("transitions/influence.py", "math.sqrt(influence.whole / n)",
          "math.sqrt(influence.whole) / n", ERRORS),
    Fault("transitions/points.py", "weight /= np.bincount(where)[:, None]",
          "weight /= len(weight)", "transitions/test_exposure.py"),
    Fault("transitions/needed.py", "math.log(n - 1) - curves[FREE] * math.log(n)",
          "math.log(n - 1) - curves[FREE]", VERDICT),
    Fault("transitions/needed.py", '["same_point_probability"]) > 0.1',
          '["same_point_probability"]) > 0.2', VERDICT),
    Fault("transitions/scaling.py", "c.phi + c.se * rng", "c.phi + 2 * c.se * rng",
          "transitions/test_scaling.py"),
    Fault("transitions/crossing.py", "min(one, two), max(one, two)", "one, two",
          "transitions auditing/test_audit.py"),
    Fault("scores.py", "shrink * x - math.sqrt(noise) * found",
          "shrink * x + math.sqrt(noise) * found", "test_scores.py"),
    Fault("scores.py", "mul_(math.log2(math.e)).clamp_(min=-100)", "clamp_(min=-100)",
          "test_scores.py"),
    Fault("backward/clones.py", "same / math.comb(clones, 2)", "same / (clones - 1)",
          "backward/test_clones.py"),
    Fault("backward/tracking.py", "COPY = 1 / 3", "COPY = 0.35", LIMITS),
    Fault("auditing/losses.py", "np.hypot(error, share * exact_error) / wide",
          "np.hypot(error, exact_error) / wide", LIMITS),
    Fault("auditing/entropy.py", "AT_COLLAPSE = 0.55", "AT_COLLAPSE = 0.0",
          "auditing/test_audit.py"),
    Fault("auditing/entropy.py", "steadied = lack - slope * stein",
          "steadied = lack + slope * stein", "auditing/test_audit.py"),
    Fault("auditing/judgement.py", "p.sf(np.minimum(b + level, 1))",
          "p.sf(np.minimum(b * 0 + level, 1))", LIMITS),
    Fault("common/numerics.py", "change.shape[1] - 1 - np.argmax(change[:, ::-1], axis=1)",
          "np.argmax(change, axis=1)", "transitions/test_transitions.py"),
    Fault("common/numerics.py", "LEVEL = (2.5, 97.5)", "LEVEL = (5, 95)",
          f"transitions/test_transitions.py {ERRORS}"),
    Fault("common/rng.py", 'numpy_generator(seed, "points", int(epoch))',
          'numpy_generator(seed, "points", 0)', "common/test_rng.py"),
    Fault("common/readable.py", "exponent = log_n / math.log(10)", "exponent = log_n / math.log(9)",
          VERDICT),
    Fault("report/words.py", '{_log_snr(high)} to {_log_snr(low)}',
          '{_log_snr(low)} to {_log_snr(high)}', "report/test_report.py report/test_output.py"),
)
# fmt: on


def run(source: Path, tests: list[str]) -> int:
    """Exit code of pytest on `tests`, with the package of `source`."""
    env = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    paths = [str(ROOT / "tests" / x) for x in tests]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode


def outcome(source: Path, fault: Fault) -> str:
    path = source / "diffregimes" / fault.module
    sound = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (times := sound.count(fault.text)) != 1:
        return f"TEXT FOUND {times} TIMES"
    path.write_text(sound.replace(fault.text, fault.fault), encoding="utf-8")
    try:
        # 1: a test failed, 2: the package does not even load
        code = run(source, fault.tests.split())
    finally:
        path.write_text(sound, encoding="utf-8")
    return {0: "SURVIVED", 1: "caught", 2: "caught"}.get(code, f"PYTEST SAYS {code}")


def main(words: list[str]) -> int:
    chosen = [x for x in ONCE + FAULTS if not words or any(w in x.module + x.text for w in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        shutil.copytree(ROOT / "src" / "diffregimes", source / "diffregimes")
        tests = sorted({name for x in chosen for name in x.tests.split()})
        if run(source, tests):
            print("the tests fail on the sound source; nothing can be said of the faults")
            return 2
        for fault in chosen:
            start = time.monotonic()
            found = outcome(source, fault)
            bad += found != "caught"
            took = time.monotonic() - start
            line = f"{found:9} {took:5.0f} s  {fault.module}: {fault.text} -> {fault.fault}"
            print(line, flush=True)
            if found.startswith(("TEXT", "PYTEST")):
                bad = len(chosen)  # the list is out of date: mend it
    print(f"{len(chosen) - bad} of {len(chosen)} caught" if bad < len(chosen) else "list to mend")
    return int(len(chosen) - bad < WANTED * len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

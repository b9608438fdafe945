"""Clones under the exact score, against what one forward pass says without running anything.

    python examples/clones.py [--quick] [--out FOLDER]

Trajectories on scikit-learn's digits 0 and 1 part at several t; phi is how often two clones end in
the same class, phi_C on the same training point. One sees both agree with the averages of the
posterior weights, sum_c p_c^2 and sum_nu w_nu^2, within their errors: the experiment of the paper,
thousands of network evaluations for each trajectory, is one pass over the training points.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import diffregimes as dr
from diffregimes.backward.clones import nearest_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.experiment import experiment
from diffregimes.backward.outcome import outcome
from diffregimes.report.runs import write_outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer trajectories and steps")
    parser.add_argument("--out", type=Path, default=Path("runs/clones"))
    options = parser.parse_args()

    data = dr.load("digits", classes=["0", "1"], per_class=100)
    setup = experiment(data, grid="log-snr", steps=150 if options.quick else 1000, count=8)
    assert setup.training is not None
    ends = run_clones(
        setup.score,
        setup.times,
        200 if options.quick else 2048,
        run=Run(setup.grid),
        classify=nearest_classes(setup.training, data.labels),
        training=setup.training,
    )
    found = outcome(ends, setup)
    print(f"{'t':>7} {'phi':>8} {'forward':>8} {'z':>5}   {'phi_C':>8} {'forward':>8} {'z':>5}")
    for k, t in enumerate(found.simulated.t):
        cells = [
            f"{found.simulated[x][k]:8.3f} {found.forward[x][k]:8.3f} {found.z[x][k]:5.1f}"
            for x in ends.names
        ]
        print(f"{t:7.3f} {'   '.join(cells)}")

    options.out.mkdir(parents=True, exist_ok=True)
    write_outcome(found, options.out)
    print(f"figure: {options.out / 'clones.png'}")


if __name__ == "__main__":
    main()

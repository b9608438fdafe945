"""The phase diagram: what a diffusion model does at a number of points n in d dimensions.

    python examples/phase_diagram.py [--quick] [--out FOLDER]

Two Gaussian classes that nearly overlap (mu = 0.2). One sees lines of equal collapse time, straight
at slope one: n must grow exponentially with d to move the collapse. In the shaded region the
collapse comes first: the model copies a point before it has a class. The table says how many
points lead out of it.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from diffregimes.report.figures.phase import plot_phase_diagram
from diffregimes.theory import (
    TwoGaussians,
    collapse_time,
    phase_diagram,
    points_needed,
    speciation_times,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a coarse grid")
    parser.add_argument("--out", type=Path, default=Path("runs/phase-diagram"))
    options = parser.parse_args()
    size = 21 if options.quick else 61
    law = TwoGaussians(d=2, mu=0.2)  # the diagram replaces d

    print(f"{'d':>8} {'t_S':>6} {'t_C, n = 50 000':>16} {'n for t_C = t_S':>16}")
    for d in (100, 1000, 3072, 10_000, 100_000):
        here = TwoGaussians(d, law.mu)
        t_s, t_c = speciation_times(here)["clone"], collapse_time(here, math.log(50_000))
        assert t_s is not None
        needed = math.exp(float(points_needed(here, t_s)))
        print(f"{d:8} {t_s:6.3f} {t_c:16.3f} {needed:16.3g}")

    log_n = np.geomspace(math.log(2), 300 * math.log(10), size)
    found = phase_diagram(law, np.geomspace(2, 1e6, size), log_n)
    axes = plot_phase_diagram(found, marks=((3072, math.log(50_000)),))
    options.out.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(options.out / "phase-diagram.png", dpi=160, facecolor="white")
    print(f"diagram: {options.out / 'phase-diagram.png'}")


if __name__ == "__main__":
    main()

"""Figure 3 of the paper: collapse of two Gaussian classes, from clouds of n points.

    python examples/figure_3.py [--quick] [--out FOLDER]

The excess entropy f/alpha measures how many points compete for a noised sample: 1 in the noise, 0
once a single one is left. One sees the measured values on the exact theory well above t_C, not on
the leading order, which leaves out what the class tells; near t_C they leave it for the shaded
band, because a finite number of points fluctuates, and approach 0 smoothly below.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from diffregimes.reproduce import figure_3
from diffregimes.reproduce.tables import write


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="500 points, few draws")
    parser.add_argument("--out", type=Path, default=Path("runs/figure-3"))
    options = parser.parse_args()

    small = {"share": 0.02, "n": 500} if options.quick else {}
    found = figure_3.reproduce(**small)
    print(f"{'':20} {'d':>5} {'ours':>8} {'error':>8} {'leading':>8} {'exact':>8} {'z':>5}")
    for row in found.rows:
        z = "" if row.z is None else f"{row.z:5.1f}"
        print(
            f"{row.quantity:20} {row.d:5} {row.ours:8.4f} {row.se:8.4f} "
            f"{row.paper:8.4f} {row.theory:8.4f} {z}"
        )
    print("\n".join(found.sentences))

    options.out.mkdir(parents=True, exist_ok=True)
    write(found, options.out)  # figure-3.png, .svg, .csv, the table, results.json
    print(f"figure: {options.out / 'figure-3.png'}")


if __name__ == "__main__":
    main()

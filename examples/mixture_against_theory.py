"""A mixture of your own: sample it, analyse the points, and hold the curves against exact theory.

    python examples/mixture_against_theory.py [--quick] [--out FOLDER]

Three Gaussian classes of unequal weights in 64 dimensions. `analyze` sees the points and their
labels alone; because the dataset carries its population, the result holds the exact curves too.
z counts standard errors between the two, where theory is one number: near the collapse it is a
band. One sees |z| of 1 or so for every curve, and the time of speciation where theory has it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from diffregimes import Dataset, analyze
from diffregimes.populations.mixture import GaussianMixture


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer points and draws")
    parser.add_argument("--out", type=Path, default=Path("runs/mixture"))
    options = parser.parse_args()

    means = 6 * np.eye(3, 64)  # three corners, at distance 6 sqrt(2) from each other
    law = GaussianMixture(means, 1.0, weights=[0.5, 0.3, 0.2])
    points, labels = law.sample(1000 if options.quick else 3000, seed=1)
    dataset = Dataset(
        points.float().numpy(), labels.numpy(), ("a", "b", "c"), (64,), population=law
    )
    found = analyze(dataset, draws=2048 if options.quick else 8192)
    theory = found.theory
    assert theory is not None

    print(found)
    print(f"\n{'curve':28} {'times':>6} {'mean z':>7} {'largest |z|':>12}")
    for name, z in theory.z.items():
        z = z[np.isfinite(z)]  # where the theory is one number, not a band
        if len(z):
            print(f"{name:28} {len(z):6} {z.mean():7.2f} {np.abs(z).max():12.2f}")
    print(f"\n{'time':24} {'measured':>9} {'exact':>8} {'z':>6}")
    for exact in theory.times:
        measured = found.time(exact.transition, exact.method).t
        values = f"{measured:9.3f} {exact.t:8.3f}" if measured and exact.t else f"{'none':>9}"
        z = "" if exact.z is None else f"{exact.z:6.2f}"
        print(f"{exact.transition + ' ' + exact.method:24} {values} {z}")

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(found.to_json(), encoding="utf-8")
    print(f"\nresults: {options.out / 'results.json'}")


if __name__ == "__main__":
    main()

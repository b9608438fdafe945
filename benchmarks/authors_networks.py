"""Speciation by the forward pass alone, beside the networks that the paper's authors trained.

    python benchmarks/authors_networks.py [key ...]

For each dataset of the preset `paper` that is below DIFFREGIMES_DATA (keys: mnist, cifar, ...):
t_S = (1/2) log Lambda, and the t at which phi falls to 0.775, in the authors' networks and by each
criterion that needs none, with 95 % intervals; over t_S as a ratio of Ornstein-Uhlenbeck times and
of steps of the linear DDPM schedule. Prints the tables of docs/trained.md.
"""

from __future__ import annotations

import math
import sys

from diffregimes import analyze
from diffregimes.data.spectrum import first_channel
from diffregimes.reproduce.sources import MissingData, Source, preset, read
from diffregimes.reproduce.trained import FORWARD, Measured, over_step_s, over_t_s
from diffregimes.transitions.crossing import Interval

HEAD = ("", "Λ", "t_S", "the paper's network", *(f"`{x}`, no network" for x in FORWARD))
NONE: Interval = (None, (None, None))


def line(source: Source) -> tuple[list[str], list[str]]:
    """The crossings of a dataset, and their ratios to t_S: OU times, then steps."""
    paper = source.paper
    assert paper is not None
    try:
        data = read(source)
    except MissingData as error:
        print(str(error).split(".")[0], file=sys.stderr)
        found, largest, t_s = {}, f"{paper.largest} (paper)", 0.5 * math.log(paper.largest)
    else:
        case = Measured(source, analyze(data), *first_channel(data))
        found, t_s = case.forward, case.t_s
        largest = f"{case.largest:.2f} ± {case.largest_se:.2f}"
    ours = [found.get(x, NONE) for x in FORWARD]
    both = [(paper.crossing, 0.5 * math.log(paper.largest)), *((x, t_s) for x in ours)]
    head = [source.name, largest, f"{t_s:.3f}"]
    return [*head, *(shown(x) for x, _ in both)], [source.name, *(ratios(*x) for x in both)]


def shown(crossing: Interval) -> str:
    t, (low, high) = crossing
    if t is None:
        return ""
    return f"{t:.3f}" if low is None or high is None else f"{t:.3f} [{low:.3f}, {high:.3f}]"


def ratios(crossing: Interval, t_s: float) -> str:
    both = (f(crossing, t_s)[0] for f in (over_t_s, over_step_s))
    return ", ".join("" if x is None else f"{x:.3f}" for x in both).strip(", ")


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(x)} |" for x in lines)


if __name__ == "__main__":
    keys = sys.argv[1:]
    lines = [line(x) for x in preset("paper").speciation if x.key in keys or not keys]
    print(table(HEAD, [x for x, _ in lines]))
    print("\nOver t_S: Ornstein-Uhlenbeck times, DDPM steps\n")
    print(table((HEAD[0], *HEAD[3:]), [x for _, x in lines]))

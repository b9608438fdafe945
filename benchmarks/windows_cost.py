"""What windows cost, beside the run that they belong to.

    python benchmarks/windows_cost.py SOURCE CLASSES PER_CLASS WIDTHS
    python benchmarks/windows_cost.py mnist/ 1,8 1000 4,8,14

CPU seconds of `analyze` without windows, and of the windows of each width; their ratio, over the
share of the pixels that these read (the sum over windows, more than one where they overlap). The
same without their t_S.
"""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import torch

import diffregimes as dr
from diffregimes.data.windows import parts_of
from diffregimes.transitions import part, windows


def main() -> None:
    torch.set_num_threads(1)
    source, classes, per_class, widths = sys.argv[1:5]
    data = dr.load(source, classes=classes.split(","), per_class=int(per_class))
    marks: list[float] = []
    held: list[windows.Evidence] = []

    def seen(progress: float, total: float, text: str) -> None:
        if text == "windows":
            marks.append(time.process_time())

    of_run = windows.windows_of

    def keeping(dataset, parts, evidence, whole):  # type: ignore[no-untyped-def]
        held.append(evidence)
        return of_run(dataset, parts, evidence, whole)

    import diffregimes.analysis as analysis

    analysis.windows_of = keeping  # type: ignore[attr-defined]
    start = time.process_time()
    found = dr.analyze(data, windows=[int(x) for x in widths.split(",")], progress=seen)
    whole = time.process_time() - start - (marks[-1] - marks[0])
    print(f"{data.source}: n = {data.n}, d = {data.d}; analyze without windows {whole:.1f} s")
    group, first = windows.groups_of_points(held[0]), 0
    for kind, told in zip(parts_of(data, [x.width for x in found.windows], None), found.windows,
                          strict=True):  # fmt: skip
        count = len(told.sizes)
        spent = marks[first + count] - marks[first]
        first += count
        begin = time.process_time()
        for k, x in enumerate(kind.parts):
            share = len(x.features) / data.d
            one = part.Part(held[0], group, share, k, first)
            points = np.ascontiguousarray(data.points[:, x.features])
            one.seen(points, data, SimpleNamespace(method="spectral"))  # type: ignore[arg-type]
        alone = time.process_time() - begin
        share = float(told.sizes.sum()) / data.d
        print(
            f"{told.name}: {count} windows, share {share:.2f}, {spent:.1f} s: "
            f"{spent / whole / share:.2f} of the whole times the share; t_C alone {alone:.1f} s, "
            f"{alone / whole / share:.2f}", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()

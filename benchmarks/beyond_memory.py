"""Analyze points that do not fit into memory: time beside its floor, and the peak of memory.

    python benchmarks/beyond_memory.py 100000 1000000      # numbers of points; d = 3072, uint8

Makes a file of each size, ten classes of 32 x 32 pictures whose spectrum falls as that of natural
images does (amplitude ~ 1/frequency), and runs `diffregimes analyze FILE --memory-mib 512` on it
in a process of its own. The floor is two float32 products (distances and projections) of as many
pairs of draws as the curves took with all points, timed on some of them in this process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

SIDE, CLASSES, BLOCK = 32, 10, 5000
# ru_maxrss begins with the peak of the process that starts another; VmHWM is a program's own
ALONE = """
import sys
from diffregimes.cli import main
try:
    main()
finally:
    peak = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    print(int(peak.split()[1]) // 1024, file=sys.stderr)
"""
HERE = str(Path(__file__).resolve().parent.parent / "src")


def pictures(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, SIDE, SIDE, 3), mean 0 and variance 1 a pixel, colours correlated."""
    along = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    amplitude = 1 / np.maximum(np.hypot(*along), 1 / SIDE)
    noise = rng.standard_normal((count, 3, SIDE, SIDE), dtype=np.float32)
    noise[:, 1:] = 0.9 * noise[:, :1] + 0.436 * noise[:, 1:]
    made = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(SIDE, SIDE))
    return np.moveaxis(made / made.std(axis=(0, 1, 2, 3)), 1, -1)


def write(folder: Path, n: int) -> None:
    """x.npy and y.npy: classes mixed, each around a mean picture of its own."""
    rng = np.random.default_rng(0)
    means = pictures(rng, CLASSES)
    shape = n, SIDE, SIDE, 3
    out = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, shape)
    labels = rng.integers(0, CLASSES, n)
    for start in range(0, n, BLOCK):
        some = labels[start : start + BLOCK]
        made = 128 + 40 * pictures(rng, len(some)) + 20 * means[some]
        out[start : start + BLOCK] = np.clip(made, 0, 255)
    out.flush()
    np.save(folder / "y.npy", labels)


def floor(n: int, d: int, pairs: int) -> float:
    """CPU seconds of the two products."""
    columns = torch.randn(4096, d)
    rows = torch.randn(1024, d)
    rows @ columns.T
    start = time.process_time()
    for _ in range(2):
        rows @ columns.T
    return (time.process_time() - start) * n / 4096 * pairs / 1024


def main() -> None:
    for n in map(int, sys.argv[1:] or ["100000"]):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
            folder = Path(name)
            write(folder, n)
            command = [
                sys.executable, "-c", ALONE, "analyze", str(folder / "x.npy"),
                "--labels", str(folder / "y.npy"), "--memory-mib", "512", "--out",
                str(folder / "out"),
            ]  # fmt: skip
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            said = subprocess.run(
                command, check=True, env={**os.environ, "PYTHONPATH": HERE}, stderr=subprocess.PIPE
            )
            wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found = json.loads((folder / "out" / "results.json").read_text())
            least = floor(n, 3 * SIDE**2, found["recipe"]["draws"] // 2)
            print(
                f"n = {n}: {wall:.0f} s, {used:.0f} CPU s, {used / least:.2f} times the two "
                f"products; peak {said.stderr.split()[-1].decode()} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()

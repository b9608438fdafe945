"""How long a run takes from the prompt, in ratios from one run.

    python benchmarks/prompt.py                # digits, and MNIST where DIFFREGIMES_DATA holds it
    python benchmarks/prompt.py OLDER/src      # beside an older version of the package

Times are those of whole processes, start and imports included: wall clock, and CPU seconds of all
their threads. The digits stand against the imports that no run can do without. What numba
compiles once for every machine is compiled before the clock starts, and its time is told.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = str(Path(__file__).resolve().parent.parent / "src")
IMPORTS = ["-c", "import torch, sklearn.datasets, matplotlib.figure"]
COMPILE = ["-c", "import diffregimes.posterior.compiled"]


def seconds(arguments: list[str], source: str = HERE) -> tuple[float, float]:
    """Wall clock and CPU seconds of python with these arguments."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": source}
    subprocess.run(
        [sys.executable, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used


def processor() -> str:
    lines = Path("/proc/cpuinfo")
    names = lines.read_text().splitlines() if lines.exists() else []
    return next((x.split(":")[1].strip() for x in names if "model name" in x), platform.processor())


def sources() -> dict[str, list[str]]:
    """The arguments of `analyze` by what they are of."""
    found = {"digits": ["digits"]}
    mnist = Path(os.environ.get("DIFFREGIMES_DATA", "")) / "mnist"
    if mnist.is_dir():
        two = ["--classes", "1,8", "--per-class", "5000", "--pad", "2"]
        found["MNIST 1 and 8, n = 10000"] = [str(mnist), *two]
        found["MNIST, n = 60000"] = [str(mnist)]
    return found


def main() -> None:
    print(f"{processor()}, {os.cpu_count()} cores")
    print("compiled, or loaded: {:.1f} s, {:.1f} CPU s".format(*seconds(COMPILE)))
    imports = min(seconds(IMPORTS) for _ in range(3))
    print(f"imports: {imports[0]:.1f} s, {imports[1]:.1f} CPU s")
    for name, what in sources().items():
        with tempfile.TemporaryDirectory() as folder:
            command = ["-m", "diffregimes", "analyze", *what, "--out"]
            wall, used = seconds([*command, f"{folder}/new"])
            line = f"{name}: {wall:.1f} s, {used:.1f} CPU s"
            if name == "digits":
                line += f"; {wall / imports[0]:.2f} times the imports"
                line += f", {used / imports[1]:.2f} times their CPU time"
            for older in sys.argv[1:]:
                before = seconds([*command, f"{folder}/old"], older)
                line += f"; before {before[0]:.1f} s, {before[1]:.1f} CPU s: "
                line += f"{wall / before[0]:.2f} of it, {used / before[1]:.2f} of the CPU time"
        print(line, flush=True)


if __name__ == "__main__":
    main()

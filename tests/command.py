"""Running the command inside the test process, and the small data that it is run on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from diffregimes.cli import app as cli

TIMES = [0.002, 0.006, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5]
QUICK = ["--draws", "512", "--times", ",".join(map(str, TIMES))]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def results(self):
        """What --format json printed, which must be JSON and nothing else."""
        assert self.code == 0, self.err
        return json.loads(self.out)


def runner(monkeypatch, capfd):
    """A function that runs `diffregimes analyze ARGUMENTS` and catches what it says."""

    def run(*arguments, command=("analyze",)):
        monkeypatch.setattr(sys, "argv", ["diffregimes", *command, *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        sys.stdout.flush()
        return Ran(code, *capfd.readouterr())

    return run


def killed(work: Callable[[], object], seen: Callable[[], object]) -> None:
    """Let a copy of this process do `work`, and kill it once there is something `seen`.

    A copy, for a process of its own would load everything anew, which takes seconds.
    """

    def alone():
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        torch.set_num_threads(1)  # no pool of threads outlives the copying
        work()

    process = multiprocessing.get_context("fork").Process(target=alone)
    process.start()
    deadline = time.monotonic() + 300
    while not seen():
        assert process.is_alive(), "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def command_line(*arguments) -> Callable[[], None]:
    """`diffregimes ARGUMENTS`, for `killed`."""

    def work():
        sys.argv = ["diffregimes", *map(str, arguments)]
        cli.main()

    return work


def without_report(monkeypatch):
    """Leave out the page and its figures, which take most of the time of a small run."""

    def stub(analysis, dataset, folder, *, figures):
        (Path(folder) / "report.html").write_text(analysis.dataset.fingerprint)

    monkeypatch.setattr("diffregimes.report.runs.write_report", stub)


def without_drawing(monkeypatch):
    """Figures are made as always, but not turned into files, which takes a second for a page."""
    monkeypatch.setattr(
        "diffregimes.report.figures.style._saved",
        lambda *_: b'<svg viewBox="0 0 1 1"></svg>',
    )


def pixels(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 4, 3), uint8, of the classes 3, 5 and 8, a third each: dark, grey, bright."""
    labels = np.arange(n) % 3
    noise = np.random.default_rng(seed).integers(0, 100, (n, 4, 3))
    return (noise + 75 * labels[:, None, None]).astype(np.uint8), np.array([3, 5, 8])[labels]


def save_pixels(path: Path, n: int = 60, **more) -> Path:
    images, labels = pixels(n)
    np.savez(path, **{"images": images, "labels": labels, **more})
    return path


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder, hidden ones too, with its bytes; None for folders."""
    return {
        x.relative_to(folder).as_posix(): x.read_bytes() if x.is_file() else None
        for x in sorted(folder.rglob("*"))
    }


# networks that predict different things in different clocks: their schedulers
MODELS = {
    "sample": ("DDPMScheduler", {"prediction_type": "sample"}),
    "velocity, cosine": (
        "DDIMScheduler",
        {"prediction_type": "v_prediction", "beta_schedule": "squaredcos_cap_v2"},
    ),
    "zero snr": (
        "DDIMScheduler",
        {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    ),
    "latent": (
        "EulerDiscreteScheduler",
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    ),
    "edm": ("EDMEulerScheduler", {}),
    "edm, little noise": ("EDMDPMSolverMultistepScheduler", {"sigma_max": 0.5}),
    "flow": ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
}


def untrained(
    folder: Path,
    scheduler: str = "DDPMScheduler",
    size: int = 8,
    levels: int = 2,
    classes: int | None = None,
    **options,
) -> Path:
    """A saved pipeline with a small network for images of 8x8 that has learned nothing.

    classes : that it can be asked for; options : of the scheduler
    """
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    sizes = {"in_channels": 1, "out_channels": 1, "layers_per_block": 1, "norm_num_groups": 4}
    blocks = {
        "down_block_types": ("DownBlock2D",) * levels,
        "up_block_types": ("UpBlock2D",) * levels,
        "block_out_channels": (8,) * levels,
    }
    unet = diffusers.UNet2DModel(sample_size=size, num_class_embeds=classes, **sizes, **blocks)
    made = getattr(diffusers, scheduler)(**options)
    diffusers.DDPMPipeline(unet, made).save_pretrained(folder)
    return folder

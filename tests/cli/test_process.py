"""The command as a process: interrupted while it loads, and with its streams closed or full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command import save_pixels

START = (sys.executable, "-X", "importtime", "-m", "diffregimes")
# a line of -X importtime that stands when a module has been loaded, and how long after it
MOMENTS = [("lazy_loader", 0), ("diffregimes", 0), ("numpy", 0), ("typer", 0.01), ("torch", 0)]


@pytest.mark.parametrize(("module", "later"), MOMENTS, ids=lambda x: str(x))
def test_ctrl_c_while_modules_load(tmp_path, module, later):
    save_pixels(tmp_path / "a.npz")
    with open(tmp_path / "err", "wb") as err:
        process = subprocess.Popen(
            [*START, "analyze", "a.npz", "--draws", "100000000"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=err,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        limit = time.monotonic() + 60
        while not any(
            line.rpartition(b"|")[2].strip() == module.encode()
            for line in (tmp_path / "err").read_bytes().splitlines()
        ):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.002)
        time.sleep(later)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
    assert code in (2, 130)
    assert b"Traceback" not in (tmp_path / "err").read_bytes()
    assert not [x for x in tmp_path.rglob("*") if x.name == "results.json"]


@pytest.mark.parametrize(
    ("streams", "command", "code"),
    [
        (">&-", "--version", 0),
        ("2>&-", "--version", 0),
        ("<&-", "--version", 0),
        ("<&- >&- 2>&-", "analyze a.npz --dry-run", 0),
        (">/dev/full", "analyze --help", 2),  # what prints is one place, and this loads no torch
    ],
)
def test_streams_that_are_closed_or_full(tmp_path, streams, command, code):
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    save_pixels(tmp_path / "a.npz")
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -W error -m diffregimes {command} {streams}',
         sys.executable],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert ran.returncode == code, ran.stderr
    assert ("cannot print" in ran.stderr) == (code == 2)
    assert "Traceback" not in ran.stderr
    assert "Warning" not in ran.stderr

"""What a run was computed with: device and versions, as they stand in its recipe."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import torch

from .checks import InputError


def check_device(device: str) -> None:
    """Raise `InputError` for a device that torch cannot compute on."""
    try:
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0][:80]
        raise InputError(f"device {device!r} cannot be used ({why}); try cpu.") from error


def versions() -> dict[str, str]:
    """What a run was computed with, for its recipe."""
    return {
        "diffregimes": version("diffregimes"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }

"""What a run was computed with: device and versions, as they stand in its recipe."""

from __future__ import annotations

import platform
import warnings
from importlib.metadata import version

import numpy as np
import torch

from .checks import InputError
from .reading import why


def check_device(device: str) -> None:
    """Raise `InputError` for a device that torch cannot compute on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are no longer in use
            torch.ones(1, device=device).sum().item()
    except Exception as error:  # every kind of device has its own
        raise InputError(
            f"device {device[:80]!r} cannot be used ({why(error)[:80]}); try cpu."
        ) from error


def versions() -> dict[str, str]:
    """What a run was computed with, for its recipe."""
    return {
        "diffregimes": version("diffregimes"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }

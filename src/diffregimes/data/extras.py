"""Packages that some formats need and that not everyone has."""

from __future__ import annotations

import importlib
from typing import Any

from ..common.checks import InputError


def needed(module: str, extra: str, what: object) -> Any:
    """The module; `InputError` with the extra that brings it where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{what} needs the package {module.split('.')[0]} ({error}); install it: "
            f'pip install "diffregimes[{extra}]".'
        ) from None

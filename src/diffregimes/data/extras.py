"""Packages that some formats need and that not everyone has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..common.checks import InputError


@contextmanager
def extra(name: str, what: object) -> Iterator[None]:
    """Around imports for `what`: where a package is missing, `InputError` with the extra that
    brings it."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{what} cannot be read: {error}; expected the packages of the extra {name}. Install "
            f'them: pip install "diffregimes[{name}]".'
        ) from None

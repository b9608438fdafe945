"""What a command that writes a folder says at its end: text for a person, or JSON alone."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import typer

from ..common.checks import InputError


class Format(StrEnum):
    text = "text"
    json = "json"


class _Result(Protocol):
    def to_json(self) -> str: ...


def printed(format: Format, result: _Result, text: Callable[[Path], None], folder: Path) -> None:
    """The `result` as JSON, or the `text` of it that lies in `folder`."""
    try:
        if format is Format.json:
            typer.echo(result.to_json().encode())  # as in the file, whatever the locale
        else:
            text(folder)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader has seen enough: typer ends quietly
            raise
        raise InputError(
            f"cannot print the results: {error.strerror}. They are complete in {folder}."
        ) from error

"""What is said of a kind of source: its name, which sources are of it, how it is read, and which
options it understands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .request import Raw, Request

# the options of `load` that some readers understand alone, as the command line has them
OPTIONAL = {
    "key": "--key", "split": "--split", "resize": "--resize", "crop": "--crop",
    "skip_unreadable": "--skip-unreadable",
}  # fmt: skip
ARRAYS = frozenset({"key", "split"})
BLOCKS = ARRAYS | {"skip_unreadable"}
PICTURES = frozenset({"split", "resize", "crop", "skip_unreadable"})
ROWS = ARRAYS | PICTURES


@dataclass(frozen=True)
class Reader:
    """A kind of source.

    name : of the kind
    words : what is accepted, in messages and in --help
    recognises : whether a source is of this kind, from its text and path
    read : its points; what it takes stands in the docstring
    takes : the options among `OPTIONAL` that it understands; others are refused
    check : raises `InputError` for other options of `load` that make no sense with it
    """

    name: str
    words: str
    recognises: Callable[[str, Path], bool]
    read: Callable[[Request], Raw]
    takes: frozenset[str] = frozenset()
    check: Callable[[Request], None] = lambda request: None


@dataclass(frozen=True)
class Held:
    """The same for data in memory: `recognises` takes the object."""

    words: str
    recognises: Callable[[Any], bool]
    read: Callable[[Request], Raw]
    takes: frozenset[str] = frozenset()

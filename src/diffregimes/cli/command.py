"""Options of a command as a frozen dataclass: its fields are what the command line offers.

A field is one option, annotated as typer wants it; a field that is a dataclass itself stands for
all of its options, in its place. So an option that several commands share is written once, and a
subclass that annotates a field anew changes that option alone, where it stands. What the commands
share beside it: the numbers in an option's text, and a run's finished blocks.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from ..common.checks import InputError


def command(function: Callable[[Any], None]) -> Callable[..., None]:
    """`function(options)` as typer takes it: a parameter for every option of the dataclass."""
    (options,) = (x for name, x in get_type_hints(function).items() if name != "return")
    parameters = list(_parameters(options))

    def run(**given: Any) -> None:
        function(_filled(options, given))

    out: Any = run
    out.__name__ = function.__name__
    out.__signature__ = inspect.Signature(parameters)
    out.__annotations__ = {x.name: x.annotation for x in parameters}
    return run


def recorded(options: Any, *left_out: str) -> dict[str, Any]:
    """Every option by name, in the order of the command line, as results.json keeps them."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in _values(options)
        if name not in left_out
    }


def numbers(option: str, text: str | None, example: str) -> list[float] | None:
    """The numbers in 0.1,0.5,1; None stays None."""
    if text is None:
        return None
    try:
        return [float(x) for x in text.split(",")]
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; expected numbers separated by commas, such as {example}."
        ) from None


def pair(option: str, text: str, example: str) -> tuple[float, float]:
    """The two numbers in LO,HI."""
    ends = numbers(option, text, example)
    if ends is None or len(ends) != 2:
        raise InputError(f"{option} is {text!r}; expected two numbers such as {example}.")
    return ends[0], ends[1]


@contextmanager
def kept_unless_dead(store: Path) -> Iterator[None]:
    """Leave the finished blocks of a run in `store`, to go on with, unless it cannot be ended, or
    could not begin."""
    from ..backward.descent import DeadEnd

    fresh = not store.exists()
    try:
        yield
    except DeadEnd:
        shutil.rmtree(store, ignore_errors=True)
        raise
    except InputError:
        if fresh and not any(store.glob("*/*")):
            shutil.rmtree(store, ignore_errors=True)
        raise


def _parameters(options: Any) -> Iterator[inspect.Parameter]:
    for name, hint, default in _fields(options):
        if is_dataclass(hint):
            yield from _parameters(hint)
        else:
            empty = inspect.Parameter.empty if default is MISSING else default
            kind = inspect.Parameter.KEYWORD_ONLY
            yield inspect.Parameter(name, kind, default=empty, annotation=hint)


def _filled(options: Any, given: dict[str, Any]) -> Any:
    return options(
        **{
            name: _filled(hint, given) if is_dataclass(hint) else given[name]
            for name, hint, _ in _fields(options)
        }
    )


def _fields(options: Any) -> Iterator[tuple[str, Any, Any]]:
    hints = get_type_hints(options, include_extras=True)
    return ((x.name, hints[x.name], x.default) for x in fields(options))


def _values(options: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            yield from _values(value)
        else:
            yield field.name, value

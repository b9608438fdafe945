"""Options of a command as a frozen dataclass: its fields are what the command line offers.

A field is one option, annotated as typer wants it; a field that is a dataclass itself stands for
all of its options, in its place. So an option that several commands share is written once, and a
subclass that annotates a field anew changes that option alone, where it stands.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


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
    return {name: value for name, value in _values(options) if name not in left_out}


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

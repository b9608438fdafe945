"""Every option of every command, and nonsense for each kind of option."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints

import typer

from diffregimes.cli.app import app

LONG, HUGE = "9" * 5000, str(10**30)

# by the type of an option
BY_TYPE = {
    "int": ["", "x", "1.5", "nan", "-7", HUGE, LONG],
    "float": ["", "x", "nan", "inf", "-inf", "1e400", "-7", LONG],
    "path": ["", " ", "~nosuchuser/x", "x" * 256, "wall/x"],
    "text": ["", "nonsense", "x" * 5000, "\x1b[31m", "\udcff", "~nosuchuser/x.json", LONG],
    "choice": ["", "nonsense"],
}
_NUMBERS = ["", ",", "x", "1", "nan,nan", "0,inf", "1e400,1e401", "0,1e30", "1,0", "1,1", LONG]
_LISTS = [*(x for x in _NUMBERS if x != "1"), "400", "1,400", "-1,1", "1e-320,1"]
# and by its name, where its text is more than a word
BY_NAME = {
    "source": [
        "", "nonsense", "~nosuchuser/x", "x" * 5000, "\udcff", "pipe", "pipe.npz", ".", "wall",
        "/dev/null", "gmm:", "gmm:d=1e400,n=9", "gmm:d=1e9,n=1e12", "gmm:d=nan,n=9", "gmm:d=9,n=2",
        "broken.npz", "deep.npy",
    ],
    "labels": ["", "nonsense", "-99", LONG, "no.csv:x", "~nosuchuser/l.csv", "pipe.csv", "wall/x"],
    "key": ["", "nonsense", LONG],
    "per_class": [x for x in BY_TYPE["int"] if x != HUGE],  # all of them
    "classes": ["", ",", "nonsense", "3,3", LONG],
    "pixel_range": [*_NUMBERS, "-1e30,1e30", "0,1e-30", "1e20,2e20"],
    "times": _LISTS,
    "d": _NUMBERS, "n": _NUMBERS, "mark": _NUMBERS,
    "schedule": [*BY_TYPE["text"], "deep.json", "huge.json", "pipe.json", "wall.json"],
    "grid": [*BY_TYPE["text"], "deep.json", "huge.json", "pipe.json"],
    "device": [*BY_TYPE["text"], "cuda:99", "meta", "privateuseone", "hpu", "mkldnn", "vulkan"],
}  # fmt: skip
BY_NAME |= dict.fromkeys(("data", "held_out"), BY_NAME["source"])


class Option(NamedTuple):
    """An option or argument as it is declared: its name in Python, its flag ("" for an argument),
    its type, and its value where it is left out."""

    name: str
    flag: str
    type: type
    default: object

    @property
    def nonsense(self) -> list[str]:
        if self.name in BY_NAME:
            return BY_NAME[self.name]
        if self.type is str:
            return BY_TYPE["text"]
        kinds = {int: "int", float: "float", Path: "path", bool: None}
        kind = kinds.get(self.type, "choice")
        return [] if kind is None else BY_TYPE[kind]

    def given(self, value: str) -> list[str]:
        return ["--", value] if not self.flag else [f"{self.flag}={value}"]


def commands(group: typer.Typer = app, words: tuple[str, ...] = ()):
    """(words, options) of every command."""
    for info in group.registered_commands:
        name = info.name or info.callback.__name__.replace("_", "-")
        yield (*words, name), list(_options(info.callback))
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance, (*words, inner.name))


def _options(function):
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        inner, info = get_args(hints[name])[:2]
        kinds = [x for x in get_args(inner) if x is not type(None)] or [inner]
        kind = get_args(kinds[0])[0] if get_args(kinds[0]) else kinds[0]
        flags = [x for x in info.param_decls or () if x.startswith("--")]
        flag = flags[0] if flags else f"--{name.replace('_', '-')}"
        argument = isinstance(info, typer.models.ArgumentInfo)
        yield Option(name, "" if argument else flag, kind, parameter.default)

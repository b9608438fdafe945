"""Options as dataclasses: flat on the command line, whole in the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from diffregimes.cli.command import command, recorded


@dataclass(frozen=True, kw_only=True)
class Shared:
    size: Annotated[int, typer.Option(help="A size.")] = 1
    name: Annotated[str | None, typer.Option(help="A name.")] = None


@dataclass(frozen=True, kw_only=True)
class Renamed(Shared):
    size: Annotated[int, typer.Option("--width", help="A width.")] = 7


@dataclass(frozen=True, kw_only=True)
class Options:
    source: Annotated[str, typer.Argument()]
    shared: Renamed
    last: Annotated[bool, typer.Option("--last")] = False


def made(*arguments):
    """The options that the command is given, and how it ended."""
    seen = []

    def run(options: Options) -> None:
        seen.append(options)

    app = typer.Typer()
    app.command()(command(run))
    return seen, CliRunner().invoke(app, list(arguments))


def test_defaults_and_values_reach_their_fields():
    seen, _ = made("here")
    assert seen == [Options(source="here", shared=Renamed(), last=False)]
    seen, _ = made("here", "--width", "3", "--name", "x", "--last")
    assert seen == [Options(source="here", shared=Renamed(size=3, name="x"), last=True)]


def test_a_field_without_default_must_be_given():
    seen, ended = made("--width", "3")
    assert not seen
    assert ended.exit_code == 2


def test_a_subclass_changes_one_option_where_it_stands():
    seen, ended = made("here", "--size", "3")
    assert not seen, "--size is called --width here"
    assert ended.exit_code == 2
    options = Options(source="here", shared=Renamed(name="x"))
    assert list(recorded(options).items()) == [
        ("source", "here"), ("size", 7), ("name", "x"), ("last", False),
    ]  # fmt: skip
    assert list(recorded(options, "size", "source")) == ["name", "last"]

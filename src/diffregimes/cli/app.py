"""The command line: `diffregimes analyze SOURCE` and its sisters, each in a module of its own.

Input that the user can mend ends with a message on stderr and exit status 2.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..common.checks import InputError, out_of_memory
from . import analyze, audit, backward, classifier, reproduce, theory, train

app = typer.Typer(
    name="diffregimes",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Find when a diffusion model decides on a class, and when it starts to copy.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"diffregimes {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find when a diffusion model decides on a class, and when it starts to copy."""


# in the order of --help
for module in (analyze, backward, train, classifier, audit, theory, reproduce):
    module.add_to(app)


def main() -> None:
    """Entry point: messages and exit status 2 for what the user can mend."""
    try:
        app()
    except InputError as error:
        typer.echo(f"diffregimes: {error}", err=True)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        typer.echo(
            "diffregimes: out of memory; try fewer points (--per-class) or --memory-mib 256.",
            err=True,
        )
    sys.exit(2)


if __name__ == "__main__":
    main()

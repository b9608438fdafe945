"""The command line: `diffregimes analyze SOURCE` and its sisters, each in a module of its own.

Input that the user can mend ends with a message on stderr and exit status 2.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated

import typer

from ..common.checks import InputError, out_of_memory
from ..common.memory import one_arena
from ..common.readable import printable
from ..common.reading import why
from . import advise, analyze, audit, backward, classifier, reproduce, theory, train

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
for module in (analyze, advise, backward, train, classifier, audit, theory, reproduce):
    module.add_to(app)


def main() -> None:
    """Messages and exit status 2 for what the user can mend."""
    _check_streams()
    one_arena()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a full disk may show with the last lines
    except InputError as error:
        _say(str(error))
    except KeyboardInterrupt:
        _say("stopped by Ctrl-C; earlier outputs are as they were.")
    except BrokenPipeError:
        sys.exit(1)  # whoever reads has seen enough
    except OSError as error:  # files have their own messages: this is of printing
        _say(f"cannot print the results: {why(error)}. They are complete in their folder.")
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _say("out of memory; try fewer points (--per-class) or --memory-mib 256.")
    sys.exit(2)


def _check_streams() -> None:
    """Closed ones swallow what is said, and characters that a terminal has not are escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # before a file of a run takes its number
            number = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _say(text: str) -> None:
    """On stderr; of a word that fills the screen its head and its tail."""
    text = re.sub(r"\S{400,}", lambda x: f"{x[0][:200]}...{x[0][-100:]}", text)
    typer.echo(f"diffregimes: {printable(text, keep=chr(10))}", err=True)

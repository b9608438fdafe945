"""The command line, one module a command: thin layers that read, call, write and print."""

from .._interrupts import mind


def main() -> None:
    """Entry point of the command `diffregimes`."""
    mind()
    from .app import main as run  # by now Ctrl-C may come

    run()

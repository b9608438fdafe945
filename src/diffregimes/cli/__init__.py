"""The command line, one module a command: thin layers that read, call, write and print."""

from .app import main as main

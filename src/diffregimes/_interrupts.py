"""Ctrl-C while modules load: in the middle of an import it ends in somebody else's traceback, or
gets lost in a callback.

Loaded before everything else where the process is the command; it needs what Python has anyway.
"""

import os
import sys
from _signal import SIGINT, default_int_handler, getsignal, signal
from types import FrameType


def mind() -> None:
    """Let Ctrl-C end the process at once while modules load; as ever beyond that."""
    if getsignal(SIGINT) is default_int_handler:
        signal(SIGINT, _interrupted)


def is_command() -> bool:
    """Whether this process is the command `diffregimes`, or python -m diffregimes."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    package = __name__.partition(".")[0]
    return name.startswith(package) or (name == "-m" and package in sys.orig_argv)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """With the status of a shell: nothing is half-written that the next run does not sweep up."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            if sys.stderr is not None and sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a progress bar may have hidden the cursor
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt

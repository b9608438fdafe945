"""The command line, one module a command: thin layers that read, call, write and print.

Nothing is loaded here but `main`, which minds Ctrl-C while the rest is: an interrupt in the middle
of an import ends in a traceback of somebody else's, or gets lost in a callback.
"""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Entry point of the command `diffregimes`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from .app import main as run

    run()


def _interrupted(number: int, frame: FrameType | None) -> None:
    """At once, and as a shell says it, while modules load: nothing is being written by then."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            if sys.stderr is not None and sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a progress bar may have hidden the cursor
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt

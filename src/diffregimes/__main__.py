"""`python -m diffregimes`."""

from .cli import main

if __name__ == "__main__":  # a worker that is started by a run loads this file too
    main()

"""`python -m diffregimes`."""

from .cli import main

main()

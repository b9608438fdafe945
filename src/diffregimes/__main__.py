"""`python -m diffregimes`."""

from .cli.app import main

main()

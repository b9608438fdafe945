"""What a person sees of a result: figures, pages, the terminal, words, and the output folders."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

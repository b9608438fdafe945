"""Trained networks: read as scores, so that all the rest can be measured on them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

"""The generative process run backwards: samplers, clones, U-turns, and what a trajectory nears."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

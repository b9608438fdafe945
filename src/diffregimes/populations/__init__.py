"""Laws that points are drawn from: mixtures of Gaussians with their exact scores and curves."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

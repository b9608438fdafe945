"""Advice: from the curves of an analysis to settings of a sampler and of a training run.

What people who sample and train type is a step, a sigma or a share of the steps. The curves hold
them, and no further pass is needed.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
del lazy

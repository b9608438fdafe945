"""Every figure: functions of a result that take `ax=None` and return the Axes."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

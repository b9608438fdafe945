"""report.html: one page that needs nothing else, of an analysis or of an audit."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

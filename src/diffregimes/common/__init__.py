"""What every room stands on and knows nothing of the subject: checks, random numbers, numerics,
worker threads, recipes, and numbers as a person reads them.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

"""The posterior weights of the training points given a noised sample, and what follows from them.

`moments` is the pass, `observables` what is read off it, `sweep` repeats it over draws and times,
`sample` keeps what it brings, `grid` chooses the times, `reliability` checks the identities that
must hold.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

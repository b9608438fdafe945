"""diffregimes: when a diffusion model decides on a class, and when it starts to copy.

    import diffregimes as dr
    result = dr.analyze(points, labels, seed=0)
    print(result)

The verbs are `load`, `from_arrays`, `analyze`, `advise`, `audit`, `monitor`, `load_score` and
`run_clones`; see each for its options and `Analysis`, `Advice`, `Audit`, `Monitor` and `Ends` for
what comes back. The rooms behind them are `dr.theory`, `dr.populations`, `dr.process`,
`dr.backward`, `dr.learned`, `dr.auditing` and others.
Names are loaded on first use: torch takes seconds to import, and `diffregimes --help` has no need
of it.
"""

from . import _interrupts

if _interrupts.is_command():
    _interrupts.mind()

import lazy_loader as lazy

from ._moved import install

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
install()
del _interrupts, install, lazy

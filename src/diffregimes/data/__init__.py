"""The points: read from files, checked, scaled and labelled, and made ready for the pass.

`datasets`, `classes`, `pixels` and `features` say what a dataset is, `readers`, `arrayfiles` and
`imagefolder` read it;
`cloud`, `spectrum` and `neighbours` are what the posterior pass and the criteria need of it.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

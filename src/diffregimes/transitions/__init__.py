"""From curves to times: speciation, collapse, the regimes between them, and the points at risk.

`criteria` names every criterion, `crossing` finds where a curve meets a level, `speciation` and
`collapse` apply the criteria, `outliers` tells what hangs on points far out; `comparison` sets
exact theory beside the curves and `exact_times` beside the times (`choice`: what n points add to
it), `needed` and `scaling` ask how the times move with the number of points and dimensions.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

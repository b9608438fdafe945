"""Closed forms of the subject, independent of the estimators that they judge.

`gaussian_mixture`: two Gaussian classes, every curve and both transitions. `regimes`: the backward
equations. `random_energy`: the collapse as the condensation of a Random Energy Model.
`pairs`: when two Gaussian classes part, and four in two levels.
`finite_n`: means over sets of n points, through the collapse. `phases`: both transitions over n and
d. `class_channel`: the integrals they share.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

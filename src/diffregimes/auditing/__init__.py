"""What a trained model copies: its samples, losses, entropy and clones beside the exact score.

The verbs are `dr.audit` and, while a model trains, `dr.monitor`; `audit` and `monitor` are their
modules, `findings` what comes out of an audit, `judgement` the verdict, `stopping` the rule of a
monitor.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

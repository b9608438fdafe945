"""What a trained model copies: its samples, losses, entropy and clones beside the exact score.

The verb is `dr.audit`; `audit` is its module, `findings` what comes out, `judgement` the verdict.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)

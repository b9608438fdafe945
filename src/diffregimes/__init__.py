"""diffregimes: when a diffusion model decides on a class, and when it starts to copy.

    import diffregimes as dr
    result = dr.analyze(points, labels, seed=0)
    print(result)

See `analyze` for the options and `Analysis` for what comes back.
"""

__version__ = "0.1.0"

from .analysis import analyze as analyze
from .checks import InputError as InputError
from .datasets import Dataset as Dataset
from .datasets import from_arrays as from_arrays
from .readers import load as load
from .results import Analysis as Analysis
from .results import Curves as Curves
from .results import TransitionTime as TransitionTime

__all__ = [
    "Analysis",
    "Curves",
    "Dataset",
    "InputError",
    "TransitionTime",
    "analyze",
    "from_arrays",
    "load",
]

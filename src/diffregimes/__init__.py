"""diffregimes: when a diffusion model decides on a class, and when it starts to copy.

    import diffregimes as dr
    result = dr.analyze(points, labels, seed=0)
    print(result)

See `analyze` for the options and `Analysis` for what comes back. Names are loaded on first use:
torch takes seconds to import, and `diffregimes --help` has no need of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .analysis import analyze as analyze
    from .checks import InputError as InputError
    from .datasets import Dataset as Dataset
    from .datasets import from_arrays as from_arrays
    from .readers import load as load
    from .results import Analysis as Analysis
    from .results import Curves as Curves
    from .results import TransitionTime as TransitionTime

_HOMES = {
    "Analysis": "results",
    "Curves": "results",
    "Dataset": "datasets",
    "InputError": "checks",
    "TransitionTime": "results",
    "analyze": "analysis",
    "from_arrays": "datasets",
    "load": "readers",
}
__all__ = [  # noqa: RUF022 the order in which one meets them
    "load",
    "from_arrays",
    "analyze",
    "Analysis",
    "Curves",
    "Dataset",
    "InputError",
    "TransitionTime",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

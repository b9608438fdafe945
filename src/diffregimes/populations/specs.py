"""Sources written out in words: "gmm:d=1024,n=20000" for samples of two Gaussian classes."""

from __future__ import annotations

import difflib
import math

from ..common.checks import InputError

EXAMPLE = "gmm:d=1024,n=20000"
FULL_EXAMPLE = EXAMPLE + ",mu=1,sigma=1,weight=0.5,seed=0"
_REQUIRED = ("d", "n")
_DEFAULTS = {"mu": 1.0, "sigma": 1.0, "weight": 0.5, "seed": 0.0}
_MEANING = {  # lowest, highest, whole number, in words
    "d": (1, 1e9, True, "the dimension, a whole number of 1 or more"),
    "n": (2, 1e12, True, "the number of points, a whole number of 2 or more"),
    "mu": (0, 1e9, False, "|m|/sqrt(d), 0 or more"),
    "sigma": (0, 1e9, False, "the standard deviation within a class, 0 or more"),
    "weight": (0, 1, False, "the share of the class +m, between 0 and 1"),
    "seed": (0, 2**53, True, "a whole number of 0 or more"),
}


def parse_gmm(text: str) -> dict[str, float]:
    """The numbers of "gmm:d=1024,n=20000,mu=1,sigma=1,weight=0.5,seed=0", by key.

    d and n are required; the others have these values unless given. Raises `InputError` that
    names the key.
    """
    values: dict[str, float] = {}
    for item in text.removeprefix("gmm:").split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key and not equals:
            continue  # nothing after the colon, a comma at the end
        if key not in _MEANING:
            close = difflib.get_close_matches(key, _MEANING, n=1, cutoff=0.4)
            hint = f"Did you mean {close[0]}?" if close else f"Write for example {EXAMPLE}."
            raise InputError(
                f"{text!r} has the key {key!r}; expected {', '.join(_MEANING)}. {hint}"
            )
        if key in values:
            raise InputError(f"{text!r} gives {key} twice; expected each key once.")
        values[key] = _number(text, key, value)
    for key in _REQUIRED:
        if key not in values:
            raise InputError(
                f"{text!r} lacks {key}, {_MEANING[key][3]}; expected at least d and n, for "
                f"example {EXAMPLE}."
            )
    return {key: values.get(key, _DEFAULTS.get(key, 0.0)) for key in _MEANING}


def _number(text: str, key: str, value: str) -> float:
    low, high, whole, words = _MEANING[key]
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    inside = low < number < high if key == "weight" else low <= number <= high
    if not inside or (whole and number % 1):
        more = f",{key}={_DEFAULTS[key]:g}" if key in _DEFAULTS else ""
        raise InputError(f"{key} is {value!r} in {text!r}; expected {words}, as in {EXAMPLE}{more}")
    return number

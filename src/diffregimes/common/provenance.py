"""What was analyzed and how, as it stands in a result: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import serial

INDEXED = "source"


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset as results name it: where it came from, its size, classes, scale, and what it is.

    scale : (low, high) of the pixels, None where the numbers were taken as they came
    fingerprint : SHA-256 over points and labels
    labelled : False where the classes are the two sides of the first principal component
    indexed : what the number of a point counts, its place in the "source"; in files of before its
        "position" among the points that were taken
    standardized : whether each feature was divided by its standard deviation
    """

    source: str
    name: str
    n: int
    d: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    scale: tuple[float, float] | None
    fingerprint: str
    sample_shape: tuple[int, ...]
    labelled: bool
    indexed: str = "position"
    standardized: bool = False


@dataclass(frozen=True)
class Headline:
    """The method that speaks for each transition."""

    speciation: str
    collapse: str

    def of(self, transition: str) -> str:
        return str(getattr(self, transition))


@dataclass(frozen=True)
class Recipe:
    """How an analysis was made: enough to make it again.

    precision : standard error that the curves were drawn to, None where the draws were given
    times : "adaptive" or "given"
    schedule : name of the clock behind `ddpm_step`: linear, cosine, or the scheduler and its file
    versions : of the package, python, torch and numpy
    command, options : of the command line, None from Python
    """

    precision: float | None
    draws: int
    times: str
    seed: int
    schedule: str
    device: str
    headline: Headline
    versions: Mapping[str, str]
    command: str | None = None
    options: Mapping[str, Any] | None = None


serial.layout(DatasetFacts, optional=("indexed", "standardized"))
# options are whatever a command was given
serial.layout(Recipe, optional=("command", "options"), untouched=("options",))

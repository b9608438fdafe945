"""What advice is made of: questions with their answers, in every unit that a noise level has.

Each answer says the formula that it comes from, what that supposes, and what it does not know; one
that the data cannot give says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import serial
from ..common.checks import InputError
from ..common.readable import short
from ..common.shown import Shown

FORMAT = "diffregimes.advice/1"
PAGE = "advice.html"


@dataclass(frozen=True)
class Level:
    """A noise level on every clock.

    t          Ornstein-Uhlenbeck time
    sigma      1/sqrt(snr), of EDM and other variance-exploding processes
    flow_time  s of x = (1 - s) a + s z, 1 at the noise
    step       of the schedule, from 1 at the least noise; None beyond its last
    part       step over the number of steps: the `strength` of image-to-image that starts there
    """

    t: float
    sigma: float
    flow_time: float
    step: int | None
    part: float | None

    @property
    def timestep(self) -> int | None:
        """What diffusers numbers the step of a DDPM schedule, from 0."""
        return None if self.step is None else self.step - 1


@dataclass(frozen=True)
class Setting:
    """A noise level to set, and the ends of its 95 % interval; None where there is none."""

    name: str
    at: Level | None
    low: Level | None = None
    high: Level | None = None

    def __str__(self) -> str:
        if self.at is None:
            return f"{self.name}: none"
        ends = ""
        if self.low is not None and self.high is not None:
            ends = f" [{short(self.low.t)}, {short(self.high.t)}]"
        return f"{self.name}: t = {short(self.at.t)}{ends}"


@dataclass(frozen=True)
class Item:
    """One question of those who sample or train.

    name      a word for it, its place in a program
    question  as people ask it
    answer    in a sentence or two; why there is none where `answered` is False
    settings  noise levels
    numbers   others, by name
    lists     of numbers, by name
    formula, assumes, unknown  where it comes from, what that supposes, and what it leaves open
    """

    name: str
    question: str
    answer: str
    answered: bool = True
    settings: tuple[Setting, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    lists: Mapping[str, list[float]] = field(default_factory=dict)
    formula: str = ""
    assumes: str = ""
    unknown: str = ""

    def setting(self, name: str) -> Setting:
        for one in self.settings:
            if one.name == name:
                return one
        known = ", ".join(x.name for x in self.settings)
        raise KeyError(f"no setting {name!r}; there are: {known or 'none'}")


@dataclass(frozen=True)
class Advice(Shown):
    """The answers to all questions, for one dataset and one schedule.

    source, scale  the data, and what their pixels were scaled to: every level moves with it
    schedule       what the steps are of; `clock` what they are called, `steps` how many
    code           lines for diffusers, ready to paste
    """

    source: str
    scale: tuple[float, float] | None
    schedule: str
    clock: str
    steps: int
    items: tuple[Item, ...]
    code: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Item:
        for item in self.items:
            if item.name == name:
                return item
        raise KeyError(f"no item {name!r}; there are: {', '.join(x.name for x in self.items)}")

    def __repr__(self) -> str:
        known = ", ".join(x.name for x in self.items if x.answered)
        return f"<Advice for {self.source}, steps of {self.schedule}: {known}>"

    def __str__(self) -> str:
        return "\n".join(f"{x.question}\n  {x.answer}" for x in self.items)

    def report(self, path: str | Path = PAGE, dataset: Any = None) -> Path:
        """Write the page of the advice, one file that needs nothing else, and return its path."""
        return super().report(path, dataset)

    def to_dict(self) -> dict[str, Any]:
        """What advice.json holds, in plain types; `from_dict` reads it back without loss."""
        return {"format": FORMAT, **serial.plain(self)}

    def to_json(self) -> str:
        return serial.text(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Advice:
        if data.get("format") != FORMAT:
            raise InputError(f"format is {data.get('format')!r}; this version reads {FORMAT!r}.")
        return serial.build(data, cls, "advice")

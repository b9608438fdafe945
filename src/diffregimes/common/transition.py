"""A transition time: where a criterion puts speciation or collapse, in every clock."""

from __future__ import annotations

from dataclasses import dataclass

from . import serial
from .readable import short


@dataclass(frozen=True)
class TransitionTime:
    """A transition time in Ornstein-Uhlenbeck time t, with a 95 % interval [low, high].

    `ddpm_step` counts from 1 (least noise), in steps of the `clock`: of DDPM, or of an EDM or flow
    scheduler; `sigma` is the variance-exploding noise level 1/sqrt(snr). All three are None when
    the transition does not exist (t is None) or, for the step, when t lies outside the schedule.
    """

    transition: str  # "speciation" | "collapse"
    method: str
    t: float | None
    low: float | None = None
    high: float | None = None
    ddpm_step: int | None = None
    sigma: float | None = None
    snr: float | None = None
    warnings: tuple[str, ...] = ()
    clock: str = "DDPM step"

    def __str__(self) -> str:
        symbol = "t_S" if self.transition == "speciation" else "t_C"
        if self.t is None:
            return f"{symbol} ({self.method}): none in the range studied"
        known = self.low is not None and self.high is not None
        interval = f" [{short(self.low)}, {short(self.high)}]" if known else ""
        step = "" if self.ddpm_step is None else f", {self.clock} {self.ddpm_step}"
        return f"{symbol} ({self.method}) = {short(self.t)}{interval}{step}"


serial.layout(TransitionTime, optional=("clock",))

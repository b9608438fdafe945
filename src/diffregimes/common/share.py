"""A share of a number of cases, with the interval that so many cases leave."""

from __future__ import annotations

from dataclasses import dataclass

from . import serial
from .numerics import wilson


@dataclass(frozen=True)
class Share:
    """`count` of `of`, with a 95 % Wilson interval.

    Where cases come `together`, in pairs say, they tell as much as half as many would.
    """

    count: int
    of: int
    low: float
    high: float
    together: int = 1

    @property
    def value(self) -> float:
        return self.count / self.of

    @classmethod
    def counted(cls, count: int, of: int, together: int = 1) -> Share:
        return cls(count, of, *wilson(count / together, of / together), together)

    @property
    def cases(self) -> tuple[float, float]:
        """`count` and `of` in cases that do not come together."""
        return self.count / self.together, self.of / self.together

    def in_percent(self) -> str:
        """12 %, 9 to 16 % at 95 %, with the decimals that the interval needs."""
        digits = 1 if self.high < 0.1 or self.low > 0.9 else 0
        value, low, high = (f"{100 * x:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value} %, {low} to {high} % at 95 %"


serial.layout(Share, optional=("together",))

"""A share of a number of cases, with the interval that so many cases leave."""

from __future__ import annotations

from dataclasses import dataclass

from .numerics import wilson


@dataclass(frozen=True)
class Share:
    """`count` of `of`, with a 95 % Wilson interval."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.of

    @classmethod
    def counted(cls, count: int, of: int) -> Share:
        return cls(count, of, *wilson(count, of))

    def in_percent(self) -> str:
        """12 %, 9 to 16 % at 95 %, with the decimals that the interval needs."""
        digits = 1 if self.high < 0.1 or self.low > 0.9 else 0
        value, low, high = (f"{100 * x:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value} %, {low} to {high} % at 95 %"

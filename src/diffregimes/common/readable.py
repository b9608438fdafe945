"""Numbers, and names that came from outside, as a person reads them."""

from __future__ import annotations

import math
import unicodedata

import numpy as np

_MOST = 5  # decimals that are read as such
# what turns the direction of a text, and with it what a reader takes a name for
_TURNS = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F))}
_TURNS |= set(map(chr, range(0x2066, 0x206A)))


def printable(text: str, *, keep: str = "") -> str:
    """`text` with whatever moves a cursor, turns its direction or is no character written as \\x1b
    is: control characters but those in `keep`, and bytes of a file's name that are not UTF-8."""
    if text.isprintable():  # neither of the three
        return text
    return "".join(x if x in keep or not _odd(x) else _written(x) for x in text)


def _odd(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _written(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that it cannot decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def power_of_ten(log_n: float) -> str:
    """exp(log_n) for people: '450', '12 000', '3e+07' or '10^41'."""
    if log_n < math.log(9.95e5):
        value = math.exp(log_n)
        digits = max(0, math.floor(math.log10(max(value, 1.0))) - 1)
        return f"{round(value / 10**digits) * 10**digits:,}".replace(",", " ")
    exponent = log_n / math.log(10)
    if exponent < 12:
        return f"{10**exponent:.1g}"
    return f"10^{exponent:.0f}"


def powers_of_ten(low: float, high: float | None) -> str:
    """The numbers from exp(low) to exp(high) for people: '12 000 to 10^41', '12 000 or more'."""
    return f"{power_of_ten(low)} {'or more' if high is None else f'to {power_of_ten(high)}'}"


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, without an exponent where that reads well; – for None."""
    if value is None or not np.isfinite(value):
        return "–"
    size = abs(value)
    if value != 0 and (size < 1e-4 or size >= 1e6):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa} × 10{raised}".replace("-", "−")
    decimals = 0 if value == 0 else max(0, digits - 1 - int(np.floor(np.log10(size))))
    return f"{value:.{decimals}f}".replace("-", "−")


def fixed(value: float, decimals: int) -> str:
    """So many decimals, with the sign of a minus where there is one."""
    return f"{value:z.{decimals}f}".replace("-", "−")


def count(value: float) -> str:
    """A whole number with thin spaces between thousands, which no line break may split."""
    return f"{value:,.0f}".replace(",", "\u202f")


def sureness(probability: float) -> str:
    """A probability in percent, cut and never rounded up: 0.8996 is 89 %."""
    if probability >= 0.99:
        return "more than 99 %"
    # so many digits of a float are rounding
    return f"{math.floor(100 * round(probability, 9)):d} %"


def short(value: float | None) -> str:
    """Three decimals, in line in a column, where these say something; "none" for None."""
    if value is None:
        return "none"
    return f"{value:.3f}" if value == 0 or 0.01 <= value < 1e4 else f"{value:.3g}"


TINY = 0.01  # t below which the noise level says more


def moment(t: float, sigma: float | None = None) -> str:
    """t of a sentence, to two digits and to the second decimal at least; with the noise level
    `sigma` where t is tiny."""
    text = f"t = {t:.2f}" if t >= 0.1 else f"t = {number(t, 2)}"
    return text if sigma is None or t >= TINY else f"{text}, σ = {number(sigma, 2)}"


def decimals_for(t: float, half_width: float | None) -> int:
    """Decimals of a time worth printing: two digits of its error, two or three in all.

    Times below 0.1 get as many as keep three significant digits, and one in any case.
    """
    half = half_width or 0.02 * abs(t)
    wanted = 3 if half <= 0 else 1 - int(np.floor(np.log10(half)))
    place = 1 if t == 0 else -int(np.floor(np.log10(abs(t))))
    return min(max(wanted, 2, place), max(3, 2 + place))


def _told(value: float, decimals: int) -> str:
    """A number to so many decimals, as a power of ten where these are too many to be read."""
    if decimals <= _MOST or value == 0:
        return f"{value:.{min(decimals, _MOST)}f}"
    digits = decimals + 1 + int(np.floor(np.log10(abs(value))))
    return number(value, max(digits, 1))


def interval_text(t: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """The same for a time that is no `TransitionTime`."""
    if t is None:
        return "none", ""
    if low is None or high is None:
        return _told(t, decimals_for(t, None)), ""
    decimals = decimals_for(t, (high - low) / 2)
    return _told(t, decimals), f"{_told(low, decimals)} to {_told(high, decimals)}"


def plus_minus(t: float | None, se: float | None) -> str:
    """A single point's time with its standard error."""
    if t is None:
        return "none"
    decimals = decimals_for(t, se)
    return _told(t, decimals) + ("" if se is None else f" ± {_told(se, decimals)}")

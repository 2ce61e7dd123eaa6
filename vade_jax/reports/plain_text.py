"""Numbers and lists as people write them."""

import math
from collections.abc import Sequence

_PLAIN_EXPONENTS = (-4, 6)  # numbers outside these powers of ten are written with one
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits and thousands separators; a hyphen for NaN.

    Example:
      >>> number(74310.2), number(13.0), number(0.00012345), number(2.5e-7)
      ('74,300', '13.0', '0.000123', '2.50·10⁻⁷')
    """
    value = float(value)
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "∞" if value > 0 else "-∞"
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if value == 0:
        return "0"
    low, high = _PLAIN_EXPONENTS
    if not low <= exponent <= max(high, digits - 1):
        return f"{mantissa}·10{str(exponent).translate(_SUPERSCRIPTS)}"
    places = digits - 1 - exponent
    return f"{round(value, places):,.{max(places, 0)}f}"


def fixed(value: float, places: int) -> str:
    """A number with so many decimal places and thousands separators, for columns that add up."""
    return f"{value:,.{places}f}"


def percent(share: float) -> str:
    """A share in percent, without the word: one decimal below 10, none above.

    Example:
      >>> percent(0.12), percent(0.0042), percent(0.0002), percent(0.9999)
      ('12', '0.4', 'less than 0.1', 'more than 99.9')
    """
    hundredths = 100 * share
    if 0 < hundredths < 0.1:
        return "less than 0.1"
    if 99.9 < hundredths < 100:
        return "more than 99.9"
    if hundredths in (0, 100):
        return f"{hundredths:.0f}"
    return f"{hundredths:.1f}" if hundredths < 9.95 or hundredths > 99.5 else f"{hundredths:.0f}"


def probability(value: float) -> str:
    """A probability with two decimals, which is 0.00 or 1.00 only if it is exactly that."""
    if 0 < value < 0.005:
        return "under 0.01"
    return "over 0.99" if 0.995 <= value < 1 else fixed(value, 2)


def counted(count: int, noun: str) -> str:
    """A count with its noun, which gets an s unless the count is 1: '1,797 rows'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(items: Sequence[object]) -> str:
    """Items in a sentence: 'a', 'a and b', 'a, b and c'; '' for none."""
    *first, last = map(str, items) if items else [""]
    return f"{', '.join(first)} and {last}" if first else last

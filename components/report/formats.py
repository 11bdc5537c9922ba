"""Numbers, durations, sizes and dates as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

MISSING = "–"


def number(value: float) -> str:
    """Return four significant digits; four decimals below 1, so that metrics line up.

    Example:
        >>> number(0.91234), number(1234567.8), number(12.345), number(0.0000321), number(3.0)
        ('0.9123', '1,234,568', '12.35', '3.2e-05', '3.000')
    """
    size = abs(value)
    if value == 0:
        return "0"
    if size < 0.001:
        return f"{value:.1e}"
    if size < 1:
        return f"{value:.4f}"
    decimals = max(0, 3 - math.floor(math.log10(size)))
    return f"{value:,.{decimals}f}"


def plain(value: float) -> str:
    """Return a number without needless zeros, for bounds and hyperparameters.

    Example:
        >>> plain(0.80), plain(500), plain(0.0005), plain(1400269500)
        ('0.8', '500', '0.0005', '1,400,269,500')
    """
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    text = f"{value:,.4f}".rstrip("0") if 0.001 <= abs(value) < 1e15 else f"{value:.3g}"
    return number(value) if text.endswith(".") and abs(value) < 1 else text.rstrip(".")


def statistic(value: float) -> str:
    """Return a data statistic: whole when whole, else four significant digits.

    Example:
        >>> statistic(41.88), statistic(12.0), statistic(-87.653217), statistic(4320.4)
        ('41.88', '12', '-87.65', '4,320')
    """
    if float(value).is_integer():
        return plain(value)
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def short(value: float) -> str:
    """Return a statistic in little room.

    Example:
        >>> short(17031010100), short(65.65), short(-87.6)
        ('1.7e+10', '65.65', '−87.6')
    """
    return (f"{value:.2g}" if abs(value) >= 1e6 else statistic(value)).replace("-", "−")


def signed(value: float) -> str:
    """Return a change in a metric, with its sign.

    Example:
        >>> signed(0.014), signed(-0.00036), signed(0.0), signed(-12.5)
        ('+0.0140', '−0.0004', '0', '−12.50')
    """
    text = f"{abs(value):.4f}" if abs(value) < 1 else number(abs(value))
    if float(text.replace(",", "")) == 0:
        return "0"
    return f"{'+' if value > 0 else '−'}{text}"


def count(value: float) -> str:
    """Return a whole number with thousands separators."""
    return f"{round(value):,}"


def percent(value: float) -> str:
    """Return a share as a percentage: 0.0123 is 1.2 %.

    Example:
        >>> percent(0.0123), percent(0), percent(1), percent(0.00001)
        ('1.2 %', '0 %', '100 %', '< 0.1 %')
    """
    if value in (0, 1):
        return f"{value * 100:.0f} %"
    if 0 < value < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= value < 1 else f"{value * 100:.1f} %"


def seconds(value: float) -> str:
    """Return a duration.

    Example:
        >>> seconds(0.042), seconds(7.21), seconds(75), seconds(7320)
        ('0.04 s', '7.2 s', '1 min 15 s', '2 h 2 min')
    """
    if value < 59.95:
        return f"{value:.2f} s" if value < 0.95 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(value: float) -> str:
    """Return a number of bytes in decimal units.

    Example:
        >>> size(812), size(1922812), size(5_000_000_000)
        ('812 B', '1.9 MB', '5.0 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def megabytes(value: float) -> str:
    """Return an amount of memory given in MB."""
    return f"{value / 1000:.1f} GB" if value >= 9950 else f"{value:,.0f} MB"


def when(written: Any) -> str:
    """Return an ISO 8601 time as `24 November 2026, 04:09 UTC`; what cannot be read comes back as it is."""
    try:
        moment = datetime.fromisoformat(str(written))
    except ValueError:
        return str(written)
    zone = moment.tzname() or "" if moment.tzinfo else ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {zone.replace('+00:00', '')}".strip()


FORMATS: Mapping[str, Callable[[float], str]] = {
    "number": number,
    "plain": plain,
    "statistic": statistic,
    "count": count,
    "percent": percent,
    "seconds": seconds,
    "size": size,
    "megabytes": megabytes,
}


def shown(value: Any, style: str) -> str:
    """Return a value in a style; a dash when there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING if value is None or isinstance(value, float) else str(value)
    return FORMATS[style](value).replace("-", "−")

"""Amounts of CPU and memory as Kubernetes writes them: `500m`, `8`, `32Gi`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?|\.\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_MEBIBYTE = 1024**2


def amount(quantity: str) -> Decimal:
    """Return a quantity as a number: cores, or bytes.

    Raises:
        ValueError: it is not a Kubernetes quantity.

    Example:
        >>> amount("500m"), amount("2Gi")
        (Decimal('0.500'), Decimal('2147483648'))
    """
    match = _QUANTITY.match(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity; write 500m, 2, 512Mi or 32Gi")
    return Decimal(match[1]) * _FACTORS[match[2] or ""]


def cores(number: Decimal) -> str:
    """Return a number of cores as Kubernetes writes it, rounded down to a thousandth.

    Example:
        >>> cores(Decimal("4")), cores(Decimal("1.5"))
        ('4', '1500m')
    """
    return str(int(number)) if number == int(number) else f"{int(number * 1000)}m"


def mebibytes(number: Decimal) -> str:
    """Return a number of bytes as Kubernetes writes it, rounded down to a mebibyte or, where it is whole, a gibibyte.

    Example:
        >>> mebibytes(Decimal(3 * 1024**3)), mebibytes(Decimal(1536 * 1024**2))
        ('3Gi', '1536Mi')
    """
    whole = int(number) // _MEBIBYTE
    return f"{whole // 1024}Gi" if whole % 1024 == 0 else f"{whole}Mi"


def _text(written: Any) -> str:
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise ValueError(f"{written!r} is not a Kubernetes quantity; write 500m, 2, 512Mi or 32Gi")
    return str(written)


def _cpu(written: Any) -> str:
    text = _text(written)
    if text[-1:] in set("kMGTPEi"):
        raise ValueError(f"{text!r} is not a number of cores; write 2, 0.5 or 500m")
    if amount(text) < Decimal("0.001"):
        raise ValueError(f"{text!r} is less than a thousandth of a core; write 2, 0.5 or 500m")
    return text


def _memory(written: Any) -> str:
    text = _text(written)
    number = amount(text)
    if text.endswith("m"):
        raise ValueError(f"{text!r} is in thousandths of a byte; write {text[:-1]}Mi")
    if number < _MEBIBYTE:
        raise ValueError(f"{text!r} is {int(number)} bytes; write the unit too: 512Mi, 32Gi")
    return text


_WRITTEN = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]})

Cpu = Annotated[str, BeforeValidator(_cpu), _WRITTEN]
"""Cores: `2`, `0.5`, `500m`."""

Memory = Annotated[str, BeforeValidator(_memory), _WRITTEN]
"""Bytes with their unit: `512Mi`, `32Gi`, `32G`."""

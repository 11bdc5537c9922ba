"""How a spec gives the size of images, and what it may say about getting there. Nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

Side = Annotated[int, Field(ge=1, le=4096)]


def _height_and_width(written: Any) -> Any:
    return (written, written) if isinstance(written, int) and not isinstance(written, bool) else written


Size = Annotated[tuple[Side, Side], BeforeValidator(_height_and_width)]
"""Height and width in pixels; in YAML one number for both, or `[28, 40]`."""

Method = Literal["bilinear", "bicubic", "area", "nearest"]
Fit = Literal["stretch", "crop", "pad"]

Shape = tuple[int, ...]
"""Of one row: `(height, width, channels)` of an image."""

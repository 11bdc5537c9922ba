"""Section `serving`: where a blessed model is published."""

from __future__ import annotations

from pydantic import Field

from components.config import Section


class ServingConfig(Section):
    """Where a blessed model goes, in TF Serving's layout `push_to/VERSION/`.

    Args:
        push_to: a directory, relative to the pipeline's root; each pushed model is a numbered version in it.
        keep_versions: older versions beyond this many are deleted; the one being served is never among them.
    """

    push_to: str = Field(default="serving", min_length=1)
    keep_versions: int = Field(default=5, ge=1)

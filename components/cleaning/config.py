"""Section `cleaning`: the ordered steps that drop rows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, RootModel, SerializeAsAny

from components import catalog
from components.cleaning.step import CleaningStep

STEPS = "components.cleaning.steps"


def _parse(written: Any) -> CleaningStep:
    return catalog.parse(STEPS, written, CleaningStep)


class CleaningConfig(RootModel[tuple[Annotated[SerializeAsAny[CleaningStep], BeforeValidator(_parse)], ...]]):
    """The cleaning steps, in the order in which they run.

    Example:
        >>> CleaningConfig.model_validate([{"drop_missing": ["fare"]}]).steps[0].columns
        ('fare',)
    """

    model_config = ConfigDict(frozen=True)
    root: tuple[Annotated[SerializeAsAny[CleaningStep], BeforeValidator(_parse)], ...] = ()

    @property
    def steps(self) -> tuple[CleaningStep, ...]:
        """The steps in order."""
        return self.root

"""Section `augmentation`: the ordered steps that change training batches."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, RootModel, SerializeAsAny

from components import catalog
from components.augmentation.step import AugmentationStep

STEPS = "components.augmentation.steps"


def _parse(written: Any) -> AugmentationStep:
    return catalog.parse(STEPS, written, AugmentationStep)


class AugmentationConfig(RootModel[tuple[Annotated[SerializeAsAny[AugmentationStep], BeforeValidator(_parse)], ...]]):
    """The augmentation steps, in the order in which they change a batch.

    Example:
        >>> AugmentationConfig.model_validate([{"random_flip": "horizontal"}]).steps[0].direction
        'horizontal'
    """

    model_config = ConfigDict(frozen=True)
    root: tuple[Annotated[SerializeAsAny[AugmentationStep], BeforeValidator(_parse)], ...] = ()

    @property
    def steps(self) -> tuple[AugmentationStep, ...]:
        """The steps in order."""
        return self.root

    @property
    def files(self) -> tuple[str, ...]:
        """The files that steps read, as written in the spec, each once."""
        return tuple(dict.fromkeys(file for step in self.root for file in step.files()))

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders with models that steps read, as written in the spec, each once."""
        return tuple(dict.fromkeys(folder for step in self.root for folder in step.folders()))

    @property
    def mixes(self) -> bool:
        """True when a step mixes labels."""
        return any(step.mixes for step in self.root)

"""Section `transform`: a chain of steps per model input."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, RootModel, SerializeAsAny

from components import catalog
from components.features import FeatureKind
from components.transform.step import TransformStep

STEPS = "components.transform.steps"
DEFAULT_CHAINS: dict[FeatureKind, tuple[Any, ...]] = {
    FeatureKind.NUMERIC: ({"fill_missing": "median"}, "z_score"),
    FeatureKind.CATEGORICAL: ({"fill_missing": "mode"}, {"vocabulary": {"top_k": 1000, "oov_buckets": 10}}),
}
"""What a feature gets that `data.features` names and `transform` does not."""


def _parse(written: Any) -> TransformStep:
    return catalog.parse(STEPS, written, TransformStep)


Chain = tuple[Annotated[SerializeAsAny[TransformStep], BeforeValidator(_parse)], ...]


class TransformConfig(RootModel[dict[str, Chain]]):
    """Name of the model input to its chain of steps.

    The name is a feature's, or a new one when the chain starts with a step that names its columns itself (`cross`).

    Example:
        >>> TransformConfig.model_validate({"fare": ["z_score"]}).chains["fare"][0].plugin_name()
        'z_score'
    """

    model_config = ConfigDict(frozen=True)
    root: dict[str, Chain] = {}

    @property
    def chains(self) -> dict[str, Chain]:
        """The chains by name of model input."""
        return self.root

    def with_defaults(self, features: dict[str, FeatureKind]) -> TransformConfig:
        """Return the config in which every feature has a chain."""
        missing = {name: DEFAULT_CHAINS[kind] for name, kind in features.items() if name not in self.root}
        return TransformConfig.model_validate({**missing, **self.root})

"""Section `model`: a family with its hyperparameters, or a builder in the user's own file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, RootModel, SerializeAsAny, model_serializer

from components import catalog
from components.config import Section
from components.model.family import ModelFamily

FAMILIES = "components.model.families"


class CustomModel(Section):
    """A model from the user's own Python file.

    Args:
        module: path of the file, relative to the spec's folder.
        builder: name of the function in it, called as `builder(inputs, task, num_classes, **parameters)`; see
            `components.model.family.ModelFamily.build`.
        parameters: keyword arguments for the builder.
    """

    module: str = Field(min_length=1, pattern=r"\.py$")
    builder: str = "build"
    parameters: dict[str, Any] = {}


def _parse(written: Any) -> Any:
    if not isinstance(written, dict):
        raise ValueError(f"expected family: NAME with its parameters, or module: FILE.py, got {written!r}")
    if "module" in written:
        return CustomModel.model_validate(written)
    if "family" not in written:
        raise ValueError(f"expected a key family ({', '.join(catalog.names(FAMILIES))}) or module")
    parameters = {key: value for key, value in written.items() if key != "family"}
    return catalog.load(FAMILIES, str(written["family"]), ModelFamily).model_validate(parameters)


class ModelConfig(RootModel[Annotated[SerializeAsAny[ModelFamily | CustomModel], BeforeValidator(_parse)]]):
    """The model: `{family: NAME, hyperparameter: value}` or `{module: FILE.py, builder: NAME}`.

    Example:
        >>> ModelConfig.model_validate({"family": "mlp", "hidden_units": [8]}).root.hidden_units
        (8,)
    """

    model_config = ConfigDict(frozen=True)

    @model_serializer(mode="plain")
    def _dump(self) -> dict[str, Any]:
        if isinstance(self.root, CustomModel):
            return self.root.model_dump(mode="json")
        ((name, parameters),) = self.root.model_dump(mode="json").items()
        return {"family": name, **parameters}

    @property
    def custom(self) -> CustomModel | None:
        """The user's own model, or None when a family of Sluice is used."""
        return self.root if isinstance(self.root, CustomModel) else None

    @property
    def family(self) -> ModelFamily | None:
        """The family with its hyperparameters, or None for a custom model."""
        return self.root if isinstance(self.root, ModelFamily) else None

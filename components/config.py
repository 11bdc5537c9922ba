"""What every section of a spec is made of: a frozen model that refuses unknown keys."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_serializer


class Section(BaseModel):
    """A frozen part of the spec; unknown keys are refused.

    Example:
        >>> class Toy(Section):
        ...     epochs: int = 1
        >>> Toy(epochs=3).epochs
        3
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, protected_namespaces=())


class Plugin(Section):
    """A plug-in that the spec names: its file's name, and parameters that are its fields.

    In YAML it is written `name`, `name: value` (the value goes to the field that `shorthand` names) or
    `name: {parameter: value}`. It is serialized in the long form, `{name: {parameter: value}}`.
    """

    shorthand: ClassVar[str | None] = None

    @classmethod
    def plugin_name(cls) -> str:
        """Return the name in the spec: the name of the file that defines the class."""
        return cls.__module__.rsplit(".", 1)[-1]

    @model_serializer(mode="wrap")
    def _with_name(self, handler: Any) -> dict[str, Any]:
        return {self.plugin_name(): handler(self)}

"""Members as one Keras model, made of Keras' own layers: its file loads without Sluice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.ensemble.member import Member
from components.features import ModelInput
from components.model.layers import keras_inputs

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Ensemble:
    """Trained members, and what makes one answer of theirs.

    Args:
        members: two or more.
        top: from the members' outputs, Keras tensors `[batch, units]`, to one.
    """

    members: Sequence[Member]
    top: Callable[[list[Any]], Any]

    def model(self, inputs: Sequence[ModelInput]) -> keras.Model:
        """Return all of it as one model.

        Args:
            inputs: what each member receives.
        """
        import keras

        given = keras_inputs(inputs)
        return keras.Model(given, self.top([member.model(given) for member in self.members]), name="ensemble")


def averaged(members: Sequence[Member]) -> Ensemble:
    """Return the ensemble that answers with the mean of its members, weighted with their shares."""

    def mean(outputs: list[Any]) -> Any:
        import keras

        parts = [
            keras.layers.Rescaling(member.share, name=f"share_{number}")(output)
            for number, (member, output) in enumerate(zip(members, outputs, strict=True), 1)
        ]
        return keras.layers.Add(name="mean")(parts)

    return Ensemble(members, mean)

"""What families that encode some inputs have in common: other features go beside, into hidden layers and a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import dense_stack, embedded, head, joined, keras_inputs, logits, output_units
from components.model.options import HiddenLayers, Normalized

if TYPE_CHECKING:
    import keras


class EncoderFamily(HiddenLayers, Normalized, ModelFamily):
    """Gives each input of its kind an encoder; other inputs go beside what the encoders say, as in `mlp`.

    Args:
        embedding_dim: size of every embedding of ids; None chooses one by the number of ids.
    """

    embedding_dim: int | None = Field(default=None, ge=1)

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        if refusal := self.refuses(inputs):
            received, expected, remedy = refusal
            raise ValueError(f"{received}; expected {expected}. {remedy}".rstrip("."))
        tensors = keras_inputs(inputs)
        parts, others = self.encoded(inputs, tensors)
        parts += [embedded(others, tensors, self.embedding_dim)] if others else []
        hidden = dense_stack(joined(parts, "encoded_and_features"), self)
        output = head(logits(hidden, output_units(task, num_classes), self), task)
        return keras.Model(tensors, output, name=self.plugin_name())

    @abstractmethod
    def encoded(self, inputs: Sequence[ModelInput], tensors: Mapping[str, Any]) -> tuple[list[Any], list[ModelInput]]:
        """Return what the encoders say, `[batch, width]` each, and the inputs that they do not read."""

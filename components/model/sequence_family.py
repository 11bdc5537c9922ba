"""What families that read step by step have in common: find the steps, encode each, put other features beside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from components.features import ModelInput
from components.model.encoder_family import EncoderFamily
from components.model.family import Refusal
from components.model.layers import default_embedding_dim
from components.model.options import Units
from components.model.sequences import StepInput, cut, step_inputs, token_mask


class SequenceFamily(EncoderFamily):
    """Reads texts (`token_ids`), windows of lags (`data.series`) and series of a vector step by step.

    Padding changes nothing: neither how much there is nor what stands in it.

    Args:
        hidden_units: width of each hidden layer behind the encoders; none by default.
        dropout: also of what the encoders say.
        spatial_dropout: share of channels that are dropped at all steps alike: of embedded tokens, or as the family
            says; 0 to below 1.
        series: names of vectors of which each value is a step, such as a signal.
    """

    hidden_units: tuple[Units, ...] = ()
    spatial_dropout: float = Field(default=0.0, ge=0, lt=1)
    series: tuple[str, ...] = ()

    def named_inputs(self) -> tuple[str, ...]:
        """Return the names in `series`."""
        return self.series

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        """Return why there is nothing to read step by step."""
        for each in inputs:
            if each.name in self.series and (each.is_ids or len(each.shape) != 1 or each.width < 2):
                kind = "ids" if each.is_ids else "an image" if len(each.shape) == 3 else "one number"
                remedy = "Take it out of model.series."
                return f"series {each.name!r}, which is {kind}", "a vector, one number per step", remedy
        if step_inputs(inputs, self.series)[0]:
            return None
        received = f"no sequence among the inputs {', '.join(each.name for each in inputs)}"
        expected = f"one, for {self.plugin_name()} to read step by step"
        remedy = (
            "End the chain of a text with token_ids, make windows with data.series, or name vectors in model.series; "
            "for other data choose mlp."
        )
        return received, expected, remedy

    def encoded(self, inputs: Sequence[ModelInput], tensors: Mapping[str, Any]) -> tuple[list[Any], list[ModelInput]]:
        """Return what is said of each sequence, and the other inputs."""
        found, others = step_inputs(inputs, self.series)
        return [self._encoded(each, tensors) for each in found], others

    @abstractmethod
    def encode(self, steps: Any, mask: Any, name: str) -> Any:
        """Return what is said of a sequence, `[batch, width]`.

        Args:
            steps: `[batch, steps, channels]`, zeros where the mask is False.
            mask: which steps are tokens, `[batch, steps]`; None when all steps count.
            name: begins the names of its layers.
        """

    def token_embedding(self, cardinality: int, name: str) -> Any:
        """Return the layer that turns a token's id into channels."""
        import keras

        dim = self.embedding_dim or default_embedding_dim(cardinality)
        return keras.layers.Embedding(cardinality, dim, name=name)

    def _encoded(self, each: StepInput, tensors: Mapping[str, Any]) -> Any:
        import keras

        steps, mask = each.tensor(tensors), None
        if each.cardinality is not None:
            mask = token_mask(steps)
            steps = cut(self.token_embedding(each.cardinality, f"{each.name}_embedding")(steps), mask)
            if self.spatial_dropout:
                steps = keras.layers.SpatialDropout1D(self.spatial_dropout, name=f"{each.name}_channels")(steps)
        encoded = self.encode(steps, mask, each.name)
        if self.dropout:
            encoded = keras.layers.Dropout(self.dropout, name=f"{each.name}_dropout")(encoded)
        return encoded

"""What recurrent families have in common: layers of cells that read a sequence from its first step to its last."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import Field

from components.model.layers import normalized
from components.model.options import Units
from components.model.sequence_family import SequenceFamily
from components.model.sequences import up_to_the_last


class RecurrentFamily(SequenceFamily):
    """Reads a sequence step by step and keeps a state; what the state is at the last step goes into dense layers.

    Args:
        units: size of the state of each layer; a layer but the last hands the states at all steps to the next.
        bidirectional: read each layer's sequence from both ends, with a state for each; for whole sequences, such as
            texts, and as well for windows, which are whole when an answer is asked for.
        normalization: of what each layer gives: `batch`, `layer` or `none`.
        dropout: share of what each recurrent and hidden layer gives that is dropped while training; 0 to below 1.
    """

    units: tuple[Units, ...] = Field(default=(64,), min_length=1)
    bidirectional: bool = False

    cell: ClassVar[str]
    """Ends the names of its layers."""

    @abstractmethod
    def layer(self) -> Callable[..., Any]:
        """Return the class of its layers."""

    def encode(self, steps: Any, mask: Any, name: str) -> Any:
        """Return the state at the last step, of both directions where there are two."""
        import keras

        # The states behind the last token are those at it. Layers on GPUs take no mask with holes, or without a step.
        mask = None if mask is None else up_to_the_last(mask)
        for at, units in enumerate(self.units, start=1):
            last = at == len(self.units)
            layer = self.layer()(
                units,
                return_sequences=not last,
                kernel_regularizer=self.regularizer(),
                recurrent_regularizer=self.regularizer(),
                name=f"{name}_{self.cell}_{at}",
            )
            if self.bidirectional:
                layer = keras.layers.Bidirectional(layer, name=f"{name}_bidirectional_{self.cell}_{at}")
            steps = layer(steps, mask=mask)
            steps = normalized(
                steps, self.normalization, f"{name}_{self.cell}_{at}_normalization", None if last else mask
            )
            if self.dropout and not last:
                steps = keras.layers.Dropout(self.dropout, name=f"{name}_{self.cell}_{at}_dropout")(steps)
        return steps

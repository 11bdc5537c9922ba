"""What a model family is: hyperparameters, and a function from inputs to a Keras model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.config import Plugin
from components.features import ModelInput, Task

if TYPE_CHECKING:
    import keras

Refusal = tuple[str, str, str]
"""What was received, what was expected, what to do."""


class ModelFamily(Plugin):
    """A kind of Keras model; its fields are the hyperparameters."""

    def named_inputs(self) -> tuple[str, ...]:
        """Return the model inputs that hyperparameters name, so that a spec can be checked before it runs."""
        return ()

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:  # noqa: ARG002 - most families take any
        """Return why the family can make nothing of these inputs, or None when it can.

        Args:
            inputs: what the model receives; of a spec that has not run yet, as far as that is known.
        """
        return None

    @abstractmethod
    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model.

        Args:
            inputs: what the model receives, one named Keras input each, `[batch, width]`.
            task: decides the head: one sigmoid unit (`[batch, 1]`), a softmax over `num_classes`, or one linear unit.
            num_classes: classes of the label; 2 for binary tasks, 1 for regression.

        Raises:
            ValueError: the family can make nothing of the inputs.
        """

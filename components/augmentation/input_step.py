"""Steps that change single inputs of a batch and leave labels alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components import catalog
from components.augmentation.step import KIND_NAMES, AugmentationStep, Batch, Facts, Kind, Refusal, kind_of
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class InputStep(AugmentationStep):
    """Changes single inputs and leaves the label as it is.

    Args:
        inputs: names of the model inputs to change; by default all of a kind that it takes.
    """

    accepts: ClassVar[frozenset[Kind]]
    """The kinds of input that it takes."""

    unless_named: ClassVar[frozenset[Kind]] = frozenset()
    """The kinds that it takes only when `inputs` names them."""

    inputs: tuple[str, ...] | None = Field(default=None, min_length=1)

    def chosen(self, inputs: Sequence[ModelInput]) -> list[ModelInput]:
        if self.inputs is not None:
            return [each for each in inputs if each.name in self.inputs]
        return [each for each in inputs if kind_of(each) in self.accepts - self.unless_named]

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        takes = f"{self.plugin_name()} takes {' or '.join(KIND_NAMES[kind] for kind in sorted(self.accepts))}"
        known = [each.name for each in inputs]
        fitting = [each.name for each in inputs if kind_of(each) in self.accepts]
        for name in self.inputs or ():
            if name not in known:
                guess = catalog.nearest(name, known)
                remedy = f"Did you mean {guess!r}?" if guess else "Name chains of transform."
                return f"input {name!r}", f"one of {', '.join(known)}", remedy
            if name not in fitting:
                held = KIND_NAMES[next(kind_of(each) for each in inputs if each.name == name)]
                remedy = f"Name one of {', '.join(fitting)}." if fitting else "Remove the step."
                return f"{self.plugin_name()} on {name!r}, which holds {held}", takes, remedy
        if not self.chosen(inputs):
            remedy = f"Name some of {', '.join(fitting)} in `inputs`." if fitting else "Remove the step."
            return f"{self.plugin_name()} without an input for it", takes, remedy
        return None

    @abstractmethod
    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:
        """Return other values of the same shape and type.

        Args:
            values: one input of all rows of a batch.
            draws: the only source of chance.
            model_input: what is known of the input.
            facts: what else it may know.
        """

    def apply(self, batch: Batch, draws: Draws, facts: Facts) -> Batch:
        import tensorflow as tf

        # one choice for all inputs: two pictures of one row belong together
        rows = draws.chosen(tf.shape(batch.label)[0], self.fraction)
        features = dict(batch.features)
        for number, each in enumerate(self.chosen(facts.inputs)):
            values = features[each.name]
            changed = self.augment(values, draws.of(number), each, facts)
            if self.fraction < 1:
                changed = tf.where(tf.reshape(rows, [-1, *[1] * len(each.shape)]), changed, values)
            features[each.name] = tf.ensure_shape(changed, [None, *each.shape])
        return replace(batch, features=features)

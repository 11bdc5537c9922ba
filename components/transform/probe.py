"""Look at a column on its way through a chain: the same chain, with what each step made as an output of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import PrivateAttr

from components.expression import Expression
from components.transform.config import TransformConfig
from components.transform.step import Kind, TransformStep, source_of

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

VALUES, PRESENT = "values", "present"


class Probe(TransformStep):
    """Remembers the column that goes by and hands it on; put between two steps by `probed_fn`, never by a spec."""

    accepts: ClassVar[frozenset[Kind]] = frozenset(get_args(Kind))
    _seen: dict[str, Any] = PrivateAttr(default_factory=dict)

    def apply(self, column: Column) -> Column:
        self._seen["column"] = column
        return column

    @property
    def seen(self) -> Column:
        """The column of the latest trace."""
        return self._seen["column"]


def output_name(chain: str, position: int, part: str) -> str:
    """Return the name of an output: what `part` of the column was after so many steps of the chain."""
    return f"{chain}__after_{position}_steps__{part}"


def probed_fn(inputs: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `preprocessing_fn` gives of each chain, and the column after each number of steps.

    Args:
        inputs: as TFT hands them to `preprocessing_fn`.
        config: the component's config.
    """
    from components.transform.chain import run_chain
    from components.transform.label import label_tensor

    columns = config["columns"]
    outputs: dict[str, Any] = {}
    chains = TransformConfig.model_validate(config["transform"]).chains
    label = None
    if any(step.reads_label for steps in chains.values() for step in steps):
        label = label_tensor(Expression(columns["label"]["expression"]), config["task"], inputs)
    for name, steps in chains.items():
        start = 1 if source_of(steps) else 0
        probes = {position: Probe() for position in range(start, len(steps) + 1)}
        chain: list[TransformStep] = list(steps[:start])
        for position, probe in probes.items():
            chain += [probe, *steps[position : position + 1]]
        outputs |= run_chain(name, chain, inputs, columns["features"], label)
        for position, probe in probes.items():
            outputs[output_name(name, position, VALUES)] = _storable(probe.seen.values)
            outputs[output_name(name, position, PRESENT)] = _storable(probe.seen.present)
    return outputs


def _storable(tensor: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Return the tensor as one that an example can hold, since TFT writes a schema of all outputs; tokens as text."""
    import tensorflow as tf

    if isinstance(tensor, tf.SparseTensor):
        words = tf.sparse.to_dense(tensor, default_value="")
        return tf.strings.strip(tf.strings.reduce_join(words, axis=1, separator=" ", keepdims=True))
    if tensor.dtype in (tf.string, tf.int64, tf.float32):
        return tf.identity(tensor)
    return tf.cast(tensor, tf.float32 if tensor.dtype.is_floating else tf.int64)

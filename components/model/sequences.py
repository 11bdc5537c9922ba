"""Which inputs are read step by step, and what is made of the steps: texts as ids, windows of a series, vectors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.features import ModelInput
from components.model.layers import is_sequence

Pooling = Literal["last", "mean", "max"]

_LAG = re.compile(r"^(?P<values>.+)_lag_(?P<lag>\d+)$")
"""How `data.series` names a value of a window: `co2_lag_1` is the newest."""


@dataclass(frozen=True)
class StepInput:
    """What one encoder reads: an input of its own, or the lags of one or more series, side by side.

    Args:
        name: begins the names of its layers.
        channels: per channel the inputs of its steps, the oldest first; or one input that has them all.

    Example:
        >>> lags = [ModelInput(f"co2_lag_{lag}", "float32") for lag in (1, 2, 3)]
        >>> (found,), others = step_inputs([*lags, ModelInput("altitude", "float32")])
        >>> found.name, [each.name for each in found.channels[0]], [each.name for each in others]
        ('co2', ['co2_lag_3', 'co2_lag_2', 'co2_lag_1'], ['altitude'])
    """

    name: str
    channels: tuple[tuple[ModelInput, ...], ...]

    @property
    def cardinality(self) -> int | None:
        """How many ids there are; None for numbers."""
        return self.channels[0][0].cardinality

    def tensor(self, tensors: Mapping[str, Any]) -> Any:
        """Return the steps: `[batch, steps]` of ids, `[batch, steps, channels]` of numbers."""
        import keras

        first = tensors[self.channels[0][0].name]
        if len(self.channels) == 1 and len(self.channels[0]) == 1:
            one_channel = self.cardinality is None and len(first.shape) == 2
            return keras.layers.Reshape((-1, 1), name=f"{self.name}_steps")(first) if one_channel else first
        rows = [
            keras.layers.Concatenate(name=f"{lags[0].name}_to_newest")([tensors[each.name] for each in lags])
            for lags in self.channels
        ]
        columns = [keras.layers.Reshape((-1, 1), name=f"{row.name}_{at}")(row) for at, row in enumerate(rows)]
        return columns[0] if len(columns) == 1 else keras.layers.Concatenate(name=f"{self.name}_steps")(columns)


def step_inputs(inputs: Sequence[ModelInput], series: Sequence[str] = ()) -> tuple[list[StepInput], list[ModelInput]]:
    """Return what can be read step by step, and the other inputs.

    Steps are the ids of a text, the values of a window (`NAME_lag_1` and older), the first axis of `[steps, channels]`.
    Windows of the same lags are channels of one.

    Args:
        inputs: what the model receives.
        series: names of vectors of which each value is a step.
    """
    windows = _windows(inputs)
    of_windows = {each.name for window in windows for lags in window.channels for each in lags}
    alone = [
        each
        for each in inputs
        if is_sequence(each) or (not each.is_ids and len(each.shape) == 2) or each.name in series
    ]
    found = [*windows, *(StepInput(each.name, ((each,),)) for each in alone)]
    taken = of_windows | {each.name for each in alone}
    return found, [each for each in inputs if each.name not in taken]


def _windows(inputs: Sequence[ModelInput]) -> list[StepInput]:
    lags: dict[str, dict[int, ModelInput]] = {}
    for each in inputs:
        match = _LAG.match(each.name)
        if match and not each.is_ids and each.shape == (1,):
            lags.setdefault(match["values"], {})[int(match["lag"])] = each
    of_same_lags: dict[tuple[int, ...], list[str]] = {}
    for values, members in lags.items():
        if len(members) > 1:
            of_same_lags.setdefault(tuple(sorted(members, reverse=True)), []).append(values)
    return [
        StepInput("_and_".join(names), tuple(tuple(lags[values][lag] for lag in order) for values in names))
        for order, names in of_same_lags.items()
    ]


def token_mask(ids: Any) -> Any:
    """Return which steps are tokens, bool `[batch, steps]`: padding is 0."""
    from keras import ops

    return ops.not_equal(ids, 0)


def cut(steps: Any, mask: Any) -> Any:
    """Return the steps `[batch, steps, channels]` with zeros where the mask is False."""
    from keras import ops

    return steps if mask is None else steps * ops.expand_dims(ops.cast(mask, steps.dtype), -1)


def up_to_the_last(mask: Any) -> Any:
    """Return the mask without holes, and with one step at least: what recurrent layers on GPUs demand."""
    from keras import ops

    place = positions(mask)
    last = ops.max(place * ops.cast(mask, "int32"), axis=1, keepdims=True)
    return ops.less_equal(place, last)


def positions(steps: Any) -> Any:
    """Return the place of each step, int32 `[batch, steps]`, from `[batch, steps, …]`."""
    from keras import ops

    first = steps[:, :, 0] if len(steps.shape) == 3 else steps
    # not a constant: a saved model would hold it, as long as it is
    return ops.cumsum(ops.ones_like(first, dtype="int32"), axis=1) - 1


def pooled(steps: Any, mask: Any, pooling: Pooling) -> Any:
    """Return one vector per row, of tokens alone; zeros when there is none.

    Args:
        steps: `[batch, steps, channels]`.
        mask: `[batch, steps]`; None when all steps count.
        pooling: `last` step, `mean` or `max` over the steps.

    Shapes:
        `[batch, channels]`.
    """
    from keras import ops

    if mask is None:
        return {"last": lambda: steps[:, -1], "mean": lambda: ops.mean(steps, axis=1)}.get(
            pooling, lambda: ops.max(steps, axis=1)
        )()
    counts = ops.expand_dims(ops.cast(mask, steps.dtype), -1)
    if pooling == "mean":
        return ops.sum(steps * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1)
    if pooling == "last":
        place = ops.expand_dims(positions(mask), -1)
        last = ops.max(place * ops.cast(counts, "int32"), axis=1, keepdims=True)
        return ops.sum(steps * counts * ops.cast(ops.equal(place, last), steps.dtype), axis=1)
    # the lowest value of all is never above that of a token
    lowest = ops.min(steps, axis=1, keepdims=True)
    return ops.max(ops.where(counts > 0, steps, lowest), axis=1) * ops.max(counts, axis=1)

"""The parameters of learning rate schedules: Keras' own classes and arguments, with lengths in epochs too.

Light: a spec is checked with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from components.config import Section

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1)]
Epochs = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Length:
    """How long a training is, from which lengths in epochs become steps.

    Args:
        steps_per_epoch: batches of one epoch.
        epochs: epochs in all.
    """

    steps_per_epoch: int
    epochs: int

    @property
    def steps(self) -> int:
        """Batches in all."""
        return max(1, self.steps_per_epoch * self.epochs)

    def of(self, epochs: float) -> int:
        """Return the steps of some epochs, at least one."""
        return max(1, round(epochs * self.steps_per_epoch))


class WarmUp(Section):
    """The rate rises evenly from nearly 0 to that of the schedule, which begins afterwards; one of the three.

    Args:
        steps: its length in training steps, from 1.
        epochs: its length in epochs, over 0; fractions are fine.
        share: its length as a part of all steps, over 0 and below 1.

    Reference:
        Goyal et al. (2017): Accurate, large minibatch SGD: training ImageNet in 1 hour.
    """

    steps: Steps | None = None
    epochs: Epochs | None = None
    share: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _one_length(self) -> WarmUp:
        if sum(each is not None for each in (self.steps, self.epochs, self.share)) != 1:
            raise ValueError("one of steps, epochs and share")
        return self

    def length(self, training: Length) -> int:
        """Return its steps."""
        if self.steps is not None:
            return self.steps
        if self.epochs is not None:
            return training.of(self.epochs)
        return max(1, round((self.share or 0) * training.steps))


class Schedule(Section):
    """A schedule; fields are the arguments of the Keras class, lengths can be given in epochs instead.

    Args:
        initial_learning_rate: the rate at the beginning, over 0.
    """

    KERAS: ClassVar[str]
    TIMES: ClassVar[str] = ""
    """The field for a length in steps; the one in epochs is named alike."""
    LENGTH_REQUIRED: ClassVar[bool] = False

    initial_learning_rate: Rate

    @model_validator(mode="after")
    def _one_length(self) -> Schedule:
        if not self.TIMES:
            return self
        steps, epochs = self.TIMES, self.TIMES.replace("steps", "epochs")
        given = sum(getattr(self, name) is not None for name in (steps, epochs))
        if given > 1 or (self.LENGTH_REQUIRED and not given):
            raise ValueError(f"{'one' if self.LENGTH_REQUIRED else 'at most one'} of {steps} and {epochs}")
        return self

    def arguments(self, training: Length, after: int, factor: float) -> dict[str, Any]:
        """Return the arguments of the Keras class.

        Args:
            training: what lengths in epochs, and lengths not given, are made of.
            after: steps that a warm-up takes before.
            factor: what its rates are multiplied by.
        """
        given = self.model_dump(exclude_none=True)
        for name in ("initial_learning_rate", "end_learning_rate"):
            if name in given:
                given[name] *= factor
        if self.TIMES:
            epochs = given.pop(self.TIMES.replace("steps", "epochs"), None)
            if epochs is not None:
                given[self.TIMES] = training.of(epochs)
            given.setdefault(self.TIMES, max(1, training.steps - after))
        return given


class Constant(Schedule):
    """One rate; for a warm-up before it."""

    KERAS = "PiecewiseConstantDecay"

    def arguments(self, training: Length, after: int, factor: float) -> dict[str, Any]:  # noqa: ARG002
        rate = self.initial_learning_rate * factor
        return {"boundaries": [1], "values": [rate, rate]}


class CosineDecay(Schedule):
    """Half a cosine down to `alpha` times the rate.

    Args:
        decay_steps, decay_epochs: its length; the rest of the training when neither is given.
        alpha: what is left of the rate at the end, 0 to 1.

    Reference:
        Loshchilov and Hutter (2017): SGDR: stochastic gradient descent with warm restarts.
    """

    KERAS, TIMES = "CosineDecay", "decay_steps"
    decay_steps: Steps | None = None
    decay_epochs: Epochs | None = None
    alpha: float = Field(default=0.0, ge=0, le=1)


class CosineDecayRestarts(Schedule):
    """Cosines one after the other, each beginning high again.

    Args:
        first_decay_steps, first_decay_epochs: length of the first; one is required.
        t_mul: each is that many times as long as the one before, from 1.
        m_mul: each begins at that many times the rate of the one before, over 0.
        alpha: what is left of the rate at the end of each, 0 to 1.

    Reference:
        Loshchilov and Hutter (2017): SGDR: stochastic gradient descent with warm restarts.
    """

    KERAS, TIMES, LENGTH_REQUIRED = "CosineDecayRestarts", "first_decay_steps", True
    first_decay_steps: Steps | None = None
    first_decay_epochs: Epochs | None = None
    t_mul: float = Field(default=2.0, ge=1)
    m_mul: float = Field(default=1.0, gt=0)
    alpha: float = Field(default=0.0, ge=0, le=1)


class ExponentialDecay(Schedule):
    """Times `decay_rate` every `decay_steps`.

    Args:
        decay_steps, decay_epochs: one is required.
        decay_rate: over 0.
        staircase: falls at once at the end of each such time rather than evenly.
    """

    KERAS, TIMES, LENGTH_REQUIRED = "ExponentialDecay", "decay_steps", True
    decay_steps: Steps | None = None
    decay_epochs: Epochs | None = None
    decay_rate: Rate
    staircase: bool = False


class InverseTimeDecay(ExponentialDecay):
    """Divided by `1 + decay_rate * step / decay_steps`; arguments as of exponential_decay."""

    KERAS = "InverseTimeDecay"


class PolynomialDecay(Schedule):
    """Down to `end_learning_rate` along a power of the time that is left.

    Args:
        decay_steps, decay_epochs: its length; the rest of the training when neither is given.
        end_learning_rate: the rate at the end, from 0.
        power: 1 is a straight line.
        cycle: begins anew, longer, when it has ended.
    """

    KERAS, TIMES = "PolynomialDecay", "decay_steps"
    decay_steps: Steps | None = None
    decay_epochs: Epochs | None = None
    end_learning_rate: float = Field(default=1e-4, ge=0)
    power: float = Field(default=1.0, gt=0)
    cycle: bool = False


class PiecewiseConstantDecay(Schedule):
    """Another rate from each boundary on.

    Args:
        boundaries, boundary_epochs: after which step, counted from 0, or after how many epochs the next value holds;
            rising, one is required.
        values: the rates, one more than boundaries.
    """

    KERAS, TIMES, LENGTH_REQUIRED = "PiecewiseConstantDecay", "", True
    initial_learning_rate: None = None  # type: ignore[assignment]  # values[0] is
    boundaries: Annotated[tuple[Steps, ...], Field(min_length=1)] | None = None
    boundary_epochs: Annotated[tuple[Epochs, ...], Field(min_length=1)] | None = None
    values: tuple[Rate, ...]

    @model_validator(mode="after")
    def _values_between(self) -> PiecewiseConstantDecay:
        if (self.boundaries is None) == (self.boundary_epochs is None):
            raise ValueError("one of boundaries and boundary_epochs")
        at: Sequence[float] = self.boundaries or self.boundary_epochs or ()
        if len(self.values) != len(at) + 1:
            raise ValueError(f"{len(at) + 1} values, one more than boundaries, not {len(self.values)}")
        if list(at) != sorted(set(at)):
            raise ValueError("boundaries that rise")
        return self

    def arguments(self, training: Length, after: int, factor: float) -> dict[str, Any]:  # noqa: ARG002
        # Keras' boundary is the last step with the old value, and the first step is 0
        at = self.boundaries or [training.of(epochs) - 1 for epochs in self.boundary_epochs or ()]
        return {"boundaries": list(at), "values": [rate * factor for rate in self.values]}


SCHEDULES: dict[str, type[Schedule]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind
    for kind in (
        Constant,
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PolynomialDecay,
        PiecewiseConstantDecay,
    )
}
"""By the names of Keras in the spec's spelling; `constant` is for a warm-up alone."""

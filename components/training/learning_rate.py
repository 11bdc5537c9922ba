"""Learning rates that change from step to step: Keras' schedules by their names, and a warm-up before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from components.training.schedule_checks import long_form
from components.training.schedules import SCHEDULES, Length, WarmUp

if TYPE_CHECKING:
    import keras


def make_schedule(written: dict[str, Any], training: Length, factor: float = 1.0) -> Any:
    """Return the Keras schedule of what `schedule_problems` has found right.

    Args:
        written: `{NAME: {…}, warm_up: {…}}`.
        training: what lengths in epochs, and lengths not given, are made of.
        factor: what its rates are multiplied by.
    """
    import keras

    ((name, arguments),) = ((key, value) for key, value in written.items() if key != "warm_up")
    schedule = SCHEDULES[name].model_validate(long_form(name, arguments))
    steps = WarmUp.model_validate(written["warm_up"]).length(training) if "warm_up" in written else 0
    made = getattr(keras.optimizers.schedules, schedule.KERAS)(**schedule.arguments(training, steps, factor))
    return _warmed_up(made, steps) if steps else made


def _warmed_up(following: Any, steps: int) -> Any:
    """Return a schedule that leads up to the first rate of another, and goes on with that one."""
    import keras

    class WarmedUp(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self) -> None:
            self.following = following

        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            part = keras.ops.minimum(1.0, (step + 1.0) / (steps + 1.0))
            return part * keras.ops.cast(following(keras.ops.maximum(0.0, step - steps)), "float32")

    return WarmedUp()


def without_ours(optimizer: keras.optimizers.Optimizer) -> None:
    """Leave Keras' own part of a schedule in an optimizer: a model file that names ours loads only where Sluice is."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    following = getattr(inner._learning_rate, "following", None)  # noqa: SLF001 - only the private one is the schedule
    if following is not None:
        inner.learning_rate = following


def rate_of_last_step(optimizer: keras.optimizers.Optimizer) -> float:
    """Return the learning rate with which an optimizer made its last step."""
    import keras

    inner = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = inner._learning_rate  # noqa: SLF001 - the public one is the rate of the next step
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        last = keras.ops.maximum(0, keras.ops.cast(inner._iterations, "int64") - 1)  # noqa: SLF001 - counts batches
        return float(keras.ops.convert_to_numpy(cast(Any, schedule)(last)))
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

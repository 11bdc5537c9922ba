"""What section `ensemble` may not ask for, with the rest of the spec at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.errors import Problem
from components.training.schedule_checks import is_schedule
from pipelines.model_checks import family_problems

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec

Found = tuple[tuple[str | int, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""


def ensemble_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Members are trained one after the other in one process, and every kind has options that it cannot obey."""
    ensemble = loaded.spec.ensemble
    if ensemble is None:
        return
    for place, received, expected, remedy in (*_training(loaded), *_snapshot(loaded)):
        yield Problem(".".join(map(str, place)), received, expected, remedy, loaded.source.file, _line(loaded, place))
    for index, model in enumerate(ensemble.models):
        if model.family is not None:
            yield from family_problems(loaded, model.family, ("ensemble", ensemble.kind, "members", index))


def _training(loaded: LoadedSpec) -> Iterator[Found]:
    training, ensemble = loaded.spec.training, loaded.spec.ensemble
    if training.strategy in {"multi_worker", "tpu"}:
        expected = "auto, none or mirrored with an ensemble: its members are trained one after the other on one machine"
        yield ("training", "strategy"), training.strategy, expected, "Set training.strategy to auto."
    expected = "none with an ensemble: members would share their state"
    for name in ("callbacks", "loop"):
        if getattr(training, name) is not None:
            yield ("training", name), name, expected, f"Remove training.{name} or ensemble."
    if ensemble is not None and ensemble.kind in {"bagging", "stacking"} and training.cache == "never":
        expected = f"auto or always with {ensemble.kind}, which chooses rows in memory"
        yield ("training", "cache"), "never", expected, "Set training.cache to always, or use voting or snapshot."


def _snapshot(loaded: LoadedSpec) -> Iterator[Found]:
    training, ensemble = loaded.spec.training, loaded.spec.ensemble
    if ensemble is None or ensemble.snapshot is None:
        return
    cycles = ensemble.snapshot.cycles
    if training.epochs < cycles:
        expected = f"at least {cycles} with {cycles} cycles: each trains an epoch or more"
        yield ("training", "epochs"), str(training.epochs), expected, "Raise training.epochs, or lower cycles."
    expected = "none with snapshot: a cycle must reach its end, where the learning rate is 0"
    for name in ("early_stopping", "reduce_learning_rate"):
        if getattr(training, name) is not None:
            yield ("training", name), name, expected, f"Remove training.{name}."
    if training.keep not in {"auto", "last"}:
        yield ("training", "keep"), f"{training.keep}", f"last; {expected}", "Remove training.keep."
    if is_schedule(training.optimizer.arguments.get("learning_rate")):
        place = ("training", "optimizer", training.optimizer.name, "learning_rate")
        yield place, "a schedule", "a number with snapshot, which has its own schedule", "Write the rate of its start."


def _line(loaded: LoadedSpec, place: tuple[str | int, ...]) -> int | None:
    return loaded.source.line(place)

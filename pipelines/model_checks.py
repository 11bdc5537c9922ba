"""What a model family may not ask for: inputs that are not there, or of a kind that no chain makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components import catalog
from components.errors import Problem
from components.model.family import ModelFamily

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec


def model_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Hyperparameters such as `crosses` name chains of `transform`, and the family can do something with the inputs."""
    if loaded.spec.model.family is not None:
        yield from family_problems(loaded, loaded.spec.model.family, ("model",))


def family_problems(loaded: LoadedSpec, family: ModelFamily, location: tuple[str | int, ...]) -> Iterator[Problem]:
    """As `model_problems`, of a family that is somewhere in the spec."""
    spec = loaded.spec
    chains = list(spec.transform.chains)
    at = (".".join(map(str, location)), loaded.source.file, loaded.source.line(location))
    unknown = [name for name in family.named_inputs() if name not in chains]
    for name in unknown:
        guess = catalog.nearest(name, chains)
        remedy = f"Did you mean {guess!r}?" if guess else "Name inputs that transform makes."
        yield Problem(at[0], f"input {name!r}", f"one of {', '.join(chains)}", remedy, *at[1:])
    if unknown or spec.transform.problems(spec.data.features, spec.data.weight):
        return  # what the inputs are is not known then
    if refusal := family.refuses(spec.transform.expected_inputs(spec.data.features)):
        yield Problem(at[0], *refusal, *at[1:])

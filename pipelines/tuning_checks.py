"""What section `tuning` may not ask for: keys that are not there, values that the spec would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from components import catalog
from components.errors import Problem
from components.tuning.config import SECTIONS, RangeConfig
from components.tuning.placing import PARSERS, placed, written_sections
from pipelines.spec_errors import problems_of
from pipelines.yaml_source import YamlSource

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec

EPOCHS = "training.epochs"


def tuning_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Each path is a key, and each value at the edge of its range one that the key takes."""
    tuning = loaded.spec.tuning
    if tuning is None:
        return
    for path, dimension in tuning.space.items():
        edges = [dimension.min, dimension.max] if isinstance(dimension, RangeConfig) else list(dimension)
        yield from _path(loaded, path, edges)


def _path(loaded: LoadedSpec, path: str, edges: list[Any]) -> Iterator[Problem]:
    place = ("space", path)
    section = path.split(".")[0]
    if path == EPOCHS:
        expected = "keys that change what is learned in the same epochs"
        yield _at(loaded, place, path, expected, "Remove it; tuning.epochs says how long a trial is.")
        return
    if section not in SECTIONS or "." not in path:
        guess = catalog.nearest(section, list(SECTIONS))
        remedy = f"Did you mean {guess!r}?" if guess and guess != section else "Name one of their keys."
        yield _at(loaded, place, repr(path), f"a key of {', '.join(SECTIONS)}, such as model.dropout", remedy)
        return
    for value in edges:
        problem = _value(loaded, path, section, value)
        if problem is not None:
            yield problem
            return


def _value(loaded: LoadedSpec, path: str, section: str, value: Any) -> Problem | None:
    place = ("space", path)
    written = written_sections(loaded.source.content)
    try:
        content = placed(written, {path: value})[section]
    except (ValueError, TypeError) as error:
        return _at(loaded, place, str(error), "a path through keys of the spec", "Write the long form of that part.")
    try:
        PARSERS[section].model_validate(content)
    except ValidationError as error:
        found = problems_of(error, PARSERS[section], YamlSource(loaded.source.file, {}, {}))[0]
        if found.received.startswith("unknown key"):
            family = loaded.spec.model.family
            known = sorted(type(family).model_fields) if section == "model" and family else []
            guess = catalog.nearest(path.rpartition(".")[2], known)
            expected = f"one of {', '.join(known)}" if known else found.expected
            return _at(loaded, place, found.received, expected, f"Did you mean {guess!r}?" if guess else found.remedy)
        return _at(
            loaded, place, f"{value!r}, of which {found.where} is {found.received}", found.expected, found.remedy
        )
    return None


def _at(loaded: LoadedSpec, place: tuple[str, ...], received: str, expected: str, remedy: str) -> Problem:
    location = ("tuning", *place)
    return Problem(".".join(location), received, expected, remedy, loaded.source.file, loaded.source.line(location))

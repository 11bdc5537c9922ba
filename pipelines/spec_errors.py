"""Turn pydantic's errors into problems with file, line, received, expected, remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, RootModel, ValidationError

from components import catalog
from components.errors import Problem
from pipelines.yaml_source import Location, YamlSource

_PASSWORD = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)|(?<=password=)[^&\s'\"]+")
"""What no screen and no log may show, where an address holds it."""


def problems_of(error: ValidationError, model: type[BaseModel], source: YamlSource) -> list[Problem]:
    """Return one problem per error, in the order of the file."""
    found = [_problem(location, entry, model, source) for location, entry in _flatten(error, ())]
    return sorted(found, key=lambda problem: problem.line or 0)


def _flatten(error: ValidationError, prefix: Location) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Yield each error with its full location; plug-ins validate inside validators, so errors nest."""
    for entry in error.errors(include_url=False):
        location = (*prefix, *(part for part in entry["loc"] if part != "[key]"))  # a wrong key is where its value is
        inner = (entry.get("ctx") or {}).get("error")
        if isinstance(inner, ValidationError):
            yield from _flatten(inner, location)
        else:
            yield location, dict(entry)


def _problem(location: Location, entry: dict[str, Any], model: type[BaseModel], source: YamlSource) -> Problem:
    override = source.overridden(location)
    dotted = ".".join(map(str, location))
    received = _PASSWORD.sub("…", repr(entry["input"]))
    expected, remedy = _advice(location, entry, model)
    if entry["type"] == "missing":
        received = "nothing"
    elif entry["type"] == "extra_forbidden":
        received = f"unknown key {location[-1]!r}"
    elif len(received) > 80:
        received = received[:77] + "..."
    if override:
        return Problem(dotted, f"{received} (from the command line: {_PASSWORD.sub('…', override)})", expected, remedy)
    return Problem(dotted, received, expected, remedy, source.file, source.line(location))


def _advice(location: Location, entry: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    kind, key = entry["type"], location[-1] if location else ""
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        guess = catalog.nearest(str(key), known)
        expected = f"one of {', '.join(known)}" if known else "a known key"
        return expected, f"Did you mean {guess!r}?" if guess else "Remove it."
    if kind == "missing":
        return f"a value for {key!r}", f"Add {key}: … to it."
    message = str(entry["msg"]).removeprefix("Value error, ")
    if message.startswith("Input should be "):
        message = message.removeprefix("Input should be ")
    guess_text = "Correct it."
    allowed = (entry.get("ctx") or {}).get("expected")
    if kind in {"literal_error", "enum"} and isinstance(allowed, str):
        options = [option.strip(" '") for option in allowed.replace(" or ", ",").split(",")]
        guess = catalog.nearest(str(entry["input"]), options)
        guess_text = f"Did you mean {guess!r}?" if guess else f"Choose one of {', '.join(options)}."
    return message, guess_text


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys of the section at a location; empty when it is not a section of fixed keys."""
    current: Any = model
    inside_mapping = False
    for part in location:
        if inside_mapping:  # the part is a name of the user's
            inside_mapping = False
            continue
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return []
        inside_mapping = getattr(fields[part].annotation, "__origin__", None) is dict
        current = _section_in(fields[part].annotation)
        if current is None:
            return []
    if isinstance(current, type) and issubclass(current, RootModel):
        return []
    return sorted(getattr(current, "model_fields", {}))


def _section_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _section_in(argument):
            return found
    return None

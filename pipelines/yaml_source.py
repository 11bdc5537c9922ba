"""Read a YAML file and remember the line of every key, so that errors can name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components.errors import Problem, SpecError

Location = tuple[str | int, ...]


@dataclass
class YamlSource:
    """What a YAML file says, with overrides applied, and where each part of it comes from.

    Args:
        file: path of the file as the user gave it.
        content: the parsed mapping.
        lines: location of a value (`("training", "epochs")`) to its line, from 1.
        overrides: dotted path to the text given on the command line.
    """

    file: str
    content: dict[str, Any]
    lines: dict[Location, int]
    overrides: dict[str, str] = field(default_factory=dict)

    def line(self, location: Location) -> int | None:
        """Return the line of a location, or of the nearest part around it that is in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return None

    def overridden(self, location: Location) -> str | None:
        """Return `path=value` when the location comes from the command line."""
        dotted = ".".join(map(str, location))
        for path, value in self.overrides.items():
            if dotted == path or dotted.startswith(f"{path}.") or path.startswith(f"{dotted}."):
                return f"{path}={value}"
        return None

    def override(self, assignments: list[str]) -> None:
        """Apply `training.epochs=3` and the like; values are YAML.

        Raises:
            SpecError: an assignment has no `=`, or its path goes through something that is not a mapping or list.
        """
        problems = []
        for assignment in assignments:
            path, separator, text = assignment.partition("=")
            if not separator or not path:
                problems.append(_override_problem(assignment, "SECTION.KEY=VALUE, such as training.epochs=3"))
                continue
            try:
                _assign(self.content, path.split("."), yaml.safe_load(text))
            except (TypeError, IndexError, ValueError, yaml.YAMLError) as error:
                problems.append(_override_problem(assignment, f"a path that exists in the spec ({error})"))
                continue
            self.overrides[path] = text
        if problems:
            raise SpecError(problems)


def read_yaml(path: Path) -> YamlSource:
    """Read a spec file.

    Raises:
        SpecError: the file is missing, is not YAML, repeats a key or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("spec", f"{error}", "a readable YAML file", "Check the path.", file=str(path))
        raise SpecError([problem]) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        problem = Problem(
            "spec",
            error.problem or str(error),
            "valid YAML",
            "Check indentation, colons and quotes near that line.",
            file=str(path),
            line=mark.line + 1 if mark else None,
        )
        raise SpecError([problem]) from error
    if not isinstance(node, yaml.MappingNode):
        problem = Problem(
            "spec", "no mapping", "keys such as name, data, model", "Start from `sluice init`.", str(path)
        )
        raise SpecError([problem])
    lines: dict[Location, int] = {}
    problems: list[Problem] = []
    _collect(node, (), lines, problems, str(path))
    if problems:
        raise SpecError(problems)
    return YamlSource(str(path), yaml.safe_load(text), lines)


def _collect(node: yaml.Node, at: Location, lines: dict[Location, int], problems: list[Problem], file: str) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*at, key.value)
            line = key.start_mark.line + 1
            if key.value in seen:
                dotted = ".".join(map(str, here))
                problems.append(
                    Problem(dotted, "the key a second time", "each key once", "Remove one of the two.", file, line)
                )
            seen.add(key.value)
            lines[here] = line
            _collect(value, here, lines, problems, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect(item, (*at, index), lines, problems, file)


def _assign(target: Any, keys: list[str], value: Any) -> None:
    *parents, last = keys
    for key in parents:
        if isinstance(target, list):
            target = target[int(key)]
        elif isinstance(target, dict):
            if target.get(key) is None:
                target[key] = {}
            target = target[key]
        else:
            raise TypeError(f"{key!r} is inside {target!r}, which is not a mapping or list")
    if isinstance(target, list):
        target[int(last)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise TypeError(f"{last!r} is inside {target!r}, which is not a mapping or list")


def _override_problem(assignment: str, expected: str) -> Problem:
    return Problem("command line", repr(assignment), expected, "Correct the override.")

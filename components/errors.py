"""The errors a user can meet, each with what to do about it.

SluiceError
├── SpecError        the spec, the command line or the raw data: known before anything runs (exit code 2)
├── ComponentError   a component failed while it ran (exit code 4)
└── PluginError      a step, family or runner breaks the rules of its folder; for the person who writes it

A blocked gate is a result of a run (exit code 3), not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in four parts: where, what was received, what was expected, what to do.

    Args:
        where: dotted path in the spec (`training.epochs`), or a column, or a file.
        received: what was found there.
        expected: what would have been right.
        remedy: what the reader should do now.
        file: the file that holds it, if it is in a file.
        line: its line in that file, from 1.
    """

    where: str
    received: str
    expected: str
    remedy: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.where}: got {self.received}; expected {self.expected}. {self.remedy}"


class SluiceError(Exception):
    """Anything Sluice reports to its user; `exit_code` is what the command line returns."""

    exit_code = 1


class SpecError(SluiceError):
    """The spec or the data it names cannot be run; holds every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ComponentError(SluiceError):
    """A component stopped the run because of what it was given.

    Args:
        message: the cause in one paragraph.
        spec_path: dotted path of the part of the spec it comes from, if there is one.
        remedy: what to do.
    """

    exit_code = 4

    def __init__(self, message: str, *, spec_path: str | None = None, remedy: str = "") -> None:
        self.message = message
        self.spec_path = spec_path
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class PluginError(SluiceError):
    """A plug-in does not keep the rules of its folder."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error, what it came from, what that came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

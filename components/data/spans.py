"""Spans: raw data that arrive in numbered or dated portions, and the window of them that a run reads. Nothing heavy.

The placeholders are those of TFX's ExampleGen: `{SPAN}`, `{VERSION}` (each also with a width, `{SPAN:5}`) and
`{YYYY}`, `{MM}`, `{DD}`. A dated span's number is that of TFX: days since 1970-01-01.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from components.catalog import nearest
from components.errors import Problem, SpecError

NUMBERED = ("SPAN", "VERSION")
DATED = ("YYYY", "MM", "DD")
_PLACEHOLDER = re.compile(r"\{([A-Z]+)(?::(\d+))?\}")
_GLOB = re.compile(r"\*\*/?|\*|\?|\[[^\]/]+\]")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Selection:
    """Which spans a run reads.

    Args:
        span: number of the newest one; None takes the newest there is.
        window: how many spans, counted back from that one; fewer when the first span is younger than that.
        gaps: `error` refuses a window in which a span is missing; `skip` reads those that are there.
    """

    span: int | None = None
    window: int = 1
    gaps: str = "error"


NEWEST = Selection()


@dataclass(frozen=True)
class Span:
    """One portion of the raw data.

    Args:
        number: its place in the order.
        version: the newest version of it; None when the path has no `{VERSION}`.
        paths: what `data.path` comes to for it; usually one, and it may still hold wildcards.
        name: how it is called in messages: its number, or its date.
    """

    number: int
    version: int | None
    paths: tuple[str, ...]
    name: str


def has_placeholder(path: str) -> bool:
    """True when a path stands for spans.

    Example:
        >>> has_placeholder("rows/span-{SPAN}/*.csv"), has_placeholder("rows.csv")
        (True, False)
    """
    return bool(_PLACEHOLDER.search(path))


def check_pattern(path: str) -> None:
    """Raise ValueError when the placeholders of a path do not say which span a file belongs to."""
    used = [match.group(1) for match in _PLACEHOLDER.finditer(path)]
    known = [*NUMBERED, *DATED]
    for name in used:
        if name not in known:
            guess = nearest(name, known)
            hint = f"did you mean {{{guess}}}?" if guess else f"known are {', '.join(f'{{{one}}}' for one in known)}"
            raise ValueError(f"data.path has the unknown placeholder {{{name}}}; {hint}")
    dated = sorted(set(used) & set(DATED))
    if dated and len(dated) < len(DATED):
        lacking = ", ".join(f"{{{one}}}" for one in DATED if one not in dated)
        raise ValueError(f"data.path lacks {lacking}; a dated span needs {{YYYY}}, {{MM}} and {{DD}}")
    if dated and "SPAN" in used:
        raise ValueError("data.path has both {SPAN} and a date; a span is known by one of them")
    if "VERSION" in used and not dated and "SPAN" not in used:
        raise ValueError("data.path has {VERSION} without {SPAN} or a date; a version is one of a span")


def number_of(day: date) -> int:
    """Return the number of a dated span.

    Example:
        >>> number_of(date(1970, 1, 31))
        30
    """
    return (day - _EPOCH).days


def choose(path: str, selection: Selection, expand: Callable[[str], Iterable[str]]) -> tuple[Span, ...]:
    """Return the spans of the window, oldest first.

    Args:
        path: the resolved `data.path`, with placeholders.
        selection: which spans.
        expand: lists the paths that a glob matches, files and folders.

    Raises:
        SpecError: there is no span, the chosen one is not there, or the window has gaps and may not.
    """
    pattern = _Pattern(path)
    found = pattern.find(expand)
    if not found:
        shown = pattern.glob + pattern.rest
        raise _problem("data.path", f"{path!r}, which matches no span", f"at least one, as {shown}", "Check the path.")
    last = max(found) if selection.span is None else selection.span
    if last not in found:
        raise _not_there(last, found, pattern)
    first = max(min(found), last - selection.window + 1)
    missing = [number for number in range(first, last + 1) if number not in found]
    if missing and selection.gaps == "error":
        raise _gaps(missing, first, last, pattern)
    return tuple(found[number] for number in range(first, last + 1) if number in found)


@dataclass(frozen=True)
class _Pattern:
    """A path with placeholders, cut behind the last part that has one.

    Args:
        path: the whole.
    """

    path: str
    head: str = field(init=False)
    rest: str = field(init=False)
    query: str = field(init=False)

    def __post_init__(self) -> None:
        has_query = self.path.startswith(("s3://", "gs://"))  # elsewhere ? is a wildcard
        base, mark, options = self.path.partition("?") if has_query else (self.path, "", "")
        end = max(match.end() for match in _PLACEHOLDER.finditer(base))
        cut = base.find("/", end)
        cut = len(base) if cut < 0 else cut
        for name, value in (("head", base[:cut]), ("rest", base[cut:]), ("query", mark + options)):
            object.__setattr__(self, name, value)

    @property
    def dated(self) -> bool:
        return "{YYYY" in self.head

    @property
    def glob(self) -> str:
        """The head with a wildcard in each placeholder's place."""
        return _PLACEHOLDER.sub("*", self.head)

    def name(self, number: int) -> str:
        return str(_EPOCH + timedelta(days=number)) if self.dated else str(number)

    def find(self, expand: Callable[[str], Iterable[str]]) -> dict[int, Span]:
        """Return every span by its number, each in its newest version."""
        expression = re.compile(self._expression())
        matched: dict[int, dict[int | None, list[tuple[str, str]]]] = {}
        for found in expand(self.glob + self.query):
            path = found.removesuffix(self.query) if self.query else found
            match = expression.fullmatch(path)
            number = self._number(match) if match else None
            if match and number is not None:
                version = int(match["VERSION"]) if "VERSION" in expression.groupindex else None
                written = "/".join(match[name] for name in expression.groupindex)
                matched.setdefault(number, {}).setdefault(version, []).append((written, path))
        return {number: self._newest(number, versions) for number, versions in matched.items()}

    def _newest(self, number: int, versions: dict[int | None, list[tuple[str, str]]]) -> Span:
        version = max(versions, key=lambda one: -1 if one is None else one)
        paths = sorted(path for _, path in versions[version])
        if len({written for written, _ in versions[version]}) > 1:
            raise _problem(
                "data.path", f"span {self.name(number)} twice, as {' and '.join(paths[:2])}", "each span once",
                "Delete one of them, or give the width of the number, as in {SPAN:3}.",
            )  # fmt: skip
        return Span(number, version, tuple(path + self.rest + self.query for path in paths), self.name(number))

    def _number(self, match: re.Match[str]) -> int | None:
        if not self.dated:
            return int(match["SPAN"])
        try:
            return number_of(date(int(match["YYYY"]), int(match["MM"]), int(match["DD"])))
        except ValueError:
            return None

    def _expression(self) -> str:
        written, position, seen = "", 0, set()
        for match in _PLACEHOLDER.finditer(self.head):
            written += _glob_expression(self.head[position : match.start()])
            name, width = match.group(1), match.group(2)
            digits = rf"\d{{{len(name) if name in DATED else width}}}" if name in DATED or width else r"\d+"
            written += f"(?P={name})" if name in seen else f"(?P<{name}>{digits})"
            seen.add(name)
            position = match.end()
        return written + _glob_expression(self.head[position:])


def _glob_expression(text: str) -> str:
    """Translate what stands between placeholders; a wildcard does not cross a slash."""
    written, position = "", 0
    for match in _GLOB.finditer(text):
        written += re.escape(text[position : match.start()])
        wildcard = match.group()
        if wildcard.startswith("["):
            written += "[" + ("^" if wildcard[1] == "!" else wildcard[1].replace("^", r"\^")) + wildcard[2:]
        elif wildcard.startswith("**"):
            written += ".*"
        else:
            written += "[^/]*" if wildcard == "*" else "[^/]"
        position = match.end()
    return written + re.escape(text[position:])


def no_files(span: Span) -> SpecError:
    """Return the error of a span whose folder is there and holds nothing to read."""
    return _problem(
        "data.path", f"span {span.name} ({span.paths[0]}), which holds no file",
        "a span that is complete", "Deliver its files, or choose another one with --span.",
    )  # fmt: skip


def _not_there(number: int, found: dict[int, Span], pattern: _Pattern) -> SpecError:
    first, last = pattern.name(min(found)), pattern.name(max(found))
    newest = ", ".join(pattern.name(one) for one in sorted(found)[-5:])
    return _problem(
        "data.span", f"span {pattern.name(number)}, which is not there",
        f"one of the {len(found)} spans from {first} to {last}", f"The newest are {newest}.",
    )  # fmt: skip


def _gaps(missing: list[int], first: int, last: int, pattern: _Pattern) -> SpecError:
    names = ", ".join(pattern.name(one) for one in missing[:5]) + (", …" if len(missing) > 5 else "")
    return _problem(
        "data.window", f"a window without span{'s' if len(missing) > 1 else ''} {names}",
        f"every span from {pattern.name(first)} to {pattern.name(last)}",
        "Deliver what is missing, or do without it: data.window.gaps: skip.",
    )  # fmt: skip


def _problem(where: str, received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem(where, received, expected, remedy)])

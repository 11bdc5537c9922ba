"""The user's own translator: a file with a function from texts to the same texts, there and back again."""

from __future__ import annotations

from typing import Any

from components.augmentation.step import Facts, Refusal
from components.augmentation.translations import Translate
from components.engine import user_file
from components.engine.user_file import Wanted, failure_of
from components.errors import ComponentError

FUNCTION = "translate"
WANTED = Wanted("augmentation", FUNCTION, ("texts",), "list[str]")
HOW = f"Define {FUNCTION}(texts: list[str]) -> list[str], which translates there and back again."


def refusal_of(text: str, file: str) -> Refusal | None:
    """Return why a file cannot be a translator, from its syntax tree alone.

    Example:
        >>> refusal_of("def translate(texts): return texts", "mine.py")
        >>> refusal_of("def translat(texts): return texts", "mine.py")[0]
        "mine.py:1: 'translate'"
    """
    for problem in user_file.check_source(text, WANTED, FUNCTION, (), file):
        return f"{problem.file}:{problem.line}: {problem.received}", problem.expected, HOW
    return None


def load(file: str, facts: Facts) -> Translate:
    """Run the user's file and return its function, whose answers are looked at.

    Args:
        file: its path as the spec writes it.
        facts: hold its content.

    Raises:
        ComponentError: the file does not run; later, the function fails or returns something else.
    """
    function = user_file.load_function(facts.files[file], WANTED, FUNCTION, file, facts.base_dir)

    def translate(texts: list[str]) -> list[str]:
        try:
            found: Any = function(list(texts))
        except Exception as error:
            raise failure_of(error, file, f"{FUNCTION} in {file} failed", "augmentation") from error
        if not (isinstance(found, list | tuple) and all(isinstance(each, str) for each in found)):
            raise _wrong(file, f"{type(found).__name__} {str(found)[:60]!r}", "a list of texts")
        if len(found) != len(texts):
            raise _wrong(file, f"{len(found)} texts for {len(texts)}", "one for each, in their order")
        return list(found)

    return translate


def _wrong(file: str, received: str, expected: str) -> ComponentError:
    message = f"{FUNCTION} in {file} returned {received}; expected {expected}."
    return ComponentError(message, spec_path="augmentation", remedy=HOW)

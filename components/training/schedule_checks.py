"""What is wrong with the learning rate schedule of a spec; light."""

from __future__ import annotations

from typing import Any, TypeGuard

from pydantic import ValidationError

from components import catalog
from components.config import Section
from components.errors import Problem
from components.training.schedules import SCHEDULES, WarmUp


def is_schedule(written: Any) -> TypeGuard[dict[str, Any]]:
    """Say whether a learning rate is more than a number."""
    return isinstance(written, dict)


def schedule_problems(written: dict[str, Any], at: str) -> list[Problem]:
    """Return what is wrong with a schedule.

    Args:
        written: `{NAME: {…}, warm_up: {…}}`.
        at: its dotted path.

    Example:
        >>> [problem.where for problem in schedule_problems({"cosine_decay": {"alpha": 0.1}}, "rate")]
        ['rate.cosine_decay.initial_learning_rate']
    """
    names = [name for name in written if name != "warm_up"]
    if len(names) != 1:
        expected = f"one of {', '.join(SCHEDULES)}, and warm_up beside it if wanted"
        received = ", ".join(map(repr, written)) or "nothing"
        return [Problem(at, received, expected, "Write cosine_decay: {initial_learning_rate: 0.001}, say.")]
    (name,) = names
    if name not in SCHEDULES:
        guess = catalog.nearest(str(name), list(SCHEDULES))
        remedy = f"Did you mean {guess!r}?" if guess else "Name one of these."
        return [Problem(f"{at}.{name}", repr(name), f"one of {', '.join(SCHEDULES)}", remedy)]
    parts: list[tuple[str, type[Section]]] = [(name, SCHEDULES[name])]
    parts += [("warm_up", WarmUp)] if "warm_up" in written else []
    return [
        each for key, kind in parts for each in _problems_of_part(kind, long_form(key, written[key]), f"{at}.{key}")
    ]


def long_form(name: str, written: Any) -> Any:
    """Return the arguments of `constant: 0.001`, whose only one needs no name."""
    return {"initial_learning_rate": written} if name == "constant" and not isinstance(written, dict) else written


def _problems_of_part(kind: type[Section], written: Any, at: str) -> list[Problem]:
    try:
        kind.model_validate(written)
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        found = []
        for each in error.errors():
            where = ".".join([at, *map(str, each["loc"])])
            received = "nothing" if each["type"] == "missing" else repr(each["input"])
            expected = each["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            found.append(Problem(where, received, expected, f"It takes {known}."))
        return found
    return []

"""Values of dotted paths into the sections of the spec that they belong to."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from components.augmentation.config import AugmentationConfig
from components.config import Section
from components.model.config import ModelConfig
from components.training.config import TrainingConfig

PARSERS: dict[str, Any] = {"model": ModelConfig, "training": TrainingConfig, "augmentation": AugmentationConfig}
"""Section to the class that its YAML becomes."""


def written_sections(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections that can be tuned, as a spec writes them."""
    found = {name: copy.deepcopy(content[name]) for name in PARSERS if content.get(name) is not None}
    return {"training": {}, **found}


def placed(written: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections as the spec writes them, with some values changed.

    Args:
        written: section to its YAML content.
        values: dotted path, which begins with a section, to its value.

    Raises:
        ValueError: a path goes through something that holds no keys.

    Example:
        >>> placed({"training": {"optimizer": "adam"}}, {"training.optimizer.adam.learning_rate": 0.1})
        {'training': {'optimizer': {'adam': {'learning_rate': 0.1}}}}
    """
    made = copy.deepcopy(dict(written))
    for path, value in values.items():
        _assign(made, path.split("."), value)
    return made


def parsed(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections as the Trainer is told them.

    Raises:
        ValidationError: a value is wrong.
    """
    found: dict[str, Any] = {}
    for name, content in written.items():
        section: Section = PARSERS[name].model_validate(content)
        found[name] = section.model_dump(mode="json")
    return found


def _assign(target: Any, keys: Sequence[str], value: Any) -> None:
    for at, key in enumerate(keys[:-1]):
        inner = _inner(target, key, keys[: at + 1])
        if isinstance(inner, str) and inner == keys[at + 1]:
            inner = {inner: {}}  # the short form of a plug-in or an optimizer: its name alone
        elif inner is None:
            inner = {}
        _set(target, key, inner, keys[: at + 1])
        target = inner
    _set(target, keys[-1], value, keys)


def _inner(target: Any, key: str, path: Sequence[str]) -> Any:
    if isinstance(target, dict):
        return target.get(key)
    return target[_index(target, key, path)]


def _set(target: Any, key: str, value: Any, path: Sequence[str]) -> None:
    if isinstance(target, dict):
        target[key] = value
    else:
        target[_index(target, key, path)] = value


def _index(target: Any, key: str, path: Sequence[str]) -> int:
    if not isinstance(target, list):
        raise ValueError(f"{'.'.join(path[:-1])} is {target!r}, which has no key {key!r}")
    if not key.isdigit() or int(key) >= len(target):
        raise ValueError(f"{'.'.join(path[:-1])} has {len(target)} entries, numbered from 0, and no {key!r}")
    return int(key)

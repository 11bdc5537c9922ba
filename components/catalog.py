"""The folder is the registry: plug-ins are found by the name of their file."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from typing import Any, TypeVar

from components.config import Plugin
from components.errors import PluginError

PluginType = TypeVar("PluginType", bound=Plugin)


def nearest(name: str, known: list[str]) -> str | None:
    """Return the known name that looks most like `name`, or None when none does."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else None


@functools.cache
def names(folder: str) -> tuple[str, ...]:
    """Return the names of the plug-ins in a package such as `components.cleaning.steps`."""
    package = importlib.import_module(folder)
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def load(folder: str, name: str, base: type[PluginType]) -> type[PluginType]:
    """Return the class that the file `name` of `folder` defines.

    Raises:
        ValueError: no file has that name; the message lists the known names and the nearest one.
        PluginError: the file does not define the class that its name promises.
    """
    known = names(folder)
    if name not in known:
        guess = nearest(name, list(known))
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ValueError(f"unknown name {name!r}; known: {', '.join(known)}.{hint}")
    module = importlib.import_module(f"{folder}.{name}")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise PluginError(f"{folder}/{name}.py must define class {class_name}({base.__name__})")
    return found


def parse(folder: str, written: Any, base: type[PluginType]) -> PluginType:
    """Turn what the spec says (`name`, `{name: value}` or `{name: {parameters}}`) into the plug-in.

    Raises:
        ValueError: the form is not one of the three, the name is unknown, or a parameter is wrong
            (then it is pydantic's ValidationError, a ValueError that carries each location).
    """
    if isinstance(written, base):
        return written
    if isinstance(written, str):
        name, value = written, None
    elif isinstance(written, dict) and len(written) == 1:
        ((name, value),) = written.items()
    else:
        raise ValueError(f"expected a name or one 'name: parameters' pair, got {written!r}")
    plugin = load(folder, str(name), base)
    if value is None:
        value = {}
    elif not isinstance(value, dict) or (plugin.shorthand and not set(value) <= set(plugin.model_fields)):
        if plugin.shorthand is None:
            raise ValueError(f"{name} takes parameters as 'name: value' pairs, got {value!r}")
        value = {plugin.shorthand: value}
    return plugin.model_validate(value)

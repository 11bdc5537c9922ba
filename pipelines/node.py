"""One component of a pipeline, before TFX knows of it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Output:
    """One output of a node, to be wired to a later node's input."""

    node: str
    key: str


@dataclass(frozen=True)
class Node:
    """One component of the pipeline, before TFX knows of it.

    Args:
        name: the component's name; `components/<section>/component.py` defines a function of that name.
        section: the folder.
        config: everything in the spec that its result depends on, JSON-able; part of the cache key.
        outputs: keys of what it produces, each with the name of its TFX artifact type.
        inputs: parameter name to the output that feeds it.
        after: nodes that must have succeeded, though nothing is read from them.
        plugins: modules of the plug-ins it uses; their code is part of the cache key.
        reads: what it reads from outside the pipeline: the raw `data`, or the `baseline`.
        cached: False when its result depends on more than its key says, such as the time of day.
    """

    name: str
    section: str
    config: dict[str, Any]
    outputs: dict[str, str]
    inputs: dict[str, Output] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    reads: Literal["data", "baseline"] | None = None
    cached: bool = True

    def __getitem__(self, key: str) -> Output:
        if key not in self.outputs:
            raise KeyError(f"{self.name} has no output {key!r}; it has {', '.join(self.outputs)}")
        return Output(self.name, key)

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the nodes that must run before it, each once."""
        return tuple(dict.fromkeys((*(source.node for source in self.inputs.values()), *self.after)))

    def component(self, runtime: Mapping[str, Any], channels: Mapping[str, Any]) -> Any:
        """Return the TFX component.

        Args:
            runtime: where and how it runs (`root`, `data_path`, `engine`, …); never changes the result.
            channels: input name to the TFX channel that feeds it.
        """
        module = importlib.import_module(f"components.{self.section}.component")
        return getattr(module, self.name)(self.config, dict(runtime), **channels).with_id(self.name)

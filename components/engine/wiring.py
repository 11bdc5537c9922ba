"""How a TFX component of Sluice is declared: two parameters as JSON, channels in, one new channel per output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from tfx.types import channel, component_spec


class WiredSpec(component_spec.ComponentSpec):
    """What a component takes and gives; a subclass names its `INPUTS` and `OUTPUTS`.

    Its parameters are `config`, the part of the spec that its result depends on, and `runtime`, where and how it runs.
    """

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "runtime": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS: dict[str, component_spec.ChannelParameter] = {}

    @classmethod
    def wired(cls, config: Mapping[str, Any], runtime: Mapping[str, Any], **inputs: Any) -> Self:
        """Return the spec of one component.

        Args:
            config: the part of the spec that the result depends on.
            runtime: where and how it runs.
            inputs: input name to the channel that feeds it.
        """
        outputs = {key: channel.Channel(type=given.type) for key, given in cls.OUTPUTS.items()}
        return cls(config=json.dumps(dict(config)), runtime=json.dumps(dict(runtime)), **inputs, **outputs)

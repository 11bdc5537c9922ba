"""The one function that TFX Transform calls: raw features in, model inputs, label and weight out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.expression import Expression
from components.features import LABEL, WEIGHT
from components.transform.config import TransformConfig


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the transformed features, one per chain, and the label.

    Nothing that the model receives at serving depends on the label or the weight, so serving can leave those columns
    out. What a chain learns may depend on the label: then training receives an output of its own in place of it.

    Args:
        inputs: raw features by name, as the schema declares them: sparse, or dense `[batch]` or `[batch, 1]`.
        custom_config: `config` is the JSON of the component's config.

    Raises:
        ComponentError: the data do not fit the spec; `spec_path` says where.
    """
    from components.transform.chain import run_chain
    from components.transform.label import label_tensor, weight_tensor

    config = json.loads(custom_config["config"])
    columns = config["columns"]
    chains = TransformConfig.model_validate(config["transform"]).chains
    label = label_tensor(Expression(columns["label"]["expression"]), config["task"], inputs)
    outputs: dict[str, Any] = {}
    for name, steps in chains.items():
        outputs |= run_chain(name, steps, inputs, columns["features"], label)
    outputs[LABEL] = label
    if columns["weight"]:
        outputs[WEIGHT] = weight_tensor(columns["weight"], inputs)
    return outputs

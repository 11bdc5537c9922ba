"""The component Transform: Examples and Schema in, TransformGraph and transformed Examples out."""

from __future__ import annotations

import json
from typing import Any

from tfx import types
from tfx.components.transform import component as stock
from tfx.dsl.components.base import executor_spec

from components.transform.executor import Executor
from components.transform.preprocessing_fn import preprocessing_fn

FUNCTION = f"{preprocessing_fn.__module__}.{preprocessing_fn.__name__}"
"""What TFX imports: the path of the function itself, so that moving it cannot leave a stale name behind."""


class TransformComponent(stock.Transform):
    """TFX's Transform, on Arrow in process or on Beam."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def Transform(  # noqa: N802 - named as the node is
    config: dict[str, Any], runtime: dict[str, Any], *, examples: types.BaseChannel, schema: types.BaseChannel
) -> TransformComponent:
    """Return the TFX component.

    No statistics (nobody reads them), no analyzer cache, no wheel of user code: the function is named by its path.

    Args:
        config: `{"columns": …, "transform": chains, "task": …}`.
        runtime: where and how it runs.
        examples: channel of the raw Examples.
        schema: channel of their Schema.
    """
    return TransformComponent(
        examples=examples,
        schema=schema,
        preprocessing_fn=FUNCTION,
        custom_config={"config": json.dumps(config), "runtime": json.dumps(runtime)},
        disable_analyzer_cache=True,
        disable_statistics=True,
    )

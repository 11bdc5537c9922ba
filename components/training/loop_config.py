"""Option `training.loop`: the user's own training step, from their Python file."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from components.config import Section
from components.engine import user_file
from components.engine.user_file import Wanted
from components.errors import Problem
from components.model.unsafe_code import unsafe_lines


class LoopConfig(Section):
    """The user's own training step.

    Args:
        module: path of the file, relative to the spec's folder.
        function: name of the function in it, called as `function(model, optimizer, loss, batch, **parameters)`; see
            `components.training.own_loop.OwnStep`.
        parameters: keyword arguments for the function.
    """

    module: str = Field(min_length=1, pattern=r"\.py$")
    function: str = "train_step"
    parameters: dict[str, Any] = {}


STEP = Wanted("training.loop", "function", ("model", "optimizer", "loss", "batch"), "dict of numbers, or None")


def check_loop_source(config: LoopConfig, text: str) -> list[Problem]:
    """Return what is wrong with the user's file, from its syntax tree alone."""
    found = user_file.check_source(text, STEP, config.function, config.parameters, config.module)
    return [*found, *unsafe_lines(text, config.module, STEP.module)]

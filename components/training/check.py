"""What can be known about model and training before the first component runs, now that Keras may be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components import catalog
from components.errors import ComponentError, Problem
from components.model.config import ModelConfig
from components.model.custom import check_source, load_builder
from components.training.config import TrainingConfig
from components.training.objective import monitored_names
from components.training.optimizer import check_optimizer


def check_before_run(config: Mapping[str, Any], base_dir: str | None = None) -> list[Problem]:
    """Return what would stop the Trainer after minutes of other work.

    It makes the optimizer and runs the user's module, but builds no model: its inputs are known only after the
    transform.

    Args:
        config: the Trainer node's config.
        base_dir: folder of the spec, for imports of the user's module.
    """
    training = TrainingConfig.model_validate(config["training"])
    problems = check_optimizer(training.optimizer)
    known = list(monitored_names(config["task"]))
    if training.early_stopping is not None and training.early_stopping.monitor not in known:
        watched = training.early_stopping.monitor
        guess = catalog.nearest(watched, known)
        remedy = f"Did you mean {guess!r}?" if guess else "Watch val_loss."
        where = "training.early_stopping.monitor"
        problems.append(Problem(where, repr(watched), f"one of {', '.join(known)}", remedy))
    return [*problems, *_check_custom(ModelConfig.model_validate(config["model"]), config, base_dir)]


def _check_custom(model: ModelConfig, config: Mapping[str, Any], base_dir: str | None) -> list[Problem]:
    custom = model.custom
    if custom is None:
        return []
    source = config.get("module_source") or ""
    problems = check_source(source, custom.builder, custom.parameters, custom.module)
    if problems:
        return problems
    try:
        load_builder(source, custom.builder, custom.module, base_dir)
    except ComponentError as error:
        where = error.spec_path or "model.module"
        return [Problem(where, error.message, "a module that can be imported", error.remedy, custom.module)]
    return []

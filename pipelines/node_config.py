"""What nodes are told of sections that several of them read; nothing for one that is not there: keys stay the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from components.augmentation.model_folders import digest_of
from components.config import Plugin
from pipelines.spec import LoadedSpec, PipelineSpec


def augmentation_of(loaded: LoadedSpec) -> dict[str, Any]:
    """Return what the Trainer is told of augmentation; nothing without it, so that other trainings keep their keys."""
    steps = loaded.spec.augmentation.model_dump(mode="json")
    told = {
        "augmentation": steps,
        "augmentation_files": loaded.augmentation_files(),
        # only for the key: what these models say changes what is learned
        "augmentation_models": {each: digest_of(loaded.base_dir / each) for each in loaded.spec.augmentation.folders},
    }
    return {name: value for name, value in told.items() if value}


def callbacks_of(loaded: LoadedSpec) -> dict[str, Any]:
    """Return the user's callbacks and training step as text: what the Trainer does depends on it."""
    sources = {"callbacks_source": loaded.callbacks_source(), "loop_source": loaded.loop_source()}
    return {name: source for name, source in sources.items() if source is not None}


def ensemble_of(spec: PipelineSpec) -> dict[str, Any]:
    """Return what the Trainer is told of the ensemble; nothing without one, as with augmentation."""
    return {} if spec.ensemble is None else {"ensemble": spec.ensemble.model_dump(mode="json")}


def modules_of_members(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the files that say what an ensemble is made of."""
    if spec.ensemble is None:
        return ()
    families = [model.family for model in spec.ensemble.models if model.family is not None]
    return (*modules_of(families), f"components.ensemble.kinds.{spec.ensemble.kind}")


def modules_of(plugins: Iterable[Plugin]) -> tuple[str, ...]:
    """Return the files that define plug-ins, since the code of a component includes theirs."""
    return tuple(sorted({type(plugin).__module__ for plugin in plugins}))

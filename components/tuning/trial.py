"""One trial: train with some values on a part of the train split, and say how it does on the part that is held out."""

from __future__ import annotations

import functools
import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from components.errors import ComponentError
from components.features import Task
from components.tuning.config import TuningConfig
from components.tuning.journal import Outcome
from components.tuning.placing import parsed, placed

if TYPE_CHECKING:
    from components.training.columns import Columns
    from components.training.input_fn import Split


@dataclass(frozen=True)
class TrialTask:
    """What every trial of a search is given; it travels to worker processes.

    Args:
        config: the node's config.
        train_folder: transformed examples of the train split.
        transform_graph: folder of the TransformGraph artifact.
        base_dir: folder of the spec, for imports of the user's module.
        objective: name of the history that is compared.
    """

    config: dict[str, Any]
    train_folder: str
    transform_graph: str
    base_dir: str | None
    objective: str

    def __call__(self, values: dict[str, Any], budget: int) -> Outcome:
        """Train with these values for so many epochs; what goes wrong is an outcome, too."""
        began = time.perf_counter()
        try:
            score, epochs = self._train(values, budget)
        except Exception as error:  # one combination that cannot be trained must not end the search
            text = str(error) if isinstance(error, ComponentError) else f"{type(error).__name__}: {error}"
            return Outcome(None, 0, round(time.perf_counter() - began, 3), text[:2000])
        seconds = round(time.perf_counter() - began, 3)
        if not math.isfinite(score):
            return Outcome(None, epochs, seconds, f"{self.objective} is {score}")
        return Outcome(score, epochs, seconds)

    def sections(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the sections that these values give, as the Trainer is told them."""
        return parsed(placed(self.config["written"], values))

    def _train(self, values: dict[str, Any], budget: int) -> tuple[float, int]:
        import keras

        from components.model.build import build_model
        from components.model.config import ModelConfig
        from components.training.augmentation import augmenter_of, prepare_augmentation
        from components.training.class_weights import with_class_ids
        from components.training.config import TrainingConfig
        from components.training.fit import fit
        from components.training.objective import direction
        from components.training.own_loop import OwnStep
        from components.training.places import Places
        from components.transform.outputs import label_vocabulary, model_inputs, num_classes

        keras.backend.clear_session()
        tuning = TuningConfig.model_validate(self.config["tuning"])
        sections = self.sections(values)
        sections["training"] |= _of_a_trial(sections["training"], tuning, budget, self.objective)
        job = _job({**self.config, **sections}, self)
        task = cast(Task, self.config["task"])
        inputs, classes = model_inputs(self.transform_graph), num_classes(self.transform_graph, task)
        train, held_out = _splits(self.train_folder, self.transform_graph, task, self._weighted, tuning.holdout)
        train = replace(train, augment=augmenter_of(job, inputs, classes))
        prepare_augmentation(train, job.runtime)
        names = tuple(label_vocabulary(self.transform_graph) or map(str, range(classes)))
        config = with_class_ids(TrainingConfig.model_validate(sections["training"]), train, names)
        model = ModelConfig.model_validate(sections["model"])
        source = self.config.get("module_source")
        result = fit(
            lambda: build_model(model, inputs, task, classes, module_source=source, base_dir=self.base_dir),
            config,
            task,
            train,
            held_out,
            Places(step=OwnStep.of(config, self.config, self.base_dir)),
        )
        scores = [float(epoch[self.objective]) for epoch in result.epochs]
        return (max if direction(self.objective) == "max" else min)(scores), len(scores)

    @property
    def _weighted(self) -> bool:
        return bool(self.config["columns"].get("weight"))


def _of_a_trial(training: dict[str, Any], tuning: TuningConfig, budget: int, objective: str) -> dict[str, Any]:
    """Return what a trial's training has that the Trainer's has not."""
    stopping = tuning.early_stopping
    found: dict[str, Any] = {"epochs": budget, "tensorboard": False, "callbacks": None}
    if training["strategy"] in {"multi_worker", "tpu"}:
        found["strategy"] = "auto"
    if stopping is not None:
        found["early_stopping"] = {"patience": stopping.patience, "monitor": objective}
    return found


def _job(config: dict[str, Any], task: TrialTask) -> Any:
    from pathlib import Path

    from components.training.job import Job

    nowhere = Path(os.devnull)
    runtime = {"base_dir": task.base_dir}
    return Job(config, runtime, task.train_folder, "", task.transform_graph, nowhere, nowhere, nowhere, "")


@functools.lru_cache(maxsize=1)
def _splits(folder: str, graph: str, task: Task, weighted: bool, holdout: float) -> tuple[Split, Split]:
    """Return the two parts of the train split, read once per process."""
    from components.training.input_fn import open_split
    from components.transform.outputs import model_inputs, num_classes, training_inputs

    split = open_split(folder, training_inputs(graph), task, num_classes(graph, task), weighted=weighted)
    if split.columns is None:
        raise ComponentError(
            "The train split does not fit in a quarter of the free memory, and trials hold it there.",
            spec_path="tuning",
            remedy="Tune on a machine with more memory, or on fewer rows.",
        )
    is_held_out = held_out(split.columns, holdout)
    asked = {each.name for each in model_inputs(graph)}
    parts = (split.columns.taken(rows) for rows in (~is_held_out, is_held_out))
    learned, checked = (replace(split, columns=part, rows=part.rows) for part in parts)
    if not learned.rows or not checked.rows:
        raise ComponentError(
            f"Of {split.rows} rows for training, {checked.rows} are held out for the trials; each part needs rows.",
            spec_path="tuning.holdout",
            remedy="Tune with more rows.",
        )
    return learned, replace(checked, inputs=tuple(each for each in checked.inputs if each.name in asked))


def forget_splits() -> None:
    """Give back the memory of the rows that trials in this process have read."""
    _splits.cache_clear()


def held_out(columns: Columns, share: float) -> np.ndarray:
    """Return which rows the trials are compared on, `[rows]`, by their features: equal rows are on the same side."""
    return columns.row_hashes() < np.uint64(share * 2**32)

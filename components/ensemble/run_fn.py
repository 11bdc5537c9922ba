"""What TFX's Trainer calls for a spec with section `ensemble`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from components.ensemble.config import EnsembleConfig
from components.features import Task
from components.model.config import ModelConfig
from components.training.job import Job
from components.training.run_fn import run_job

if TYPE_CHECKING:
    import keras

    from components.training.config import TrainingConfig
    from components.training.fit import FitResult
    from components.training.input_fn import Split
    from components.training.places import Places


def run_fn(fn_args: Any) -> None:
    """Fit the members and export them as one model; called by TFX with its `FnArgs`."""
    run_ensemble(Job.of(fn_args))


def run_ensemble(job: Job) -> None:
    """Fit the members and export them as one model.

    Raises:
        ComponentError: see `components.training.run_fn.run_job`.
    """
    config = EnsembleConfig.model_validate(job.config["ensemble"])

    def fitter(  # noqa: PLR0913 - in place of `fit`
        build: Callable[[], keras.Model],
        training: TrainingConfig,
        task: Task,
        train: Split,
        evaluation: Split,
        places: Places,
    ) -> FitResult:
        from components.ensemble.fit import fit_ensemble
        from components.ensemble.member import Given

        def build_any(model: ModelConfig | None) -> keras.Model:
            return build() if model is None else _family(job, model, evaluation)

        return fit_ensemble(config, Given(build_any, training, task, train, evaluation, places))

    run_job(job, fitter=fitter)


def _family(job: Job, model: ModelConfig, split: Split) -> keras.Model:
    from components.model.build import build_model
    from components.transform.outputs import num_classes

    task = cast(Task, job.config["task"])
    return build_model(model, split.inputs, task, num_classes(job.transform_graph, task))

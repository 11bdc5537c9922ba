"""What runs in the step Tuner."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.engine.examples import split_directory
from components.engine.progress import report
from components.errors import ComponentError
from components.training.objective import METRICS, direction, monitored_names
from components.tuning.config import TuningConfig
from components.tuning.journal import Journal
from components.tuning.search import Search, Trial, best_trial, hyperparameters
from components.tuning.trial import TrialTask, forget_splits

BEST_FILE = "best_hyperparameters.txt"
RESULTS_FILE = "tuner_results.json"


class Executor(base_executor.BaseExecutor):
    """Runs the trials, and writes the best values and what each trial gave, in the files of TFX's own Tuner."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config, runtime = (json.loads(exec_properties[key]) for key in ("config", "runtime"))
        tuning = TuningConfig.model_validate(config["tuning"])
        objective = tuning.objective or f"val_{METRICS[config['task']][0]}"
        known = [name for name in monitored_names(config["task"]) if name.startswith("val_")]
        if objective not in known:
            raise ComponentError(
                f"The objective {objective!r} is not in the history of a trial; expected one of {', '.join(known)}.",
                spec_path="tuning.objective",
                remedy=f"Write {known[-1]}.",
            )
        train = split_directory(artifact_utils.get_single_uri(input_dict["examples"]), "train")
        graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        task = TrialTask(config, str(train), graph, runtime.get("base_dir"), objective)
        journal = Journal(_journal_folder(config, runtime, [str(train), graph]))
        trials = search(tuning, task, journal, runtime)
        if not trials:
            raise ComponentError(
                f"No trial began within {tuning.max_minutes:g} minutes.",
                spec_path="tuning.max_minutes",
                remedy="Raise it.",
            )
        best = best_trial(trials, direction(objective))
        if best is None:
            raise ComponentError(
                f"All {len(trials)} trials failed; the first one with: {trials[0].outcome.error}",
                spec_path="tuning.space",
                remedy="Correct the values that it names, or the section itself.",
            )
        _write_best(Path(artifact_utils.get_single_uri(output_dict["best_hyperparameters"])), task, tuning, best)
        results = Path(artifact_utils.get_single_uri(output_dict["tuner_results"]))
        _write_results(results, tuning, objective, trials, best)
        journal.clear()


def search(tuning: TuningConfig, task: TrialTask, journal: Journal, runtime: Mapping[str, Any]) -> list[Trial]:
    """Run the trials here, or in processes of their own."""
    epochs = tuning.epochs or int(task.config["epochs"])
    way = direction(task.objective)
    done: list[Trial] = []

    def told(trial: Trial) -> None:
        done.append(trial)
        best = best_trial(done, way)
        shown = "all failed so far" if best is None else f"best {task.objective} {best.outcome.score:.4g}"
        text = f"trial {len(done)} of at most {tuning.most_trials}, {shown}"
        report(runtime, "Tuner", text, done=len(done), total=tuning.most_trials)

    if len(journal):
        report(runtime, "Tuner", f"going on after {len(journal)} trials")
    looking = Search(tuning, way, epochs, journal, told)
    try:
        with _pool(tuning.parallel) as pool:
            return looking.run(task, pool)
    finally:
        forget_splits()  # the Trainer comes next, in the same process


@contextlib.contextmanager
def _pool(parallel: int) -> Iterator[ProcessPoolExecutor | None]:
    if parallel == 1:
        yield None
        return
    threads = max(1, (os.cpu_count() or 1) // parallel)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(parallel, context, _share_cores, (threads,)) as pool:
        yield pool


def _share_cores(threads: int) -> None:
    """Each process would take all cores for itself otherwise; comes before TensorFlow is imported."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _journal_folder(config: Mapping[str, Any], runtime: Mapping[str, Any], inputs: list[str]) -> Path | None:
    """Return where an attempt that is cut off leaves its trials; keyed, so that only the same search finds them."""
    if not runtime.get("root"):
        return None
    identity = json.dumps([config, inputs, runtime.get("trainer_key")], sort_keys=True)
    return Path(runtime["root"], "checkpoints", "tuning-" + hashlib.sha256(identity.encode()).hexdigest()[:32])


def _write_best(folder: Path, task: TrialTask, tuning: TuningConfig, best: Trial) -> None:
    # KerasTuner's format, which TFX's Trainer reads; `sections` is what they come to.
    content = {**hyperparameters(tuning).get_config(), "values": best.values, "sections": task.sections(best.values)}
    (folder / BEST_FILE).write_text(json.dumps(content), encoding="utf-8")


def _write_results(folder: Path, tuning: TuningConfig, objective: str, trials: list[Trial], best: Trial) -> None:
    table = [
        {
            "trial": trial.number,
            "values": trial.values,
            "score": trial.outcome.score,
            "budget": trial.budget,
            "epochs": trial.outcome.epochs,
            "seconds": trial.outcome.seconds,
            "error": trial.outcome.error,
        }
        for trial in trials
    ]
    scored = [trial for trial in trials if trial.outcome.score is not None]
    flat = [{"trial_id": str(trial.number), "score": trial.outcome.score, **trial.values} for trial in scored]
    (folder / RESULTS_FILE).write_text(json.dumps(flat), encoding="utf-8")
    summary = {
        "text": f"best {objective} {best.outcome.score:.4g} in trial {best.number} of {len(trials)}",
        "method": tuning.method,
        "objective": objective,
        "direction": direction(objective),
        "holdout": tuning.holdout,
        "log": [path for path, values in tuning.space.items() if getattr(values, "scale", "") == "log"],
        "best": best.number,
        "values": best.values,
        "trials": table,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")

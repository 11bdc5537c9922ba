"""Runs inside the Evaluator: score both models, measure them, judge the candidate, write it all down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfx.components.evaluator import constants
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.engine.beam_executor import BeamExecutor
from components.engine.choice import bytes_in_folder, choose_engine
from components.engine.config import EngineConfig
from components.engine.examples import read_records, split_directory
from components.engine.progress import report
from components.errors import ComponentError
from components.evaluation import tfma_arrow, tfma_beam
from components.evaluation.config import EvaluationConfig
from components.evaluation.curves import curves
from components.evaluation.findings import Findings, measure, metrics_json
from components.evaluation.gate import Verdict, judge
from components.evaluation.predictions import FILE_NAME, Predictions, Scorer, from_table, score_batch, write_predictions
from components.evaluation.servability import SAMPLE_FILE, ServabilityCheck, not_checked
from components.evaluation.slices import SliceGroup, slice_rows
from components.evaluation.tfma_config import eval_config

NAME = "Evaluator"
VERDICT_FILE = "verdict.json"
METRICS_FILE = "metrics.json"
LABEL_VOCABULARY = "label_vocabulary"


class Executor(BeamExecutor):
    """Evaluates a model on the eval split and blesses it or not."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict) -> None:  # noqa: N802
        run = _Run(input_dict, output_dict, exec_properties)
        # Started first: its import of TensorFlow runs beside the scoring.
        check = ServabilityCheck(run.model_dir, Path(run.model.uri, SAMPLE_FILE)) if run.config.servability else None
        try:
            predictions, baseline_problem = run.score()
            groups = [slice_rows(predictions.columns, group) for group in run.config.all_slices]
            self._write_tfma(run, predictions, groups)
            report(run.runtime, NAME, "resampling for the intervals")
            findings = measure(predictions, groups, run.config)
            servability = check.result() if check else not_checked()
        finally:
            if check:
                check.stop()
        blocking = list(_blocking(predictions, servability))
        verdict = judge(run.config, findings.overall, findings.groups, blocking, baseline_problem)
        run.write(predictions, findings, verdict, servability)
        run.bless(verdict)

    def _write_tfma(self, run: _Run, predictions: Predictions, groups: list[SliceGroup]) -> None:
        report(run.runtime, NAME, "measuring")
        config = eval_config(run.task, run.config.all_slices, weighted=run.weighted)
        if run.engine == "arrow":
            tfma_arrow.write_evaluation(predictions.candidate, groups, config, run.folder)
            return
        with self._make_beam_pipeline() as pipeline:
            tfma_beam.write_evaluation(pipeline, f"{run.folder}/{FILE_NAME}", run.task, config, run.folder)


class _Run:
    """One execution: what came in, where its results go."""

    def __init__(self, input_dict: dict, output_dict: dict, exec_properties: dict) -> None:
        sections = json.loads(exec_properties["config"])
        self.runtime: Mapping[str, Any] = json.loads(exec_properties["runtime"])
        self.config = EvaluationConfig.model_validate(sections["evaluation"])
        self.columns: Mapping[str, Any] = sections["columns"]
        self.task = sections["task"]
        self.weighted = self.columns.get("weight") is not None
        self.model, self.baseline, examples = (
            artifact_utils.get_single_instance(input_dict[key]) for key in ("model", "baseline_model", "examples")
        )
        self.evaluation, self.blessing = (
            artifact_utils.get_single_instance(output_dict[key]) for key in ("evaluation", "blessing")
        )
        self.folder = self.evaluation.uri
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        self.split = split_directory(examples.uri, "eval")
        self.engine = choose_engine(
            EngineConfig.model_validate(self.runtime.get("engine", {})), bytes_in_folder(self.split)
        )
        self.model_dir = path_utils.serving_model_path(self.model.uri)
        self.baseline_dir = path_utils.serving_model_path(self.baseline.uri)

    def score(self) -> tuple[Predictions, str | None]:
        """Return the predictions, and why the baseline is not among them although there is one."""
        report(self.runtime, NAME, "loading the exported model")
        candidate = Scorer(self.model_dir, self.task, weighted=self.weighted)
        baseline, problem = self._baseline_scorer()
        columns = sorted({column for group in self.config.all_slices for column in group})
        table = write_predictions(
            read_records(self.split),
            lambda records: score_batch(records, candidate, baseline, columns),
            f"{self.folder}/{FILE_NAME}",
            lambda rows: report(self.runtime, NAME, f"{rows} rows scored", done=rows),
        )
        predictions = from_table(table, self.task)
        if not len(predictions.candidate):
            raise _nothing_to_measure(predictions)
        return predictions, problem

    def _baseline_scorer(self) -> tuple[Scorer | None, str | None]:
        """Load the baseline and try it on one batch: the data, or the task, may have moved on since it was trained."""
        if not Path(self.baseline_dir).is_dir():
            return None, None
        try:
            scorer = Scorer(self.baseline_dir, self.task, weighted=self.weighted)
            for records in read_records(self.split):
                scorer(records[:1])
                break
        except Exception as error:  # noqa: BLE001 whatever TensorFlow raises is a reason, not a crash
            return None, (str(error).strip().splitlines() or [type(error).__name__])[0]
        return scorer, None

    def write(
        self, predictions: Predictions, findings: Findings, verdict: Verdict, servability: Mapping[str, Any]
    ) -> None:
        """Write verdict.json, metrics.json and summary.json."""
        drawn = curves(predictions.candidate, self._class_names(), seed=self.config.seed)
        metrics = metrics_json(self.task, self.columns["label"]["name"], findings, drawn)
        written = {**verdict.as_json(), "baseline": self._baseline_named(), "servability": dict(servability)}
        summary = {
            "passed": verdict.passed,
            "reasons": list(verdict.reasons),
            "examples": metrics["examples"],
            "slices": len(metrics["slices"]),
            "rows_without_label": predictions.rows_without_label,
            "rows_without_answer": predictions.rows_without_answer,
            "engine": self.engine,
            **{name: metric["value"] for name, metric in metrics["overall"].items()},
        }
        for name, content in ((VERDICT_FILE, written), (METRICS_FILE, metrics), ("summary.json", summary)):
            text = json.dumps(content, indent=1, allow_nan=False)
            Path(self.folder, name).write_text(text, encoding="utf-8")

    def bless(self, verdict: Verdict) -> None:
        """Write the blessing as TFX's Evaluator does, so that TFX's own Pusher and resolvers understand it."""
        blessing = self.blessing
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, self.model.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, self.model.id)
        if self._baseline_named():
            blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, self.baseline.uri)
            blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, self.baseline.id)
        value = constants.BLESSED_VALUE if verdict.passed else constants.NOT_BLESSED_VALUE
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
        folder = Path(blessing.uri)
        folder.mkdir(parents=True, exist_ok=True)
        name = constants.BLESSED_FILE_NAME if verdict.passed else constants.NOT_BLESSED_FILE_NAME
        (folder / name).write_text("", encoding="utf-8")

    def _baseline_named(self) -> dict[str, Any] | None:
        """Return which model the baseline is, as LatestBlessed noted it."""
        file = Path(self.baseline.uri, "summary.json")
        named = json.loads(file.read_text(encoding="utf-8")).get("baseline") if file.is_file() else None
        return None if named is None else {"model_uri": named["model_uri"], "version": named["version"]}

    def _class_names(self) -> list[str] | None:
        vocabulary = Path(self.model_dir, "assets", LABEL_VOCABULARY)
        return vocabulary.read_text(encoding="utf-8").splitlines() if vocabulary.is_file() else None


def _blocking(predictions: Predictions, servability: Mapping[str, Any]) -> Iterator[str]:
    if predictions.rows_without_answer:
        measured = len(predictions.candidate) + predictions.rows_without_answer
        yield f"The model answers NaN or infinity for {predictions.rows_without_answer} of {measured} rows."
    if servability["checked"] and not servability["ok"]:
        yield f"The exported model cannot be served as it was trained: {servability['reason']}"


def _nothing_to_measure(predictions: Predictions) -> ComponentError:
    if predictions.rows_without_answer:
        return ComponentError(
            f"The model answers NaN or infinity for all {predictions.rows_without_answer} rows of the eval split.",
            spec_path="training",
            remedy="Training diverged: lower the learning rate, or clip outliers in `transform`.",
        )
    return ComponentError(
        f"The eval split has no row with a label (of {predictions.rows_without_label}).",
        spec_path="data.label",
        remedy="Check the label's expression, the cleaning steps, and data.split.",
    )

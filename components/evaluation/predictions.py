"""Scores examples with an exported model: serialized examples in, labels and predictions out, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.engine.examples import decode_examples
from components.evaluation.measures import Scored
from components.features import LABEL, PREDICTION_KEYS, SERVING_SIGNATURE, TRANSFORM_SIGNATURE, WEIGHT, Task

BATCH_SIZE = 8192
"""Fastest for the taxi model: 331k rows take 3.9 s at 1,000, 2.3 s at 8,192 and 5.1 s at 65,536."""

FILE_NAME = "predictions.parquet"
BASELINE = "baseline_"
RAW = "raw."
"""What the names of the baseline's columns and of raw columns start with in predictions.parquet."""


class Scorer:
    """One exported model, loaded once. Cheap to make in a Beam worker's `setup`.

    Args:
        model_dir: folder of the SavedModel.
        task: decides which output is read.
        weighted: whether the transform graph has an example weight.

    Raises:
        KeyError: the SavedModel lacks a signature or an output that evaluation reads.
    """

    def __init__(self, model_dir: str, task: Task, *, weighted: bool = False) -> None:
        import tensorflow as tf

        self.task = task
        # The loaded object owns the lookup tables; without this reference they would be gone.
        self._model = tf.saved_model.load(model_dir)
        self._score = _as_one_graph(self._model, PREDICTION_KEYS[task], weighted)

    def __call__(self, records: pa.BinaryArray) -> dict[str, np.ndarray]:
        """Return `label [rows]`, `prediction [rows]` or `[rows, classes]`, and `weight [rows]`."""
        answers = {name: tensor.numpy() for name, tensor in self._score(_tensor(records)).items()}
        flat = {name: array.reshape(len(records)) for name, array in answers.items() if name != "prediction"}
        flat.setdefault("weight", np.ones(len(records), np.float32))
        shape = (len(records), -1) if self.task == "multiclass_classification" else (len(records),)
        return {"label": flat["label"], "prediction": answers["prediction"].reshape(shape), "weight": flat["weight"]}


def _as_one_graph(model: Any, prediction_key: str, weighted: bool) -> Callable[[Any], dict[str, Any]]:
    """Trace both signatures together: TensorFlow then drops the transformed features nobody reads."""
    import tensorflow as tf

    serve, transform = (model.signatures[name] for name in (SERVING_SIGNATURE, TRANSFORM_SIGNATURE))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def score(examples: Any) -> dict[str, Any]:
        transformed = transform(examples=examples)
        found = {"label": transformed[LABEL], "prediction": serve(examples=examples)[prediction_key]}
        return {**found, "weight": transformed[WEIGHT]} if weighted else found

    return score.get_concrete_function()


def _tensor(records: pa.BinaryArray) -> Any:
    import tensorflow as tf

    return tf.constant(records.to_numpy(zero_copy_only=False), tf.string, shape=[len(records)])


@dataclass(frozen=True)
class Predictions:
    """All rows of the eval split that have a label, with both models' answers.

    Args:
        candidate: the rows with the candidate's answers.
        baseline: the same rows with the baseline's; None without a baseline.
        columns: the raw columns that slices are made of.
        rows_without_label: rows that were left out, since the label is missing or a class unseen in training.
        rows_without_answer: rows that were left out, since the candidate answers NaN or infinity.
    """

    candidate: Scored
    baseline: Scored | None
    columns: dict[str, pa.Array]
    rows_without_label: int = 0
    rows_without_answer: int = 0


def score_batch(
    records: pa.BinaryArray, candidate: Scorer, baseline: Scorer | None, columns: Sequence[str]
) -> pa.RecordBatch:
    """Return one batch of predictions.parquet.

    Args:
        records: serialized tf.Examples.
        candidate: the model to judge.
        baseline: the model to compare with.
        columns: raw columns to keep.
    """
    found = _columns_of(candidate(records))
    if baseline is not None:
        found |= {BASELINE + name: column for name, column in _columns_of(baseline(records)).items()}
    raw = decode_examples(records, columns) if columns else None
    found |= {RAW + name: raw.column(name) for name in columns} if raw is not None else {}
    return pa.RecordBatch.from_pydict(found)


def _columns_of(answers: dict[str, np.ndarray]) -> dict[str, pa.Array]:
    prediction = answers["prediction"]
    if prediction.ndim == 2:
        flat = pa.array(np.ascontiguousarray(prediction).reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(flat, prediction.shape[1])
    else:
        column = pa.array(prediction)
    return {"label": pa.array(answers["label"]), "prediction": column, "weight": pa.array(answers["weight"])}


def write_predictions(
    batches: Iterable[pa.BinaryArray],
    score: Callable[[pa.BinaryArray], pa.RecordBatch],
    path: str | Path,
    progress: Callable[[int], None] | None = None,
) -> pa.Table:
    """Score all records and write them to a Parquet file; return what was written.

    Args:
        batches: serialized tf.Examples, a few thousand per array.
        score: returns one batch of the file.
        path: the file.
        progress: told the number of rows so far.
    """
    scored: list[pa.RecordBatch] = []
    rows = 0
    for records in batches:
        for start in range(0, len(records), BATCH_SIZE):
            scored.append(score(records[start : start + BATCH_SIZE]))
            rows += scored[-1].num_rows
            if progress is not None:
                progress(rows)
    # A column is of type null in the batches in which no row has a value.
    table = pa.concat_tables([pa.Table.from_batches([batch]) for batch in scored], promote_options="default")
    pq.write_table(table, path)
    return table


def from_table(table: pa.Table, task: Task) -> Predictions:
    """Return the rows of predictions.parquet that can be measured.

    Args:
        table: what `write_predictions` returned.
        task: what kind of prediction it is.
    """
    models = [_scored(table, task, "")]
    if f"{BASELINE}label" in table.column_names:
        models.append(_scored(table, task, BASELINE))
    labelled = np.logical_and.reduce([_has_label(model) for model in models])
    answered = _finite(models[0].prediction)
    rows = np.flatnonzero(labelled & answered)
    raw = [name for name in table.column_names if name.startswith(RAW)]
    return Predictions(
        candidate=models[0].take(rows),
        baseline=models[1].take(rows) if len(models) > 1 else None,
        columns={name.removeprefix(RAW): table[name].take(pa.array(rows)).combine_chunks() for name in raw},
        rows_without_label=int((~labelled).sum()),
        rows_without_answer=int((labelled & ~answered).sum()),
    )


def _scored(table: pa.Table, task: Task, prefix: str) -> Scored:
    prediction = table[f"{prefix}prediction"].combine_chunks()
    if pa.types.is_fixed_size_list(prediction.type):
        values = prediction.flatten().to_numpy().reshape(-1, prediction.type.list_size)
    else:
        values = prediction.to_numpy()
    label, weight = (table[f"{prefix}{name}"].to_numpy().astype(np.float64) for name in ("label", "weight"))
    return Scored(task, label, values, weight)


def _has_label(scored: Scored) -> np.ndarray:
    if scored.task == "multiclass_classification":
        return (scored.label >= 0) & (scored.label < scored.prediction.shape[1])
    return np.isfinite(scored.label)


def _finite(prediction: np.ndarray) -> np.ndarray:
    finite = np.isfinite(prediction)
    return finite.all(axis=1) if finite.ndim == 2 else finite

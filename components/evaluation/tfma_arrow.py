"""TFMA in this process: its own computations, derived metrics and writers, with the rows summed by numpy.

TFMA on Beam spends about 300 µs of Python on every row. Here the few combiners that our metrics need are summed over
arrays; everything that TFMA derives from those sums is left to TFMA. A computation without a twin here is refused,
never guessed: feeding a whole batch to a combiner as if it were one row gives wrong numbers without an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.measures import EPSILON, Scored
from components.evaluation.slices import SliceGroup

Results = list[tuple[tuple[tuple[str, Any], ...], dict[Any, Any]]]

_HISTOGRAM_BUCKETS = 10_000


def write_evaluation(scored: Scored, groups: Sequence[SliceGroup], config: Any, folder: str) -> None:
    """Write TFMA's files of an evaluation.

    Args:
        scored: the rows with a model's answers.
        groups: slices to measure beside all rows.
        config: what `tfma_config.eval_config` returned.
        folder: where the files go.
    """
    import tensorflow as tf
    from tensorflow_model_analysis.writers import eval_config_writer
    from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

    results = evaluate(scored, groups, config)
    records = {
        "metrics": [writer.convert_slice_metrics_to_proto(result, None).SerializeToString() for result in results],
        "plots": [],
        "attributions": [],
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, serialized in records.items():
        with tf.io.TFRecordWriter(f"{folder}/{name}-00000-of-00001.tfrecord") as file:
            for record in serialized:
                file.write(record)
    run = eval_config_writer._serialize_eval_run(config, "", "", {"": "<unknown>"})  # noqa: SLF001
    Path(folder, "eval_config.json").write_text(run, encoding="utf-8")


def evaluate(scored: Scored, groups: Sequence[SliceGroup], config: Any) -> Results:
    """Return TFMA's metrics of each slice, keyed as TFMA keys them.

    Raises:
        NotImplementedError: the configuration needs a computation that has no twin here.
    """
    from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator as evaluator
    from tensorflow_model_analysis.metrics import metric_specs

    separated = evaluator._filter_and_separate_computations(  # noqa: SLF001
        metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    )
    if separated.cross_slice_computations or separated.ci_derived_computations:
        raise NotImplementedError("comparisons of slices and TFMA's own intervals are only computed on Beam")
    results: Results = []
    for key, rows in _slices(scored, groups):
        found = _sums(separated.non_derived_computations, rows)
        for derived in separated.derived_computations:
            found |= _derive(derived, found, rows)
        results.append((key, {name: value for name, value in found.items() if not name.name.startswith("_")}))
    return results


def _slices(scored: Scored, groups: Sequence[SliceGroup]) -> Iterator[tuple[tuple[tuple[str, Any], ...], Scored]]:
    yield (), scored
    for group in groups:
        rows = np.argsort(group.codes, kind="stable")
        bounds = np.searchsorted(group.codes[rows], np.arange(len(group.keys) + 1))
        for index, values in enumerate(group.keys):
            # TFMA sorts the columns of a slice's key.
            key = tuple(sorted(zip(group.columns, values, strict=True)))
            yield key, scored.take(rows[bounds[index] : bounds[index + 1]])


def _sums(computations: Sequence[Any], rows: Scored) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for computation in computations:
        name = type(computation.combiner).__name__
        if name not in _COMBINERS:
            raise NotImplementedError(f"TFMA's {name} is only computed on Beam")
        found |= _COMBINERS[name](computation, rows)
    return found


def _derive(derived: Any, found: dict[Any, Any], rows: Scored) -> dict[Any, Any]:
    """Let TFMA derive a metric, but for the confusion matrices at 10,000 thresholds: its loop takes 10 ms a slice."""
    key = derived.keys[0]
    if match := re.fullmatch(r"_binary_confusion_matrices:num_thresholds=(\d+)", key.name):
        return {key: _confusion_matrices(int(match[1]), rows)}
    return derived.result(found)


def _confusion_matrices(num_thresholds: int, rows: Scored) -> Any:
    """Return what TFMA makes of its calibration histogram: a row counts by the lower edge of its bucket."""
    from tensorflow_model_analysis.metrics import binary_confusion_matrices as tfma

    thresholds = np.array(tfma._interpolated_thresholds(num_thresholds))  # noqa: SLF001
    moved = np.where(thresholds != 0, thresholds + tfma._EPSILON, thresholds)  # noqa: SLF001
    bucket = np.clip((rows.prediction.astype(np.float64) * _HISTOGRAM_BUCKETS + 1).astype(np.int64), 1, None)
    lower_edge = np.where(bucket > _HISTOGRAM_BUCKETS, np.inf, (bucket - 1) / _HISTOGRAM_BUCKETS)
    at = np.searchsorted(moved, lower_edge, side="right") - 1
    positive = np.bincount(at, rows.weight * rows.label, num_thresholds)
    negative = np.bincount(at, rows.weight * (1 - rows.label), num_thresholds)
    above = [np.cumsum(amounts[::-1])[::-1] for amounts in (positive, negative)]
    below = [np.cumsum(amounts) - amounts for amounts in (positive, negative)]
    (tp, fp), (fn, tn) = above, below
    fn[-1], tn[-1], tp[-1], fp[-1] = tp[0], fp[0], 0.0, 0.0
    return tfma.Matrices(thresholds.tolist(), tp.tolist(), tn.tolist(), fp.tolist(), fn.tolist())


def _at_thresholds(computation: Any, rows: Scored) -> dict[Any, Any]:
    from tensorflow_model_analysis.contrib.aggregates import binary_confusion_matrices as aggregates

    matrices = computation.combiner._binary_confusion_matrices  # noqa: SLF001
    entries = {}
    for threshold in matrices._thresholds:  # noqa: SLF001
        above = rows.prediction > threshold
        parts = (rows.label * above, (1 - rows.label) * ~above, (1 - rows.label) * above, rows.label * ~above)
        tp, tn, fp, fn = (float((rows.weight * part).sum()) for part in parts)
        entries[threshold] = aggregates._ThresholdEntry(aggregates.Matrix(tp, tn, fp, fn), [], [], [], [])  # noqa: SLF001
    return computation.combiner.extract_output(entries)


def _weighted_totals(computation: Any, rows: Scored) -> dict[Any, Any]:
    totals = computation.combiner.create_accumulator()
    totals.total_weighted_labels = float((rows.weight * rows.label).sum())
    totals.total_weighted_predictions = float((rows.weight * rows.prediction).sum())
    totals.total_weighted_examples = float(rows.weight.sum())
    return computation.combiner.extract_output(totals)


def _mean(of: Callable[[Scored], np.ndarray]) -> Callable[[Any, Scored], dict[Any, Any]]:
    def mean(computation: Any, rows: Scored) -> dict[Any, Any]:
        return {computation.keys[0]: float((rows.weight * of(rows)).sum() / rows.weight.sum())}

    return mean


def _cross_entropy(rows: Scored) -> np.ndarray:
    probability = clipped(rows.prediction)
    return -rows.label * np.log(probability) - (1 - rows.label) * np.log(1 - probability)


def clipped(probability: np.ndarray) -> np.ndarray:
    """Keep probabilities off 0 and 1, where TFMA's cross entropy is not a number."""
    return np.clip(probability.astype(np.float64), EPSILON, 1 - EPSILON)


def _keras_metrics(computation: Any, rows: Scored) -> dict[Any, Any]:
    """Let Keras' metrics, which TFMA would feed some hundred rows at a time, see all rows."""
    combiner = computation.combiner
    combiner.setup()
    (metrics,) = combiner._metrics.values()  # noqa: SLF001
    label = rows.label[:, None].astype(np.float32)
    prediction = rows.prediction if rows.prediction.ndim == 2 else rows.prediction[:, None]
    for metric in metrics:
        metric.reset_states()
        metric.update_state(label, prediction.astype(np.float32), rows.weight.astype(np.float32))
    return {key: float(metric.result()) for key, metric in zip(computation.keys, metrics, strict=True)}


def _count(computation: Any, rows: Scored) -> dict[Any, Any]:
    weighted = computation.combiner._example_weighted  # noqa: SLF001
    return {computation.keys[0]: float(rows.weight.sum() if weighted else len(rows))}


_COMBINERS: dict[str, Callable[[Any, Scored], dict[Any, Any]]] = {
    # Only feeds the confusion matrices that `_derive` makes from the rows.
    "_CalibrationHistogramCombiner": lambda computation, rows: {},  # noqa: ARG005
    "_BinaryConfusionMatrixCombiner": _at_thresholds,
    "_BinaryCrossEntropyCombiner": _mean(_cross_entropy),
    "_WeightedLabelsPredictionsExamplesCombiner": _weighted_totals,
    "_MeanAbsoluteErrorCombiner": _mean(lambda rows: np.abs(rows.prediction.astype(np.float64) - rows.label)),
    "_MeanSquaredErrorCombiner": _mean(lambda rows: (rows.prediction.astype(np.float64) - rows.label) ** 2),
    "_CompilableMetricsCombiner": _keras_metrics,
    "_ExampleCountCombiner": _count,
}

"""`sluice check`: a sample through cleaning and transform, and what in it gives the answer away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.expression import Expression
from pipelines import sample as sampling
from pipelines.api import Pipeline
from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from components.data.leakage import Finding, Rows
    from components.data.overlap import Overlap


@dataclass(frozen=True)
class Checked:
    """What a look at a sample found.

    Args:
        sample: the rows.
        kept: split to the rows that cleaning kept.
        overlap: how many eval rows are train rows again.
        findings: what was seen, suspects first.
        inputs: how many model inputs were looked at; None when the transform graph was left out.
    """

    sample: sampling.Sample
    kept: Mapping[str, int]
    overlap: Overlap
    findings: tuple[Finding, ...]
    inputs: int | None

    @property
    def suspects(self) -> int:
        """How many findings are more than notes."""
        return sum(finding.level == "suspect" for finding in self.findings)


def check(pipeline: Pipeline, rows: int = sampling.ROWS, *, with_transform: bool = True) -> Checked:
    """Look at a sample of the raw data.

    Args:
        pipeline: the spec and its data.
        rows: size of the sample.
        with_transform: learn the transform graph from the sample too, which takes TensorFlow.

    Raises:
        ComponentError: a step failed, or left no row.
        SpecError: the data are not there, or do not fit the spec.
    """
    from components.data import leakage
    from components.data.overlap import overlap

    pipeline.check_data()
    sample = sampling.read_sample(pipeline.spec, pipeline.data_path, rows)
    cleaned = {name: split.batch for name, split in sampling.clean(pipeline.spec, sample)[0].items()}
    looked = _rows(pipeline.spec, cleaned)
    found = leakage.findings(looked)
    inputs = None
    if with_transform:
        values = _transformed(pipeline, cleaned)
        inputs = len(pipeline.spec.transform.chains)
        empty = {finding.column for finding in found if finding.where == f"data.features.{finding.column}"}
        found += [each for each in _input_findings(pipeline.spec, values, looked) if each.column not in empty]
    kept = {name: batch.num_rows for name, batch in cleaned.items()}
    ordered = sorted(found, key=lambda finding: finding.level != "suspect")
    return Checked(sample, kept, overlap(looked.splits, looked.features, looked.label), tuple(ordered), inputs)


def _rows(spec: PipelineSpec, cleaned: Mapping[str, pa.RecordBatch]) -> Rows:
    from components.data.leakage import Rows

    expression = Expression(spec.data.label.expression)
    label = {name: label_of(expression, batch) for name, batch in cleaned.items()}
    data = spec.data
    return Rows(
        cleaned,
        data.features,
        label,
        data.label.name,
        data.label.expression,
        data.label.columns,
        spec.task,
        frozenset(data.series.feature_columns if data.series else ()),
    )


def label_of(expression: Expression, batch: pa.RecordBatch) -> pa.Array:
    """Return the label of each row, null where it cannot be computed.

    Example:
        >>> import pyarrow as pa
        >>> batch = pa.record_batch({"tips": pa.array([3.0, None, 1.0]), "fare": pa.array([10.0, 9.0, 8.0])})
        >>> label_of(Expression("tips > 0.2 * fare"), batch).to_pylist()
        [True, None, False]
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from components.cleaning.columns import is_missing

    if expression.columns == (expression.text.strip(),):
        return batch.column(expression.columns[0])
    missing = np.zeros(batch.num_rows, bool)
    values = {}
    for name in expression.columns:
        column = batch.column(name)
        missing |= pc.fill_null(is_missing(column), True).to_numpy(zero_copy_only=False)
        is_text = name in expression.text_columns
        # in float32, as the graph computes it: a tip of a fifth must fall on the same side
        values[name] = np.asarray(column, object) if is_text else np.asarray(column.cast(pa.float64()), np.float32)
    with np.errstate(all="ignore"):
        return pa.array(np.asarray(expression.evaluate(values)), mask=missing)


def _transformed(pipeline: Pipeline, cleaned: Mapping[str, pa.RecordBatch]) -> dict[str, dict[str, Any]]:
    """Return what the graph that the train rows teach makes of both splits; every row needs a label."""
    from components.transform.checks import RowCheck
    from pipelines.sample_graph import SampleGraph, transform_config

    labels = RowCheck(transform_config(pipeline.loaded))
    with tempfile.TemporaryDirectory(prefix="sluice") as folder:
        graph = SampleGraph(pipeline.loaded, cleaned["train"], Path(folder))
        values = {name: graph.apply(batch) for name, batch in cleaned.items()}
    for split, made in values.items():
        labels.see(split, made)
    labels.stop()
    return values


def _input_findings(spec: PipelineSpec, values: Mapping[str, Mapping[str, Any]], rows: Rows) -> Iterator[Finding]:
    """Yield what is wrong with model inputs; a chain of its own (a cross) may give the answer away, too."""
    import numpy as np
    import pyarrow as pa

    from components.data import single_feature
    from components.data.leakage import ALONE, Finding

    for name in spec.transform.chains:
        train = np.asarray(values["train"][name])
        wrong = sum(int((~np.isfinite(part[name])).sum()) for part in values.values() if part[name].dtype.kind == "f")
        where = f"transform.{name}"
        if wrong:
            seen = f"{wrong:,} values that are not finite reach the model"
            yield Finding("suspect", name, where, seen, "Fill in or clip before the step that makes them.")
        if len(train) and (train == train[:1]).all():
            seen = f"the same model input in all {len(train):,} rows for training"
            yield Finding("suspect", name, where, seen, "Correct the chain, or take it out.")
        if name in spec.data.features or train.reshape(len(train), -1).shape[1] != 1:
            continue
        score = single_feature.score(pa.array(train.reshape(-1)), rows.label["train"], spec.task)
        if score is not None and score.value >= ALONE[spec.task]:
            seen = f"alone it predicts {rows.label_name}: {score} on rows that it was not fitted to"
            yield Finding(
                "suspect", name, where, seen, "Is it known when a prediction is asked for? If not, take it out."
            )

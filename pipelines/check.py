"""`sluice check`: a sample through cleaning and transform, what in it gives the answer away, and its wrong labels."""

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

    from components.data.label_noise import LabelNoise
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
        noise: labels that look wrong; None when the transform graph was left out.
    """

    sample: sampling.Sample
    kept: Mapping[str, int]
    overlap: Overlap
    findings: tuple[Finding, ...]
    inputs: int | None
    noise: LabelNoise | None

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
    from components.data import label_noise, leakage
    from components.data.overlap import overlap

    pipeline.check_data()
    sample = sampling.read_sample(pipeline.spec, pipeline.data_path, rows)
    kept_rows = sampling.clean(pipeline.spec, sample)[0]
    cleaned = {name: split.batch for name, split in kept_rows.items()}
    looked = _rows(pipeline.spec, cleaned)
    found = leakage.findings(looked)
    inputs, noise = None, None
    if with_transform:
        values = _transformed(pipeline, cleaned)
        inputs = len(pipeline.spec.transform.chains)
        empty = {finding.column for finding in found if finding.where == f"data.features.{finding.column}"}
        found += [each for each in _input_findings(pipeline.spec, values, looked) if each.column not in empty]
        numbers = {name: sample.numbers[name][split.numbers] for name, split in kept_rows.items()}
        noise = _label_noise(pipeline.spec, values, looked, numbers)
        found += [each for each in [label_noise.finding(noise, looked.label_name)] if each is not None]
    kept = {name: batch.num_rows for name, batch in cleaned.items()}
    ordered = sorted(found, key=lambda finding: finding.level != "suspect")
    shared = overlap(looked.splits, looked.features, looked.label)
    return Checked(sample, kept, shared, tuple(ordered), inputs, noise)


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


def _label_noise(
    spec: PipelineSpec, values: Mapping[str, Mapping[str, Any]], rows: Rows, numbers: Mapping[str, Any]
) -> LabelNoise:
    """Return which labels of both splits look wrong by the inputs that training would read."""
    import numpy as np
    import pyarrow as pa

    from components.data import label_noise
    from components.features import out_of_fold_name

    splits = list(values)
    inputs = {}
    for name in spec.transform.chains:
        # an input that is made of labels must not hold that of its own row, nor does it in training
        parts = [made.get(out_of_fold_name(name), made[name]) for made in values.values()]
        inputs[name] = np.concatenate(parts)
    kinds = {rows.label[split].type for split in splits} - {pa.null()}
    labels = [rows.label[split].cast(next(iter(kinds))) if kinds else rows.label[split] for split in splits]
    return label_noise.look(
        inputs, pa.concat_arrays(labels), np.concatenate([numbers[split] for split in splits]), rows.task
    )

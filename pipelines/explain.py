"""`sluice explain`: what each cleaning and transform step does to one row, in training and at serving."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import Problem, SpecError
from components.features import TRANSFORM_SIGNATURE
from components.transform.step import source_of
from pipelines import sample as sampling
from pipelines.api import Pipeline
from pipelines.sample_graph import SampleGraph, transform_config

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from components.cleaning.step import CleaningStep

RAW = "raw"
MODEL_INPUT = "model input"
OUT_OF_FOLD = "model input in training: out of fold, so that no row sees its own label"


@dataclass(frozen=True)
class Verdict:
    """What a cleaning step says about the row.

    Args:
        step: the step as the spec has it.
        kept: False when the row leaves here; None when it left before.
        why: what the step saw.
    """

    step: str
    kept: bool | None
    why: str


@dataclass(frozen=True)
class Stage:
    """A value on its way to the model.

    Args:
        chain: name of the chain.
        step: the step as the spec has it, `raw` before the first, `model input` behind the last.
        before: the value that the step got.
        training: the value that it made of the row among the rows of its split.
        serving: the value that it made of the row alone, without the label's columns.
        differs: training and serving are not the same.
        served: the value that the latest run's exported model makes of it; None where that does not say.
    """

    chain: str
    step: str
    before: str
    training: str
    serving: str
    differs: bool
    served: str | None = None


@dataclass(frozen=True)
class Explained:
    """One row, step by step.

    Args:
        sample: the rows that the steps learned from.
        split: the split of the row.
        row: its number in the split of the sample, from 1.
        values: column name to its raw value, as text.
        cleaning: what each cleaning step says.
        stages: what each transform step does.
        run: the latest run with an exported model; None when there is none.
        run_is_of_this_spec: the run's section `transform`, its features and its label are those of this spec.
    """

    sample: sampling.Sample
    split: str
    row: int
    values: Mapping[str, str]
    cleaning: tuple[Verdict, ...]
    stages: tuple[Stage, ...]
    run: str | None
    run_is_of_this_spec: bool


def explain(pipeline: Pipeline, row: int = 1, split: str = "train") -> Explained:
    """Follow one row.

    Args:
        pipeline: the spec and its data; a run at its root is looked up, none is started.
        row: number of the row in the split of the sample, from 1.
        split: `train` or `eval`.

    Raises:
        ComponentError: a step failed.
        SpecError: there is no such row, or the data do not fit the spec.
    """
    pipeline.check_data()
    sample = sampling.read_sample(pipeline.spec, pipeline.data_path)
    rows = sample.splits[split]
    if not 1 <= row <= rows.num_rows:
        expected = f"1 to {rows.num_rows}: the split {split} of {sample}"
        raise SpecError([Problem("--row", str(row), expected, "Choose one of these.")])
    cleaned, learned = sampling.clean(pipeline.spec, sample)
    record, exported = _exported(pipeline)
    with tempfile.TemporaryDirectory(prefix="sluice") as folder:
        stages = _stages(pipeline, cleaned["train"].batch, (rows, row - 1), Path(folder), exported)
    one = rows.slice(row - 1, 1)
    verdicts = _Cleaning(pipeline.spec.cleaning.steps, sample, cleaned, learned)
    return Explained(
        sample, split, row, {name: _cell(one, name) for name in one.schema.names},
        tuple(verdicts.of(split, row - 1)), tuple(stages), record.run_id if record else None, _same_spec(pipeline),
    )  # fmt: skip


class _Cleaning:
    """Says why a row stays or goes."""

    def __init__(
        self,
        steps: Sequence[CleaningStep],
        sample: sampling.Sample,
        cleaned: Mapping[str, sampling.Cleaned],
        learned: Mapping[int, Any],
    ) -> None:
        self.steps, self.sample, self.cleaned, self.learned = steps, sample, cleaned, learned

    def of(self, split: str, row: int) -> Iterator[Verdict]:
        from components.cleaning.filtering import describe

        one = self.sample.splits[split].slice(row, 1)
        left_at = int(self.cleaned[split].dropped_by[row])
        for position, step in enumerate(self.steps):
            if 0 <= left_at < position:
                yield Verdict(describe(step), None, "not reached")
            else:
                yield Verdict(describe(step), position != left_at, self._why(position, one, split, row))

    def _why(self, position: int, one: pa.RecordBatch, split: str, row: int) -> str:
        from components.cleaning.step import TRAIN, GroupStep, LearningStep

        step = self.steps[position]
        if isinstance(step, GroupStep):
            return self._first_equal(position, step, split, row)
        if isinstance(step, LearningStep):
            if split != TRAIN:
                return "it drops rows of the train split only"
            limits = self.learned[position]
            return ", ".join(
                f"{name} = {_cell(one, name)}, {_between(*limits[name])}" for name in step.needed_columns()
            )
        return ", ".join(f"{name} = {_cell(one, name)}" for name in step.needed_columns())

    def _first_equal(self, position: int, step: Any, split: str, row: int) -> str:
        """Say which row before this one is the same to the step."""
        wanted = step.key(self.sample.splits[split].slice(row, 1))[0].as_py()
        for name, batch in self.sample.splits.items():
            for number, key in enumerate(step.key(batch).to_pylist()):
                if (name, number) == (split, row):
                    return "no row before it is the same"
                if key == wanted and not 0 <= self.cleaned[name].dropped_by[number] <= position:
                    return f"row {number + 1} of {name} is the same"
        return "no row before it is the same"


def _between(smallest: float, largest: float) -> str:
    return f"learned: {smallest:.6g} to {largest:.6g}"


def _stages(
    pipeline: Pipeline, train: pa.RecordBatch, place: tuple[pa.RecordBatch, int], folder: Path, exported: Path | None
) -> list[Stage]:
    from components.cleaning.filtering import describe
    from components.transform.outputs import out_of_fold_name
    from components.transform.probe import output_name, probed_fn

    rows, index = place
    graph = SampleGraph(
        pipeline.loaded, train, folder, functools.partial(probed_fn, config=transform_config(pipeline.loaded))
    )
    one = rows.slice(index, 1)
    training = _Outputs(graph.apply(rows), index)
    serving = _Outputs(graph.apply(one, tuple(pipeline.spec.data.features)), 0)
    served = _Outputs(_served(exported, one), 0) if exported else None
    stages = []
    for chain, steps in pipeline.spec.transform.chains.items():
        source = source_of(steps)
        start = 1 if source else 0
        named = source.source_columns() if source else ()
        before = ", ".join(f"{name} = {_cell(one, name)}" for name in named) if source else _cell(one, chain)
        for position in range(start, len(steps) + 1):
            step = describe(steps[position - 1]) if position else RAW
            names = [output_name(chain, position, part) for part in ("values", "present")]
            made = (training.shown(*names), serving.shown(*names))
            stages.append(Stage(chain, step, before, *made, differs=training.differs(serving, *names)))
            before = made[0]
        differs, last = training.differs(serving, chain), None
        if served and chain in served.values:
            differs, last = differs or training.differs(served, chain), served.shown(chain)
        stages.append(Stage(chain, MODEL_INPUT, before, training.shown(chain), serving.shown(chain), differs, last))
        if (other := out_of_fold_name(chain)) in training.values:
            stages.append(Stage(chain, OUT_OF_FOLD, before, training.shown(other), serving.shown(chain), False))
    return stages


@dataclass(frozen=True)
class _Outputs:
    """One row of the outputs of a graph, as text."""

    values: Mapping[str, Any]
    row: int

    def differs(self, other: _Outputs, *names: str) -> bool:
        """Return True when one of some outputs is not the same, but for the rounding of float32."""
        import numpy as np

        for name in names:
            mine, theirs = self._values(name), other._values(name)
            if mine.shape != theirs.shape:
                return True
            same = np.allclose(mine, theirs, rtol=1e-5, atol=1e-6) if mine.dtype.kind == "f" else (mine == theirs).all()
            if not same:
                return True
        return False

    def _values(self, name: str) -> np.ndarray:
        import numpy as np

        return np.asarray(self.values[name])[self.row]

    def shown(self, name: str, present: str | None = None) -> str:
        import numpy as np

        if present is not None and not np.all(np.asarray(self.values[present])[self.row]):
            return "missing"
        found = self._values(name)
        if found.ndim > 1:
            return f"{'×'.join(map(str, found.shape))}, {found.min():.6g} to {found.max():.6g}, mean {found.mean():.6g}"
        flat = [_plain(value) for value in found.reshape(-1).tolist()]
        if len(flat) > 12 and found.dtype.kind in "fi":
            apart = [f"{at}: {flat[at]}" for at in np.flatnonzero(found.reshape(-1))[:6]]
            return f"{len(flat)} values, {np.count_nonzero(found)} not 0 ({', '.join(apart)})"
        return ", ".join(flat)


def _served(exported: Path, one: pa.RecordBatch) -> dict[str, Any]:
    """Return what the exported model's own transform makes of a request."""
    import tensorflow as tf

    from components.engine.examples import encode_examples

    model = tf.saved_model.load(str(exported))
    made = model.signatures[TRANSFORM_SIGNATURE](examples=tf.constant(encode_examples(one).to_pylist()))
    return {name: tensor.numpy() if hasattr(tensor, "numpy") else tensor for name, tensor in made.items()}


def _exported(pipeline: Pipeline) -> tuple[Any, Path | None]:
    """Return the record of the latest training and the folder of its model, where both are still there."""
    from tfx.utils import path_utils

    pipeline.root.refresh()
    record = pipeline.root.latest_record("Trainer")
    if record is None or not pipeline.root.holds(record.output_uris["model"]):
        return None, None
    pipeline.root.fetch([record.output_uris["model"]])
    return record, Path(path_utils.serving_model_path(record.output_uris["model"]))


def _same_spec(pipeline: Pipeline) -> bool:
    """Return True when the latest run's Transform was told what the spec says now."""
    record = pipeline.root.latest_record("Transform")
    return record is not None and record.facts["config"] == json.loads(json.dumps(transform_config(pipeline.loaded)))


def _cell(one: pa.RecordBatch, name: str) -> str:
    value = one.column(name)[0].as_py() if name in one.schema.names else None
    return "missing" if value is None or value != value else _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            return f"{len(value):,} bytes"
        return repr(text) if len(text) <= 60 else repr(text[:57] + "…")
    return f"{value:.6g}" if isinstance(value, float) else str(value)

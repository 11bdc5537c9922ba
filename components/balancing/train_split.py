"""The train split on disk: read for the steps, and written again with more or fewer rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from components.balancing.rows import Rows, Table
from components.engine.encoder import index_array
from components.engine.examples import ExampleWriter, decode_examples, encode_examples, read_batches, read_records
from components.errors import ComponentError
from components.features import LABEL, ModelInput


def open_rows(folder: str, inputs: Sequence[ModelInput]) -> Rows:
    """Return the rows of a split; only their labels are read now.

    Args:
        folder: the split's folder of transformed examples.
        inputs: the model's inputs.

    Raises:
        ComponentError: it has no rows, or all are of one class.
    """
    labels = [batch.column(0).to_numpy(zero_copy_only=False) for batch in read_batches(folder, [LABEL])]
    classes = np.concatenate(labels).astype(np.int64) if labels else np.zeros(0, np.int64)
    if len(found := np.unique(classes)) < 2:
        what = f"only rows of class {found[0]}" if len(found) else "no rows"
        raise ComponentError(
            f"The train split has {what}; balancing needs at least two classes.",
            spec_path="balancing",
            remedy="Check the label's expression, the cleaning steps and data.split.",
        )
    return Rows.of(inputs, classes, lambda wanted: _read(folder, wanted))


def write_rows(rows: Rows, source: str, target: str) -> None:
    """Write the rows of a split, in the order of the one that they come from.

    A row that is kept stays as it is, byte for byte; what was made of a row stands behind it. So the rows of a class
    are spread over the file as they were, also for a Trainer that reads it block by block.

    Args:
        rows: what to write.
        source: folder of the split that they come from.
        target: folder to write.
    """
    total = rows.rows_of_file
    is_made = rows.members >= total
    copies = np.bincount(rows.members[~is_made], minlength=total)
    made = rows.members[is_made]
    made = made[np.argsort(rows.anchors[made], kind="stable")]
    anchors, table = rows.anchors[made], _made_table(rows, made - total)
    start = 0
    with ExampleWriter(target) as writer:
        for records in read_records(source):
            places = np.arange(start, start + len(records))
            kept = np.repeat(places, copies[places])
            here = slice(*np.searchsorted(anchors, [start, start + len(records)]))
            new = encode_examples(_batch({name: values[here] for name, values in table.items()}))
            order = np.argsort(np.concatenate([kept, anchors[here]]), kind="stable")
            where = np.concatenate([kept - start, len(records) + np.arange(len(new))])[order]
            # pieces, since a batch with many copies may pass the two gigabytes that an array can have
            both = pa.concat_arrays([records, new.cast(records.type)]) if len(new) else records
            for piece in np.split(where, range(len(records), len(where), len(records))):
                writer.write(both.take(index_array(piece)))
            start += len(records)


def _made_table(rows: Rows, places: np.ndarray) -> Table:
    if not rows.made:
        return {}
    return {name: np.concatenate([table[name] for table in rows.made])[places] for name in rows.made[0]}


def _batch(table: Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: _array(values) for name, values in table.items()})


def _array(values: np.ndarray) -> pa.Array:
    kind = pa.float32() if values.dtype.kind == "f" else pa.int64()
    flat = np.ascontiguousarray(values, np.float32 if values.dtype.kind == "f" else np.int64).ravel()
    array = pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])
    return array if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(array, values.shape[1])


def _read(folder: str, wanted: np.ndarray) -> Table:
    """Return the columns of some rows of a split; what is not wanted is not decoded."""
    tables, start = [], 0
    for records in read_records(folder):
        places = np.flatnonzero(wanted[start : start + len(records)])
        start += len(records)
        if len(places):
            batch = decode_examples(records.take(index_array(places)))
            tables.append({name: _values(name, batch.column(name)) for name in batch.schema.names})
    if not tables:
        return dict(_no_rows(folder))
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _values(name: str, column: pa.Array) -> np.ndarray:
    flat = column.flatten() if pa.types.is_list(column.type) else column
    width = len(flat) // len(column) if len(column) else 1
    if flat.null_count or width * len(column) != len(flat) or pa.types.is_null(flat.type):
        raise ComponentError(
            f"Column {name!r} of the transformed examples has not the same number of values in each row.",
            spec_path=f"transform.{name}",
            remedy="Put fill_missing first in its chain.",
        )
    return np.reshape(flat.to_numpy(zero_copy_only=False), [len(column), width])


def _no_rows(folder: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the columns of a split with none of its rows, for when all that is looked at was made before."""
    records = next(iter(read_records(folder, batch_size=1)))
    batch = decode_examples(records)
    for name in batch.schema.names:
        yield name, _values(name, batch.column(name))[:0]

"""Real data as TFX artifacts: the taxi rows that TFX ships, and any columns a test makes up."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import tfx
from tfx.types import artifact_utils, standard_artifacts

from components.engine.examples import ExampleWriter, encode_examples, split_directory

TAXI_CSV = Path(tfx.__file__).parent / "examples/chicago_taxi_pipeline/data/simple/data.csv"
TRAIN_ROWS = 10_000


def taxi_rows() -> pa.RecordBatch:
    """Return the 15,002 rows with the types that Sluice reads them in: int64, float32, binary; empty is missing."""
    table = pa.csv.read_csv(TAXI_CSV, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True, null_values=[""]))
    columns = {}
    for name in table.schema.names:
        column = table[name].combine_chunks()
        if pa.types.is_floating(column.type):
            column = column.cast(pa.float32())
        columns[name] = column.cast(pa.binary()) if pa.types.is_string(column.type) else column
    return pa.record_batch(columns)


def split_taxi(rows: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """Return the first 10,000 rows as train, the others as eval."""
    return {"train": rows.slice(0, TRAIN_ROWS), "eval": rows.slice(TRAIN_ROWS)}


def write_examples(folder: Path, splits: dict[str, pa.RecordBatch]) -> standard_artifacts.Examples:
    """Return an Examples artifact that holds the rows."""
    for split, rows in splits.items():
        with ExampleWriter(split_directory(folder, split)) as writer:
            for start in range(0, rows.num_rows, 4096):
                writer.write(encode_examples(rows.slice(start, 4096)))
    return artifact(standard_artifacts.Examples, folder, list(splits))


def artifact(kind: type, folder: Path, splits: list[str] | None = None):
    """Return an artifact of a kind in a folder."""
    made = kind()
    made.uri = str(folder)
    if splits:
        made.split_names = artifact_utils.encode_split_names(splits)
    return made


def replaced(rows: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """Return the rows with one column replaced."""
    return rows.set_column(rows.schema.get_field_index(name), name, column)


def scaled(rows: pa.RecordBatch, name: str, factor: float) -> pa.RecordBatch:
    """Return the rows with one float column multiplied."""
    return replaced(rows, name, pc.multiply(rows.column(name), pa.scalar(factor, pa.float32())))

"""Predict from a file or a few rows with the served model, without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.catalog import nearest
from components.errors import Problem, SpecError
from components.features import RAW_SIGNATURE
from components.serving.request_error import RequestError
from components.serving.versions import SAVED_MODEL_FILE, current_version, version_folder

if TYPE_CHECKING:
    import numpy as np

    from components.serving.saved_model import SavedModel, Signature
    from components.serving.tensors import InputSpec

ROWS_A_CALL = 8192


@dataclass(frozen=True)
class Predictions:
    """What a model says of some rows.

    Args:
        table: one row per row asked, one column per output of the model.
        notes: what the reader should know, such as columns that were not used.
    """

    table: pa.Table
    notes: tuple[str, ...] = field(default=())

    def rows(self) -> list[dict[str, Any]]:
        """Return the predictions as one dictionary per row."""
        return self.table.to_pylist()


def predict_rows(model_dir: str | Path, rows: pa.Table | Sequence[Mapping[str, Any]]) -> Predictions:
    """Return the model's predictions for raw rows.

    Args:
        model_dir: a SavedModel, or a folder of versions, of which the current one predicts.
        rows: raw columns by name; null, NaN and the empty string mean a missing value.

    Raises:
        SpecError: there is no model, a feature has no column, or a value cannot be what the model takes.
    """
    from components.serving.saved_model import SavedModel

    model = SavedModel(_model_folder(Path(model_dir)))
    signature = model.signature(RAW_SIGNATURE)
    table = rows if isinstance(rows, pa.Table) else None
    names = table.column_names if table is not None else list(dict.fromkeys(name for row in rows for name in row))
    notes = _check_columns(names, signature)
    columns = {
        name: _column(table[name].to_pylist() if table is not None else [row.get(name) for row in rows], spec)
        for name, spec in signature.inputs.items()
    }
    return Predictions(_in_pieces(model, signature, columns), notes)


def read_rows(path: str | Path, model_dir: str | Path) -> pa.Table | list[dict[str, Any]]:
    """Read raw rows from a file: `.csv`, `.parquet`, `.jsonl` (an object per line) or `.json` (a list of objects).

    Args:
        path: the file.
        model_dir: as for `predict_rows`; its text features are read as text even where they look like numbers.

    Raises:
        SpecError: the file is missing, of another kind, or cannot be read.
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".jsonl": _read_json, ".json": _read_json}
    if path.suffix not in readers:
        raise _wrong(str(path), f"a {path.suffix or 'nameless'} file", ", ".join(readers), "Convert the file.")
    try:
        return readers[path.suffix](path, Path(model_dir))
    except (OSError, ValueError) as error:
        raise _wrong(str(path), str(error), f"a readable {path.suffix} file", "Check the path and the file.") from error


def _read_csv(path: Path, model_dir: Path) -> pa.Table:
    from pyarrow import csv

    types = {name: pa.string() for name in _text_features(_model_folder(model_dir))}
    convert = csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    return csv.read_csv(path, convert_options=convert)


def _read_parquet(path: Path, model_dir: Path) -> pa.Table:  # noqa: ARG001 (Parquet knows its types)
    from pyarrow import parquet

    return parquet.read_table(path)


def _read_json(path: Path, model_dir: Path) -> list[dict[str, Any]]:  # noqa: ARG001 (JSON knows text from numbers)
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list of JSON objects")
    return rows


def _text_features(folder: Path) -> list[str]:
    """Read the signature from the file alone: much faster than loading the model."""
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    stored = saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL_FILE).read_bytes())
    inputs = stored.meta_graphs[0].signature_def[RAW_SIGNATURE].inputs
    return [name for name, info in inputs.items() if info.dtype == types_pb2.DT_STRING]


def _model_folder(model_dir: Path) -> Path:
    if (model_dir / SAVED_MODEL_FILE).is_file():
        return model_dir
    version = current_version(model_dir)
    if version is None:
        raise _wrong("model", f"{model_dir}, which holds no model", "a pushed model", "Run the pipeline first.")
    return version_folder(model_dir, version)


def _check_columns(names: Sequence[str], signature: Signature) -> tuple[str, ...]:
    """Refuse rows without a feature; return notes on columns that are not features."""
    unused = [name for name in names if name not in signature.inputs]
    problems = []
    for name in sorted(set(signature.inputs) - set(names)):
        guess = nearest(name, unused)
        remedy = f"Rename column {guess!r} to {name!r}." if guess else "Add the column; its values may be missing."
        problems.append(Problem(name, f"no such column among {', '.join(names) or 'none'}", "every feature", remedy))
    if problems:
        raise SpecError(problems)
    return (f"not used: {', '.join(unused)}",) if unused else ()


def _column(values: list[Any], spec: InputSpec) -> np.ndarray:
    import numpy as np

    convert = _as_text if spec.kind == "string" else _as_number
    array = np.empty(len(values), dtype=spec.dtype)
    for row, value in enumerate(values):
        try:
            array[row] = convert(value)
        except (TypeError, ValueError, OverflowError) as error:
            wanted = "text" if spec.kind == "string" else "a number"
            where = f"{spec.name}, row {row + 1}"
            raise _wrong(where, repr(value), wanted, "Correct the value or leave it empty.") from error
    return array


def _as_number(value: Any) -> float:
    if isinstance(value, bool | bytes):
        raise TypeError("not a number")
    return float("nan") if value is None or value == "" else float(value)  # a CSV column with one bad cell is all text


def _as_text(value: Any) -> bytes:
    from components.serving.tensors import is_base64

    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if is_base64(value):
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value).encode()
    raise TypeError("not text")


def _in_pieces(model: SavedModel, signature: Signature, columns: Mapping[str, np.ndarray]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    pieces = []
    for start in range(0, max(rows, 1), ROWS_A_CALL):
        piece = {name: column[start : start + ROWS_A_CALL] for name, column in columns.items()}
        try:
            outputs = model.predict(signature, piece)
        except RequestError as error:
            raise _wrong(
                "rows", error.message, "rows like those the model was trained on", "Check the rows."
            ) from error
        pieces.append(pa.table({name: _arrow(array) for name, array in outputs.items()}))
    return pa.concat_tables(pieces)


def _arrow(array: np.ndarray) -> pa.Array:
    if array.dtype == object:
        return pa.array([value.decode("utf-8", "replace") for value in array])
    return pa.array(array) if array.ndim == 1 else pa.array(list(array))


def _wrong(where: str, received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem(where, received, expected, remedy)])

"""Two hundred raw rows and what the model says to them in the training process, to hold the served model against."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from components.engine.examples import read_records
from components.training.export import Predictor, outputs_as_lists

ROWS = 200
UNSEEN = b"\xf0\x9f\x9b\xb7 never seen before"


def sample_examples(folder: str, features: Sequence[str], rows: int = ROWS) -> list[bytes]:
    """Return real rows, a third of them altered: every feature is missing, or of an unknown category, in some.

    Args:
        folder: the split's folder of raw examples.
        features: the raw columns that a request gives.
        rows: how many at most.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from components.engine.examples import ExampleWriter, encode_examples
        >>> folder = tempfile.mkdtemp()
        >>> with ExampleWriter(folder) as writer:
        ...     writer.write(encode_examples(pa.RecordBatch.from_pydict({"fare": [1.0, 2.0, 3.0]})))
        >>> len(sample_examples(folder, ["fare"]))
        3
    """
    real: list[bytes] = list(chain.from_iterable(_first(folder, rows)))[:rows]
    found = []
    for index, record in enumerate(real):
        turn, kind = divmod(index, 6)
        name = features[turn % len(features)]
        # Two of six rows are altered; single ones, so that a difference can be told from its feature.
        alter = {1: _without, 4: _unseen}.get(kind)
        found.append(record if alter is None else alter(record, name))
    return found


def _first(folder: str, rows: int) -> Any:
    left = rows
    for records in read_records(folder, batch_size=rows):
        yield records.to_pylist()
        left -= len(records)
        if left <= 0:
            return


def _without(record: bytes, name: str) -> bytes:
    example = _parse(record)
    example.features.feature[name].Clear()
    return example.SerializeToString(deterministic=True)


def _unseen(record: bytes, name: str) -> bytes:
    example = _parse(record)
    feature = example.features.feature[name]
    if feature.HasField("bytes_list"):
        feature.bytes_list.value[:] = [UNSEEN]
    elif feature.HasField("int64_list"):
        feature.int64_list.value[:] = [123_457]
    elif feature.HasField("float_list"):
        feature.float_list.value[:] = [-1e6]
    return example.SerializeToString(deterministic=True)


def _parse(record: bytes) -> Any:
    import tensorflow as tf

    return tf.train.Example.FromString(record)


def write_sample(predictor: Predictor, examples: Sequence[bytes], path: Path) -> None:
    """Write rows and predictions; the model is called as it stands in memory, not through what was saved.

    The file holds `examples_b64`, serialized tf.Examples in base64, and `outputs`, one list per served output.
    """
    import tensorflow as tf

    outputs = outputs_as_lists(predictor.from_examples(tf.constant(list(examples), tf.string)))
    encoded = [base64.b64encode(example).decode("ascii") for example in examples]
    path.write_text(json.dumps({"examples_b64": encoded, "outputs": outputs}))

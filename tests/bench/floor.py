"""The floor: pandas, Arrow and Keras without TFX, with the same features, model and steps; prints one line of JSON.

It does less: nothing on disk but the model, accuracy and AUC only, no slices, no transform in the exported model, a
random split, everything in memory. A lower bound, not a rival.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def main(data: Path, root: Path, steps: int, epochs: int, batch_size: int) -> None:
    """Train once and print seconds per step."""
    import keras
    import numpy as np
    import pyarrow.csv
    import tensorflow as tf

    from tests.bench import stock_module as stock

    clock = {"imports": time.perf_counter() - STARTED}

    def lap(name: str, since: float) -> float:
        clock[name] = time.perf_counter() - since
        return time.perf_counter()

    now = time.perf_counter()
    table = pyarrow.csv.read_csv(data).to_pandas()
    now = lap("ExampleGen", now)
    table.describe(include="all")
    now = lap("StatisticsGen", now)
    train = np.random.default_rng(0).random(len(table)) < 2 / 3
    columns: dict[str, np.ndarray] = {}
    for key in stock.SCALED:
        values = table[key].astype("float32")
        low, median, high = values[train].quantile([0.25, 0.5, 0.75])
        values = values.fillna(median).clip(low - 1.5 * (high - low), high + 1.5 * (high - low))
        columns[key] = ((values - values[train].mean()) / values[train].std()).to_numpy("float32")[:, None]
    for key in stock.BUCKETS:
        values = table[key].fillna(table[key][train].mean())
        edges = values[train].quantile(np.linspace(0, 1, 11)[1:-1]).to_numpy()
        columns[key] = np.searchsorted(edges, values.to_numpy(), "right")[:, None]
    for key in [*stock.HASHED, *stock.CATEGORICAL, "company", "trip_start_hour", "trip_start_day"]:
        codes = table[key].astype(str).astype("category").cat.codes.to_numpy("int64")
        columns[key] = (codes % stock.IDS[key])[:, None]
    payment = table["payment_type"].astype("category").cat.codes.to_numpy() % 21
    columns["payment_type"] = np.eye(21, dtype="float32")[payment]
    columns["hour_and_day"] = ((columns["trip_start_hour"] * 31 + columns["trip_start_day"]) % 100).astype("int64")
    label = (table["tips"] > 0.2 * table["fare"]).to_numpy("int64")[:, None]
    now = lap("Transform", now)
    model = stock._model()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()], steps_per_execution=20)
    inputs = {key: tf.constant(value[train]) for key, value in columns.items()}
    dataset = tf.data.Dataset.from_tensor_slices((inputs, label[train])).batch(batch_size).cache().repeat()
    model.fit(dataset.prefetch(4), steps_per_epoch=steps // epochs, epochs=epochs, verbose=0)
    model.export(root / "model", verbose=False)
    now = lap("Trainer", now)
    model.evaluate({key: value[~train] for key, value in columns.items()}, label[~train], batch_size=8192, verbose=0)
    lap("Evaluator", now)
    print("RESULT " + json.dumps(clock), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6]))

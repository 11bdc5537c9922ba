"""How fast the model is fed: Sluice's input against the same model on tensors in memory, steps per second.

python -m tests.bench.fit_speed [--rows 150000] [--batch-sizes 128 512 4096] [--options]

Both fit the same model with the same `steps_per_execution`, in turns, after a first round that traces; the best of the
rounds counts, since other load on the machine only ever slows one down. A ratio below 1 is a row in which Sluice loses.
`--options` measures options of the training against none of them instead.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 6
STEPS_PER_ROUND = 400


def _tiled(columns: Any, rows: int) -> Any:
    take = np.arange(rows) % columns.rows
    return replace(columns, dense=columns.dense[take], ids=columns.ids[take], label=columns.label[take])


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "steps_per_execution: 1": {"steps_per_execution": 1},
    "jit_compile: true": {"jit_compile": True},
    "jit_compile: false": {"jit_compile": False},
    "precision: mixed_bfloat16": {"precision": "mixed_bfloat16"},
    "gradient_accumulation: 4": {"gradient_accumulation": 4},
}


def _split(rows: int, folder: Path) -> tuple[Any, Any]:
    """Return the model's inputs, and a split of as many rows in memory."""
    from components.training.input_fn import open_split
    from components.transform.outputs import model_inputs
    from tests.factories.trainer_artifacts import make_artifacts

    task = "binary_classification"
    if not (folder / "graph").is_dir():
        make_artifacts(folder, task, rows=15_002)
    inputs = model_inputs(folder / "graph")
    split = open_split(str(folder / "transformed" / "Split-train"), inputs, task, 2)
    return inputs, replace(split, rows=rows, columns=_tiled(split.columns, rows))


def measure_options(rows: int, batch_size: int, folder: Path) -> dict[str, float]:
    """Return steps per second with each option of `OPTIONS`, in turns, best of the rounds."""
    from components.model.families.wide_and_deep import WideAndDeep
    from components.training.config import TrainingConfig
    from components.training.distribution import Distribution
    from components.training.effective import Effective, precision
    from components.training.fit import compile_model
    from components.training.input_fn import EpochOrder, training_dataset

    inputs, split = _split(rows, folder)
    data = training_dataset(split, batch_size, EpochOrder(seed=0))
    models, best = {}, dict.fromkeys(OPTIONS, 0.0)
    for name, options in OPTIONS.items():
        config = TrainingConfig.model_validate({"batch_size": batch_size, **options})
        with precision(config.precision):
            models[name] = WideAndDeep().build(inputs, "binary_classification", 2)
        effective = Effective.of(config, Distribution(), rows)
        compile_model(models[name], effective, "binary_classification", split, Distribution())
    epochs = max(1, round(STEPS_PER_ROUND / split.steps(batch_size)))
    for round_number in range(ROUNDS + 1):
        for name, model in models.items():
            began = time.perf_counter()
            model.fit(data, shuffle=False, epochs=epochs, verbose=0)
            if round_number:
                rate = epochs * split.steps(batch_size) / (time.perf_counter() - began)
                best[name] = max(best[name], rate)
    return best


def measure(rows: int, batch_size: int, folder: Path) -> tuple[float, float, int]:
    """Return steps per second from tensors and from Sluice's input, and the steps per execution of both."""
    import keras
    import tensorflow as tf

    from components.model.families.wide_and_deep import WideAndDeep
    from components.training.config import TrainingConfig
    from components.training.distribution import Distribution
    from components.training.effective import Effective
    from components.training.fit import compile_model
    from components.training.input_fn import EpochOrder, training_dataset

    task = "binary_classification"
    inputs, split = _split(rows, folder)
    config, keep = TrainingConfig(batch_size=batch_size), split.steps(batch_size)
    tensors = split.columns.features(tf.constant(split.columns.dense), tf.constant(split.columns.ids))
    order = EpochOrder(seed=0)
    fed: dict[str, dict[str, Any]] = {
        "tensors": {"x": tensors, "y": tf.constant(split.columns.label), "batch_size": batch_size},
        "sluice": {"x": training_dataset(split, batch_size, order), "shuffle": False},
    }
    models, best = {}, dict.fromkeys(fed, 0.0)
    for name in fed:
        keras.utils.set_random_seed(0)
        models[name] = WideAndDeep().build(inputs, task, 2)
        compile_model(models[name], Effective.of(config, Distribution(), rows), task, split, Distribution())
    epochs = max(1, round(STEPS_PER_ROUND / keep))
    for round_number in range(ROUNDS + 1):
        for name, arguments in fed.items():
            began = time.perf_counter()
            models[name].fit(**arguments, epochs=epochs, verbose=0)
            if round_number:
                best[name] = max(best[name], epochs * keep / (time.perf_counter() - began))
    return best["tensors"], best["sluice"], models["sluice"].steps_per_execution


def _print_options(rows: int, batch_sizes: list[int]) -> None:
    print("| batch | option | steps/s | against plain |")
    print("|--:|---|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for batch_size in batch_sizes:
            found = measure_options(rows, batch_size, Path(folder))
            for name, rate in found.items():
                print(f"| {batch_size:,} | `{name}` | {rate:,.0f} | {rate / found['plain']:.2f}× |", flush=True)


def main() -> None:
    """Print one row of a Markdown table per batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[128, 512, 4096])
    parser.add_argument("--options", action="store_true", help="options of the training against none of them")
    arguments = parser.parse_args()
    if arguments.options:
        _print_options(arguments.rows, arguments.batch_sizes)
        return
    print("| rows | batch | steps per call | tensors in memory, steps/s | Sluice, steps/s | ratio |")
    print("|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for batch_size in arguments.batch_sizes:
            tensors, sluice, steps = measure(arguments.rows, batch_size, Path(folder))
            cells = [f"{arguments.rows:,}", f"{batch_size:,}", f"{steps}", f"{tensors:,.0f}", f"{sluice:,.0f}"]
            print("|", " | ".join([*cells, f"{sluice / tensors:.2f}×"]), "|", flush=True)


if __name__ == "__main__":
    main()

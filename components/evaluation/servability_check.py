"""Run as a program: answers recorded requests with a SavedModel, with TensorFlow and nothing of TFX, like TF Serving.

Usage: `servability_check.py MODEL_DIR SAMPLE_JSON`; prints `{"ok", "max_abs_difference", "requests", "reason"}`.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from pathlib import Path
from typing import Any

TOLERANCE = 1e-5
"""Absolute, or relative for numbers beyond 1: what float32 keeps in graphs that TensorFlow optimises differently."""


def check(model_dir: str, sample_file: str) -> dict[str, Any]:
    """Return whether the model answers the recorded requests as it did in training."""
    sample = json.loads(Path(sample_file).read_text(encoding="utf-8"))
    examples = [base64.b64decode(example) for example in sample["examples_b64"]]
    if not examples or not sample["outputs"]:
        return _result(False, 0.0, len(examples), f"{Path(sample_file).name} records no requests or no answers.")
    # A model server has none of these, Keras least of all; importing them is half of TensorFlow's start.
    for name in ("keras", "IPython", "pandas", "sklearn", "googleapiclient"):
        sys.modules[name] = None  # type: ignore[assignment]
    import tensorflow as tf

    model = tf.saved_model.load(model_dir)
    answers = model.signatures["serving_default"](examples=tf.constant(examples, tf.string))
    requests = len(examples)
    largest = 0.0
    for name, expected in sample["outputs"].items():
        if name not in answers:
            return _result(False, largest, requests, f"The served model does not answer {name!r}.")
        answered = _flat(answers[name].numpy().tolist())
        recorded = _flat(expected)
        if len(answered) != len(recorded):
            return _result(False, largest, requests, f"{name} has {len(answered)} values, {len(recorded)} in training.")
        for served, trained in zip(answered, recorded, strict=True):
            difference = _difference(served, trained)
            largest = max(largest, difference) if not math.isnan(difference) else math.inf
            if not difference <= TOLERANCE * max(1.0, abs(trained) if isinstance(trained, int | float) else 1.0):
                reason = f"{name} is {served!r} where training computed {trained!r}."
                return _result(False, largest, requests, reason)
    return _result(True, largest, requests, "The served model answers as it did in training.")


def _difference(served: Any, trained: Any) -> float:
    if isinstance(served, int | float) and isinstance(trained, int | float):
        return abs(served - trained)
    served = served.decode() if isinstance(served, bytes) else served
    return 0.0 if served == trained else math.inf


def _flat(values: Any) -> list[Any]:
    return [each for value in values for each in _flat(value)] if isinstance(values, list) else [values]


def _result(ok: bool, largest: float, requests: int, reason: str) -> dict[str, Any]:
    finite = largest if math.isfinite(largest) else None
    return {"ok": ok, "max_abs_difference": finite, "requests": requests, "reason": reason}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(check(*sys.argv[1:])) + "\n")

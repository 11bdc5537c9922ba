"""Raw data that arrive night by night, and a small spec that trains on a window of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SPEC = """\
name: nights
task: binary_classification
data:
  path: rows/span-{SPAN}/version-{VERSION}/*.csv
  window: 4
  split: {by: hash, train: 2, eval: 1}
  label: {late: delay > 10}
  features: {distance: numeric, load: numeric, depot: categorical}
model: {family: mlp, hidden_units: [8]}
training: {epochs: 1, batch_size: 64, optimizer: {adam: {learning_rate: 0.02}}}
evaluation: {gate: [auc >= 0.75], bootstrap_samples: 0}
retraining: {min_drift: 0.05, retrain_on_drift_above: 0.08, cool_down_hours: 36, max_age_days: 16}
schedule: {cron: "0 3 * * *", time_zone: Europe/Berlin}
"""
DEPOTS = np.array(["north", "south", "harbour", "airport"])


def rows(span: int, count: int = 600, shift: float = 0.0, labels: bool = True) -> str:
    """Return the CSV of one night.

    Args:
        span: seeds the numbers.
        count: of rows.
        shift: how much further the trips are than usual, in standard deviations.
        labels: False deals the delays to the wrong trips.
    """
    random = np.random.default_rng(span)
    distance = random.normal(20 + 6 * shift, 6, count).clip(0)
    load = random.gamma(2.0, 3.0, count)
    depot = random.choice(DEPOTS, count, p=[0.4, 0.3, 0.2, 0.1])
    usual = 20 + 6 * shift
    delay = 10 + 0.8 * (distance - usual) + 1.5 * (load - 6) + 4 * (depot == "harbour") + random.normal(0, 2, count)
    if not labels:
        delay = random.permutation(delay)
    lines = [f"{d:.2f},{x:.2f},{name},{y:.2f}" for d, x, name, y in zip(distance, load, depot, delay, strict=True)]
    return "\n".join(["distance,load,depot,delay", *lines]) + "\n"


def deliver(home: Path, span: int, text: str, version: int = 1) -> Path:
    """Write one span's file as a delivery would, all of it at once."""
    folder = home / "rows" / f"span-{span}" / f"version-{version}"
    arriving = home / "rows" / f".arriving-{span}"
    arriving.mkdir(parents=True)
    (arriving / "rows.csv").write_text(text)
    folder.parent.mkdir(parents=True, exist_ok=True)
    arriving.rename(folder)
    return folder / "rows.csv"

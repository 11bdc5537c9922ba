"""A project of 569 rows whose whole pipeline takes seconds: the breast cancer data of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn.datasets

SPEC = """
name: {name}
task: binary_classification
data:
  path: {data}
  label: {{benign: target == 1}}
  features: {{radius: numeric, texture: numeric, smoothness: numeric}}
model: {{family: wide_and_deep, hidden_units: [8]}}
training: {{epochs: {epochs}, batch_size: 32, optimizer: {{adam: {{learning_rate: 0.01}}}}}}
evaluation: {{gate: [auc >= {auc}], bootstrap_samples: 0}}
{more}
"""


def write_cells(path: Path) -> None:
    """Write the rows as CSV."""
    cells = sklearn.datasets.load_breast_cancer()
    table = np.column_stack([cells.data[:, [0, 1, 4]], cells.target])
    np.savetxt(path, table, delimiter=",", header="radius,texture,smoothness,target", comments="", fmt="%g")


def write_project(
    folder: Path, *, name: str = "cells", data: str = "cells.csv", epochs: int = 10, auc: float = 0.8, more: str = ""
) -> Path:
    """Write a spec and its data into a folder; return the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    if data == "cells.csv":
        write_cells(folder / data)
    spec = folder / "pipeline.yaml"
    spec.write_text(SPEC.format(name=name, data=data, epochs=epochs, auc=auc, more=more))
    return spec

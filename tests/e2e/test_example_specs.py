"""Each example spec on a data set of `make data` runs from raw data to a served model and passes its gate."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from components.data.series import SeriesTable
from pipelines.spec import load_spec
from tests.factories.sluice_command import Sluice, output

DATA = Path(__file__).parents[2] / "data"
QUICKER = "evaluation.bootstrap_samples=20"


def run(name: str, folder: Path) -> tuple[Sluice, dict[str, float]]:
    """Run a spec whose gate must pass; return the metrics."""
    sluice = Sluice(folder / "root", folder)
    sluice("run", name, QUICKER, timeout=280)
    assert sluice.latest()["status"] == "pushed"
    metrics = json.loads((output(sluice.latest(), "Evaluator", "evaluation") / "metrics.json").read_text())
    return sluice, {metric: found["value"] for metric, found in metrics["overall"].items()}


def test_penguins_are_told_apart(tmp_path):
    sluice, metrics = run("penguins", tmp_path)
    assert metrics["accuracy"] >= 0.95
    row = {"bill_length_mm": 50.0, "flipper_length_mm": 220.0, "bill_depth_mm": 15.0, "body_mass_g": None, "sex": None}
    assert "Gentoo" in sluice("predict", "penguins", "--json", json.dumps(row)).stdout


def test_heart_disease_is_found(tmp_path):
    _, metrics = run("heart", tmp_path)
    assert metrics["auc"] >= 0.85


@pytest.fixture(scope="module")
def weeks() -> tuple[SeriesTable, dict[str, np.ndarray]]:
    """The rows of spec co2."""
    import pyarrow as pa

    from components.data.ingest import open_table
    from components.data.source import list_files

    data = load_spec("co2").spec.data
    table, _ = open_table(data.ingest, list_files(str(DATA / "co2.csv")), DATA)
    rows = pa.Table.from_batches(table.batches())
    return table, {name: rows[name].to_numpy() for name in rows.column_names if name != "date"}


def rmse(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def test_the_gate_of_co2_asks_for_more_than_naive_forecasts_reach(weeks):
    table, rows = weeks
    change = rows["co2_ahead_26"] - rows["co2_lag_1"]
    last_season = rows["co2_lag_27"] - rows["co2_lag_1"]  # the same week a year before the one to predict
    last_change = rows["co2_lag_27"] - rows["co2_lag_52"]
    held_out = ~table.training
    naive = {
        "last value": rmse(change[held_out]),
        "last year's value": rmse((change - last_season)[held_out]),
        "last year's change": rmse((change - last_change)[held_out]),
    }
    spec = load_spec("co2")
    rule = next(rule for rule in spec.spec.evaluation.gate if rule.metric == "rmse")
    assert rule.at_most < min(naive.values())
    header = spec.path.read_text().split("name:", 1)[0]
    for name, value in naive.items():
        assert re.search(rf"{name} {value:.2f}\b", header), (name, value)


def test_carbon_dioxide_is_forecast_and_served_as_a_row_of_lags(tmp_path, weeks):
    sluice, metrics = run("co2", tmp_path)
    assert metrics["rmse"] <= 0.9
    table, rows = weeks
    at = int(np.flatnonzero(~table.training)[0])
    row = {f"co2_lag_{lag}": float(rows[f"co2_lag_{lag}"][at]) for lag in range(1, 53)}
    answer = sluice("predict", "co2", "--json", json.dumps(row)).stdout
    predicted = float(re.findall(r"-?\d+\.\d+", answer)[-1])
    assert predicted == pytest.approx(rows["co2_ahead_26"][at] - rows["co2_lag_1"][at], abs=3)


def test_without_the_data_the_remedy_is_make_data(tmp_path):
    text = load_spec("penguins").path.read_text()
    home = tmp_path / "pipelines" / "specs"
    home.mkdir(parents=True)
    (home / "penguins.yaml").write_text(text)
    (tmp_path / "scripts" / "data_sets").mkdir(parents=True)
    (tmp_path / "scripts" / "data_sets" / "penguins.py").touch()
    refused = Sluice(tmp_path / "root", tmp_path)("run", str(home / "penguins.yaml"), check=2)
    line = 1 + text[: text.index("\n  path:")].count("\n") + 1
    assert f"penguins.yaml:{line}" in refused.stderr.replace("\n", "")
    assert "Make it: run `make data`." in refused.stderr

"""From raw rows to a served model, and what a second run makes of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.bench.data import taxi_file
from tests.factories.sluice_command import QUICK, actions, environment, output

HEAVY = ("tensorflow", "tfx", "apache_beam", "keras", "kfp", "tensorflow_transform")


def test_one_command_takes_raw_rows_to_a_served_model(taxi):
    run = (
        taxi.latest()
        if len(list((taxi.root / "runs").iterdir())) == 1
        else json.loads(sorted((taxi.root / "runs").glob("*/run.json"))[0].read_text())
    )
    assert run["status"] == "pushed"
    assert set(actions(run).values()) == {"done"}
    assert run["verdict"]["passed"]
    assert run["verdict"]["servability"]["ok"]
    metrics = json.loads((output(run, "Evaluator", "evaluation") / "metrics.json").read_text())
    assert metrics["overall"]["auc"]["value"] > 0.85
    assert (taxi.root / "serving" / str(run["pushed"]["version"]) / "saved_model.pb").is_file()
    assert (taxi.root / "runs" / run["run_id"] / "report.html").stat().st_size > 50_000


def test_an_identical_run_does_nothing_and_imports_nothing_heavy(taxi):
    versions = taxi.versions()
    code = (
        "import sys; from pipelines.api import Pipeline; "
        f"result = Pipeline.load('taxi', {list(QUICK)!r}, {str(taxi.root)!r}).run(); "
        f"print(result.status, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=taxi.cwd, capture_output=True, text=True, env=environment())
    assert done.stdout.strip().endswith("cached []"), done.stdout + done.stderr
    assert taxi.versions() == versions


def test_the_plan_says_what_would_run_and_why(taxi):
    plan = taxi("plan", "taxi", *QUICK, "training.optimizer.adam.learning_rate=0.002").stdout
    assert "15,002 rows" in plan
    assert "learning_rate 0.001 → 0.002" in plan
    assert "made in run" in plan


def test_the_served_model_answers_as_it_did_in_evaluation(taxi):
    """1,000 eval rows through `sluice predict` give the predictions that the gate judged, to float rounding."""
    run = taxi.latest()
    judged = pyarrow.parquet.read_table(output(run, "Evaluator", "evaluation") / "predictions.parquet")
    rows = pyarrow.csv.read_csv(taxi_file()).to_pylist()
    answers = taxi("predict", "taxi", str(taxi_file())).stdout.splitlines()
    assert len(answers) == len(rows)
    served = np.sort([json.loads(answer)["probability"] for answer in answers])
    expected = np.sort(judged.column("prediction").to_numpy())[::5][:1000]
    nearest = served[np.clip(np.searchsorted(served, expected), 1, len(served) - 1)]
    before = served[np.clip(np.searchsorted(served, expected) - 1, 0, len(served) - 1)]
    assert np.minimum(np.abs(nearest - expected), np.abs(before - expected)).max() < 1e-5


def test_prediction_takes_rows_with_missing_values_and_unseen_categories(taxi):
    answer = taxi(
        "predict",
        "taxi",
        "--json",
        '{"trip_miles": null, "company": "A new one", "fare": 12.5, '
        '"trip_seconds": 600, "payment_type": "Barter", "pickup_latitude": null, "pickup_longitude": null, '
        '"dropoff_latitude": null, "dropoff_longitude": null, "pickup_census_tract": null, '
        '"dropoff_census_tract": null, "trip_start_hour": 3, "trip_start_day": 5, "trip_start_month": 6, '
        '"pickup_community_area": null, "dropoff_community_area": null}',
    ).stdout
    assert 0 < json.loads(answer)["probability"] < 1


def test_runs_are_listed_and_compared(taxi):
    taxi("run", "taxi", *QUICK)
    listing = taxi("runs", "taxi").stdout
    assert "pushed" in listing
    assert "cached" in listing
    assert "spec: the same" in taxi("diff", "previous", "latest").stdout


def test_nothing_but_the_run_is_on_the_screen(taxi):
    text = taxi("run", "taxi", *QUICK).stdout
    assert "WARNING" not in text
    assert "nothing to do" in text
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize("command", [("--help",), ("list",), ("validate", "taxi"), ("schema",)])
def test_light_commands_import_nothing_heavy(command, tmp_path):
    code = (
        "import sys; from pipelines.cli import cli; "
        f"cli.main({list(command)!r}, standalone_mode=False); "
        f"sys.exit(str([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.stderr.strip() == "[]", done.stderr


def test_the_served_model_judged_again_by_another_gate_passes_and_is_not_pushed_twice(taxi):
    versions = taxi.versions()
    taxi("run", "taxi", *QUICK, "evaluation.gate=[auc >= 0.6]")
    run = taxi.latest()
    assert run["status"] == "pushed"
    assert (actions(run)["Trainer"], actions(run)["Evaluator"]) == ("cached", "done")
    assert run["pushed"]["version"] == versions[-1]
    assert taxi.versions() == versions

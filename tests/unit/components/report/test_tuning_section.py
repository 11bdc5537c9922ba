"""The report's part about the trials: there only when there were some, true to their scores, drawn in their places."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from components.report.page import write_report
from components.report.plots.tuning import Axis
from tests.factories.report_runs import HOSTILE, RunFactory

RATE = "training.optimizer.adam.learning_rate"


def trial(number: int, rate: float, units: list[int], score: float | None, error: str | None = None) -> dict[str, Any]:
    values = {RATE: rate, "model.hidden_units": units}
    return {"trial": number, "values": values, "score": score, "epochs": 2, "budget": 2, "seconds": 1.5, "error": error}


def page(runs: RunFactory, name: str, trials: list[dict[str, Any]], best: int, direction: str = "max") -> str:
    folder: Path = runs.run(name, status="pushed")
    record = json.loads((folder / "run.json").read_text())
    summary = {"method": "grid", "objective": "val_auc", "direction": direction, "holdout": 0.2, "log": [RATE]}
    summary |= {"best": best, "values": trials[best - 1]["values"], "trials": trials}
    record["nodes"].append({"name": "Tuner", "section": "tuning", "status": "done", "outputs": {}, "summary": summary})
    (folder / "run.json").write_text(json.dumps(record))
    return write_report(folder).read_text(encoding="utf-8")


def test_trials_are_listed_from_the_best_to_the_failed_and_the_best_is_named(runs: RunFactory) -> None:
    trials = [
        trial(1, 0.001, [8], 0.7125),
        trial(2, 0.01, [8, 4], None, f"The loss became NaN {HOSTILE}"),
        trial(3, 0.1, [8, 4], 0.8125),
    ]
    html = page(runs, "tuned", trials, best=3)
    table = html[html.index("Hyperparameters that were tried") :]

    order = re.findall(r'<th scope="row" class="n">(\d+)</th>', table[: table.index("</table>")])
    assert order == ["3", "1", "2"]
    assert "trial <b>3</b> is best with val_auc" in html
    assert "3 trials by grid search, of which 1 failed" in html
    assert "failed: The loss became NaN &lt;script&gt;" in html
    assert HOSTILE not in html
    assert "could not be written" not in html
    assert "trial 3: learning_rate 0.1, hidden_units [8, 4]: val_auc 0.8125" in html


def test_a_lower_objective_comes_first_when_less_is_better(runs: RunFactory) -> None:
    html = page(runs, "less", [trial(1, 0.001, [8], 0.5), trial(2, 0.01, [8], 0.25)], best=2, direction="min")
    table = html[html.index("Hyperparameters that were tried") :]

    order = re.findall(r'<th scope="row" class="n">(\d+)</th>', table[: table.index("</table>")])
    assert order == ["2", "1"]
    assert "less is better" in html


def test_a_run_without_a_tuner_has_no_such_part(runs: RunFactory) -> None:
    html = write_report(runs.run("untuned", status="pushed")).read_text(encoding="utf-8")

    assert 'id="tuning"' not in html


def test_lines_cross_an_axis_where_their_values_are() -> None:
    linear = Axis("a", (0.0, 5.0, 10.0)).places()
    log = Axis("b", (0.001, math.sqrt(0.001 * 0.1), 0.1), log=True).places()
    texts = Axis("c", ("[8]", "[8, 4]", "[8]", None)).places()
    alone = Axis("d", (3, 3)).places()

    assert linear == log == [0.0, 0.5, 1.0]
    assert texts == [0.0, 1.0, 0.0, None]
    assert alone == [0.5, 0.5]

"""The page says what happened, whatever is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.report.collect import Findings
from components.report.page import resolve, why, write_report
from components.report.sections import metrics, training, verdict
from tests.factories.report_runs import HOSTILE, NODES, RunFactory, multiclass_run, regression_run

BROKEN = "could not be written"


def text(page: Path) -> str:
    """Return what a reader sees: the page without its data, style, plots and tags."""
    html = re.sub(r"<(script|style|svg).*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_blocked_run_gives_its_reasons_first(runs: RunFactory):
    decided = runs.verdict(floor=0.93)
    shown = text(write_report(runs.run("blocked", status="blocked", verdict=decided)))
    assert not decided["passed"]
    assert "Blocked: nothing was pushed" in shown
    assert all(reason in shown for reason in decided["reasons"])
    assert shown.index(decided["reasons"][0]) < shown.index("Metrics and their intervals")
    assert "not enough data to say" in shown
    assert BROKEN not in shown


def test_a_pushed_run_names_version_and_destination(runs: RunFactory):
    shown = text(write_report(runs.run("pushed", status="pushed")))
    assert "Pushed as version 4" in shown
    assert "serving/taxi/4" in shown
    assert BROKEN not in shown


def test_a_failed_run_says_what_to_do_and_what_did_not_run(runs: RunFactory):
    failure = {"component": "Trainer", "message": "The loss became <i>NaN</i>.", "remedy": "Lower the learning rate."}
    failure |= {"spec_path": "training.optimizer", "log": "log.txt"}
    skipped = {"status": "skipped", "why": "Trainer failed", "outputs": {}, "summary": None}
    nodes = {"Trainer": {"status": "failed", "outputs": {}}, "Evaluator": skipped, "Pusher": skipped}
    shown = text(write_report(runs.run("failed", status="failed", failure=failure, verdict=None, nodes=nodes)))
    assert "Trainer failed" in shown
    assert "The loss became &lt;i&gt;NaN&lt;/i&gt;." in shown
    assert "Lower the learning rate." in shown
    assert "Did not run: Evaluator, Pusher." in shown
    assert "Evaluator did not run: Trainer failed." in shown
    assert "Rows through ingestion and cleaning" in shown
    assert BROKEN not in shown


def test_a_cached_run_still_shows_the_results(runs: RunFactory):
    cached = dict.fromkeys(NODES, {"status": "cached", "seconds": 0.0})
    shown = text(write_report(runs.run("cached", status="cached", nodes=cached)))
    assert "Nothing to do: everything was up to date" in shown
    assert "Every result was already there, so no component ran." in shown
    assert "Metrics and their intervals" in shown


@pytest.mark.parametrize("make", [regression_run, multiclass_run])
def test_other_tasks_have_their_own_plots(tmp_path: Path, make: Any):
    page = write_report(make(tmp_path / "runs" / "one"))
    shown = text(page)
    assert BROKEN not in shown
    assert ("Predicted against actual" in shown) == (make is regression_run)
    assert ("Confusion" in shown) == (make is multiclass_run)
    assert "No slices were asked for" in shown


def test_user_text_is_never_markup(runs: RunFactory):
    page = write_report(runs.run("hostile", status="pushed", pipeline=HOSTILE, overrides={HOSTILE: "</script>"}))
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert html.count("<script") == html.count("</script>") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


LEFTOVERS = {
    "metrics": ("Evaluator", "evaluation", "metrics.json"),
    "predictions": ("Evaluator", "evaluation", "predictions.parquet"),
    "history": ("Trainer", "model_run", "history.json"),
    "statistics": ("StatisticsGen", "statistics", "Split-train/FeatureStats.pb"),
}


@pytest.mark.parametrize("part", LEFTOVERS)
@pytest.mark.parametrize("content", [None, b"", b"\x00nonsense", b"[1, 2]", b'{"task": 3, "overall": [], "epochs": 7}'])
def test_a_missing_or_broken_artifact_leaves_a_sentence(
    runs: RunFactory, tmp_path: Path, part: str, content: bytes | None
):
    name, key, file = LEFTOVERS[part]
    broken = tmp_path / "artifact"
    shutil.copytree(runs.artifact(name, key), broken)
    (broken / file).unlink() if content is None else (broken / file).write_bytes(content)
    if part == "statistics":
        shutil.rmtree(broken / "Split-eval")
    nodes = {name: {"outputs": {key: str(broken)}}}
    html = write_report(runs.run(f"broken-{part}", status="pushed", nodes=nodes)).read_text(encoding="utf-8")
    assert '<p class="missing">' in html
    assert html.count("<h2") == 7
    assert "Pushed as version 4" in html


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes": None},
        {"nodes": "none"},
        {"nodes": [None, 3]},
        {"verdict": {"rules": [{}]}},
        {"verdict": {"rules": "all"}},
        {"spec": None, "spec_text": None, "versions": None, "data": None, "overrides": None},
        {"seconds": None, "started": None, "pushed": None, "status": None},
    ],
)
def test_a_run_record_with_gaps_still_makes_a_page(runs: RunFactory, changes: dict[str, Any]):
    folder = runs.run("gaps", status="pushed")
    record = json.loads((folder / "run.json").read_text()) | changes
    (folder / "run.json").write_text(json.dumps(record))
    html = write_report(folder).read_text(encoding="utf-8")
    assert html.count("<h2") == 7
    assert html.rstrip().endswith("</html>")


def test_only_a_missing_run_record_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        write_report(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match="does not hold an object"):
        write_report(tmp_path)


def test_numbers_that_json_cannot_say_become_dashes(runs: RunFactory):
    folder = runs.run("nan", status="pushed", seconds=float("nan"))
    html = write_report(folder).read_text(encoding="utf-8")
    embedded = re.search(r'id="run-data">(.*?)</script>', html, flags=re.S)
    assert embedded
    data = json.loads(embedded[1], parse_constant=lambda name: pytest.fail(f"{name} in the embedded JSON"))
    assert data["run"]["seconds"] is None


def test_the_page_is_small_and_asks_for_nothing(runs: RunFactory):
    page = write_report(runs.run("size", status="pushed"))
    html = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 1_500_000
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', html)
    assert "url(http" not in html
    assert not list(page.parent.glob("*.partial"))


def test_a_page_is_written_without_tensorflow(runs: RunFactory):
    folder = runs.run("light", status="pushed")
    code = "import sys; from pathlib import Path; from components.report.page import write_report\n"
    code += (
        f"write_report(Path({str(folder)!r})); print(*{{'tensorflow', 'tfx', 'matplotlib.pyplot'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_plots_have_page_colours_and_ids_of_their_own(runs: RunFactory):
    html = write_report(runs.run("plots", status="pushed")).read_text(encoding="utf-8")
    identifiers = re.findall(r'\sid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))
    plots = re.findall(r'<svg class="plot".*?</svg>', html, flags=re.S)
    assert len(plots) >= 10
    assert not [found for plot in plots for found in re.findall(r"#0101\w\w|font-family|DejaVu", plot)]
    assert all(re.search(r'aria-label="[^"]{10,}"', plot) for plot in plots)
    used = {name for plot in plots for name in re.findall(r'(?:href="#|url\(#)([\w.-]+)', plot)}
    assert used <= set(identifiers)


def test_slices_are_sorted_from_the_worst(runs: RunFactory):
    by_auc = metrics.slices(runs.metrics, [])
    assert by_auc
    values = [row["metrics"]["auc"]["value"] for row in by_auc["groups"][0]["rows"]]
    assert values == sorted(values)
    rule = {"metric": "log_loss", "slice": {"trip_start_hour": "3"}, "rule": "log_loss <= 1", "bound": 1}
    by_loss = metrics.slices(runs.metrics, [rule])
    assert by_loss
    values = [row["metrics"]["log_loss"]["value"] for row in by_loss["groups"][0]["rows"]]
    assert values == sorted(values, reverse=True)


def test_rules_that_fail_are_never_folded_away(runs: RunFactory):
    decided = runs.verdict(floor=0.999)
    view = verdict.view(Findings({"run": {"status": "blocked"}, "verdict": decided}))
    failed = [rule for rule in decided["rules"] if rule["verdict"] == "fail"]
    assert len(failed) > 8
    assert [rule["verdict"] for rule in view["rules"][: len(failed)]] == ["fail"] * len(failed)
    assert not [rule for rule in view["folded"] if rule["verdict"] == "fail"]
    assert len(view["rules"]) + len(view["folded"]) == len(decided["rules"])
    assert view["reasons"] + view["more_reasons"] == decided["reasons"]


@pytest.mark.parametrize(("monitor", "expected"), [("val_loss", 2), ("val_auc", 3)])
def test_the_best_epoch_is_the_one_early_stopping_would_keep(monitor: str, expected: int):
    epochs = [
        {"epoch": n, "loss": 1.0, "val_loss": a, "val_auc": b} for n, a, b in [(1, 3, 0.5), (2, 1, 0.6), (3, 2, 0.9)]
    ]
    run = {"status": "pushed", "spec": {"training": {"early_stopping": {"monitor": monitor}}}}
    view = training.view(Findings({"run": run, "history": {"epochs": epochs}}))
    assert view
    assert view["best_number"] == expected


def test_a_path_may_hold_dots_in_a_key():
    assert resolve({"a": [{"b.c": 5}]}, r"a.0.b\.c") == 5
    assert resolve({"a": [1]}, "a.7") is None


def test_why_names_the_problem():
    node = {"name": "Evaluator", "status": "done"}
    found = Findings({"run": {"nodes": [node]}}, {"metrics": "metrics.json could not be read: No such file"})
    assert why(found, "Evaluator", ("metrics",)).endswith("No such file.")
    assert why(found, "Tuner") == "This run has no Tuner, so there is nothing to show here."


def test_members_of_an_ensemble_are_shown_beside_it_with_the_gain(runs: RunFactory):
    folder = runs.run("ensemble", status="pushed")
    file = runs.artifact("Trainer", "model_run") / "history.json"
    single = file.read_text(encoding="utf-8")
    members = [
        {"name": name, "parameters": 12, "epochs": 3, "seconds": 1.5, "val_loss": loss}
        for name, loss in (("model", 0.4321), ("linear", 0.4567))
    ]
    gain = {"best_member": 1, "loss": 0.0118, "low": -0.0021, "high": 0.0243}
    ensemble = {"kind": "voting", "members": members, "metrics": {"val_loss": 0.4203}, "gain": gain}
    ensemble["text"] = "voting of 2 members gains"
    told = {"ensemble": ensemble, "notes": [ensemble["text"], "another note"]}
    try:
        file.write_text(json.dumps(json.loads(single) | told), encoding="utf-8")
        shown = text(write_report(folder))
    finally:
        file.write_text(single, encoding="utf-8")
    assert "Members of the ensemble (voting)" in shown
    assert all(found in shown for found in ("0.4321", "0.4567", "0.4203", "0.0118", "0.0243"))
    assert "another note" in shown
    assert ensemble["text"] not in shown  # the sentence below the table says it
    assert BROKEN not in shown
    assert "Members of the ensemble" not in text(write_report(folder))

"""Sixty nights of one pipeline: new data every night, some of it bad; what is served is always the last good model."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from components.errors import SpecError
from components.registry import Registry
from pipelines.api import Pipeline
from pipelines.cli import cli
from pipelines.schedule.local import LocalSchedule
from pipelines.schedule.log import Entry, Outcome, ScheduleLog
from pipelines.schedule.one_run import outcome_of, refused
from tests.factories.spans import SPEC, deliver, rows

# TFX asks protobuf for a label in the name of whoever called it, which here is the runner.
pytestmark = [
    pytest.mark.filterwarnings("ignore:label.. is deprecated:DeprecationWarning"),
    pytest.mark.timeout(900),
]

NIGHTS = 60
FIRST_SLOT = datetime(2026, 3, 1, 2, tzinfo=UTC)
"""03:00 in Berlin; the clocks are put forward during these nights."""
CORRUPT, REPAIRED = 12, 14
"""A span comes with a row that cannot be read; two nights later it comes again, as version 2."""
QUIET = (18, 19)
"""Nothing arrives."""
DRIFT = 27
"""From then on trips are longer."""
BAD_LABELS, GOOD_LABELS = 43, 48
"""The delays stand beside the wrong trips; then all of these spans come again, as version 2."""


class SimulatedClock:
    """A clock that jumps to the moment it is asked to wait for, and delivers the data of that night first.

    Args:
        home: the spec's folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.time = FIRST_SLOT - timedelta(hours=1)
        self.night = 0

    def now(self) -> datetime:
        return self.time

    def wait_until(self, moment: datetime) -> None:
        self.time = moment
        self.night += 1
        happenings(self.home, self.night)


def span_of(night: int) -> int:
    """Return the newest span that has arrived by a night; spans are numbered without gaps."""
    return night - sum(quiet <= night for quiet in QUIET)


def happenings(home: Path, night: int) -> None:
    """Deliver what arrives before the slot of a night."""
    shift = 2.0 if night >= DRIFT else 0.0
    if night == REPAIRED:
        deliver(home, CORRUPT, rows(CORRUPT), version=2)
    if night == GOOD_LABELS:
        for span in range(span_of(BAD_LABELS), span_of(GOOD_LABELS)):
            deliver(home, span, rows(span, shift=shift), version=2)
    if night in QUIET:
        return
    text = rows(span_of(night), shift=shift, labels=not BAD_LABELS <= night < GOOD_LABELS)
    if night == CORRUPT:
        middle = text.index("\n", len(text) // 2) + 1
        text = f"{text[:middle]}12.5,three\n{text[middle:]}"
    deliver(home, span_of(night), text)


@dataclass
class Simulation:
    """What happened.

    Args:
        entries: the log of the schedule, one entry per night.
        served: the version that was served after each night.
        root: the pipeline's folder.
    """

    root: Path
    entries: list[Entry] = field(default_factory=list)
    served: list[int | None] = field(default_factory=list)

    def outcome(self, night: int) -> Outcome:
        outcome = self.entries[night - 1].outcome
        assert outcome is not None
        return outcome

    def record(self, night: int) -> dict:
        return json.loads((self.root / "runs" / str(self.outcome(night).run_id) / "run.json").read_text())

    def nights(self, status: str) -> list[int]:
        return [night for night in range(1, NIGHTS + 1) if self.outcome(night).status == status]

    def rule(self, night: int) -> str | None:
        """Return the rule that decided, or None when the run did not come to a decision."""
        return (self.record(night)["decision"] or {}).get("rule") if self.outcome(night).run_id else None

    def why(self, night: int) -> str:
        """Return the reason of a night, without what differs from one simulation to the next."""
        said = (self.outcome(night).reasons or ("",))[0].replace(f"{self.root.parent}/", "")
        for number, version in enumerate(self.models(), 1):
            said = said.replace(f"version {version}", f"model {number}")
        return said if len(said) <= 150 else f"{said[:149]}…"

    def models(self) -> list[int]:
        """Return the versions that were ever served, oldest first."""
        return list(dict.fromkeys(version for version in self.served if version is not None))

    def table(self) -> str:
        """Return all nights as a Markdown table; nights on which the same happened share a row."""
        lines = ["| nights | run | why | served afterwards |", "|---|---|---|---|"]
        nights = range(1, NIGHTS + 1)
        same = itertools.groupby(
            nights, lambda night: (self.outcome(night).status, self.rule(night) or self.why(night))
        )
        for (status, _), group in same:
            first, *others = group
            shown = f"{first}–{others[-1]}" if others else str(first)
            models = [self.served[night - 1] for night in (first, *others)]
            numbers = sorted({self.models().index(version) + 1 for version in models if version is not None})
            model = (
                "nothing" if not numbers else f"model {'–'.join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))}"
            )
            lines.append(f"| {shown} | {status} | {self.why(first)} | {model} |")
        return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def simulation(tmp_path_factory) -> Simulation:
    """Sixty slots of the real schedule loop; only the clock is ours."""
    home = tmp_path_factory.mktemp("nights")
    (home / "pipeline.yaml").write_text(SPEC)
    found = Simulation(home / "root")
    clock = SimulatedClock(home)

    def run(slot: datetime) -> Outcome:
        try:
            pipeline = Pipeline.load(home / "pipeline.yaml", root=found.root)
            result = pipeline.run(now=slot)
        except SpecError as error:
            outcome = refused(error)
        else:
            outcome = outcome_of(result.record, result.exit_code)
        serving = found.root / "serving"
        versions = sorted(int(entry.name) for entry in serving.iterdir()) if serving.is_dir() else []
        found.served.append(versions[-1] if versions else None)
        return outcome

    end = FIRST_SLOT + timedelta(days=NIGHTS - 1)
    loaded = Pipeline.load(home / "pipeline.yaml", [f"schedule.end={end.isoformat()}"], root=found.root)
    assert loaded.spec.schedule is not None
    log = ScheduleLog(found.root)
    LocalSchedule(loaded.spec.schedule, log, run, clock=clock).watch()
    found.entries = [entry for entry in log.entries() if entry.event == "ended"]
    (found.root / "nights.md").write_text(found.table())
    print(found.table())  # noqa: T201
    return found


def test_every_night_has_its_slot_at_three_in_the_morning(simulation):
    local = [entry.slot.astimezone(ZoneInfo("Europe/Berlin")) for entry in simulation.entries]
    assert [slot.hour for slot in local] == [3] * NIGHTS
    assert [slot.toordinal() - local[0].toordinal() for slot in local] == list(range(NIGHTS))
    assert {entry.slot.hour for entry in simulation.entries} == {1, 2}


def test_only_nights_with_a_reason_train(simulation):
    trained = simulation.nights("pushed") + simulation.nights("blocked")
    assert sorted(trained) == [1, 17, 27, 28, 29, 30, 46, 48]
    assert simulation.rule(1) == "first_model"
    assert {night: simulation.rule(night) for night in (17, 46, 48)} == dict.fromkeys((17, 46, 48), "too_old")
    others = [simulation.rule(night) for night in simulation.nights("skipped")]
    assert set(others) == {"cool_down", "little_drift"}


def test_a_decision_not_to_train_costs_reading_and_counting_only(simulation):
    for night in simulation.nights("skipped"):
        nodes = {node["name"]: node["status"] for node in simulation.record(night)["nodes"]}
        assert nodes["Decider"] == "done"
        assert {nodes[name] for name in ("Transform", "Trainer", "Evaluator", "Pusher")} == {"skipped"}


def test_every_decision_is_kept_with_its_reasons(simulation):
    for night in range(1, NIGHTS + 1):
        outcome = simulation.outcome(night)
        assert outcome.reasons
        if outcome.status not in ("refused", "cached"):
            record = simulation.record(night)
            assert record["decision"]["reasons"]
            folder = next(node for node in record["nodes"] if node["name"] == "Decider")["outputs"]["decision"]
            assert json.loads((Path(folder) / "decision.json").read_text())["span"] == span_of(night)


@pytest.mark.parametrize("night", [DRIFT - 1, DRIFT])
def test_the_page_of_a_run_says_why_and_how_far_columns_moved(simulation, night):
    page = (simulation.root / "runs" / str(simulation.outcome(night).run_id) / "report.html").read_text()
    section = page.split("Whether to train again")[1].split("<h3>")[0]
    assert f">{'yes' if night == DRIFT else 'no'}<" in section
    assert simulation.outcome(night).reasons[0] in section
    assert [name for name in ("distance", "load", "depot", "delay") if f"{name}</th>" not in section] == []


def test_a_corrupt_span_stops_the_run_until_it_is_delivered_again(simulation):
    assert simulation.nights("refused") == list(range(CORRUPT, REPAIRED))
    outcome = simulation.outcome(CORRUPT)
    assert outcome.exit_code == 2
    assert "span-12/version-1/rows.csv, line 302: 2 values for 4 columns" in outcome.reasons[0]
    assert len({*simulation.served[CORRUPT - 2 : REPAIRED]}) == 1
    spans = simulation.record(REPAIRED)["data"]["spans"]
    assert {span["span"]: span["version"] for span in spans} == {11: 1, 12: 2, 13: 1, 14: 1}


def test_nights_without_a_delivery_have_nothing_to_do(simulation):
    assert simulation.nights("cached") == list(QUIET)


def test_a_drifting_span_is_trained_on_at_once(simulation):
    assert simulation.rule(DRIFT - 1) == "little_drift"
    for night in range(DRIFT, DRIFT + 4):
        assert simulation.rule(night) == "strong_drift"
        assert simulation.outcome(night).reasons[0].startswith("drift above 0.08: distance by 0.1")
    assert simulation.rule(DRIFT + 5) == "little_drift"


def test_a_bad_model_is_blocked_and_the_one_before_stays_served(simulation):
    (night,) = simulation.nights("blocked")
    outcome = simulation.outcome(night)
    assert outcome.exit_code == 3
    assert outcome.reasons[0].startswith("auc >= 0.75 fails")
    assert simulation.served[night - 1] == simulation.served[BAD_LABELS - 2]
    assert simulation.outcome(GOOD_LABELS).status == "pushed"


def test_what_is_served_changes_only_on_nights_that_push(simulation):
    changes = [night for night in range(2, NIGHTS + 1) if simulation.served[night - 1] != simulation.served[night - 2]]
    assert [1, *changes] == simulation.nights("pushed")
    assert simulation.models() == sorted(simulation.models())
    blessed = Registry(simulation.root / "registry").all()
    assert [model.version for model in blessed if model.blessed] == simulation.models()


def test_the_model_that_is_served_in_the_end_answers(simulation):
    pipeline = Pipeline.load(simulation.root.parent / "pipeline.yaml", root=simulation.root)
    answers = pipeline.predict([{"distance": 60.0, "load": 9.0, "depot": "harbour"}, {"distance": 15.0, "load": 1.0}])
    late, early = (row["probability"] for row in answers.rows())
    assert late > 0.5 > early


def test_spans_are_on_the_examples_in_ml_metadata(simulation):
    from tfx.orchestration import metadata

    connection = metadata.sqlite_metadata_connection_config(str(simulation.root / "metadata.sqlite"))
    with metadata.Metadata(connection) as handle:
        examples = handle.store.get_artifacts_by_type("Examples")
    spans = {artifact.uri: artifact.properties["span"].int_value for artifact in examples}
    record = simulation.record(NIGHTS)
    uris = [node["outputs"]["examples"] for node in record["nodes"] if node["name"] in ("ExampleGen", "Cleaner")]
    assert [spans[uri] for uri in uris] == [span_of(NIGHTS)] * 2
    (newest,) = [artifact for artifact in examples if artifact.uri == uris[0]]
    assert newest.custom_properties["input_fingerprint"].string_value == record["data"]["fingerprint"]


def test_the_history_shows_every_night(simulation):
    spec = str(simulation.root.parent / "pipeline.yaml")
    arguments = ["schedule", "history", spec, "--root", str(simulation.root), "--last", "100"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("2026-")]
    assert len(lines) == NIGHTS
    drifted = lines[DRIFT - 1]
    assert drifted.split()[:5] == ["2026-03-27", "03:00", "pushed", "0", str(span_of(DRIFT))]
    assert "drift above 0.08" in drifted

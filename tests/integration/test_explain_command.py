"""`sluice explain`: what each step did to one row, against the data and against the model of a real run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from components.errors import SpecError
from pipelines.api import Pipeline
from pipelines.cli import cli
from pipelines.explain import MODEL_INPUT, Explained, Stage, explain
from tests.factories.examples_artifacts import TAXI_CSV
from tests.factories.sluice_command import Sluice
from tests.factories.small_project import write_project

CLEANING = "[drop_missing: [trip_seconds], keep_range: {column: fare, max: 9}, drop_duplicates: [company], "
CLEANING += "drop_outliers: trip_miles]"


def stages(explained: Explained, chain: str) -> list[Stage]:
    return [stage for stage in explained.stages if stage.chain == chain]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Explained:
    return explain(Pipeline.load("taxi", root=tmp_path_factory.mktemp("root")), row=1)


def test_each_step_is_shown_with_what_it_got_and_what_it_made(taxi: Explained) -> None:
    frame = pd.read_csv(TAXI_CSV)
    fare = [(stage.step, stage.before, stage.training) for stage in stages(taxi, "fare")]
    assert [step for step, _, _ in fare] == [
        "raw",
        "fill_missing: median",
        fare[2][0],
        "z_score",
        MODEL_INPUT,
    ]
    assert fare[2][0].startswith("clip_outliers")
    assert fare[0][1:] == ("12.45", "12.45")
    assert [before for _, before, _ in fare[1:]] == [made for _, _, made in fare[:-1]]
    clipped = frame.fare.clip(upper=frame.fare.quantile(0.75) * 2.5 - frame.fare.quantile(0.25) * 1.5)
    assert float(fare[3][2]) == pytest.approx((12.45 - clipped.mean()) / clipped.std(), abs=0.02)


def test_a_missing_value_is_missing_until_it_is_filled_in(taxi: Explained) -> None:
    latitude = stages(taxi, "pickup_latitude")
    assert [stage.training for stage in latitude[:1]] == ["missing"]
    mean = pd.read_csv(TAXI_CSV).pickup_latitude.mean()
    assert latitude[1].before == "missing"
    assert float(latitude[1].training) == pytest.approx(mean, abs=0.002)
    assert latitude[2].training == latitude[-1].serving
    assert latitude[2].training.isdigit()


def test_text_words_ids_and_vectors_are_shown_as_they_are(taxi: Explained) -> None:
    payment = stages(taxi, "payment_type")
    assert payment[0].training == "'Credit Card'"
    assert [stage.training for stage in payment[2:]] == ["1", *["21 values, 1 not 0 (1: 1)"] * 2]
    cross = stages(taxi, "hour_and_day")
    assert (cross[0].step, cross[0].before) == (
        "cross: [trip_start_hour, trip_start_day]",
        "trip_start_hour = 19, trip_start_day = 6",
    )


def test_the_words_of_a_text_are_shown(tmp_path: Path) -> None:
    steps = "[normalize_text, tokenize, token_ids: {top_k: 50, length: 6}]"
    overrides = ["data.features={company: text}", f"transform={{company: {steps}}}", "evaluation.slices=[]"]
    overrides += ["evaluation.gate=[]", "cleaning=[]"]
    found = stages(explain(Pipeline.load("taxi", overrides, tmp_path)), "company")
    assert found[1].training == "'chicago elite cab corp. (chicago carriag'"
    assert found[2].training == "'chicago elite cab corp chicago carriag'"
    ids = found[3].training.split(", ")
    assert ids[0] == ids[4]
    assert len(set(ids)) == 5
    assert not any(stage.differs for stage in found)


def test_serving_gives_what_training_gave(taxi: Explained) -> None:
    assert taxi.run is None
    assert not [stage for stage in taxi.stages if stage.differs]
    assert all(stage.serving == stage.training for stage in taxi.stages)


def test_cleaning_says_why_a_row_stays_or_goes(tmp_path: Path) -> None:
    pipeline = Pipeline.load("taxi", [f"cleaning={CLEANING}", "data.split.by=ratio"], tmp_path)
    frame = pd.read_csv(TAXI_CSV).iloc[:10_001].reset_index(drop=True)
    kept = frame[frame.trip_seconds.notna() & ~(frame.fare > 9)]
    again = kept[kept.company.notna() & kept.company.duplicated()].index[0]
    first = kept[kept.company == kept.company[again]].index[0]
    for row, position, why in [
        (int(frame[frame.fare > 9].index[0]), 1, f"fare = {frame.fare[frame.fare > 9].iloc[0]:.6g}"),
        (int(again), 2, f"row {first + 1} of train is the same"),
    ]:
        verdicts = explain(pipeline, row + 1).cleaning
        assert [verdict.kept for verdict in verdicts] == [True] * position + [False] + [None] * (3 - position)
        assert verdicts[position].why == why
        assert verdicts[-1].why == "not reached"


def test_cleaning_that_learns_says_what(tmp_path: Path) -> None:
    pipeline = Pipeline.load("taxi", ["cleaning=[drop_outliers: trip_miles]", "data.split.by=ratio"], tmp_path)
    miles = pd.read_csv(TAXI_CSV).trip_miles
    far = int(np.argmax(miles[:10_001] > 50))
    (verdict,) = explain(pipeline, far + 1).cleaning
    assert verdict.kept is False
    first, last = miles[:10_001].quantile([0.25, 0.75])
    assert verdict.why.startswith(f"trip_miles = {miles[far]:.6g}, learned: ")
    assert float(verdict.why.split()[-1]) == pytest.approx(last + 1.5 * (last - first), rel=0.01)
    (verdict,) = explain(pipeline, 1, "eval").cleaning
    assert (verdict.kept, verdict.why) == (True, "it drops rows of the train split only")


def test_a_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    spec = write_project(tmp_path / "cells")
    with pytest.raises(SpecError, match=r"--row: got 570; expected 1 to \d+: the split train of all 569 rows"):
        explain(Pipeline.load(spec, root=tmp_path / "root"), 570)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sluice, Path]:
    folder = tmp_path_factory.mktemp("trained")
    spec = write_project(folder / "cells", epochs=1, auc=0.0)
    sluice = Sluice(folder / "root", folder)
    sluice("run", str(spec))
    return sluice, spec


def test_the_model_of_the_latest_run_is_asked_too(trained: tuple[Sluice, Path]) -> None:
    sluice, spec = trained
    found = explain(Pipeline.load(spec, root=sluice.root), 3, "eval")
    assert (found.run, found.run_is_of_this_spec) == (sluice.latest()["run_id"], True)
    last = [stage for stage in found.stages if stage.step == MODEL_INPUT]
    assert [stage.chain for stage in last] == ["radius", "texture", "smoothness"]
    assert all(stage.served == stage.training and not stage.differs for stage in last)
    shown = sluice("explain", str(spec), "--row", "3", "--split", "eval").stdout
    assert f"run {found.run}" in shown
    assert "training and serving give the same" in shown
    assert last[0].training in shown


def test_a_model_that_was_trained_on_something_else_is_marked(trained: tuple[Sluice, Path]) -> None:
    sluice, spec = trained
    shown = sluice("explain", str(spec), "transform.radius=[min_max]").stdout
    assert "whose features and transform were others" in shown
    assert "1 of the model's inputs differ between training and serving" in shown
    (marked,) = [line for line in shown.splitlines() if line.startswith("≠")]
    assert MODEL_INPUT in marked


def test_the_command_says_what_a_request_gets_that_training_would_have_dropped(tmp_path: Path) -> None:
    spec = write_project(tmp_path / "cells", more="cleaning: [{keep_range: {column: radius, max: 1}}]")
    arguments = ["explain", str(spec), "cleaning.0.keep_range.max=17", "--root", str(tmp_path / "root")]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "dropped" in done.output
    assert "a request with this row is answered all the same" in done.output
    assert "no run has exported a model here" in done.output

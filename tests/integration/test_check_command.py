"""`sluice check`: planted leaks are found, and nothing is found where there is nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import yaml
from click.testing import CliRunner

from components.errors import ComponentError, SpecError
from pipelines.api import Pipeline
from pipelines.check import Checked, check
from pipelines.cli import cli
from pipelines.sample import clean, read_sample
from tests.factories.examples_artifacts import TAXI_CSV
from tests.factories.sluice_command import environment

ROOT = Path(__file__).parents[2]
PENGUINS, SPECS = ROOT / "data" / "penguins.csv", ROOT / "pipelines" / "specs"
FEATURES = {
    "trip_miles": "numeric",
    "fare": "numeric",
    "trip_seconds": "numeric",
    "company": "categorical",
    "payment_type": "categorical",
    "trip_start_hour": "categorical",
}
PLANTED = {
    "answer": "numeric",
    "answer_in_words": "categorical",
    "known_when_tipped": "categorical",
    "ride_id": "categorical",
    "running_number": "numeric",
    "fare_in_cents": "numeric",
    "tips_in_cents": "numeric",
    "firm": "categorical",
    "city": "categorical",
    "nothing": "numeric",
    "mostly_nothing": "numeric",
}


def write_spec(folder: Path, frame: pd.DataFrame, features: dict[str, str], **more: Any) -> Path:
    """Write a spec and its rows; `more` are sections, or keys of section data."""
    frame.to_csv(folder / "rows.csv", index=False)
    data = {"path": "rows.csv", "label": {"big_tip": "tips > 0.2 * fare"}, "features": features}
    sections = {key: more.pop(key) for key in ("cleaning", "task", "transform") if key in more}
    content = {
        "name": "planted",
        "task": "binary_classification",
        "data": data | more,
        "model": {"family": "mlp"},
        **sections,
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "spec.yaml"


def looked_at(spec: Path | str, *overrides: str, with_transform: bool = False, rows: int = 20_000) -> Checked:
    return check(Pipeline.load(spec, overrides), rows, with_transform=with_transform)


def tipped(frame: pd.DataFrame) -> pd.Series:
    """Return the label, in the graph's precision."""
    return frame.tips.astype("float32") > np.float32(0.2) * frame.fare.astype("float32")


def found(checked: Checked, level: str = "suspect") -> dict[str, str]:
    return {finding.column: finding.seen for finding in checked.findings if finding.level == level}


@pytest.fixture(scope="module")
def taxi() -> pd.DataFrame:
    return pd.read_csv(TAXI_CSV).dropna(subset=["fare", "tips"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def planted(taxi: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    rng, frame = np.random.default_rng(7), taxi.copy()
    label = tipped(frame)
    frame["answer"] = label + rng.normal(0, 0.1, len(frame))
    frame["answer_in_words"] = np.where(label, "generous", "not so")
    frame["known_when_tipped"] = np.where(label, rng.choice(["a", "b", "c"], len(frame)), None)
    frame["ride_id"] = [f"ride-{number:07}" for number in rng.permutation(len(frame))]
    frame["running_number"] = np.arange(len(frame)) + 5_000_000
    frame["fare_in_cents"] = frame.fare * 100
    frame["tips_in_cents"] = frame.tips * 100
    frame["firm"] = frame.company.map({name: f"firm {n}" for n, name in enumerate(frame.company.dropna().unique())})
    frame["city"] = "Chicago"
    frame["nothing"] = np.nan
    frame.loc[len(frame) - 1, "nothing"] = 1.0
    frame["mostly_nothing"] = np.where(rng.random(len(frame)) < 0.7, np.nan, rng.random(len(frame)))
    split = {"by": "time", "columns": ["running_number"]}  # the one value of `nothing` is in the newest row
    spec = write_spec(tmp_path_factory.mktemp("planted"), frame, FEATURES | PLANTED, split=split)
    return looked_at(spec, with_transform=True)


def test_each_planted_leak_is_found_and_nothing_else(planted: Checked) -> None:
    suspects = found(planted)
    assert set(suspects) == {
        "answer",
        "answer_in_words",
        "known_when_tipped",
        "tips_in_cents",
        "ride_id",
        "running_number",
        "fare_in_cents, fare",
        "company, firm",
        "city",
        "nothing",
    }
    assert suspects["answer"] == "alone it predicts big_tip: AUC 1.000 on rows that it was not fitted to"
    assert suspects["known_when_tipped"].startswith("alone it predicts big_tip: AUC 1.000")
    assert suspects["tips_in_cents"] == (
        "nearly a copy of 'tips', from which the label is computed: correlation 1.0000"
    )
    assert "different values in 1" in suspects["ride_id"]
    assert suspects["fare_in_cents, fare"] == "the two say the same: correlation 1.0000"
    assert suspects["company, firm"].endswith("values, one to one")
    assert suspects["city"].startswith("constant: one value in all of")
    assert suspects["nothing"].startswith("missing in all")


def test_notes_are_told_apart_from_suspects(planted: Checked) -> None:
    notes = found(planted, "note")
    assert set(notes) == {"fare", "mostly_nothing", "known_when_tipped"}
    assert notes["fare"] == "the label is computed from it: tips > 0.2 * fare"
    assert notes["mostly_nothing"].startswith("missing in 70%")


def test_what_to_do_names_the_place_in_the_spec(planted: Checked) -> None:
    by_column = {finding.column: finding for finding in planted.findings}
    assert by_column["answer"].where == "data.features.answer"
    assert by_column["answer"].remedy.endswith("not made from the label? If not: take it out.")
    assert all(finding.remedy for finding in planted.findings)


def test_on_the_taxi_spec_only_what_is_so_is_said() -> None:
    checked = looked_at("taxi")
    # no ride begins in a known census tract, but for one row; the fare is known when the ride ends
    assert set(found(checked)) == {"pickup_census_tract"}
    assert found(checked)["pickup_census_tract"].startswith("missing in all")
    assert set(found(checked, "note")) == {"fare"}
    assert checked.sample.complete
    assert (checked.overlap.equal, checked.overlap.total) == (0, checked.kept["eval"])


@pytest.mark.parametrize(
    ("name", "task", "label"),
    [
        ("breast_cancer", "binary_classification", {"benign": "target == 1"}),
        ("wine", "multiclass_classification", "target"),
        ("diabetes", "regression", "target"),
    ],
)
def test_well_known_data_have_nothing_suspicious(tmp_path: Path, name: str, task: str, label: Any) -> None:
    frame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
    frame.columns = [column.replace(" ", "_").replace("/", "_") for column in frame.columns]
    features = {column: "numeric" for column in frame.columns if column != "target"}
    spec = write_spec(tmp_path, frame, features, task=task, label=label)
    assert found(looked_at(spec)) == {}


@pytest.mark.parametrize(("task", "metric"), [("multiclass_classification", "balanced accuracy"), ("regression", "R²")])
def test_the_answer_is_found_in_every_task(tmp_path: Path, task: str, metric: str) -> None:
    frame = (sklearn.datasets.load_wine if metric != "R²" else sklearn.datasets.load_diabetes)(as_frame=True).frame
    frame["answer"] = frame.target * 3 + np.random.default_rng(0).normal(0, frame.target.std() * 0.05, len(frame))
    features = {column: "numeric" for column in list(frame.columns[:3]) + ["answer"]}
    frame.columns = [column.replace("/", "_") for column in frame.columns]
    spec = write_spec(tmp_path, frame, features, task=task, label="target")
    seen = {finding.column: finding.seen for finding in looked_at(spec).findings if "alone" in finding.seen}
    assert set(seen) == {"answer"}
    assert f"{metric} 0.9" in seen["answer"] or f"{metric} 1.0" in seen["answer"]


def test_a_class_of_few_rows_is_named(tmp_path: Path) -> None:
    frame = sklearn.datasets.load_wine(as_frame=True).frame.iloc[:, [0, 1, 2, 13]]
    frame = pd.concat([frame[frame.target < 2], frame[frame.target == 2].head(9)])
    features = {column: "numeric" for column in frame.columns[:3]}
    spec = write_spec(tmp_path, frame, features, task="multiclass_classification", label={"kind": "target"})
    (seen,) = found(looked_at(spec)).values()
    assert seen.split()[0].isdigit()
    assert set(found(looked_at(spec))) == {"kind = 2"}


@pytest.fixture(scope="module")
def twice(taxi: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3000 trips, of which 300 were delivered a second time, some with another tip."""
    frame = pd.concat([taxi.head(3000), taxi.head(300)]).reset_index(drop=True)
    frame.loc[3000:3099, "tips"] += 0.01
    return write_spec(tmp_path_factory.mktemp("twice"), frame, FEATURES)


def test_rows_in_both_splits_are_counted(twice: Path) -> None:
    shared = looked_at(twice, "data.split.by=ratio").overlap
    # the last third is for evaluation, and holds the rows that came again
    assert (shared.equal, shared.total) == (200, 1100)
    assert shared.equal_features >= 300
    assert shared.equal <= shared.same_label <= shared.equal_features


@pytest.mark.parametrize(
    ("overrides", "equal", "equal_features"),
    [
        (["data.split.by=ratio"], True, True),
        (["data.split.by=hash"], False, True),
        ([f"data.split={{by: hash, columns: [{', '.join(FEATURES)}]}}"], False, False),
        (["data.split.by=ratio", "cleaning=[drop_duplicates]"], False, True),
        (["data.split.by=ratio", f"cleaning=[drop_duplicates: [{', '.join(FEATURES)}]]"], False, False),
    ],
)
def test_each_remedy_keeps_equal_rows_out_of_one_of_the_splits(
    twice: Path, overrides: list[str], equal: bool, equal_features: bool
) -> None:
    checked = looked_at(twice, *overrides)
    assert (checked.overlap.equal > 0, checked.overlap.equal_features > 0) == (equal, equal_features)
    assert ("train and eval" in found(checked)) == (equal or checked.overlap.equal_features >= 0.01 * 1100)


def test_a_split_by_group_puts_no_group_into_both(taxi: pd.DataFrame, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, taxi, FEATURES)
    for override, shares in (("data.split={by: hash, columns: [company]}", False), ("data.split.by=hash", True)):
        pipeline = Pipeline.load(spec, [override])
        splits = read_sample(pipeline.spec, pipeline.data_path).splits
        companies = [set(splits[name].column("company").to_pylist()) for name in ("train", "eval")]
        assert bool(companies[0] & companies[1]) == shares
        assert all(companies)


def test_a_split_by_time_trains_on_nothing_from_later(taxi: pd.DataFrame, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, taxi, FEATURES, split={"by": "time", "columns": ["trip_start_timestamp"]})
    pipeline = Pipeline.load(spec)
    splits = read_sample(pipeline.spec, pipeline.data_path).splits
    times = {name: batch.column("trip_start_timestamp").to_pandas() for name, batch in splits.items()}
    assert times["train"].max() <= times["eval"].min()


def test_past_values_of_a_series_may_be_alike_and_tell_of_the_next(taxi: pd.DataFrame, tmp_path: Path) -> None:
    takings = pd.DataFrame({"ride": range(2000), "takings": taxi.fare.head(2000).cumsum()})
    series = {"time": "ride", "values": "takings", "past": 3}
    more = {"task": "regression", "label": "takings_ahead_1", "series": series}
    checked = looked_at(write_spec(tmp_path, takings, {"takings_lag_*": "numeric"}, **more))
    assert found(checked) == {}
    assert set(found(checked, "note")) == {"takings_lag_1", "takings_lag_2", "takings_lag_3"}
    assert "alone it predicts takings_ahead_1: R²" in found(checked, "note")["takings_lag_1"]


def test_a_sample_is_the_same_each_time_and_keeps_equal_rows_together(twice: Path) -> None:
    pipeline = Pipeline.load(twice, ["data.split.by=ratio"])
    samples = [read_sample(pipeline.spec, pipeline.data_path, 800) for _ in range(2)]
    assert samples[0].splits["eval"].equals(samples[1].splits["eval"])
    assert 300 < samples[0].rows <= 800 < samples[0].seen == 3300
    assert "a sample of" in str(samples[0])
    shared = looked_at(twice, "data.split.by=ratio", rows=800).overlap
    assert shared.equal / shared.total == pytest.approx(200 / 1100, abs=0.06)


def test_rows_of_a_sample_know_their_place_in_the_data(taxi: pd.DataFrame, tmp_path: Path) -> None:
    frame = taxi.assign(place=np.arange(len(taxi)) + 1)
    pipeline = Pipeline.load(write_spec(tmp_path, frame, FEATURES))
    for rows in (1000, 20_000):
        sample = read_sample(pipeline.spec, pipeline.data_path, rows)
        for split, batch in sample.splits.items():
            assert batch.num_rows > 100
            assert sample.numbers[split].tolist() == batch.column("place").to_pylist()


def test_cleaning_of_a_sample_learns_from_its_train_rows(taxi: pd.DataFrame, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, taxi, FEATURES, cleaning=[{"drop_outliers": "fare"}])
    pipeline = Pipeline.load(spec)
    sample = read_sample(pipeline.spec, pipeline.data_path)
    cleaned, learned = clean(pipeline.spec, sample)
    assert cleaned["eval"].batch.num_rows == sample.splits["eval"].num_rows
    dropped = (cleaned["train"].dropped_by == 0).sum()
    assert dropped == sample.splits["train"].num_rows - cleaned["train"].batch.num_rows > 100
    assert list(learned[0]) == ["fare"]


def test_cleaning_that_leaves_nothing_is_named(taxi: pd.DataFrame, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, taxi, FEATURES, cleaning=[{"match_pattern": {"column": "company", "pattern": "x"}},
                                                          {"drop_missing": ["company"]}])  # fmt: skip
    with pytest.raises(SpecError, match="steps that drop all 15002 rows"):
        looked_at(spec)
    pipeline = Pipeline.load(spec)
    with pytest.raises(ComponentError, match="cleaning dropped all 10,0.. rows of split 'train'; most by 'match"):
        clean(pipeline.spec, read_sample(pipeline.spec, pipeline.data_path))


def test_the_command_exits_with_2_only_when_it_is_asked_to(twice: Path, tmp_path: Path) -> None:
    arguments = ["check", str(twice), "data.split.by=ratio", "--no-transform", "--root", str(tmp_path)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "200 of 1,100 eval rows equal a train row" in done.output
    assert "drop_duplicates" in done.output
    line = next(line for line in done.output.splitlines() if line.startswith("suspect"))
    assert twice.read_text().splitlines()[int(line.split()[-1]) - 1].strip() == "data:"
    assert CliRunner().invoke(cli, [*arguments, "--strict"]).exit_code == 2
    clean_split = [*arguments[:2], f"data.split={{by: hash, columns: [{', '.join(FEATURES)}]}}", *arguments[3:]]
    done = CliRunner().invoke(cli, [*clean_split, "--strict"])
    assert (done.exit_code, "nothing suspicious" in done.output) == (0, True)


def test_a_look_at_the_columns_needs_no_tensorflow(twice: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pipelines.api import Pipeline; from pipelines.check import check; "
        f"check(Pipeline.load({str(twice)!r}), with_transform=False); "
        "print([name for name in ('tensorflow', 'tfx', 'apache_beam', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_what_the_model_would_receive_is_looked_at(taxi: pd.DataFrame, tmp_path: Path) -> None:
    frame = taxi.head(4000).copy()
    label = tipped(frame)
    odd = np.random.default_rng(1).integers(0, 2, len(frame))
    frame["left"], frame["right"] = odd, odd ^ label  # neither tells anything alone
    transform = {
        "both": [{"cross": ["left", "right"]}, {"hash": 500}],
        "left": [{"hash": 50}],
        "right": [{"hash": 50}],
        "company": [{"fill_missing": "mode"}, {"vocabulary": {"min_frequency": 1_000_000, "oov_buckets": 1}}],
    }
    features = FEATURES | {"left": "categorical", "right": "categorical"}
    suspects = found(looked_at(write_spec(tmp_path, frame, features, transform=transform), with_transform=True))
    assert suspects["both"] == "alone it predicts big_tip: AUC 1.000 on rows that it was not fitted to"
    assert suspects["company"].startswith("the same model input in all")
    assert not {"left", "right"} & set(suspects)


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The penguins, 27 of 344 under another species' name; rows with a missing weight are dropped."""
    folder, rng = tmp_path_factory.mktemp("penguins"), np.random.default_rng(5)
    frame = pd.read_csv(PENGUINS)
    true, kinds = frame.species.to_list(), sorted(set(frame.species))
    for row in rng.choice(len(frame), 27, replace=False):
        frame.loc[row, "species"] = kinds[(kinds.index(true[row]) + rng.integers(1, 3)) % 3]
    frame.to_csv(folder / "penguins.csv", index=False)
    spec = yaml.safe_load((SPECS / "penguins.yaml").read_text())
    spec["data"]["path"] = "penguins.csv"
    spec["cleaning"] = [{"drop_missing": ["body_mass_g"]}]
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder / "spec.yaml", true


def test_mislabelled_penguins_are_written_with_their_rows(mislabelled: tuple[Path, list[str]], tmp_path: Path) -> None:
    spec, true = mislabelled
    arguments = ["check", str(spec), "--label-noise", str(tmp_path / "noise.csv"), "--root", str(tmp_path), "--strict"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    given, noise = pd.read_csv(spec.parent / "penguins.csv").species, pd.read_csv(tmp_path / "noise.csv")
    assert list(noise.columns) == ["row", "given", "suggested", "margin"]
    assert noise.given.tolist() == given[noise.row - 1].tolist()
    right = sum(true[row - 1] == species for row, species in zip(noise.row, noise.suggested, strict=True))
    assert right >= 0.9 * len(noise)
    assert right >= 0.7 * 27
    assert f"wrong labels: {len(noise)} of 342 (" in done.output
    shown = " ".join(done.output.split())
    assert f"{len(noise)} of 342 labels (" in shown
    assert f"{noise.given[0]} → {noise.suggested[0]}" in shown
    assert noise.row[0] in [int(word) for word in re.findall(r"row (\d+):", shown)]


def test_hardly_a_penguin_is_mislabelled_as_it_comes() -> None:
    noise = looked_at("penguins", with_transform=True).noise
    assert noise is not None
    assert (noise.rows, noise.untold) == (344, None)
    assert len(noise.doubts) <= 2


def test_an_input_made_of_labels_does_not_hide_wrong_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    town = np.arange(4000) // 2  # two rows of each, so that a mean holds much of the own label
    label = (rng.normal(size=4000) > 0).astype(int)
    frame = pd.DataFrame({"town": [f"t{number}" for number in town], "noise": rng.normal(size=4000), "label": label})
    chains = {"town": [{"target_encode": {"smoothing": 0, "max_categories": 2000}}], "noise": []}
    spec = write_spec(
        tmp_path, frame.sample(frac=1, random_state=0), {"town": "categorical", "noise": "numeric"}, label="label",
        transform=chains,
    )  # fmt: skip
    noise = looked_at(spec, with_transform=True).noise
    assert noise is not None
    assert str(noise).startswith("wrong labels: cannot tell")


def test_the_file_of_wrong_labels_needs_the_transform_and_a_folder(twice: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", str(twice), "--no-transform", "--label-noise", str(tmp_path / "a.csv")])
    assert done.exit_code == 2
    assert "--label-noise: labels are compared with the model inputs; leave out --no-transform" in done.output
    done = CliRunner().invoke(cli, ["check", str(twice), "--label-noise", str(tmp_path / "missing" / "a.csv")])
    assert done.exit_code == 2
    shown = "".join(done.output.replace("│", "").split())
    assert "liesinafolderthatisnotthere;makeitfirst" in shown
    assert not list(tmp_path.iterdir())
    assert looked_at(twice).noise is None

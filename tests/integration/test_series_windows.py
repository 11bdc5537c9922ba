"""A time series becomes rows of past values and one to come, and nothing of the evaluated time is in a training row."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.datasets

from components.cleaning.config import CleaningConfig
from components.data import preflight
from components.data.config import DataConfig
from components.data.ingest import ingest
from components.engine.examples import read_batches, split_directory
from components.errors import ComponentError, SpecError
from components.features import FeatureKind
from pipelines.runners.runner import NodeResult
from pipelines.screen import summary_line

START = date(2024, 1, 1)


def section(path: Path | str, **series: Any) -> DataConfig:
    """A section `data` of a series with the columns day and x."""
    written = {"time": "day", "values": ["x"], "past": 3, **series}
    ahead = written.get("ahead", 1)
    values = written["values"]
    first = values if isinstance(values, str) else values[0]
    return DataConfig.model_validate(
        {
            "path": str(path),
            "series": written,
            "split": {"train": 4, "eval": 1},
            "label": f"{first}_ahead_{ahead}",
            "features": {f"{first}_lag_*": "numeric"},
        }
    )


def rows_of(data: DataConfig, target: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Ingest, and return the rows of each split and the counts."""
    summary = ingest(data.ingest, data.path, target, {})
    found = {}
    for split in ("train", "eval"):
        batches = list(read_batches(split_directory(target, split)))
        frame = pa.Table.from_batches(batches).to_pandas()
        found[split] = frame.map(lambda cell: cell[0] if isinstance(cell, list | np.ndarray) and len(cell) else cell)
    return found, summary["series"]


def write(path: Path, rows: list[tuple[Any, ...]], header: str = "day,x") -> Path:
    path.write_text("\n".join([header, *(",".join("" if v is None else str(v) for v in row) for row in rows)]) + "\n")
    return path


def daily(values: list[float | None], step: int = 1) -> list[tuple[Any, ...]]:
    return [(START + timedelta(days=step * at), value) for at, value in enumerate(values)]


def test_windows_of_a_real_series_are_those_of_pandas(tmp_path):
    # the first feature of the diabetes data, in their order, as a series of 442 days
    values = sklearn.datasets.load_diabetes().data[:, 2].astype(np.float32)
    path = write(tmp_path / "x.csv", daily([float(v) for v in values]))
    data = section(path, past=5, ahead=2, rolling={"window": [3, 8], "of": ["mean", "std", "min", "max"]})
    found, counts = rows_of(data, tmp_path / "out")
    series = pd.Series(values, index=[(START + timedelta(days=at)).isoformat() for at in range(len(values))])
    expected = pd.DataFrame({f"x_lag_{lag}": series.shift(lag - 1) for lag in range(1, 6)})
    for window in (3, 8):
        rolled = series.astype(float).rolling(window)
        expected[f"x_mean_{window}"], expected[f"x_std_{window}"] = rolled.mean(), rolled.std(ddof=0)
        expected[f"x_min_{window}"], expected[f"x_max_{window}"] = rolled.min(), rolled.max()
    expected["x_ahead_2"] = series.shift(-2)
    expected = expected.dropna()
    assert len(expected) == counts["windows"] + counts["dropped_purge"]
    for frame in found.values():
        times = [value.decode() for value in frame.pop("day")]
        wanted = expected.loc[times, sorted(expected.columns)]
        np.testing.assert_allclose(frame[sorted(frame.columns)].to_numpy(), wanted.to_numpy(), rtol=1e-5, atol=1e-6)


def test_no_training_row_reaches_into_the_time_of_evaluation(tmp_path):
    values = [float(at) for at in range(100)]
    found, counts = rows_of(section(write(tmp_path / "x.csv", daily(values)), ahead=7), tmp_path / "out")
    # each value is its own day, so labels and lags say which days a row holds
    first_evaluated = found["eval"]["x_lag_1"].min()
    assert found["train"]["x_ahead_7"].max() < first_evaluated
    assert counts["dropped_purge"] == 7
    assert counts["windows"] == len(found["train"]) + len(found["eval"]) == 100 - 2 - 7 - 7
    # without the purge the newest training rows would be these seven
    assert found["train"]["x_lag_1"].max() == first_evaluated - 8


def test_several_series_are_cut_at_one_time_and_share_no_window(tmp_path):
    rows = [(*row, name) for name, shift in (("a", 0), ("b", 1000)) for row in daily([shift + at for at in range(40)])]
    path = write(tmp_path / "x.csv", rows[::-1], "day,x,where")
    found, counts = rows_of(section(path, by="where", ahead=2), tmp_path / "out")
    assert counts["series"] == 2
    for frame in found.values():
        lags = frame[["x_lag_1", "x_lag_2", "x_lag_3", "x_ahead_2"]].to_numpy()
        assert (lags[:, 0] - lags[:, 2] == 2).all()
        assert (lags[:, 3] - lags[:, 0] == 2).all()
        assert ((lags[:, 0] >= 1000) == (frame["where"] == b"b")).all()
    assert max(found["train"]["day"]) < min(found["eval"]["day"])
    assert found["train"]["x_ahead_2"].max() % 1000 < found["eval"]["x_lag_1"].min() % 1000


def test_wide_form_has_windows_of_each_column(tmp_path):
    rows = [(*row, -row[1]) for row in daily([float(at) for at in range(30)])]
    data = section(write(tmp_path / "x.csv", rows, "day,x,y"), values=["x", "y"])
    found, _ = rows_of(data, tmp_path / "out")
    for lag in (1, 2, 3):
        assert (found["train"][f"x_lag_{lag}"] == -found["train"][f"y_lag_{lag}"]).all()
    assert set(data.features) == {"x_lag_1", "x_lag_2", "x_lag_3"}


GAPPED = [1.0, 2.0, 3.0, None, 5.0, 6.0, 7.0, 8.0, None, None, None, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0]


@pytest.mark.parametrize("as_rows", [True, False], ids=["empty cells", "missing rows"])
def test_windows_over_a_gap_are_dropped_and_counted(tmp_path, as_rows):
    rows = [row for row in daily(GAPPED) if as_rows or row[1] is not None]
    found, counts = rows_of(section(write(tmp_path / "x.csv", rows), step="1d"), tmp_path / "out")
    newest = sorted([*found["train"]["x_lag_1"], *found["eval"]["x_lag_1"]])
    assert newest == [7.0, 14.0, 15.0, 17.0]  # 16 is purged; 3 and 8 have nothing to predict
    assert counts["dropped_gap"] == 15 - 5
    assert counts["dropped_purge"] == 1


def test_a_gap_is_filled_forward_up_to_its_limit_but_a_label_never(tmp_path):
    path = write(tmp_path / "x.csv", daily(GAPPED))
    found, counts = rows_of(section(path, fill_forward=1), tmp_path / "out")
    rows = pd.concat(found.values()).set_index("x_lag_1")
    assert list(rows.loc[5.0, ["x_lag_2", "x_lag_3", "x_ahead_1"]]) == [3.0, 3.0, 6.0]
    assert counts["filled"] == 2
    assert not rows["x_ahead_1"].isna().any()
    assert set(rows["x_ahead_1"]) <= {value for value in GAPPED if value}
    # two steps after 8 nothing is filled any more, so the windows around 12 stay away
    assert 12.0 not in rows.index


def test_gaps_can_be_kept_for_the_transform_to_fill(tmp_path):
    found, _ = rows_of(section(write(tmp_path / "x.csv", daily(GAPPED)), gaps="keep"), tmp_path / "out")
    rows = pd.concat(found.values())
    assert rows["x_lag_2"].isna().any()
    assert not rows["x_ahead_1"].isna().any()


def test_without_a_step_each_row_is_one_step(tmp_path):
    days = [(START + timedelta(days=at), float(at)) for at in range(40) if (START + timedelta(days=at)).weekday() < 5]
    _, counts = rows_of(section(write(tmp_path / "x.csv", days)), tmp_path / "a")
    assert counts["dropped_gap"] == 0
    _, counts = rows_of(section(write(tmp_path / "x.csv", days), step="1d", past=2), tmp_path / "b")
    assert counts["dropped_gap"] > 0


def test_every_takes_each_nth_window(tmp_path):
    path = write(tmp_path / "x.csv", daily([float(at) for at in range(100)]))
    found, _ = rows_of(section(path, every=10), tmp_path / "out")
    assert set(np.diff(found["train"]["x_lag_1"])) == {10.0}


@pytest.mark.parametrize("times", [range(0, 300, 3), np.arange(0, 50, 0.5)], ids=["whole numbers", "decimals"])
def test_times_may_be_numbers_in_parquet(tmp_path, times):
    pq.write_table(pa.table({"day": list(times), "x": [float(at) for at in range(100)]}), tmp_path / "x.parquet")
    found, _ = rows_of(section(tmp_path / "x.parquet", step=float(times[1] - times[0])), tmp_path / "out")
    assert list(found["train"]["day"][:2]) == [times[2], times[3]]


def test_times_of_day_and_zones_are_kept_as_text(tmp_path):
    stamps = [f"2024-05-31T{hour:02}:{minute:02}:00+02:00" for hour in range(10) for minute in (0, 30)]
    path = write(tmp_path / "x.csv", list(zip(stamps, map(float, range(20)), strict=True)))
    found, _ = rows_of(section(path, step="30min"), tmp_path / "out")
    assert found["train"]["day"][0] == b"2024-05-30T23:00:00"  # 01:00 two hours east of Greenwich


def test_the_weeks_of_mauna_loa_have_the_gaps_that_statsmodels_knows(tmp_path):
    path = Path(__file__).parents[2] / "data" / "co2.csv"
    assert path.is_file(), "make data makes it"
    data = DataConfig.model_validate(
        {
            "path": str(path), "label": "co2_ahead_1", "features": {"co2_lag_*": "numeric"},
            "series": {"time": "date", "values": "co2", "past": 4, "step": "7d", "fill_forward": 3},
        }
    )  # fmt: skip
    found, counts = rows_of(data, tmp_path)
    series = pd.read_csv(path)["co2"]
    filled = series.ffill(limit=3)
    assert counts["values"] == 2225
    assert counts["filled"] == filled.notna().sum() - series.notna().sum() == 36
    whole = filled.rolling(4).count().eq(4) & series.shift(-1).notna()
    assert counts["windows"] + counts["dropped_purge"] == whole.sum()


REFUSED = [
    ({"past": 99}, "data.series: got series of at most 20 values; expected one with 99 values and one 1 steps after"),
    ({"values": ["y"]}, "data.series.values: got column 'y', which the data do not have; expected one of day, x"),
    ({"time": "dya"}, r"data.series.time: got column 'dya'.*Did you mean 'day'\?"),
    ({"step": "2d"}, "data.series.step: got '2d', but 10 rows lie between two steps; the first is at 2024-01-02"),
    ({"step": "1s"}, "data.series.step: got '1s', which leaves 1,641,581 gaps between 20 values"),
    ({"step": 5}, "data.series.step: got 5, and dates or times in 'day'; expected a duration such as 15min or 7d"),
    ({"time": "x", "values": ["z"], "step": "1d"}, "data.series.step: got '1d', and numbers in 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("series", "message"), REFUSED)
def test_series_that_cannot_be_are_refused_with_the_place_in_the_spec(tmp_path, series, message):
    header = "day,x,z" if "z" in str(series) else "day,x"
    rows = [(*row, 1.0) if header.endswith("z") else row for row in daily([float(at) for at in range(20)])]
    path = write(tmp_path / "x.csv", rows, header)
    with pytest.raises(SpecError, match=message):
        rows_of(section(path, **series), tmp_path / "out")


def test_text_is_no_series_of_values(tmp_path):
    pq.write_table(pa.table({"day": [1, 2], "x": ["a", "b"]}), tmp_path / "x.parquet")
    with pytest.raises(SpecError, match="data.series.values: got column 'x', which holds text; expected numbers or"):
        rows_of(section(tmp_path / "x.parquet"), tmp_path / "out")
    path = write(tmp_path / "x.csv", [(1, 2.0), (2, "two")])
    with pytest.raises(ComponentError, match="line 3, column 'x': not a number"):
        rows_of(section(path), tmp_path / "out")
    found = preflight.check(section(path), str(path), CleaningConfig(), {}, [])
    assert "line 3, column 'x'" in str(found.problems[0])


def test_lists_are_no_series_of_values(tmp_path):
    pq.write_table(pa.table({"day": [1, 2], "x": [[1.0], [2.0, 3.0]]}), tmp_path / "x.parquet")
    with pytest.raises(SpecError, match="data.series: got column 'x' with lists of values; expected one value per row"):
        rows_of(section(tmp_path / "x.parquet"), tmp_path / "out")


ROWS_REFUSED = [
    ("day,x", [(1, 1.0), (2, 2.0), (2, 3.0)], {}, "1 times that stand twice; the first is 2; .*data.series.by"),
    ("day,x,w", [(1, 1.0, "a"), (1, 2.0, "a")], {"by": "w"}, "the first is 1 of b'a'"),
    ("day,x,w", [(1, 1.0, "a"), (2, 2.0, None)], {"by": "w"}, "data.series.by: got 1 rows without 'w'"),
    ("day,x", [(1, 1.0), (None, 2.0)], {}, "data.series.time: got 1 rows without 'day'; the first is row 2"),
    ("day,x", [("31/05/2024", 1.0)], {}, "data.series.time: got a time that is none .*31/05/2024"),
    ("day,x", [], {}, "data.path: got data without a row"),
    ("day,x", [(at, at if at % 2 else None) for at in range(30)], {}, "windows, each with a gap in it"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "rows", "series", "message"), ROWS_REFUSED)
def test_rows_that_are_no_series_are_refused(tmp_path, header, rows, series, message):
    path = write(tmp_path / "x.csv", rows, header)
    data = section(path, **series)
    from components.data.ingest import open_table
    from components.data.source import list_files

    with pytest.raises(SpecError, match=message):
        open_table(data.ingest, list_files(str(path)), tmp_path)
    found = preflight.check(data, str(path), CleaningConfig(), {}, [])
    assert found.problems


SPECS_REFUSED = [
    ({"split": {"by": "hash"}}, "a series is split by its time, since windows overlap and a split by hash"),
    ({"split": {"by": "time", "columns": ["x"]}}, "a split by time of x would show .*write split: {train: 2,"),
    ({"features": {"x_ahead_1": "numeric"}}, "feature 'x_ahead_1' is a value to come"),
    ({"features": {"x_lag_4": "numeric"}}, r"feature 'x_lag_4' is no column that data.series makes \(x_lag_1, x_lag_2"),
    ({"features": {"y_lag_*": "numeric"}}, "feature 'y_lag_\\*' is no column"),
    ({"features": {"x": "numeric"}}, "feature 'x' is no column that data.series makes"),
    ({"series": None}, "feature 'x_lag_\\*' is a pattern, which only the columns of data.series can have"),
    ({"series": {"time": "day", "values": "x", "past": 3, "step": "1 month"}}, "got step '1 month'; expected a number"),
    ({"series": {"time": "day", "values": ["x", "day"], "past": 3}}, "name column 'day' twice; each column"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), SPECS_REFUSED)
def test_specs_that_would_leak_or_name_nothing_are_refused(change, message):
    series = {"time": "day", "values": "x", "past": 3}
    written = {"path": "x.csv", "series": series, "label": "x_ahead_1", "features": {"x_lag_*": "numeric"}, **change}
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({key: value for key, value in written.items() if value is not None})


def test_a_section_comes_back_from_its_dump_as_it_was():
    data = section("x.csv", rolling={"window": 4}, step="1h")
    assert data.features == dict.fromkeys(["x_lag_1", "x_lag_2", "x_lag_3"], FeatureKind.NUMERIC)
    assert DataConfig.model_validate(data.model_dump(mode="json")) == data


def test_the_screen_says_what_was_filled_and_left_out(tmp_path):
    path = write(tmp_path / "x.csv", daily(GAPPED))
    summary = ingest(section(path, fill_forward=1).ingest, str(path), tmp_path / "out", {})
    told = summary_line(NodeResult("ExampleGen", "data", "done", "", "", summary=summary))
    assert "2 values filled forward, 7 windows over gaps left out, 1 windows that reach into eval left out" in told

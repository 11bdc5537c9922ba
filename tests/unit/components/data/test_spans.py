"""Raw data in portions: which files a run reads, and a message when some are not there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from components.data.config import DataConfig, WindowConfig
from components.data.source import list_files, spans_of
from components.data.spans import Selection, number_of
from components.errors import SpecError


def deliver(folder: Path, *names: str) -> Path:
    """Write files that each hold their own name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def read(folder: Path, pattern: str, *selection: object, far: bool = False) -> list[str]:
    """Return the paths that a run would read, relative to the folder."""
    files = list_files(f"{'file://' if far else ''}{folder}/{pattern}", "csv", Selection(*selection))  # type: ignore[arg-type]
    return [file.path.split(f"{folder}/")[1] for file in files]


@pytest.fixture(params=[False, True], ids=["local", "remote"])
def far(request) -> bool:
    return request.param


def test_the_newest_span_is_read(tmp_path, far):
    deliver(tmp_path, "span-9/a.csv", "span-10/b.csv", "span-10/a.csv", "span-10.partial/a.csv", "span-x/a.csv")
    assert read(tmp_path, "span-{SPAN}/*.csv", far=far) == ["span-10/a.csv", "span-10/b.csv"]


def test_a_window_holds_the_last_spans_in_order(tmp_path, far):
    deliver(tmp_path, *(f"span-{number}/a.csv" for number in range(1, 13)))
    assert read(tmp_path, "span-{SPAN}/*.csv", None, 3, far=far) == ["span-10/a.csv", "span-11/a.csv", "span-12/a.csv"]
    assert read(tmp_path, "span-{SPAN}/*.csv", 3, 2, far=far) == ["span-2/a.csv", "span-3/a.csv"]


def test_the_first_spans_are_fewer_than_the_window(tmp_path):
    deliver(tmp_path, "span-1/a.csv", "span-2/a.csv")
    assert read(tmp_path, "span-{SPAN}/*.csv", None, 30) == ["span-1/a.csv", "span-2/a.csv"]


def test_of_a_span_only_the_newest_version_is_read(tmp_path, far):
    deliver(tmp_path, "7/v1/a.csv", "7/v10/a.csv", "7/v9/a.csv", "8/v2/a.csv")
    assert read(tmp_path, "{SPAN}/v{VERSION}/*", None, 2, far=far) == ["7/v10/a.csv", "8/v2/a.csv"]
    files = list_files(f"{tmp_path}/{{SPAN}}/v{{VERSION}}/*", "csv", Selection(None, 2))
    assert spans_of(files) == [{"span": 7, "version": 10, "files": 1}, {"span": 8, "version": 2, "files": 1}]


def test_a_dated_span_has_the_number_that_tfx_gives_it(tmp_path, far):
    from tfx.components.example_gen.utils import date_to_span_number

    deliver(tmp_path, "20260228/a.csv", "20260301/a.csv", "20261345/a.csv")
    files = list_files(f"{tmp_path}/{{YYYY}}{{MM}}{{DD}}/*", "csv", Selection(None, 2))
    assert [file.span for file in files] == [date_to_span_number(2026, 2, 28), date_to_span_number(2026, 3, 1)]
    chosen = number_of(date(2026, 2, 28))
    assert read(tmp_path, "{YYYY}{MM}{DD}/*", chosen, far=far) == ["20260228/a.csv"]


def test_a_part_of_a_date_may_be_said_twice(tmp_path):
    deliver(tmp_path, "2026/2026-03-01.csv", "2025/2026-03-02.csv")
    assert read(tmp_path, "{YYYY}/{YYYY}-{MM}-{DD}.csv") == ["2026/2026-03-01.csv"]


def test_a_span_may_be_a_file_and_have_a_width(tmp_path, far):
    deliver(tmp_path, "rows-007.csv", "rows-7.csv", "rows-008.csv")
    assert read(tmp_path, "rows-{SPAN:3}.csv", None, 2, far=far) == ["rows-007.csv", "rows-008.csv"]


def test_a_span_may_lie_in_several_folders(tmp_path, far):
    deliver(tmp_path, "north/span-1/a.csv", "south/span-1/a.csv", "south/span-1/deeper/a.csv")
    assert read(tmp_path, "*/span-{SPAN}/*.csv", far=far) == ["north/span-1/a.csv", "south/span-1/a.csv"]


@pytest.mark.parametrize(
    ("delivered", "pattern", "selection", "message"),
    [
        (["1/a.csv", "2/a.csv", "4/a.csv"], "{SPAN}/*", (None, 3), r"data\.window: got a window without span 3;.*2 to"),
        (["1/a.csv", "9/a.csv"], "{SPAN}/*", (None, 9), r"without spans 2, 3, 4, 5, 6, ….*data\.window\.gaps: skip"),
        (["1/a.csv", "2/a.csv"], "{SPAN}/*", (3,), r"data\.span: got span 3, which is not there; expected one of"),
        (["1/a.csv", "2/notes"], "{SPAN}/*.csv", (None, 2), r"span 2 \(.*/2/\*\.csv\), which holds no file"),
        (["a.csv"], "{SPAN}/*.csv", (), r"which matches no span; expected at least one, as .*/\*/\*\.csv"),
        (["07/a.csv", "7/a.csv"], "{SPAN}/*", (), r"span 7 twice, as .*07 and .*7; .*the width of the number"),
    ],
)  # fmt: skip
def test_a_span_that_is_not_there_is_explained(tmp_path, delivered, pattern, selection, message):
    deliver(tmp_path, *delivered)
    with pytest.raises(SpecError, match=message):
        read(tmp_path, pattern, *selection)


def test_a_missing_day_is_called_by_its_date(tmp_path):
    deliver(tmp_path, "2026-02-27.csv", "2026-03-01.csv")
    with pytest.raises(SpecError, match=r"without span 2026-02-28; expected every span from 2026-02-27 to 2026-03-01"):
        read(tmp_path, "{YYYY}-{MM}-{DD}.csv", None, 7)


def test_gaps_are_skipped_when_the_spec_says_so(tmp_path):
    deliver(tmp_path, "1/a.csv", "2/a.csv", "4/a.csv")
    assert read(tmp_path, "{SPAN}/*", None, 3, "skip") == ["2/a.csv", "4/a.csv"]


def config(**keys: object) -> DataConfig:
    return DataConfig.model_validate({"path": "{SPAN}.csv", "label": "y", "features": {"x": "numeric"}} | keys)


@pytest.mark.parametrize("written", [30, "30", "30 spans", {"spans": 30}])
def test_a_window_is_written_in_short(written):
    assert config(window=written).window == WindowConfig(spans=30)
    assert config(window=written).selection == Selection(None, 30)


def test_a_span_may_be_given_by_date():
    dated = config(path="{YYYY}/{MM}/{DD}", span=date(2026, 11, 23))
    assert dated.selection.span == number_of(date(2026, 11, 23))
    assert DataConfig.model_validate(dated.model_dump(mode="json")) == dated


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": "{SPN}.csv"}, r"unknown placeholder \{SPN\}; did you mean \{SPAN\}\?"),
        ({"path": "{HOUR}.csv"}, r"unknown placeholder \{HOUR\}; known are \{SPAN\}, \{VERSION\}, \{YYYY\}"),
        ({"path": "{YYYY}/{DD}.csv"}, r"lacks \{MM\}"),
        ({"path": "{SPAN}/{YYYY}/{MM}/{DD}"}, "both"),
        ({"path": "{VERSION}.csv"}, r"\{VERSION\} without \{SPAN\}"),
        ({"path": "rows.csv", "window": 3}, r"need a path with \{SPAN\}"),
        ({"path": "rows.csv", "span": 3}, r"need a path with \{SPAN\}"),
        ({"span": "2026-11-23"}, r"by date only where the path has"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"window": "3 weeks"}, "valid integer"),
    ],
)
def test_a_path_that_names_no_span_rightly_is_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        config(**keys)

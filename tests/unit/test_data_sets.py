"""`make data`: what it makes, that it does nothing twice, and what it says when a package cannot be had."""

from __future__ import annotations

import csv
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from scripts.data_sets import __main__ as command
from scripts.data_sets import penguins
from scripts.data_sets.table import DATA_SETS, PALMERPENGUINS

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "count", "missing"), [("penguins", 344, 19), ("heart", 303, 6), ("co2", 2284, 59)])
def test_tables_have_the_rows_and_the_missing_values_of_their_origin(name, count, missing):
    found = rows(name)
    assert len(found) == count
    assert sum(value == "" for row in found for value in row.values()) == missing


def test_classes_are_as_large_as_their_origin_says():
    assert Counter(row["species"] for row in rows("penguins")) == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    assert Counter(row["part"] for row in rows("reuters")) == {"train": 5485, "test": 2189}
    assert {len(list(folder.glob("*.png"))) for folder in (DATA / "digits").iterdir()} == {500}


def test_a_second_call_does_nothing():
    before = {path: path.stat().st_mtime_ns for path in DATA.iterdir()}
    done = subprocess.run([ROOT / "scripts" / "data"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in DATA.iterdir()} == before


def test_each_data_set_states_its_package_origin_and_licences():
    done = subprocess.run([ROOT / "scripts" / "data", "--list"], capture_output=True, text=True, check=True)
    for name, data in DATA_SETS.items():
        for told in (f"{name}: data/{data.target}", data.wheel.licence, data.origin, data.licence):
            assert told in done.stdout


def test_an_unknown_name_is_refused():
    done = subprocess.run([ROOT / "scripts" / "data", "penguin"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "got 'penguin'; expected some of co2, digits, heart, penguins, reuters" in done.stderr


def test_a_package_that_cannot_be_had_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert command.download(PALMERPENGUINS, tmp_path / "work") is None
    told = capsys.readouterr().err
    assert "data: cannot download palmerpenguins 0.1.6" in told
    assert "What to do: check that pip reaches its package index, then call `make data` again." in told


def test_another_file_of_the_same_name_is_refused(monkeypatch, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "palmerpenguins-0.1.6-py3-none-any.whl", "w") as wheel:
        wheel.writestr("palmerpenguins/data/penguins.csv", "species\nEmperor\n")
        wheel.writestr("palmerpenguins-0.1.6.dist-info/METADATA", "Name: palmerpenguins\nVersion: 0.1.6\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert command.download(PALMERPENGUINS, tmp_path / "work") is None
    assert "DO NOT MATCH THE HASHES" in capsys.readouterr().err


def test_a_conversion_that_fails_leaves_what_was_there(monkeypatch, tmp_path):
    archive = tmp_path / "palmerpenguins.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("palmerpenguins/data/penguins.csv", "species,sex\nAdelie,NA\n")
    monkeypatch.setattr(command, "FOLDER", tmp_path / "data")
    command.make("penguins", archive)
    assert (tmp_path / "data" / "penguins.csv").read_text() == "species,sex\nAdelie,\n"
    assert command.up_to_date("penguins")

    def fails(wheel: zipfile.ZipFile, target: Path) -> int:
        target.write_text("half")
        raise ValueError

    monkeypatch.setattr(penguins, "convert", fails)
    with pytest.raises(ValueError, match="^$"):
        command.make("penguins", archive)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["penguins.csv"]
    assert "Adelie" in (tmp_path / "data" / "penguins.csv").read_text()
    assert not command.up_to_date("penguins")

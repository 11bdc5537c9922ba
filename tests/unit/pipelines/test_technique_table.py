"""The README says which example spec uses which technique, and says it right."""

from __future__ import annotations

from pathlib import Path

from pipelines.spec import load_spec
from tests.factories.technique_table import SPECS, step_name, table

ROOT = Path(__file__).parents[3]


def test_the_table_in_the_readme_is_what_the_specs_say() -> None:
    text = (ROOT / "README.md").read_text()
    assert table() in text, "put this under 'Example specs':\n\n" + table()


def test_every_example_spec_has_a_column() -> None:
    assert set(SPECS) == {path.stem for path in (ROOT / "pipelines" / "specs").glob("*.yaml")}


def test_a_cell_names_the_steps_that_a_chain_gets_by_default_too() -> None:
    assert "z_score" not in load_spec("co2").path.read_text()
    numbers = next(line for line in table().splitlines() if line.startswith("| numbers"))
    assert "`z_score`" in numbers.split("|")[-2]


def test_no_step_of_a_spec_is_left_out() -> None:
    shown = table()
    for name in SPECS:
        for chain in load_spec(name).spec.transform.chains.values():
            for step in chain:
                assert f"`{step_name(step)}`" in shown, (name, step)

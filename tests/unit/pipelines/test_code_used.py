"""A component's code is what it imports, not what lies beside it."""

from __future__ import annotations

from pipelines.code_used import code_hashes


def test_a_component_depends_on_what_it_imports():
    modules = code_hashes("cleaning", "Cleaner", [])
    assert "components.cleaning.component" in modules
    assert "components.engine.examples" in modules
    assert "components.config" in modules


def test_components_that_share_a_folder_do_not_share_code():
    validator = code_hashes("data", "ExampleValidator", [])
    assert "components.data.example_validator" in validator
    assert "components.data.example_gen" not in validator


def test_a_plugin_counts_only_when_it_is_used():
    plugin = "components.cleaning.steps.drop_missing"
    assert plugin in code_hashes("cleaning", "Cleaner", [plugin])
    assert plugin not in code_hashes("cleaning", "Cleaner", [])


def test_words_on_the_screen_are_no_code():
    assert "components.errors" not in code_hashes("training", "Trainer", [])
    assert "components.engine.progress" not in code_hashes("training", "Trainer", [])

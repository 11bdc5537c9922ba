"""Settings shared by all tests: a quiet TensorFlow, tiers by folder, light tiers first, and no silent skips in CI.

`make test` runs two processes (pytest-xdist), each a file at a time: what a file's tests share is made once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.needs import missing

# Set before any test module imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ["TF_USE_LEGACY_KERAS"] = "0"

pytest_plugins = ["tests.factories.s3_fixtures"]
TIERS = ("contracts", "unit", "golden", "integration", "e2e", "containers")
HERE = Path(__file__).parent


def tier_of(path: Path) -> str | None:
    """Return the folder of `tests/` that a test file lies in, if it is a tier."""
    folder = path.relative_to(HERE).parts[0] if path.is_relative_to(HERE) else ""
    return folder if folder in TIERS else None


LEFT_OUT = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if tier := tier_of(item.path):
            item.add_marker(tier)
    items.sort(key=lambda item: TIERS.index(tier_of(item.path) or TIERS[-1]))
    if not os.environ.get("CI"):
        _leave_out(config, items)


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine cannot run, and say so at the end; CI installs everything and leaves out nothing."""
    told = config.stash.setdefault(LEFT_OUT, [])
    for need in missing({item.path for item in items}):
        left = [item for item in items if need.is_of(item.path)]
        items[:] = [item for item in items if not need.is_of(item.path)]
        config.hook.pytest_deselected(items=left)
        told.append(f"{len(left)} tests that need {need.name}; to run them: {need.remedy}")


def _skips_in_ci(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if os.environ.get("CI") and reporter else []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _skips_in_ci(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Keep what a worker left out, for the one process that prints; each of them looked at all tests."""
    if told := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(LEFT_OUT, []):
        terminalreporter.section("left out on this machine")
        for line in told:
            terminalreporter.line(line)
    if skips := _skips_in_ci(config):
        terminalreporter.section("skipped tests fail the run in CI")
        for report in skips:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.line(f"{report.nodeid}: {reason}")

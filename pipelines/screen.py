"""What a person sees while a pipeline is planned and run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from components.data.source import spans_of
from components.errors import Problem
from pipelines.plan import Plan
from pipelines.run_record import RunResult
from pipelines.runners.runner import NodeResult, Watcher

MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "cyan"),
    "done": ("✓", "green"),
    "cached": ("=", "blue"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "red"),
}


@contextlib.contextmanager
def watching(stream: TextIO) -> Iterator[Watcher]:
    """Yield a watcher that draws on a stream: a table that moves on a terminal, plain lines elsewhere."""
    console = Console(file=stream, force_terminal=stream.isatty(), width=None if stream.isatty() else 160)
    if not console.is_terminal:
        yield _Lines(console)
        return
    table = _LiveTable()
    with Live(table, console=console, refresh_per_second=8):
        yield table


class _Lines(Watcher):
    """One line when a component starts, one when it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.said: dict[str, str] = {}

    def loading(self, what: str) -> None:
        self.console.print(f"  loading {what} …", style="dim")

    def changed(self, results: list[NodeResult]) -> None:
        for result in results:
            if result.status == "waiting" or self.said.get(result.name) == result.status:
                continue
            self.said[result.name] = result.status
            mark, style = MARKS[result.status]
            self.console.print(Text(f"  {mark} {result.name:<17} {_detail(result)}", style=style))


class _LiveTable(Watcher):
    """A table of all components; the running one shows how far it is."""

    def __init__(self) -> None:
        self.results: list[NodeResult] = []
        self.what: str | None = None
        self.text: dict[str, str] = {}
        self.since = time.perf_counter()

    def loading(self, what: str) -> None:
        self.what = what
        self.since = time.perf_counter()

    def changed(self, results: list[NodeResult]) -> None:
        if any(result.status == "running" and result.name not in self.text for result in results):
            self.what = None
            self.since = time.perf_counter()
        self.results = [*results]

    def progress(self, component: str, text: str, done: float | None, total: float | None) -> None:
        share = f"{done / total:4.0%} " if done is not None and total else ""
        self.text[component] = f"{share}{text}"

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        elapsed = f"{time.perf_counter() - self.since:.0f} s"
        for result in self.results:
            mark, style = MARKS[result.status]
            detail = _detail(result)
            if result.status == "running":
                detail = f"{elapsed}  {self.text.get(result.name, '')}"
            table.add_row(Text(f"  {mark}", style=style), Text(result.name, style=style), Text(detail, style="dim"))
        if self.what:
            return Group(table, Text(f"  loading {self.what} … {elapsed}", style="dim"))
        return table


def _detail(result: NodeResult) -> str:
    match result.status:
        case "done":
            return f"{result.seconds:6.1f} s  {summary_line(result)}".rstrip()
        case "cached":
            return f"cached    {summary_line(result)}".rstrip()
        case "skipped":
            return f"skipped   {result.why}"
        case "failed":
            return f"failed after {result.seconds:.1f} s"
        case _:
            return result.why


def _left_out(series: Mapping[str, int] | None) -> str:
    """Say how many windows of a series did not become rows, and how many values were filled."""
    told = {
        "filled": "values filled forward",
        "dropped_gap": "windows over gaps left out",
        "dropped_purge": "windows that reach into eval left out",
    }
    return "".join(f", {series[key]:,} {what}" for key, what in told.items() if series[key]) if series else ""


def summary_line(result: NodeResult) -> str:
    """Say in a few words what a component found; nothing of one that ran where its summary is out of sight."""
    summary = result.summary
    if not summary:
        return ""
    match result.name:
        case "ExampleGen":
            per_second = f", {summary.get('rows', 0) / result.seconds:,.0f} rows/s" if result.seconds else ""
            set_aside = f", {summary['quarantined']:,} rows in quarantine" if summary.get("quarantined") else ""
            return f"{summary.get('rows', 0):,} rows{per_second}{set_aside}{_left_out(summary.get('series'))}"
        case "Cleaner":
            kept, seen = (sum(summary.get(key, {}).values()) for key in ("rows_out", "rows_in"))
            return f"{seen - kept:,} of {seen:,} rows dropped"
        case "ExampleValidator":
            count = len(summary.get("anomalies", []))
            return "no anomalies" if not count else f"{count} anomalies"
        case "LatestBlessed":
            return "no baseline yet" if not summary.get("baseline") else f"version {summary['baseline']['version']}"
        case "Pusher":
            return str(summary.get("reason", ""))
        case _:
            return str(summary.get("text", ""))


def print_plan(console: Console, pipeline: str, plan: Plan, rows: int | None) -> None:
    """Show what a run would do."""
    size = sum(file.bytes for file in plan.files)
    count = f"{rows:,} rows, " if rows is not None else ""
    files = f"{len(plan.files)} file" + ("s" if len(plan.files) != 1 else "")
    where = f"{size / 1e6:,.1f} MB in {files}{_spans(plan)}" if size else "from a database server"
    console.print(f"[bold]{escape(pipeline)}[/] · {count}{where}")
    table = Table.grid(padding=(0, 2))
    for step in plan.steps:
        mark, style = MARKS[{"run": "running", "cached": "cached", "skip": "skipped"}[step.action]]
        reads = ", ".join(step.node.upstream) or "–"
        table.add_row(Text(f"  {mark}", style=style), step.node.name, step.action, Text(step.why), Text(reads, "dim"))
    table.columns[4].header = "reads"
    console.print(table)
    baseline = f"version {plan.baseline.version}" if plan.baseline else "none yet"
    console.print(f"  baseline: {baseline}", style="dim")


def _spans(plan: Plan) -> str:
    spans = spans_of(plan.files)
    if not spans:
        return ""
    version = f" (version {spans[-1]['version']})" if spans[-1]["version"] is not None else ""
    if len(spans) == 1:
        return f" · span {spans[0]['span']}{version}"
    return f" · {len(spans)} spans, {spans[0]['span']} to {spans[-1]['span']}{version}"


def print_problems(console: Console, problems: tuple[Problem, ...]) -> None:
    """Show what is wrong, each with where, received, expected and remedy."""
    count = len(problems)
    console.print(f"[bold red]{count} problem{'s' if count != 1 else ''}[/]")
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.file and problem.line else problem.file or ""
        console.print(Text.assemble(("  " + place + "  " if place else "  ", "dim"), (problem.where, "bold")))
        console.print(Text(f"      got       {problem.received}"))
        console.print(Text(f"      expected  {problem.expected}"))
        console.print(Text(f"      do        {problem.remedy}"))


def print_result(console: Console, result: RunResult) -> None:
    """Show how a run ended: the verdict, what was pushed, where to read on."""
    if result.status == "failed":
        _print_failure(console, result.record["failure"], result.record["spec_file"])
    if result.decision:
        _print_decision(console, result.decision)
    if result.verdict:
        _print_verdict(console, result.verdict)
    seconds = result.record["seconds"]
    if result.pushed:
        console.print(f"  pushed    version {result.pushed['version']} → {escape(str(result.pushed['destination']))}")
    elif result.status in ("blocked", "skipped"):
        console.print("  pushed    nothing; what was being served still is")
    if result.status == "cached":
        console.print("  nothing to do: every component's result is there already")
    if result.record.get("not_told"):
        console.print(f"  [yellow]notify[/]    {escape(result.record['not_told'])}", soft_wrap=True)
    if result.report.is_file():
        console.print(f"  report    {result.report}", soft_wrap=True)
    console.print(f"  run       {result.run_id}, {result.status}, {seconds:.1f} s")


def _print_decision(console: Console, decision: dict[str, Any]) -> None:
    console.print("[bold]A new model is wanted[/]" if decision["go"] else "[bold]No new model is wanted[/]")
    for reason in decision["reasons"]:
        console.print(f"  · {escape(reason)}", soft_wrap=True)


def _print_verdict(console: Console, verdict: dict[str, Any]) -> None:
    head = (
        "[bold green]The gate lets the model pass[/]" if verdict["passed"] else "[bold red]The gate blocks the model[/]"
    )
    console.print(head)
    for reason in verdict["reasons"]:
        console.print(f"  · {escape(reason)}", soft_wrap=True)


def _print_failure(console: Console, failure: dict[str, Any], spec: str) -> None:
    console.print(f"[bold red]{failure['component']} failed[/]")
    console.print(f"  {escape(failure['message'])}", soft_wrap=True)
    if failure["remedy"]:
        console.print(f"  do        {escape(failure['remedy'])}", soft_wrap=True)
    if failure["spec_line"]:
        console.print(f"  spec      {failure['spec_line']} ({failure['spec_path']})", soft_wrap=True)
    console.print(f"  log       {failure['log']}", soft_wrap=True)
    console.print(f"  resume    sluice run {escape(spec)}   (finished components are not run again)", soft_wrap=True)

"""One HTML page per run that opens offline: verdict first, then the numbers and where they come from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from components.report import formats
from components.report.collect import Findings, Json, collect
from components.report.sections import data, metrics, predictions, provenance, training, tuning, verdict

TEMPLATES = Path(__file__).parent / "templates"
FILE_NAME = "report.html"


@dataclass(frozen=True)
class PageSection:
    """One part of the page.

    Args:
        anchor: its id in the page, and the name of its template.
        title: its heading.
        component: the component that its content comes from.
        parts: names of the parts of the collected data that it needs.
        view: findings to what the template shows; None when there is nothing to show.
        empty: what to say when nothing is wrong and there is nothing to show all the same.
        optional: leave it out of the page of a run that has no such component.
    """

    anchor: str
    title: str
    component: str
    parts: tuple[str, ...]
    view: Callable[[Findings], Json | None]
    empty: str = ""
    optional: bool = False


def _slices(found: Findings) -> Json | None:
    written = found.data.get("metrics") or {}
    rules = (found.data.get("verdict") or {}).get("rules") or []
    return metrics.slices(written, rules) if written.get("overall") else None


SECTIONS = (
    PageSection("verdict", "Verdict", "Evaluator", ("verdict",), verdict.view),
    PageSection("metrics", "Metrics", "Evaluator", ("metrics",), metrics.view),
    PageSection(
        "slices",
        "Slices",
        "Evaluator",
        ("metrics",),
        _slices,
        "No slices were asked for; list columns in evaluation.slices.",
    ),
    PageSection("tuning", "Tuning", "Tuner", ("tuning",), tuning.view, optional=True),
    PageSection("training", "Training", "Trainer", ("history",), training.view),
    PageSection("predictions", "Predictions", "Evaluator", ("predictions", "metrics"), predictions.view),
    PageSection("data", "Data", "StatisticsGen", ("statistics",), data.view),
    PageSection("origin", "Origin", "", (), provenance.view),
)


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into the folder of a run.

    What the run did not leave behind is replaced by a sentence that says why; only a missing `run.json` is an error.

    Args:
        run_dir: the run's folder, with `run.json`.

    Returns:
        The page's path.

    Raises:
        OSError, ValueError: `run.json` cannot be read, or the page cannot be written.
    """
    run_dir = Path(run_dir)
    page = render(collect(run_dir))
    target = run_dir / FILE_NAME
    partial = target.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, target)
    return target


def render(found: Findings) -> str:
    """Return the page for what was found of a run."""
    environment = _environment(found)
    shown = [section for section in SECTIONS if not section.optional or found.node(section.component)]
    sections = [(section, _section(environment, found, section)) for section in shown]
    status = str(found.data["run"].get("status"))
    headline, tone = verdict.HEADLINES.get(status, (status, "unsure"))
    return environment.get_template("page.html").render(
        run=found.data["run"], sections=sections, headline=headline, tone=tone, data=found.data
    )


def _section(environment: jinja2.Environment, found: Findings, section: PageSection) -> Markup:
    try:
        content = section.view(found)
        if content is None:
            complete = section.empty and all(found.data.get(part) for part in section.parts)
            return _sentence(section.empty if complete else why(found, section.component, section.parts))
        return Markup(environment.get_template(f"{section.anchor}.html").render(view=content, **found.data))  # noqa: S704
    except Exception as error:  # a report must not turn a finished run into a failed one
        return _sentence(f"This part could not be written: {type(error).__name__}: {error}")


def _sentence(text: str) -> Markup:
    return Markup('<p class="missing">{}</p>').format(text)


def why(found: Findings, component: str, parts: tuple[str, ...] = ()) -> str:
    """Return the sentence that stands in for what a component did not leave behind.

    Args:
        found: the run.
        component: the component's name.
        parts: names of the parts that should be there.
    """
    node = found.node(component)
    status = node.get("status")
    problems = [found.problems[part] for part in parts if part in found.problems]
    if not node:
        return f"This run has no {component}, so there is nothing to show here."
    if status == "failed":
        return f"{component} failed, so there is nothing to show here."
    if status == "skipped":
        reason = f": {node['why']}" if node.get("why") else ""
        return f"{component} did not run{reason}."
    if problems:
        return f"{component} ran, but what it wrote could not be shown: {'; '.join(problems)}."
    return f"{component} wrote nothing to show here."


def resolve(tree: Any, path: str) -> Any:
    r"""Return the value at a dotted path, where a dot inside a key is written `\.`; None when there is none.

    Example:
        >>> resolve({"a": [{"b": 1}]}, "a.0.b")
        1
    """
    for key in path.replace("\\.", "\0").split("."):
        name = key.replace("\0", ".")
        if isinstance(tree, dict):
            tree = tree.get(name)
        elif isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            return None
    return tree


def _environment(found: Findings) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )

    def num(path: str, style: str = "number") -> Markup:
        """Return a shown number that names the place of its exact value in the embedded JSON."""
        value = resolve(found.data, path)
        text = formats.shown(value, style)
        if value is None or text == formats.MISSING:
            return Markup('<span class="none">{}</span>').format(formats.MISSING)
        return Markup('<span data-json="{}" data-as="{}">{}</span>').format(path, style, text)

    def interval(path: str, style: str = "number") -> Markup:
        if not resolve(found.data, path):
            return Markup('<span class="none">{}</span>').format(formats.MISSING)
        return Markup('<span class="interval">{} to {}</span>').format(num(f"{path}.0", style), num(f"{path}.1", style))

    environment.globals.update(num=num, interval=interval, why=lambda name, *parts: why(found, name, parts))
    environment.globals["asset"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704
    environment.filters.update({name: style for name, style in formats.FORMATS.items()})
    environment.filters["when"] = formats.when
    environment.filters["signed"] = formats.signed
    environment.filters["short"] = formats.short
    environment.filters["svg"] = Markup
    environment.filters["breakable"] = _breakable
    environment.filters["relative"] = lambda uri: str(uri).removeprefix(f"{found.root}/")
    environment.filters["value"] = _value
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _breakable(name: Any) -> Markup:
    """Return a name that may wrap after its underscores, and between the words of CamelCase."""
    text = str(escape(name))
    return Markup(re.sub(r"(_|(?<=[a-z])(?=[A-Z]))", r"\1<wbr>", text))  # noqa: S704


def _value(value: Any) -> Markup:
    """Return any value of the spec or of a summary as text."""
    if value is None or isinstance(value, str):
        return escape(formats.MISSING if value in (None, "") else value)
    if isinstance(value, bool):
        return escape("yes" if value else "no")
    return escape(formats.plain(value) if isinstance(value, int | float) else str(value))

"""The report in a real browser: complete, offline, readable on every screen, and true to its numbers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from components.report.page import write_report
from tests.factories.report_runs import HOSTILE, NODES, RunFactory, multiclass_run, regression_run

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STATES = ("pushed", "first", "blocked", "failed", "cached", "partial", "regression", "multiclass", "hostile")
FACTORS = {" s": 1, " %": 0.01, " GB": 1e9, " MB": 1e6, " kB": 1e3, " B": 1}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("these tests look at the page in Chromium: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One report per state of a run."""
    runs = RunFactory(tmp_path_factory.mktemp("report"))
    skipped = {"status": "skipped", "why": "not asked for", "seconds": None, "outputs": {}, "summary": None}
    failure = {"component": "Trainer", "message": "The loss became NaN.", "remedy": "Lower the learning rate."}
    late = {name: skipped for name in ("Evaluator", "Pusher")}
    folders = {
        "pushed": runs.run("pushed", status="pushed"),
        "first": runs.run("first", status="pushed", verdict=runs.verdict(first_model=True)),
        "blocked": runs.run("blocked", status="blocked", verdict=runs.verdict(floor=0.93)),
        "failed": runs.run(
            "failed", status="failed", verdict=None, failure=failure, nodes={"Trainer": {"status": "failed"}, **late}
        ),
        "cached": runs.run("cached", status="cached", nodes=dict.fromkeys(NODES, {"status": "cached"})),
        "partial": runs.run("partial", status="partial", verdict=None, nodes={"Trainer": skipped, **late}),
        "hostile": runs.run(
            "hostile", status="pushed", pipeline=HOSTILE, overrides={"<img src=x onerror=alert(1)>": "1"}
        ),
        "regression": regression_run(runs.root / "runs" / "regression"),
        "multiclass": multiclass_run(runs.root / "runs" / "multiclass"),
    }
    assert set(folders) == set(STATES)
    return {state: write_report(folder) for state, folder in folders.items()}


@dataclass
class Seen:
    """A page, and what the browser complained about or asked for while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Iterator[Callable[..., Seen]]:
    made: list[Page] = []

    def visit(state: str, *, width: int = 1280, scheme: Any = "light") -> Seen:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        made.append(page)
        seen = Seen(page)
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (seen.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(pages[state].as_uri())
        return seen

    yield visit
    for page in made:
        page.close()


def show_all(page: Page) -> None:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.mark.parametrize("state", STATES)
def test_it_opens_offline_without_a_complaint(opened: Callable[..., Seen], pages: dict[str, Path], state: str):
    seen = opened(state)
    show_all(seen.page)
    seen.page.mouse.wheel(0, 50_000)
    seen.page.wait_for_timeout(100)
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [pages[state].as_uri()]
    assert seen.page.locator("h2").count() == 7
    assert seen.page.get_by_text("could not be written").count() == 0


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_wider_than_the_screen(opened: Callable[..., Seen], state: str, width: int):
    page = opened(state, width=width).page
    show_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut_off = page.evaluate(
        """width => [...document.querySelectorAll('main *')]
             .filter(e => !e.closest('.scroll') && !e.closest('thead') && e.getBoundingClientRect().right > width + 1)
             .map(e => e.outerHTML.slice(0, 90))""",
        width,
    )
    assert cut_off == []


@pytest.mark.parametrize("state", STATES)
def test_every_number_is_the_one_in_the_json(opened: Callable[..., Seen], state: str):
    page = opened(state).page
    data = json.loads(page.locator("#run-data").text_content() or "")
    shown = page.evaluate(
        "[...document.querySelectorAll('[data-json]')].map(e => [e.dataset.json, e.dataset.as, e.textContent])"
    )
    wrong = [entry for entry in shown if not _agrees(_at(data, entry[0]), entry[1], entry[2])]
    assert wrong == []
    assert len(shown) > {"pushed": 400, "blocked": 400, "failed": 100}.get(state, 5)


def test_the_json_is_that_of_the_run(opened: Callable[..., Seen], pages: dict[str, Path]):
    data = json.loads(opened("blocked").page.locator("#run-data").text_content() or "")
    record = json.loads((pages["blocked"].parent / "run.json").read_text())
    evaluation = next(node for node in record["nodes"] if node["name"] == "Evaluator")["outputs"]["evaluation"]
    assert data["run"] == record
    assert data["verdict"] == record["verdict"]
    assert data["metrics"] == json.loads((Path(evaluation) / "metrics.json").read_text())


def _at(tree: Any, path: str) -> Any:
    """Follow a dotted path; written anew here, so that the page's own reading of it is checked."""
    for key in re.split(r"(?<!\\)\.", path):
        tree = tree[int(key)] if isinstance(tree, list) else tree[key.replace("\\.", ".")]
    return tree


def _agrees(value: float, style: str, text: str) -> bool:
    """Say whether a text is the value, rounded to the digits that it shows."""
    text = text.replace("−", "-").replace(",", "")
    if match := re.fullmatch(r"([<>]) ([\d.]+) %", text):
        return value * 100 < float(match[2]) if match[1] == "<" else value * 100 > float(match[2])
    if match := re.fullmatch(r"(?:(\d+) h )?(\d+) min(?: (\d+) s)?", text):
        shown = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3] or 0)
        return abs(value - shown) <= (60 if match[1] else 0.5)
    unit = next((unit for unit in FACTORS if text.endswith(unit)), "")
    factor = FACTORS.get(unit, 1) / (1e6 if style == "megabytes" else 1)
    mantissa, _, exponent = text.removesuffix(unit).partition("e")
    decimals = len(mantissa.partition(".")[2])
    digit = 10.0 ** (int(exponent or 0) - decimals) * factor
    shown = float(mantissa) * 10.0 ** int(exponent or 0) * factor
    return abs(value - shown) <= 0.5001 * digit


def test_a_wrong_number_would_be_noticed():
    assert _agrees(0.91234, "number", "0.9123")
    assert not _agrees(0.91236, "number", "0.9123")
    assert _agrees(75.2, "seconds", "1 min 15 s")
    assert not _agrees(12345, "count", "12,346")
    assert _agrees(1630, "megabytes", "1,630 MB")
    assert not _agrees(0.02, "percent", "< 0.1 %")


CONTRAST = """() => {
  const rgb = (name) => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
    probe.remove();
    return parts;
  };
  const light = (name) => {
    const [r, g, b] = rgb(name).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const grounds = ['paper', 'panel'], inks = ['ink', 'muted', 'accent', 'other', 'good', 'bad', 'unsure'];
  const pairs = grounds.flatMap(ground => inks.map(ink => [ink, ground, ratio(ink, ground)]));
  return [...pairs, ...['good', 'bad', 'unsure'].map(tone => [tone, tone + '-panel', ratio(tone, tone + '-panel')])];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_both_schemes(opened: Callable[..., Seen], scheme: str):
    pairs = opened("blocked", scheme=scheme).page.evaluate(CONTRAST)
    assert [pair for pair in pairs if pair[2] < 4.5] == []


def test_the_dark_scheme_turns_page_and_plots_dark(opened: Callable[..., Seen]):
    read = """() => [getComputedStyle(document.body).backgroundColor,
                     getComputedStyle(document.querySelector('svg.plot text')).fill]"""
    light, dark = (opened("pushed", scheme=scheme).page.evaluate(read) for scheme in ("light", "dark"))
    assert light == ["rgb(255, 255, 255)", "rgb(89, 99, 111)"]
    assert dark[0] == "rgb(16, 20, 25)"
    assert min(map(int, re.findall(r"\d+", dark[1])[:3])) > 140


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("state", ["pushed", "regression", "multiclass"])
def test_no_two_labels_of_a_plot_overlap(opened: Callable[..., Seen], state: str, width: int):
    overlaps = opened(state, width=width).page.evaluate(
        """() => [...document.querySelectorAll('svg.plot')].flatMap(plot => {
             const frame = plot.getBoundingClientRect();
             const texts = [...plot.querySelectorAll('text')].filter(t => t.textContent.trim());
             const boxes = texts.map(t => [t.textContent, t.getBoundingClientRect()]);
             const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 &&
                                     a.top < b.bottom - 3 && b.top < a.bottom - 3;
             const found = [];
             boxes.forEach(([one, a], i) => {
               if (a.left < frame.left - 2 || a.right > frame.right + 2) found.push(['outside', one]);
               boxes.slice(i + 1).forEach(([two, b]) => { if (meets(a, b)) found.push([one, two]); });
             });
             return found;
           })"""
    )
    assert overlaps == []


def test_user_text_is_shown_as_text(opened: Callable[..., Seen]):
    seen = opened("hostile")
    show_all(seen.page)
    assert seen.page.locator("h1").inner_text() == HOSTILE
    assert seen.page.locator("th", has_text=HOSTILE).count() == 1
    assert seen.page.locator("script").count() == 2
    assert seen.page.locator("img").count() == 0
    assert seen.complaints == []


def test_the_page_itself_forbids_requests(opened: Callable[..., Seen]):
    seen = opened("pushed")
    seen.page.evaluate("() => { new Image().src = 'http://127.0.0.1:9/pixel.png'; }")
    seen.page.wait_for_timeout(200)
    assert any("Content Security Policy" in complaint for complaint in seen.complaints)


def test_printing_shows_everything_on_white(opened: Callable[..., Seen], tmp_path: Path):
    page = opened("blocked", scheme="dark").page
    folded = "document.querySelectorAll('details:not([open])').length"
    before = page.evaluate(folded)
    assert before > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(folded) == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().count(b"/Type /Page\n") >= 5
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(folded) == before


def test_the_navigation_leads_to_every_section(opened: Callable[..., Seen]):
    page = opened("pushed").page
    assert page.locator("nav a[aria-current]").inner_text() == "Verdict"
    for link in page.locator("nav a").all():
        link.click()
        page.wait_for_timeout(60)
        assert link.get_attribute("aria-current") == "true", link.inner_text()
        heading = page.locator(link.get_attribute("href") or "").locator("h2")
        top = heading.evaluate("e => e.getBoundingClientRect().top")
        assert 0 <= top < 450 or link.inner_text() == "Verdict"
    assert page.locator("nav").evaluate("e => e.getBoundingClientRect().top") == 0


@pytest.mark.parametrize("state", STATES)
def test_it_can_be_read_without_seeing_it(opened: Callable[..., Seen], state: str):
    page = opened(state).page
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:], strict=False))
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('svg[role=img]')].filter(s => !s.getAttribute('aria-label')).length
              + [...document.querySelectorAll('table')].filter(t => !t.querySelector('caption')).length
              + [...document.querySelectorAll('section')].filter(s => !s.getAttribute('aria-labelledby')).length"""
    )
    assert unnamed == 0
    assert page.evaluate("document.documentElement.lang") == "en"

"""The verdict in plain words, and the gate's rules, those that decide first."""

from __future__ import annotations

from components.report.collect import Findings, Json
from components.report.formats import count

ORDER = {"fail": 0, "not_enough_data": 1, "no_baseline": 2, "pass": 3}
WORDS = {
    "pass": "passed",
    "fail": "failed",
    "not_enough_data": "not enough data to say",
    "no_baseline": "no baseline to compare with",
}
FEW = 6
MOST_REASONS = 8

HEADLINES = {
    "pushed": ("Pushed", "good"),
    "blocked": ("Blocked: nothing was pushed", "bad"),
    "failed": ("Failed: nothing was pushed", "bad"),
    "skipped": ("Not trained again: what is served stays", "good"),
    "cached": ("Nothing to do: everything was up to date", "good"),
    "partial": ("Only a part of the pipeline ran", "unsure"),
}


def view(found: Findings) -> Json:
    """Return headline, lead sentence, reasons and ordered rules."""
    run, verdict = found.data["run"], found.data.get("verdict") or {}
    status = str(run.get("status"))
    headline, tone = HEADLINES.get(status, (f"Status: {status}", "unsure"))
    pushed = run.get("pushed") or {}
    if status == "pushed" and pushed.get("version") is not None:
        headline = f"Pushed as version {pushed['version']}"
    rules = [_rule(rule, index, verdict) for index, rule in enumerate(verdict.get("rules") or [])]
    rules.sort(key=lambda rule: ORDER.get(str(rule.get("verdict")), 0))
    shown = [rule for rule in rules if rule.get("verdict") == "fail" or not rule.get("slice")]
    folded = [rule for rule in rules if rule not in shown]
    if len(folded) <= FEW:
        shown, folded = rules, []
    reasons = verdict.get("reasons") or (run.get("decision") or {}).get("reasons") or []
    return {
        "headline": headline,
        "tone": tone,
        "lead": _lead(status, verdict, rules),
        "reasons": reasons[:MOST_REASONS],
        "more_reasons": reasons[MOST_REASONS:],
        "rules": shown,
        "folded": folded,
        "folded_words": _tally(folded),
        "has_baseline": any(rule.get("baseline_value") is not None for rule in rules),
        "servability": verdict.get("servability"),
        "failure": run.get("failure"),
        "skipped": [node["name"] for node in run.get("nodes") or [] if node.get("status") == "skipped"],
    }


def _rule(rule: Json, index: int, verdict: Json) -> Json:
    """Return a row of the table; a reason is left out where the page has said it, or where it says the obvious."""
    said = rule.get("verdict") == "pass" or rule.get("reason") in (verdict.get("reasons") or [])
    return rule | {
        "path": f"verdict.rules.{index}",
        "where": _where(rule.get("slice")),
        "words": WORDS.get(str(rule.get("verdict")), str(rule.get("verdict"))),
        "direction": _direction(str(rule.get("rule"))),
        "note": "" if said else rule.get("reason"),
    }


def _direction(rule: str) -> str:
    """Return what the bound of a drop or rise is, which is not a value of the metric."""
    words = rule.split()
    return " lower" if "drop" in words else " higher" if "rise" in words else ""


def _tally(rules: list[Json]) -> str:
    counts = {words: sum(rule.get("verdict") == name for rule in rules) for name, words in WORDS.items()}
    said = [f"{count(number)} {words}" for words, number in counts.items() if number]
    return f"{count(len(rules))} more checks on slices: {', '.join(said)}"


def _where(slice_: Json | None) -> str:
    return ", ".join(f"{name} = {value}" for name, value in slice_.items()) if slice_ else "all rows"


def _lead(status: str, verdict: Json, rules: list[Json]) -> str:
    failed = sum(rule.get("verdict") == "fail" for rule in rules)
    unsure = sum(rule.get("verdict") == "not_enough_data" for rule in rules)
    if status == "skipped":
        return "The run looked at the data and decided that no new model is wanted."
    if not verdict:
        return "The run did not get as far as the gate." if status in ("failed", "partial") else "There is no verdict."
    words = f"{_checks(len(rules))} made; " if rules else "The gate has no rules; "
    if failed:
        words += f"{count(failed)} failed"
    else:
        words += "none failed" if rules else "every model passes"
    if unsure:
        words += f", and {count(unsure)} had not enough data to say"
    words += "."
    if verdict.get("first_model"):
        words += " This is the first model, so there was no baseline to compare with."
    return words


def _checks(number: int) -> str:
    return f"{count(number)} check{'s were' if number != 1 else ' was'}"

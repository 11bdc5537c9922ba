"""What follows a run, whatever came of it: its page and a word to the webhook; neither can make it a failed one."""

from __future__ import annotations

import logging

from components.errors import ComponentError
from pipelines import notify
from pipelines.notify import NotifyConfig
from pipelines.run_record import RunResult


def tell(config: NotifyConfig | None, result: RunResult) -> None:
    """Tell the spec's webhook how a run ended; when it cannot be told, the record says so."""
    if config is None:
        return
    try:
        notify.send(config, notify.message(result.record))
    except ComponentError as error:
        logging.getLogger("sluice").error("%s", error)
        result.record["not_told"] = error.message


def write_page(result: RunResult) -> None:
    """Write the report of a run."""
    from components.report import page

    try:
        page.write_report(result.folder)
    except Exception:
        logging.getLogger("sluice").exception("the report could not be written")

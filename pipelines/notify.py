"""Section `notify`: who is told how a run ended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.config import Section
from components.errors import ComponentError

Status = Literal["pushed", "blocked", "failed", "skipped", "partial", "cached"]
_AGAIN_AFTER_SECONDS = (1.0, 3.0)


class NotifyConfig(Section):
    """A webhook that gets one JSON object per run.

    The object holds `pipeline`, `run_id`, `status`, `text` (one sentence, which Slack and its kin show), `reasons`,
    `pushed` and `failure`.

    Args:
        webhook: its URL; None takes it from the environment, since such URLs are often secrets.
        webhook_env: environment variable with the URL.
        on: ends of a run that are told.
        timeout_seconds: how long one attempt may take; there are three.
    """

    webhook: str | None = None
    webhook_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    on: tuple[Status, ...] = ("pushed", "blocked", "failed")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)

    @field_validator("webhook")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("a webhook is a URL that starts with https:// or http://")
        return url

    @model_validator(mode="after")
    def _one_source(self) -> NotifyConfig:
        if (self.webhook is None) == (self.webhook_env is None):
            raise ValueError("give either webhook (the URL) or webhook_env (the variable that holds it)")
        return self


def message(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent about a run.

    Args:
        record: the content of its `run.json`.
    """
    verdict, failure = record.get("verdict") or {}, record.get("failure") or {}
    reasons = list(verdict.get("reasons") or ([failure["message"]] if failure.get("message") else []))
    reasons = reasons or list((record.get("decision") or {}).get("reasons") or [])
    pushed = record.get("pushed")
    text = f"{record['pipeline']}: {record['status']}"
    if pushed:
        text += f", version {pushed['version']} is served"
    elif reasons:
        text += f": {reasons[0]}"
    return {
        "pipeline": record["pipeline"],
        "run_id": record["run_id"],
        "status": record["status"],
        "text": text,
        "reasons": reasons,
        "pushed": pushed,
        "failure": record.get("failure"),
    }


def send(config: NotifyConfig, content: Mapping[str, Any]) -> bool:
    """Post to the webhook, three times at most; return whether it was to be told.

    Raises:
        ComponentError: it cannot be reached or says no.
    """
    import urllib.error
    import urllib.request

    if content["status"] not in config.on:
        return False
    request = urllib.request.Request(  # noqa: S310 - http and https alone pass the config
        _url(config), json.dumps(content).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    for pause in (*_AGAIN_AFTER_SECONDS, None):
        try:
            with urllib.request.urlopen(request, timeout=config.timeout_seconds):  # noqa: S310
                return True
        except urllib.error.HTTPError as error:
            cause = f"it answered {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            cause = str(getattr(error, "reason", error))
        if pause is not None:
            time.sleep(pause)
    raise ComponentError(
        f"The webhook could not be told how the run ended: {cause}.",
        spec_path="notify",
        remedy="Check the address and what it allows; the run itself is finished and recorded.",
    )


def _url(config: NotifyConfig) -> str:
    if config.webhook is not None:
        return config.webhook
    url = os.environ.get(config.webhook_env or "", "")
    if not url.startswith(("http://", "https://")):
        raise ComponentError(
            f"The environment variable {config.webhook_env} does not hold a URL.",
            spec_path="notify.webhook_env",
            remedy="Set it where the run starts; on a cluster by resources.notify.secrets.",
        )
    return url

"""What the Trainer hears from its workers: their log, their progress, and why one of them ended."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.engine.progress import event_of, report
from components.errors import ComponentError

LAST_LINES = 20


@dataclass
class Heard:
    """What one worker has said.

    Args:
        index: which one, from 0.
        name: what it is called where it runs: a process, a container, a pod.
        runtime: the Trainer's, for progress.
    """

    index: int
    name: str
    runtime: Mapping[str, Any]
    failure: dict[str, Any] | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    progress: str = ""

    def take(self, line: str) -> None:
        """Read one line of its log: progress goes to whoever watches the run, everything else into the run's log."""
        line = line.rstrip()
        event = event_of(line)
        if "progress" in event:
            given = event["progress"]
            self.progress = given["text"]
            report(self.runtime, given["component"], given["text"], done=given["done"], total=given["total"])
            return
        if "failure" in event:
            self.failure = event["failure"]
            return
        if line:
            self.last_lines.append(line)
            print(f"worker {self.index}: {line}", flush=True)  # noqa: T201 - standard output is the run's log


@dataclass(frozen=True)
class Ended:
    """A worker that has ended.

    Args:
        heard: what it has said.
        code: its exit code; above 128, or below 0, a signal ended it.
        reason: what its surroundings say, such as `OOMKilled`; may be empty.
    """

    heard: Heard
    code: int
    reason: str = ""

    @property
    def is_of_a_peer(self) -> bool:
        """Whether it only lost contact with another worker, which is the one to blame."""
        return bool(self.heard.failure and self.heard.failure.get("peer"))

    @property
    def how(self) -> str:
        """Say how it ended in a few words."""
        number = -self.code if self.code < 0 else self.code - 128
        if self.code < 0 or self.code > 128:
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            text = f"was killed by {name}"
        else:
            text = f"ended with exit code {self.code}"
        return f"{text} ({self.reason})" if self.reason else text


def grace_seconds(failed: list[Ended]) -> float:
    """Return how long to listen on after workers have failed, for the one to blame may end later than others."""
    return 20.0 if all(each.is_of_a_peer for each in failed) else 2.0


def failure_of(ended: list[Ended], workers: int) -> ComponentError:
    """Return the error of a training in which at least one worker failed.

    When one worker dies, the others lose contact and fail too; the one to name is the one that did not fail for that.

    Args:
        ended: workers that ended with another code than 0, in the order in which they ended.
        workers: how many there were.
    """
    first = min(ended, key=_rank)
    heard = first.heard
    who = f"Worker {heard.index} of {workers} ({heard.name})"
    stopped = "The others were stopped."
    if heard.failure and not first.is_of_a_peer:
        given = heard.failure
        return ComponentError(
            f"{who} failed: {given['message'].rstrip('.')}. {stopped}",
            spec_path=given.get("spec_path"),
            remedy=given.get("remedy") or _AGAIN,
        )
    if heard.failure:
        said = heard.failure["message"].rstrip(".")
        return ComponentError(f"{who} lost contact with the others: {said}.", remedy=_AGAIN)
    said = f" It said last: {heard.last_lines[-1]}" if heard.last_lines else " It said nothing."
    remedy = _MEMORY if first.code in {-9, 137} or first.reason == "OOMKilled" else _AGAIN
    return ComponentError(f"{who} {first.how}. {stopped}{said}", spec_path="resources.trainer", remedy=remedy)


_AGAIN = "Run again: the training goes on after the last checkpoint."
_MEMORY = (
    "Most often the memory did not suffice: give resources.trainer more, or lower training.batch_size. "
    "Run again: the training goes on after the last checkpoint."
)


def _rank(ended: Ended) -> int:
    return 1 if ended.is_of_a_peer else 0

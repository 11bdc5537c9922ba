"""Watch a running component from beside it: memory of the process, and the progress it writes."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import psutil

from pipelines.runners.runner import Watcher

PERIOD_SECONDS = 0.2


class Monitor:
    """Samples memory and passes progress on, in a thread, for as long as it is entered.

    Args:
        progress_file: JSON lines that components append to; see `components.engine.progress`.
        watcher: is told each new line.
    """

    def __init__(self, progress_file: Path, watcher: Watcher) -> None:
        self.progress_file = progress_file
        self.watcher = watcher
        self.peak_memory_mb = 0.0
        self._position = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sluice-monitor", daemon=True)
        self._process = psutil.Process()

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def take_peak(self) -> float:
        """Return the largest memory since the last call, MB, and start again."""
        self._sample()
        peak, self.peak_memory_mb = self.peak_memory_mb, 0.0
        return round(peak, 1)

    def _loop(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        self._sample()
        if not self.progress_file.is_file():
            return
        with self.progress_file.open(encoding="utf-8") as file:
            file.seek(self._position)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break
                self._position = file.tell()
                event = json.loads(line)
                self.watcher.progress(event["component"], event["text"], event["done"], event["total"])

    def _sample(self) -> None:
        total = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak_memory_mb = max(self.peak_memory_mb, total / 1e6)

"""Folders on S3 and Google Cloud Storage, read and written through Arrow: each object whole or not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote

from components.engine.object_store import OPTIONS, SCHEMES, StorageError, connect, first_line, remedy_of
from components.errors import Problem, SpecError

CHUNK_BYTES = 8 << 20
PARALLEL_FILES = 8


@dataclass(frozen=True)
class RemoteFile:
    """One object below a folder.

    Args:
        name: its path below the folder.
        bytes: its size.
        changed_ns: when it was last written by the clock of the store, nanoseconds since 1970.
    """

    name: str
    bytes: int
    changed_ns: int


def is_remote(place: str | Path) -> bool:
    """Return True for a URL, which only Arrow's file systems can read.

    Example:
        >>> is_remote("s3://bucket/taxi"), is_remote("/data/taxi")
        (True, False)
    """
    return "://" in str(place)


def join(place: str, *parts: str) -> str:
    """Return a place below another; options of a URL stay behind it.

    Example:
        >>> join("s3://bucket/taxi?region=eu-central-1", "runs", "7")
        's3://bucket/taxi/runs/7?region=eu-central-1'
    """
    base, mark, options = place.partition("?") if is_remote(place) else (place, "", "")
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts if part)]) + mark + options


class RemoteFolder:
    """A folder of objects, such as a pipeline's root, on `s3://` or `gs://`.

    Access is what the machine has: environment variables, configuration files or the machine's own role. Every call
    reaches the store; nothing is remembered. An object is written whole or not at all: until its last byte has arrived
    the store shows the one that was there before.

    Args:
        url: `s3://BUCKET/PREFIX?region=…&endpoint_override=HOST:PORT&scheme=http`, or the same with `gs://`.
        where: what a message calls the place of the URL.

    Raises:
        SpecError: the URL cannot be one, holds a password, or has an unknown option.
    """

    def __init__(self, url: str, where: str = "root") -> None:
        self.full_url = url
        self.where = where
        base, _, query = url.partition("?")
        self.scheme, _, rest = base.partition("://")
        self.path = unquote(rest).strip("/")
        self.options = dict(parse_qsl(query, keep_blank_values=True))
        if problem := self._problem(base):
            raise SpecError([problem])
        self.url = f"{self.scheme}://{self.path}"
        self._system: Any = None
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return self.url

    def child(self, name: str) -> RemoteFolder:
        """Return a folder below this one."""
        return RemoteFolder(join(self.full_url, name))

    def check(self) -> None:
        """Look whether the bucket is there and can be reached.

        Raises:
            StorageError: it is not, or may not be looked at.
        """
        from pyarrow import fs

        bucket = self.path.partition("/")[0]
        with self._told("look at", ""):
            if self.system.get_file_info(bucket).type == fs.FileType.NotFound:
                raise FileNotFoundError(f"the bucket does not exist: {bucket!r}")

    def files(self, below: str = "") -> list[RemoteFile]:
        """Return every object below a folder, sorted by name; none when there is no such folder."""
        from pyarrow import fs

        with self._told("list", below):
            found = self.system.get_file_info(fs.FileSelector(self._at(below), allow_not_found=True, recursive=True))
        files = [info for info in found if info.type == fs.FileType.File and not info.path.endswith("/")]
        start = len(self.path) + 1
        return sorted(
            (RemoteFile(info.path[start:], info.size, info.mtime_ns or 0) for info in files), key=lambda file: file.name
        )

    def folders(self, below: str = "") -> list[str]:
        """Return the names of the folders right below a folder."""
        # from the files: Arrow shows a folder on GCS only when somebody made an object that stands for it
        start = len(below) + 1 if below else 0
        inner = (file.name[start:].partition("/") for file in self.files(below))
        return sorted({name for name, mark, _ in inner if mark})

    def find(self, name: str) -> RemoteFile | None:
        """Return one object, or None when it is not there."""
        from pyarrow import fs

        with self._told("look at", name):
            info = self.system.get_file_info(self._at(name))
        return RemoteFile(name, info.size, info.mtime_ns or 0) if info.type == fs.FileType.File else None

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, or None when it is not there."""
        if self.find(name) is None:
            return None
        with self._told("read", name):
            try:
                with self.system.open_input_stream(self._at(name)) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write an object, replacing the one that was there."""
        with self._told("write", name):
            # no `with`: leaving it after an error would finish the object with what has arrived
            stream = self.system.open_output_stream(self._at(name))
            stream.write(content)
            stream.close()

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object piece by piece."""
        with self._told("read", name), self.system.open_input_stream(self._at(name)) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield bytes(chunk)

    def write_chunks(self, name: str, chunks: Iterator[bytes]) -> int:
        """Write an object from pieces; return how many bytes it has."""
        total = 0
        with self._told("write", name):
            stream = self.system.open_output_stream(self._at(name))
            for chunk in chunks:
                stream.write(chunk)
                total += len(chunk)
            stream.close()
        return total

    def delete(self, *names: str) -> None:
        """Delete objects; those that are not there are passed over."""
        for name in names:
            with self._told("delete", name):
                try:
                    self.system.delete_file(self._at(name))
                except FileNotFoundError:
                    continue

    def delete_folder(self, name: str, *, first: tuple[str, ...] = ()) -> None:
        """Delete every object below a folder.

        Args:
            name: the folder.
            first: names in it that go before all others, since their being there says that the folder is whole.
        """
        names = [file.name for file in self.files(name)]
        marks = [each for each in names if each.removeprefix(f"{name}/") in first]
        self.delete(*marks)
        in_parallel(self.delete, [each for each in names if each not in marks])

    @property
    def system(self) -> Any:
        """Arrow's file system, made at first use."""
        with self._lock:
            if self._system is None:
                self._system = connect(self.scheme, self.path, self.options)
            return self._system

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}".rstrip("/")

    @contextmanager
    def _told(self, verb: str, name: str) -> Iterator[None]:
        """Turn what Arrow says into where, what and what to do."""
        try:
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and verb in {"read", "delete"}:
                raise  # the caller says what it means
            raise StorageError(
                f"Could not {verb} {self.scheme}://{self._at(name)}: {first_line(error)}.",
                remedy=remedy_of(str(error), self.path.partition("/")[0], self.options, self.scheme),
            ) from error

    def _problem(self, base: str) -> Problem | None:
        bucket = self.path.partition("/")[0]
        if self.scheme not in SCHEMES or not bucket:
            return Problem(
                self.where, repr(base), "a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX", "Check the address."
            )
        if "@" in bucket:
            return Problem(
                self.where,
                f"{self.scheme}://…@{bucket.rpartition('@')[2]}, with a user or a password in it",
                "an address without secrets, since it is written into every run",
                "Put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into ~/.aws/credentials.",
            )
        known = OPTIONS[self.scheme]
        if unknown := [name for name in self.options if name not in known]:
            return Problem(
                self.where, f"option {unknown[0]!r}", f"one of {', '.join(known)}", "Check the part behind `?`."
            )
        if PurePosixPath(self.path).as_posix() != self.path or ".." in self.path.split("/"):
            return Problem(self.where, repr(base), "an address without `..` and `//`", "Write it straight.")
        return None


def in_parallel(function: Any, items: list[Any]) -> list[Any]:
    """Call a function for each item, several at a time; the first error stops what has not begun.

    Objects are small and the store is far: one after another, a run would wait for the network most of the time.
    """
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(PARALLEL_FILES, thread_name_prefix="sluice-storage") as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise

"""Where the raw data are: paths to files, their format, and a fingerprint of their content. Nothing heavy."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.data import remote, spans
from components.data.absent import nothing_there
from components.data.database import SQLITE, files_of, is_database, is_server
from components.data.remote import visible
from components.engine.storage import is_remote
from components.errors import Problem, SpecError

FORMATS = ("csv", "parquet", "tfrecord", "images")
IMAGE_ENDINGS = ("jpg", "jpeg", "png", "gif", "bmp")


@dataclass(frozen=True)
class SourceFile:
    """One raw file.

    Args:
        path: absolute path or URL.
        bytes: its size.
        stamp: changes when a remote file does; empty for local ones, whose content is read.
        sha256: digest of the content, once `with_digests` has read it.
        span, version: which portion of the data it belongs to, when `data.path` names portions.
    """

    path: str
    bytes: int
    stamp: str = ""
    sha256: str = ""
    span: int | None = None
    version: int | None = None


def resolve(path: str, base_dir: str | Path) -> str:
    """Return `data.path` as an absolute path (a glob stays one) or a URL.

    Args:
        path: as in the spec; `package:NAME/FILE` is a file inside an installed package, which is not imported.
        base_dir: where relative paths start.

    Raises:
        SpecError: there is no such package.

    Example:
        >>> resolve("rows/*.csv", "/project")
        '/project/rows/*.csv'
    """
    if path.startswith("package:"):
        return _in_package(path)
    if is_database(path) and not is_server(path):
        return SQLITE + resolve(path.removeprefix(SQLITE), base_dir)
    if is_remote(path):
        return path
    # without `..`: a container that mounts the folder of the data has no other to go up from
    return os.path.abspath(Path(base_dir, Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow links


def _in_package(path: str) -> str:
    name, _, inner = path.removeprefix("package:").partition("/")
    try:
        found = importlib.util.find_spec(name) if name and "." not in name else None
    except (ImportError, ValueError):
        found = None
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders or not inner:
        expected = "package:NAME/FILE, where NAME is an installed Python package with that file in it"
        raise _problem(repr(path), expected, f"Install {name!r}, or give the path of a file.")
    return str(Path(folders[0]) / inner)


def format_of(path: str) -> str | None:
    """Return the format that a file's name tells, or None.

    Example:
        >>> format_of("a/rows.csv.gz"), format_of("data_tfrecord-00000-of-00001.gz"), format_of("notes.txt")
        ('csv', 'tfrecord', None)
    """
    name = _base_name(path).lower().removesuffix(".gz")
    ending = name.rsplit(".", 1)[-1] if "." in name else ""
    endings = {"csv": "csv", "parquet": "parquet", "pq": "parquet", "tfrecord": "tfrecord", "tfrecords": "tfrecord"}
    endings |= dict.fromkeys(IMAGE_ENDINGS, "images")
    return endings.get(ending) or ("tfrecord" if "tfrecord" in name else None)


def _base_name(path: str) -> str:
    """Return the name of a file, without the options of a URL."""
    return (path.partition("?")[0] if is_remote(path) else path).rsplit("/", 1)[-1]


def list_files(data_path: str, format: str = "auto", selection: spans.Selection = spans.NEWEST) -> list[SourceFile]:
    """Return the raw files of a resolved path, sorted by name; those of spans by span first.

    Args:
        data_path: a file, a glob, a directory or a URL of one of these; with `{SPAN}` and the like it stands for spans.
            A directory without data in it, but with images in its folders, stands for these folders' files.
        format: `auto` goes by the endings, and skips files of a directory that are no data, or images beside a table.
        selection: which spans, where the path stands for them.

    Raises:
        SpecError: nothing is there, a span is missing, or several formats are there.
    """
    if is_server(data_path):
        return [SourceFile(data_path, 0)]  # what changes is the query's business: see raw_files
    if is_database(data_path):
        return _list_database(data_path.removeprefix(SQLITE))
    found = _list_spans(data_path, selection) if spans.has_placeholder(data_path) else _list(data_path)
    if not found:
        raise nothing_there(data_path)
    if format != "auto" or all(format_of(file.path) in (None, "images") for file in found):
        return _with_images(data_path, found, format)
    known = [file for file in found if format_of(file.path) not in (None, "images")]
    formats = sorted({str(format_of(file.path)) for file in known})
    if len(formats) > 1:
        examples = ", ".join(next(f.path for f in known if format_of(f.path) == one) for one in formats)
        raise _problem(
            f"files of several formats ({examples})",
            "one format",
            "Narrow data.path, for example to *." + formats[0] + ".",
        )
    return known


def _with_images(data_path: str, found: list[SourceFile], format: str) -> list[SourceFile]:
    """Return the files of a declared format, or of none that their names tell but images."""
    is_images = format == "images" or (format == "auto" and any(format_of(file.path) for file in found))
    if not is_images and format == "auto":
        names = ", ".join(_base_name(file.path) for file in found[:5])
        raise _problem(
            f"{data_path!r}, which holds {names}",
            "names that end in .csv, .parquet or .tfrecord (.gz behind them is fine), or folders of images",
            f"If they are data, say what they are: data.format: {' | '.join(FORMATS)}.",
        )
    if is_images and any(os.path.dirname(file.path) == data_path.rstrip("/") for file in found):
        raise _problem(
            f"{data_path!r}, which holds images themselves",
            "a folder per class with the images of that class, CLASS/FILE",
            "Move each image into a folder named after its class, or name the images in a column of a table.",
        )
    return found


def spans_of(files: Sequence[SourceFile]) -> list[dict[str, int | None]]:
    """Return span, version and number of files of each span, oldest first; empty when the data have no spans."""
    counted: dict[tuple[int, int | None], int] = {}
    for file in files:
        if file.span is not None:
            counted[file.span, file.version] = counted.get((file.span, file.version), 0) + 1
    return [{"span": span, "version": version, "files": count} for (span, version), count in counted.items()]


def data_format(files: Sequence[SourceFile], format: str) -> str:
    """Return `csv`, `parquet`, `tfrecord` or `images`: the declared format, or what the names of the files tell."""
    return format if format != "auto" else str(next(filter(None, (format_of(file.path) for file in files)), None))


def _list_spans(data_path: str, selection: spans.Selection) -> list[SourceFile]:
    found = []
    for span in spans.choose(data_path, selection, _expand_remote if is_remote(data_path) else _expand_local):
        files = [file for path in span.paths for file in _list(path)]
        if not files:
            raise spans.no_files(span)
        found += [replace(file, span=span.number, version=span.version) for file in files]
    return found


def _list(data_path: str) -> list[SourceFile]:
    return _list_remote(data_path) if is_remote(data_path) else _list_local(data_path)


def _list_database(path: str) -> list[SourceFile]:
    if not os.path.isfile(path):
        raise nothing_there(path)
    return [SourceFile(name, os.path.getsize(name)) for name in files_of(path)]


def _expand_local(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)


def _list_local(data_path: str) -> list[SourceFile]:
    if os.path.isdir(data_path):
        paths = [entry.path for entry in os.scandir(data_path) if entry.is_file() and visible(entry.name)]
        if not any(format_of(path) for path in paths):
            paths = _in_folders(data_path) or paths
    elif os.path.isfile(data_path):
        paths = [data_path]
    else:
        paths = [path for path in glob.glob(data_path, recursive=True) if os.path.isfile(path)]
    return [SourceFile(path, os.path.getsize(path)) for path in sorted(paths)]


def _in_folders(data_path: str) -> list[str]:
    """Return the visible files of the visible folders in a folder, if some of them are images."""
    folders = [entry.path for entry in os.scandir(data_path) if entry.is_dir() and visible(entry.name)]
    files = [entry for folder in folders for entry in os.scandir(folder) if entry.is_file() and visible(entry.name)]
    return [entry.path for entry in files] if any(format_of(entry.name) == "images" for entry in files) else []


def _list_remote(url: str) -> list[SourceFile]:
    with _reachable(url):
        found = remote.files(url)
        if not any(format_of(path) for path, _, _ in found):
            inside = remote.files_in_folders(url)
            found = inside if any(format_of(path) == "images" for path, _, _ in inside) else found
        return [SourceFile(*entry) for entry in found]


def _expand_remote(url: str) -> list[str]:
    with _reachable(url):
        return remote.expand(url)


@contextlib.contextmanager
def _reachable(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise _problem(f"{url!r}: {error}", "a place that can be reached", "Check the URL and the access.") from error


def with_digests(files: Sequence[SourceFile], memo: Path | None = None) -> list[SourceFile]:
    """Return the files with the SHA-256 of their contents; remote files are not read, and keep none.

    Args:
        files: what `list_files` returned.
        memo: JSON file that remembers the digest of each (path, size, time of change), so that the next call
            reads nothing; made when it is not there.
    """
    known = _read_memo(memo)
    kept: dict[str, str] = {}
    found = []
    for file in files:
        if not is_remote(file.path):
            key = f"{file.path}|{file.bytes}|{os.stat(file.path).st_mtime_ns}"
            kept[key] = known.get(key) or sha256_of(file.path)
            file = replace(file, sha256=kept[key])
        found.append(file)
    if memo and not kept.items() <= known.items():
        memo.parent.mkdir(parents=True, exist_ok=True)
        partial = memo.with_name(f"{memo.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps({**known, **kept}, indent=1))
        os.replace(partial, memo)
    return found


def fingerprint(files: Sequence[SourceFile]) -> str:
    """Return a digest of the names and contents of files; of remote ones the size and the time of change count.

    Args:
        files: what `with_digests` returned; of files without a digest the local ones are read.
    """
    total = hashlib.sha256()
    for file in files:
        digest = f"{file.bytes}:{file.stamp}" if is_remote(file.path) else file.sha256 or sha256_of(file.path)
        total.update(f"{_base_name(file.path)}={digest}\n".encode())
    return total.hexdigest()


def _read_memo(memo: Path | None) -> dict[str, str]:
    try:
        return dict(json.loads(memo.read_text())) if memo and memo.is_file() else {}
    except ValueError:
        return {}


def sha256_of(path: str) -> str:
    """Return the digest of a local file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem("data.path", received, expected, remedy)])

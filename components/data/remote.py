"""Files and folders of an object store or any other of Arrow's file systems, listed as `glob` lists local ones."""

from __future__ import annotations

import fnmatch
from typing import Any

from components.engine.storage import SCHEMES, RemoteFolder

WILDCARDS = "*?["


def visible(name: str) -> bool:
    """True for a name that is data, not something a tool left beside them."""
    return not name.startswith((".", "_"))


def file_system(url: str) -> tuple[Any, str]:
    """Return Arrow's file system for a URL, and the path in it."""
    from pyarrow import fs

    base, mark, options = url.partition("?") if url.startswith(("s3://", "gs://")) else (url, "", "")
    scheme, _, path = base.partition("://")
    # Wildcards are no part of a URL, so the file system is asked for with what stands before them.
    root = path.split("/", 1)[0]
    if scheme in SCHEMES:
        return RemoteFolder(f"{scheme}://{root}{mark}{options}", "data.path").system, path.rstrip("/")
    system, _ = fs.FileSystem.from_uri(f"{scheme}://{root or '/'}")
    return system, path.rstrip("/")


def files(url: str) -> list[tuple[str, int, str]]:
    """Return URL, size and time of change of the files that a file's, folder's or glob's URL stands for, by name."""
    from pyarrow import fs

    system, path = file_system(url)
    if any(mark in path for mark in WILDCARDS):
        infos = _match(system, path)
    else:
        infos = [system.get_file_info(path)]
        if infos[0].type == fs.FileType.Directory:
            infos = [one for one in system.get_file_info(fs.FileSelector(path)) if visible(one.base_name)]
    found = [info for info in infos if info.type == fs.FileType.File]
    return sorted((_url(info.path, url), info.size, str(info.mtime_ns)) for info in found)


def files_in_folders(url: str) -> list[tuple[str, int, str]]:
    """Return URL, size and time of change of the files of a folder's folders, by name; empty for a file or a glob."""
    from pyarrow import fs

    system, path = file_system(url)
    if any(mark in path for mark in WILDCARDS) or system.get_file_info(path).type != fs.FileType.Directory:
        return []
    infos = system.get_file_info(fs.FileSelector(path, recursive=True))
    inner = [(info, info.path.removeprefix(path).strip("/").split("/")) for info in infos]
    found = [info for info, parts in inner if info.is_file and len(parts) == 2 and all(map(visible, parts))]
    return sorted((_url(info.path, url), info.size, str(info.mtime_ns)) for info in found)


def expand(url: str) -> list[str]:
    """Return the URLs of the files and folders that a glob matches."""
    return [_url(info.path, url) for info in _match(*file_system(url))]


def _url(path: str, like: str) -> str:
    """Return the URL of a path in the same file system as another URL."""
    scheme, _, rest = like.partition("://")
    query = f"?{rest.partition('?')[2]}" if scheme in {"s3", "gs"} and "?" in rest else ""
    return f"{scheme}://{path}{query}"


def _match(system: Any, pattern: str) -> list[Any]:
    """Return what a glob matches; folder by folder, since a bucket may hold far more beside it."""
    from pyarrow import fs

    if "**" in pattern:
        start = pattern[: min(pattern.index(mark) for mark in WILDCARDS if mark in pattern)].rpartition("/")[0]
        infos = system.get_file_info(fs.FileSelector(start, recursive=True))
        return [info for info in infos if fnmatch.fnmatchcase(info.path, pattern)]
    if system.type_name == "gcs":
        return _match_objects(system, pattern)
    first, *parts = pattern.split("/")
    folders, infos = [first], []
    for at, part in enumerate(parts):
        if not any(mark in part for mark in WILDCARDS):
            folders = [f"{folder}/{part}" for folder in folders]
            infos = system.get_file_info(folders) if at == len(parts) - 1 else []
            continue
        listed = [system.get_file_info(fs.FileSelector(folder or "/", allow_not_found=True)) for folder in folders]
        infos = [info for found in listed for info in found if fnmatch.fnmatchcase(info.base_name, part)]
        folders = [info.path for info in infos if info.type == fs.FileType.Directory]
    return [info for info in infos if info.type != fs.FileType.NotFound]


def _match_objects(system: Any, pattern: str) -> list[Any]:
    """Return what a glob matches, from all objects: Arrow does not list folders on GCS that no object stands for."""
    from pyarrow import fs

    parts = pattern.split("/")
    literal = next(at for at, part in enumerate(parts) if any(mark in part for mark in WILDCARDS))
    found = {}
    for info in system.get_file_info(fs.FileSelector("/".join(parts[:literal]), allow_not_found=True, recursive=True)):
        names = info.path.rstrip("/").split("/")
        path = "/".join(names[: len(parts)])
        if len(names) >= len(parts) and all(map(fnmatch.fnmatchcase, names, parts)):
            found[path] = info if len(names) == len(parts) else fs.FileInfo(path, fs.FileType.Directory)
    return list(found.values())

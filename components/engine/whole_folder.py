"""Folders copied to a remote place and back so that half of one is never taken for the whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.engine.storage import CHUNK_BYTES, RemoteFolder, StorageError, in_parallel

MANIFEST_ENDING = ".complete.json"
"""`FOLDER.complete.json` lists every file of FOLDER with size and digest; it is written after the last of them."""


def upload_folder(source: Path, remote: RemoteFolder, name: str) -> None:
    """Copy a local folder to a remote one, the manifest last.

    What an earlier try left there is overwritten, or passed over since the manifest does not name it.

    Args:
        source: the local folder.
        remote: where the pipeline's root is.
        name: the folder below it.

    Raises:
        StorageError: a file could not be written, or the folder is gone; there is no manifest then.
    """
    if not source.is_dir():
        raise StorageError(f"{source} is gone before it could be sent to {remote}/{name}.", remedy="Run again.")
    remote.delete(name + MANIFEST_ENDING)
    manifest = {"files": upload_files(source, remote, name), "folders": _empty_folders(source)}
    remote.write(name + MANIFEST_ENDING, json.dumps(manifest, indent=1).encode())


def upload_files(source: Path, remote: RemoteFolder, name: str, *, last: tuple[str, ...] = ()) -> dict[str, Any]:
    """Copy the files of a folder without a manifest; return size and digest of each.

    Args:
        source: the local folder.
        remote: where to.
        name: the folder below it.
        last: files whose being there tells others that the folder can be used; they are written after all others.
    """
    files = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    first = [file for file in files if file not in last]

    def send(file: str) -> dict[str, Any]:
        return _upload_file(source / file, remote, f"{name}/{file}")

    facts = dict(zip(first, in_parallel(send, first), strict=True))
    return facts | {file: send(file) for file in last if file in files}


def is_whole(remote: RemoteFolder, name: str) -> bool:
    """Return True when the folder was uploaded to its end."""
    return remote.find(name + MANIFEST_ENDING) is not None


def download_folder(remote: RemoteFolder, name: str, target: Path) -> None:
    """Copy a whole remote folder here; the target appears at once, when every file has come and is right.

    Args:
        remote: where the pipeline's root is.
        name: the folder below it.
        target: where to; nothing is done when it is there.

    Raises:
        StorageError: the folder is not whole, or what came is not what was sent.
    """
    if target.is_dir():
        return
    text = remote.read(name + MANIFEST_ENDING)
    if text is None:
        raise StorageError(
            f"{remote}/{name} is not there, or was never uploaded to its end.",
            remedy="Run again with --no-cache to make it anew.",
        )
    manifest = json.loads(text)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for folder in manifest["folders"]:
            (partial / folder).mkdir(parents=True, exist_ok=True)

        def fetch(item: tuple[str, dict[str, Any]]) -> None:
            _download_file(remote, f"{name}/{item[0]}", partial / item[0], item[1])

        in_parallel(fetch, list(manifest["files"].items()))
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def download_files(remote: RemoteFolder, name: str, target: Path) -> None:
    """Copy a folder that has no manifest, such as a served version; the target appears at once."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)

    def fetch(file: Any) -> None:
        _download_file(remote, file.name, partial / file.name.removeprefix(f"{name}/"), {"bytes": file.bytes})

    try:
        in_parallel(fetch, remote.files(name))
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _empty_folders(source: Path) -> list[str]:
    return sorted(
        str(path.relative_to(source)) for path in source.rglob("*") if path.is_dir() and not any(path.iterdir())
    )


def _upload_file(source: Path, remote: RemoteFolder, name: str) -> dict[str, Any]:
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                yield chunk

    return {"bytes": remote.write_chunks(name, chunks()), "sha256": digest.hexdigest()}


def _download_file(remote: RemoteFolder, name: str, target: Path, expected: dict[str, Any]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            for chunk in remote.chunks(name):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
    except FileNotFoundError as error:
        raise StorageError(f"{remote}/{name} is gone.", remedy="Run again with --no-cache to make it anew.") from error
    if size != expected["bytes"] or expected.get("sha256", digest.hexdigest()) != digest.hexdigest():
        raise StorageError(
            f"{remote}/{name} is not what was written there: {size} bytes came, {expected['bytes']} were written"
            + (", with another digest." if size == expected["bytes"] else "."),
            remedy="Run again; if it stays so, run with --no-cache to make it anew.",
        )

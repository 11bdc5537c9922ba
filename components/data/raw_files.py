"""What the raw data of a spec are made of, for caching and the record of a run. Light, unless a table names images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from components.data.config import DataConfig
from components.data.database import is_server
from components.data.source import SourceFile, data_format, fingerprint, format_of, list_files, with_digests
from components.engine.storage import is_remote


def raw_files(data: DataConfig, data_path: str, memo: Path | None = None) -> list[SourceFile]:
    """Return the files of the data with the digests of their contents; images are summed up by folder.

    The images that a table names belong to the data, since their bytes become its rows. Of a database server
    the rows of the query count, whatever their order; the server computes that, so they are not sent.

    Args:
        data: section `data`.
        data_path: `data.path`, resolved.
        memo: see `with_digests`.

    Raises:
        SpecError: the files are not there, or the query gives no rows.
    """
    files = list_files(data_path, data.format, data.selection)
    if data.query is not None and is_server(data_path):
        from components.data.postgres_session import Session

        with Session(data_path, data.query) as session:
            return [replace(file, stamp=session.digest()) for file in files]
    if data.image_columns and data.query is None:
        form = data_format(files, data.format)
        if form in ("csv", "parquet"):
            from components.data.image_reader import named_images

            files += named_images(files, data.image_columns, form)
    return condensed(with_digests(files, memo))


def condensed(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Return one entry per folder of images in place of its files, so that a record of many images stays small.

    Args:
        files: what `with_digests` returned; others than images stay as they are.
    """
    kept: list[SourceFile] = []
    folders: dict[str, list[SourceFile]] = {}
    for file in files:
        if format_of(file.path) == "images":
            folders.setdefault(os.path.dirname(file.path), []).append(file)
        else:
            kept.append(file)
    for folder, images in sorted(folders.items()):
        digest, total = fingerprint(images), sum(file.bytes for file in images)
        stamp, sha256 = (digest, "") if is_remote(folder) else ("", digest)
        kept.append(replace(images[0], path=folder, bytes=total, stamp=stamp, sha256=sha256))
    return kept


def places_of(files: Sequence[SourceFile]) -> list[str]:
    """Return the paths of the files; of images those of their folders, each once."""
    is_image = {file.path: format_of(file.path) == "images" for file in files}
    return list(dict.fromkeys(os.path.dirname(path) if is_image[path] else path for path in is_image))

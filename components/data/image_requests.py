"""Rows to predict from, where a feature is an image: a folder of images, or a file of rows that names some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from components.data.source import IMAGE_ENDINGS
from components.errors import Problem, SpecError


def rows_with_images(path: Path, columns: Sequence[str], read_rows: Callable[[], Any]) -> Any:
    """Return rows with the bytes of their images; without such columns, what `read_rows` returns.

    Args:
        path: a folder, of which every image at any depth is a row, by name; or a file of rows, from whose folder the
            paths in it start.
        columns: the features that are images.
        read_rows: reads the file of rows: a list of dictionaries, or a pyarrow Table.

    Raises:
        SpecError: an image is not there, or the folder holds none.
    """
    if not columns:
        return read_rows()
    from components.data.image_reader import IMAGE, PATH

    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower()[1:] in IMAGE_ENDINGS and file.is_file())
        if not found:
            raise _problem(str(path), "a folder without an image", "images", "Name another folder.")
        return [{IMAGE: file.read_bytes(), PATH: str(file.relative_to(path))} for file in found]
    rows = read_rows()
    rows = rows if isinstance(rows, list) else rows.to_pylist()
    return [_with_contents(row, number, columns, str(path.parent)) for number, row in enumerate(rows, start=1)]


def _with_contents(row: dict[str, Any], number: int, columns: Sequence[str], folder: str) -> dict[str, Any]:
    from components.data.image_reader import located, read

    contents = {}
    for name in columns:
        if isinstance(row.get(name), str) and (file := located(row[name], folder)):
            try:
                contents[name] = read(file)
            except OSError as error:
                remedy = "Correct the path; it starts from the folder of the rows."
                raise _problem(f"{name}, row {number}", file, "an image file", remedy) from error
    return {**row, **contents}


def _problem(where: str, received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem(where, received, expected, remedy)])

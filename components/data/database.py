"""What `data.path` means where it names a database, and the files that one is made of. Nothing heavy."""

from __future__ import annotations

import os

SQLITE = "sqlite:///"
_OTHERS = frozenset({"postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "bigquery", "snowflake"})


def is_database(path: str) -> bool:
    """True for a path that names a database that can be read.

    Example:
        >>> is_database("sqlite:///rows.db"), is_database("rows.csv")
        (True, False)
    """
    return path.startswith(SQLITE)


def check_query(path: str, query: str | None) -> None:
    """Raise ValueError unless path and query go together."""
    scheme = path.partition("://")[0]
    if "://" in path and scheme.partition("+")[0] in _OTHERS:
        raise ValueError(
            f"{scheme}:// is a database that data.path does not read; only sqlite:///FILE is. "
            "Export the rows to Parquet, and name that file"
        )
    if is_database(path) and query is None:
        raise ValueError("data.path names a database; say which rows: data.query: SELECT … FROM …")
    if query is not None and not is_database(path):
        raise ValueError("data.query needs a database: data.path: sqlite:///FILE")


def files_of(path: str) -> list[str]:
    """Return the file of a database, and that of what was written last where it has not been merged yet.

    Args:
        path: the database file; it exists.
    """
    beside = [name for name in (f"{path}-wal", f"{path}-journal") if os.path.isfile(name) and os.path.getsize(name)]
    return [path, *beside]

"""What `data.path` means where it names a database, and the files that one is made of. Nothing heavy."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, urlsplit

SQLITE = "sqlite:///"
_POSTGRES = ("postgresql", "postgres")
_OTHERS = frozenset({"mysql", "mariadb", "mssql", "oracle", "bigquery", "snowflake", "redshift", "cockroachdb"})
_READ = "sqlite:///FILE and postgresql://USER@HOST/DATABASE"


def is_database(path: str) -> bool:
    """True for a path that names a database that can be read.

    Example:
        >>> is_database("sqlite:///rows.db"), is_database("rows.csv")
        (True, False)
    """
    return path.startswith(SQLITE) or is_server(path)


def is_server(path: str) -> bool:
    """True for a path that names a PostgreSQL server.

    Example:
        >>> is_server("postgresql://me@db.example/shop"), is_server("sqlite:///rows.db")
        (True, False)
    """
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme in _POSTGRES


def check_query(path: str, query: str | None) -> None:
    """Raise ValueError unless path and query go together."""
    scheme = path.partition("://")[0]
    kind = scheme.partition("+")[0]
    if "://" in path and not is_server(path) and kind in _OTHERS.union(_POSTGRES):
        raise ValueError(
            f"{scheme}:// is a database that data.path does not read; {_READ} are. "
            + (f"Write {kind}://" if kind in _POSTGRES else "Export the rows to Parquet, and name that file")
        )
    if is_database(path) and query is None:
        raise ValueError("data.path names a database; say which rows: data.query: SELECT … FROM …")
    if query is not None and not is_database(path):
        raise ValueError(f"data.query needs a database: data.path: {_READ}")


def check_no_password(path: str) -> None:
    """Raise ValueError where the address of a server holds a password."""
    parts = urlsplit(path) if is_server(path) else None
    if parts and (parts.password is not None or {"password", "sslpassword"} & dict(parse_qsl(parts.query)).keys()):
        raise ValueError(
            "a spec holds no password, since it is written into every run; "
            "put it into the environment variable PGPASSWORD or the file ~/.pgpass and take it out of data.path"
        )


def files_of(path: str) -> list[str]:
    """Return the file of a database, and that of what was written last where it has not been merged yet.

    Args:
        path: the database file; it exists.
    """
    beside = [name for name in (f"{path}-wal", f"{path}-journal") if os.path.isfile(name) and os.path.getsize(name)]
    return [path, *beside]

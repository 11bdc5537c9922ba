"""Where ML Metadata is kept: an SQLite file in the pipeline's root, or a MySQL server that a team shares."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, model_validator

from components.config import Section
from components.errors import Problem, SpecError

CONNECT_SECONDS = 10
UNKNOWN_DATABASE = 1049


class MySQL(Section):
    """A database on a MySQL or MariaDB server.

    The password is never part of a spec: it comes from an environment variable or a file when a run starts. The account
    must use `mysql_native_password`, the only way of logging in that ML Metadata knows.

    Args:
        host: name or address of the server.
        port: its port.
        database: name of the database; made when it is not there and the user may make it.
        user: who logs in.
        password_env: the environment variable that holds the password.
        password_file: a file that holds it, such as a mounted secret; it goes before `password_env`.
        ca_file: certificates of those who may vouch for the server. Connections are then encrypted, and the server must
            prove who it is when a run begins; ML Metadata's own connections, later, do not ask it again.
    """

    host: str = Field(min_length=1)
    port: int = Field(default=3306, ge=1, le=65535)
    database: str = Field(pattern=r"^[0-9A-Za-z_$-]{1,64}$")
    user: str = Field(min_length=1)
    password_env: str = Field(default="SLUICE_MYSQL_PASSWORD", min_length=1)
    password_file: str | None = None
    ca_file: str | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"

    def password(self) -> str:
        """Return the password.

        Raises:
            SpecError: it is not where the spec says.
        """
        if self.password_file is not None:
            try:
                return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
            except OSError as error:
                received = f"{self.password_file!r} ({error.strerror})"
                raise _problem("password_file", received, "a file with the password", "Check the path.") from error
        if self.password_env not in os.environ:
            raise _problem(
                "password_env",
                f"{self.password_env!r}, which is not set",
                f"an environment variable with the password of {self.user}",
                f"Set it (`export {self.password_env}=…`), or name a file: metadata.mysql.password_file.",
            )
        return os.environ[self.password_env]


class MetadataConfig(Section):
    """Where executions and artifacts are recorded.

    Args:
        mysql: a server for a team; an SQLite file in the pipeline's root when it is not given. `metadata:
            mysql://USER@HOST:PORT/DATABASE` is short for it.
    """

    mysql: MySQL | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        parts = urlsplit(given)
        if parts.scheme != "mysql" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("give mysql://USER@HOST:PORT/DATABASE, or a mapping with the key mysql")
        if parts.password is not None:
            raise ValueError(
                "a spec holds no password, since it is written into every run; "
                "put it into the environment variable SLUICE_MYSQL_PASSWORD and take it out of the URL"
            )
        found = {"host": parts.hostname, "database": parts.path.strip("/"), "user": unquote(parts.username or "")}
        return {"mysql": found | ({"port": parts.port} if parts.port else {})}

    @property
    def name(self) -> str:
        """What tells one store from another; records of one are worth nothing in another."""
        return "sqlite" if self.mysql is None else f"mysql://{self.mysql.host}:{self.mysql.port}/{self.mysql.database}"


def connection_config(config: MetadataConfig, sqlite_file: Path | str, *, with_password: bool = True) -> Any:
    """Return what ML Metadata connects with (`metadata_store_pb2.ConnectionConfig`).

    Args:
        config: the spec's section.
        sqlite_file: the file when no server is named; its folder is made.
        with_password: False for one that only says where the store is, since a compiled pipeline is written down.
    """
    from ml_metadata.proto import metadata_store_pb2 as proto

    server = config.mysql
    if server is None:
        Path(sqlite_file).parent.mkdir(parents=True, exist_ok=True)
        mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return proto.ConnectionConfig(
            sqlite=proto.SqliteMetadataSourceConfig(filename_uri=str(sqlite_file), connection_mode=mode)
        )
    made = proto.MySQLDatabaseConfig(
        host=_address(server), port=server.port, database=server.database, user=server.user, skip_db_creation=True
    )
    if with_password:
        made.password = server.password()
    if server.ca_file is not None:
        # not verify_server_cert: with it the client of ml-metadata 1.21 refuses right certificates too
        made.ssl_options.ca = server.ca_file
    return proto.ConnectionConfig(mysql=made)


_MADE_AT_THIS_MOMENT = ("Aborted", "concurrent", "Deadlock found")
"""What ML Metadata says when another run makes the tables while it looks for them."""


def check(config: MetadataConfig) -> None:
    """Log in to the server, before anything runs; SQLite needs no check.

    ML Metadata's own message names no cause, so a client that tells one goes first.

    Raises:
        SpecError: the server, the account or the database is not there; says which setting and what to do.
    """
    server = config.mysql
    if server is None:
        return
    _log_in(server)
    import ml_metadata
    from ml_metadata import errors

    wanted = connection_config(config, "")
    try:
        ml_metadata.MetadataStore(wanted)
    except (RuntimeError, errors.StatusError) as error:
        if any(word in str(error) for word in _MADE_AT_THIS_MOMENT):
            return
        raise _problem(
            "user",
            f"{server.user!r}, whom the server knows but ML Metadata cannot log in as",
            "an account that uses mysql_native_password and may make tables",
            f"ALTER USER '{server.user}'@'%' IDENTIFIED WITH mysql_native_password BY …; "
            f"GRANT ALL ON {server.database}.* TO '{server.user}'@'%'. If the server wants encrypted connections, name "
            f"metadata.mysql.ca_file. ML Metadata says: {str(error)[:300]}",
        ) from error


def _log_in(server: MySQL) -> None:
    """Log in, and make the database when it is not there."""
    import pymysql

    tls: dict[str, Any] = {} if server.ca_file is None else {"ssl_ca": server.ca_file, "ssl_verify_identity": True}
    password = server.password()
    try:
        connection = pymysql.connect(
            host=_address(server),
            port=server.port,
            user=server.user,
            password=password,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
            **tls,
        )
        with connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"USE `{server.database}`")
            except pymysql.err.OperationalError as error:
                if error.args[0] != UNKNOWN_DATABASE:
                    raise
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{server.database}`")
    except (pymysql.err.MySQLError, RuntimeError, OSError) as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise _CAUSES.get(code, _other)(server, str(error.args[-1] if error.args else error)) from error


def _address(server: MySQL) -> str:
    """Return the host; of `localhost` its address, since the client library would look for a socket file instead."""
    return "127.0.0.1" if server.host == "localhost" else server.host


def _refused(server: MySQL, said: str) -> SpecError:
    where = "password_file" if server.password_file else "password_env"
    kept = server.password_file or server.password_env
    return _problem(
        where,
        f"a password in {kept} that does not open {server} ({said})",
        f"the password of {server.user}",
        f"Correct {kept}, or metadata.mysql.user; the account must be allowed to log in from this machine.",
    )


def _unreachable(server: MySQL, said: str) -> SpecError:
    return _problem(
        "host",
        f"{server.host!r}, port {server.port}: {said}",
        "a MySQL or MariaDB server that answers",
        "Check metadata.mysql.host and metadata.mysql.port, that the server runs, and that no firewall is between. "
        "To do without a server, drop the section metadata.",
    )


def _no_database(server: MySQL, said: str) -> SpecError:
    return _problem(
        "database",
        f"{server.database!r}: {said}",
        f"a database that {server.user} may use",
        f"CREATE DATABASE {server.database}; GRANT ALL ON {server.database}.* TO '{server.user}'@'%';",
    )


def _other(server: MySQL, said: str) -> SpecError:
    return _problem(
        "user",
        f"{server}: {said}",
        "a server that lets this user in, who logs in by mysql_native_password",
        f"ALTER USER '{server.user}'@'%' IDENTIFIED WITH mysql_native_password BY …;",
    )


_CAUSES: dict[int, Callable[[MySQL, str], SpecError]] = {
    1045: _refused,
    1698: _refused,
    1044: _no_database,
    UNKNOWN_DATABASE: _no_database,
    1142: _no_database,
    2002: _unreachable,
    2003: _unreachable,
    2005: _unreachable,
    2006: _unreachable,
    2013: _unreachable,
}
"""Number of the server's or client's error to what it means for the spec."""


def _problem(key: str, received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem(f"metadata.mysql.{key}", received, expected, remedy)])

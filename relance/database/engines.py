"""Engines of SQLAlchemy: SQLite as it is, PostgreSQL in production, each spoken to so that writers do not surprise."""

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relance.kernel.errors import InputError

__all__ = ["READS", "connecting", "make_engine"]

READS: Final = "relance_reads"  # an execution option: this transaction will write nothing
_BUSY_MS: Final = 30_000


def make_engine(url: str, application: str, connections: int, *, pings: bool) -> AsyncEngine:
    """An engine for `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host/database`.

    `application`: what PostgreSQL shows of us. `pings`: each connection is tried before its use, for those who use it
    seldom. Raises InputError for a URL that cannot be used.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("the database is named as sqlite:///path or postgresql://user@host/name") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return _sqlite(parsed)
    if backend == "postgresql":
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), pool_size=connections, max_overflow=0, pool_timeout=10.0,
            pool_pre_ping=pings, connect_args=connecting(application), hide_parameters=True,
        )  # fmt: skip
    raise InputError(f"the database is a file of SQLite or PostgreSQL, not {parsed.render_as_string()}")


def connecting(application: str) -> dict[str, Any]:
    """How PostgreSQL's driver connects: what it shows of us, and how long we wait."""
    settings = {"application_name": application, "lock_timeout": "10000"}
    return {"server_settings": settings, "timeout": 10.0, "command_timeout": 30.0}


def _sqlite(url: URL) -> AsyncEngine:
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))  # it holds addresses; its journals get its mode
    except OSError as error:
        raise InputError(f"the database {path}: {error.strerror}") from None
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": _BUSY_MS / 1_000}, pool_size=5, max_overflow=0,
        hide_parameters=True,
    )  # fmt: skip
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions late, and for itself
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Who reads first and writes later could be refused in the midst; so a writer is one from the start.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")

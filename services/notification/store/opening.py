"""Opening a database: which driver and how it is spoken to, its tables brought up to date, its errors in our words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relance.kernel.errors import InputError, NotNow

__all__ = ["migrations", "open_engine", "translated"]

_BUSY_MS: Final = 30_000
_MIGRATING: Final = 7_274_112  # PostgreSQL's number of the lock under which tables change
_OVERTAKEN: Final = frozenset({"40001", "40P01", "55P03"})  # serialisation, deadlock, lock not available
# the connection failed; too many of them or too little room; the server ends or begins; its system failed
_AWAY: Final = frozenset({"08", "53", "57", "58"})


async def open_engine(url: str, connections: int) -> AsyncEngine:
    """The database at `sqlite:///path` or `postgresql://user:password@host/database`, its tables up to date.

    Raises InputError for a URL that cannot be used, NotNow when the database does not answer.
    """
    engine = _engine(url, connections)
    try:
        with translated():
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
                await connection.run_sync(lambda each: command.upgrade(migrations(each), "head"))
    except BaseException:
        await engine.dispose()
        raise
    return engine


def migrations(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the steps in this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def translated() -> Iterator[None]:
    """Turns the driver's errors that pass into NotNow."""
    try:
        yield
    except PoolTimeout as error:
        raise NotNow("all connections to the database are in use") from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        away = error.connection_invalidated or state in _OVERTAKEN or str(state)[:2] in _AWAY
        if away or isinstance(error, OperationalError | InterfaceError):
            raise NotNow(f"the database does not answer: {str(error.orig).partition(chr(10))[0][:200]}") from error
        raise
    except OSError as error:
        raise NotNow(f"the database does not answer: {error.strerror or error}") from error


def _engine(url: str, connections: int) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("the database is named as sqlite:///path or postgresql://user@host/name") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return _sqlite(parsed)
    if backend == "postgresql":
        settings = {"application_name": "relance-notification", "lock_timeout": "10000"}
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), pool_size=connections, max_overflow=0, pool_timeout=10.0,
            pool_pre_ping=True, connect_args={"server_settings": settings, "timeout": 10.0, "command_timeout": 30.0},
            hide_parameters=True,
        )  # fmt: skip
    raise InputError(f"the database is a file of SQLite or PostgreSQL, not {parsed.render_as_string()}")


def _sqlite(url: URL) -> AsyncEngine:
    path = Path(url.database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))  # it holds addresses; its journals get its mode
    except OSError as error:
        raise InputError(f"the database {path}: {error.strerror}") from None
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": _BUSY_MS / 1_000}, pool_size=4, max_overflow=0,
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
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # who reads first and writes later could be refused in the midst

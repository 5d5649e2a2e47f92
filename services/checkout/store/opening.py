"""Opening a database: which driver and how it is spoken to, and its tables brought up to date."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relance.kernel.errors import InputError
from services.checkout.store.database import READS, Database
from services.checkout.store.errors import translated
from services.checkout.store.keys import MasterKey
from services.checkout.store.store import Store

__all__ = ["migrations", "open_store"]

_BUSY_MS: Final = 30_000
_MIGRATING: Final = 7_274_111  # PostgreSQL's number of the lock under which tables change


async def open_store(
    url: str,
    master_key: MasterKey,
    *,
    migrate: bool = True,
    connections: int = 20,
    now_ms: Callable[[], int] | None = None,
) -> Store:
    """The store at `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host/database`.

    `migrate` brings its tables up to date; without it they must be. Raises InputError for a URL or tables that cannot
    be used, NotNow when the database does not answer.
    """
    engine = _engine(url, connections)
    try:
        with translated():
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql" and migrate:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
                await connection.run_sync(_migrate if migrate else _check)
    except BaseException:
        await engine.dispose()
        raise
    return Store(Database(engine), master_key, now_ms)


def migrations(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the steps in this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    command.upgrade(migrations(connection), "head")


def _check(connection: Connection) -> None:
    wanted = ScriptDirectory.from_config(migrations()).get_current_head()
    found = MigrationContext.configure(connection).get_current_revision()
    if found != wanted:
        raise InputError(f"the database has tables of version {found or 'none'}, and {wanted} is needed: migrate it")


def _engine(url: str, connections: int) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("the database is named as sqlite:///path or postgresql://user@host/name") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return _sqlite(parsed)
    if backend == "postgresql":
        settings = {"application_name": "relance-checkout", "lock_timeout": "10000"}
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), pool_size=connections, max_overflow=0, pool_timeout=10.0,
            pool_pre_ping=False, connect_args={"server_settings": settings, "timeout": 10.0, "command_timeout": 30.0},
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

"""Opening a database: which driver and how it is spoken to, and its tables brought up to date."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from relance.database.engines import make_engine
from relance.database.postgres import Connections
from relance.kernel.errors import InputError
from services.checkout.store.database import Database
from services.checkout.store.errors import translated
from services.checkout.store.keys import MasterKey
from services.checkout.store.store import Store

__all__ = ["migrations", "open_store"]

_NAME: Final = "relance-checkout"
_SELDOM: Final = 8  # connections of SQLAlchemy's: those who lead hold one each
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
    engine = make_engine(url, _NAME, _SELDOM, pings=False)
    try:
        with translated():
            async with engine.begin() as connection:
                if connection.dialect.name == "postgresql" and migrate:
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATING})
                await connection.run_sync(_migrate if migrate else _check)
    except BaseException:
        await engine.dispose()
        raise
    ours = Connections(engine, _NAME, connections) if engine.dialect.name == "postgresql" else None
    return Store(Database(engine, ours), master_key, now_ms)


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

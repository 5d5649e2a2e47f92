"""Opening a database: which driver and how it is spoken to, its tables brought up to date, its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from relance.database.engines import make_engine
from relance.kernel.errors import NotNow

__all__ = ["migrations", "open_engine", "translated"]

_MIGRATING: Final = 7_274_121  # PostgreSQL's number of the lock under which tables change
_OVERTAKEN: Final = frozenset({"40001", "40P01", "55P03"})  # serialisation, deadlock, lock not available
# the connection failed; too many of them or too little room; the server ends or begins; its system failed
_AWAY: Final = frozenset({"08", "53", "57", "58"})


async def open_engine(url: str, connections: int) -> AsyncEngine:
    """The database at `sqlite:///path` or `postgresql://user:password@host/database`, its tables up to date.

    Raises InputError for a URL that cannot be used, NotNow when the database does not answer.
    """
    engine = make_engine(url, "relance-notification", connections, pings=True)
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

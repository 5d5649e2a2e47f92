"""What the store says instead of an answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from asyncpg import InterfaceError as DriverError
from asyncpg import InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from relance.database.postgres import Rolled
from relance.kernel.errors import InputError, NotNow

__all__ = ["Conflict", "KeyReused", "translated"]

# serialisation, deadlock, lock not available, unique; a division by zero: `together` says so that it was overtaken; and
# a plan from before the tables changed, which is made anew
_OVERTAKEN = frozenset({"40001", "40P01", "55P03", "23505", "22012", "0A000"})
# the connection failed; too many of them or too little room; the server ends or begins; its system failed
_AWAY = frozenset({"08", "53", "57", "58"})


class Conflict(NotNow):
    """Another transaction was first. Nothing is stored: read again and repeat."""


class KeyReused(InputError):  # noqa: N818 - the name says what the caller should understand
    """An idempotency key comes with another request than the one that it was used for."""


@contextmanager
def translated() -> Iterator[None]:
    """Turns the driver's errors into Conflict (repeat at once) and NotNow (the database is away or too busy)."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict("another transaction stored this first", 0.0) from error
    except PoolTimeout as error:
        raise NotNow("all connections to the database are in use") from error
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
        if state in _OVERTAKEN:
            raise Conflict("another transaction was first", 0.0) from error
        away = error.connection_invalidated or str(state)[:2] in _AWAY
        if away or isinstance(error, OperationalError | InterfaceError):
            raise NotNow(f"the database does not answer: {_words(error)}") from error
        raise
    except (Rolled, PostgresError, DriverError, InternalClientError, OSError) as error:
        if (said := _said(error)) is None:
            raise
        raise said from error


def _said(error: Exception) -> NotNow | None:
    """What an error of PostgreSQL's own driver comes to; None when it is a defect of ours."""
    state = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, Rolled) or state in _OVERTAKEN:
        return Conflict("another transaction was first", 0.0)
    if isinstance(error, PostgresError) and state[:2] not in _AWAY:
        return None
    words = getattr(error, "strerror", None) or str(error).partition("\n")[0][:200] or "it took too long"
    return NotNow(f"the database does not answer: {words}")


def _words(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0][:200]

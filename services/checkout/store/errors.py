"""What the store says instead of an answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from relance.kernel.errors import InputError, NotNow

__all__ = ["Conflict", "KeyReused", "translated"]

_OVERTAKEN = frozenset({"40001", "40P01", "55P03", "23505"})  # serialisation, deadlock, lock not available, unique
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
    except OSError as error:
        raise NotNow(f"the database does not answer: {error.strerror or error}") from error


def _words(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0][:200]

"""A server of PostgreSQL that starts, stops or is full is away for a while: no loop may end because of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy.exc import DBAPIError

from relance.kernel.errors import NotNow
from services.checkout.store import errors
from services.checkout.store.errors import Conflict
from services.notification.store import opening

Translated = Callable[[], AbstractContextManager[None]]
STORES = pytest.mark.parametrize("translated", [errors.translated, opening.translated], ids=["checkout", "mail"])


class SaidError(Exception):
    """What a driver raises; SQLAlchemy wraps it in the plain DBAPIError when it knows no better."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"the server said {sqlstate}")
        self.sqlstate = sqlstate


def said(sqlstate: str) -> DBAPIError:
    return DBAPIError("SELECT 1", None, SaidError(sqlstate))


@STORES
@pytest.mark.parametrize("sqlstate", ["57P03", "57P01", "53300", "53100", "08003", "08006", "57014", "58030"])
def test_a_server_that_is_away_is_tried_again(translated: Translated, sqlstate: str) -> None:
    with pytest.raises(NotNow), translated():
        raise said(sqlstate)


@STORES
def test_a_mistake_of_ours_is_no_absence(translated: Translated) -> None:
    with pytest.raises(DBAPIError), translated():
        raise said("42703")


def test_who_was_overtaken_repeats_at_once() -> None:
    with pytest.raises(Conflict), errors.translated():
        raise said("40P01")

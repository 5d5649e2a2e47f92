"""How often somebody tries: counts by the keyed hash of who it is, for each minute, shared by all processes."""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relance.database.statements import Statement
from relance.kernel.instants import to_ms
from services.checkout.store.part import Part
from services.checkout.store.schema import TRIES

__all__ = ["Tries", "forgotten"]

_MINUTE_MS: Final = 60_000
_WINDOW: Final = 60  # minutes
_T: Final = TRIES.c


def _counting() -> Statement:
    row: dict[str, Any] = {"who": bindparam("who"), "minute": bindparam("minute"), "times": bindparam("times")}
    ours, theirs = sqlite.insert(TRIES).values(row), postgresql.insert(TRIES).values(row)
    return Statement(
        *(
            one.on_conflict_do_update(
                index_elements=["who", "minute"], set_={"times": _T.times + one.excluded["times"]}
            ).returning(_T.times)
            for one in (ours, theirs)
        )
    )


_MINE: Final = _T.who == bindparam("of_who")
_COUNT: Final = _counting()
_OTHERS: Final = Statement(
    select(func.coalesce(func.sum(_T.times), 0).label("times")).where(
        _MINE, _T.minute > bindparam("since"), _T.minute != bindparam("now")
    )
)
_LAST: Final = select(func.max(_T.minute)).where(_MINE, _T.times > 0).scalar_subquery()
_BACK: Final = Statement(
    update(TRIES).where(_MINE, _T.minute == _LAST).values(times=_T.times - bindparam("times"))
)  # fmt: skip


def forgotten(now: datetime) -> int:
    """The last minute whose tries no longer count."""
    return to_ms(now) // _MINUTE_MS - _WINDOW


class Tries(Part):
    """The room of tries in a transaction. Whom it counts nobody can tell without the master key."""

    async def tried(self, who: str, at: datetime, times: int = 1) -> int:
        """Count tries of somebody; how many there were within the last hour with these. Of two who count at once the
        second waits for the first, except at the turn of a minute.
        """
        minute, name = to_ms(at) // _MINUTE_MS, self._of(who)
        row = await self._row(_COUNT, {"who": name, "minute": minute, "times": times})
        others = await self._row(_OTHERS, {"of_who": name, "since": forgotten(at), "now": minute})
        return int(row.times) + int(others.times)

    async def untried(self, who: str, times: int = 1) -> None:
        """The last tries were none after all."""
        await self._run(_BACK, {"of_who": self._of(who), "times": times})

    def _of(self, who: str) -> str:
        return hmac.new(self._around.master.secret, b"tries of " + who.encode(), sha256).hexdigest()[:32]

"""Chains of evidence: what is recorded of a checkout, and from the click on of its order, in one chain.

An order of a shop gets a number when its chain is adopted; the number stands in the chain as well. So an order that is
deleted whole, before any checkpoint sealed it, leaves a gap. Counting makes orders wait for each other, from the count
to the end of the transaction: so a shop has sixteen series, each without gaps, and the numbers of series n are n + 1,
n + 17, n + 33 and so on.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relance.database.statements import Statement, insertion
from relance.evidence.entries import Act, Head, append, start
from relance.kernel.errors import Defect
from relance.kernel.instants import to_ms
from services.checkout.store.errors import Conflict
from services.checkout.store.part import Part
from services.checkout.store.schema import CHAINS, COUNTERS, ENTRIES

__all__ = ["COUNTER", "SERIES", "Chains", "series_of"]

COUNTER: Final = "orders"
SERIES: Final = 16

_OF: Final = select(CHAINS).where(
    CHAINS.c.shop == bindparam("of_shop"),
    or_(CHAINS.c.chain == bindparam("of_order"), CHAINS.c.order_id == bindparam("of_order")),
)
_CHAIN: Final = {False: Statement(_OF), True: Statement(_OF.with_for_update())}
_BEGIN: Final = insertion(CHAINS, "shop", "chain", "sealed", "length", "head", "order_id", "number", unless_there=True)
_AT: Final = update(CHAINS).where(
    CHAINS.c.shop == bindparam("of_shop"), CHAINS.c.chain == bindparam("of_chain"),
    CHAINS.c.length == bindparam("before"),
)  # fmt: skip
_GROWN: Final[dict[str, Any]] = {"length": bindparam("to_length"), "head": bindparam("to_head")}
_GROW: Final = Statement(_AT.values(_GROWN))
_GROW_ADOPTED: Final = Statement(
    _AT.values(_GROWN | {"order_id": bindparam("to_order_id"), "number": bindparam("to_number")})
)
_APPEND: Final = insertion(ENTRIES, "shop", "chain", "seq", "data")
_ENTRIES: Final = Statement(
    select(ENTRIES.c.data)
    .where(ENTRIES.c.shop == bindparam("of_shop"), ENTRIES.c.chain == bindparam("of_chain"))
    .order_by(ENTRIES.c.seq)
)


def _counting() -> Statement:
    row: dict[str, Any] = {"name": bindparam("of_name"), "shop": bindparam("of_shop"), "value": 1}
    more: dict[str, Any] = {"index_elements": ["name", "shop"], "set_": {"value": COUNTERS.c.value + 1}}
    ours, theirs = sqlite.insert(COUNTERS).values(row), postgresql.insert(COUNTERS).values(row)
    return Statement(
        ours.on_conflict_do_update(**more).returning(COUNTERS.c.value),
        theirs.on_conflict_do_update(**more).returning(COUNTERS.c.value),
    )


_COUNT: Final = _counting()


def series_of(chain: str) -> int:
    """In which series a chain is counted, from 0."""
    return int(sha256(chain.encode()).hexdigest()[0], SERIES)


class _Adopted(msgspec.Struct, frozen=True):
    order: str
    at_ms: int


class Chains(Part):
    """The room of evidence in a transaction. Acts are chained at its end, in the order of the calls."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._acts: dict[tuple[str, str], list[Act | _Adopted]] = {}

    async def record(self, shop: str, order: str, acts: Sequence[Act]) -> None:
        """Append acts to the chain of an order; before the click, `order` is the checkout's id."""
        if acts:
            self._acts.setdefault((shop, order), []).extend(acts)

    async def adopt(self, shop: str, checkout: str, order: str, at: datetime) -> None:
        """At the click: the checkout's chain is the order's from now on, and says so in an entry (`happened: order`,
        with the order's id and its number among the shop's orders). `record` then takes the order's id.
        """
        self._acts.setdefault((shop, checkout), []).append(_Adopted(order, to_ms(at)))

    async def head(self, shop: str, order: str) -> Head:
        """Where the chain of an order (or checkout) stands, with all that this transaction recorded."""
        await self._write_acts()
        row = await self._chain(shop, order, lock=False)
        return start(shop, order) if row is None else _head(row)

    async def entries(self, shop: str, order: str) -> list[bytes]:
        """The entries of an order (or checkout), as they are stored, with all that this transaction recorded."""
        await self._write_acts()
        row = await self._chain(shop, order, lock=False)
        if row is None:
            return []
        found = await self._rows(_ENTRIES, {"of_shop": shop, "of_chain": row.chain})
        return [bytes(each.data) for each in found]

    async def _write_acts(self) -> None:
        waiting, self._acts = self._acts, {}
        # Each checkout before its order, whose acts may wait for the adoption; else in one order for all transactions.
        adopting = [place for place, acts in waiting.items() if any(isinstance(act, _Adopted) for act in acts)]
        for place in (*sorted(adopting), *sorted(waiting.keys() - adopting)):
            await self._extend(*place, waiting[place])

    async def _extend(self, shop: str, order: str, acts: Sequence[Act | _Adopted]) -> None:
        row = await self._chain(shop, order, lock=True)
        before = start(shop, order) if row is None else _head(row)
        head, rows = before, []
        adopted: dict[str, Any] = {}
        for act in acts:
            if isinstance(act, _Adopted):
                if adopted or (row is not None and row.order_id is not None):
                    raise Defect(f"the chain {before.order} belongs to an order already")
                adopted = {"order_id": act.order, "number": await self._next_number(shop, head.order)}
                facts = {"order": act.order, "number": adopted["number"]}
                written = Act(at_ms=act.at_ms, act="happened", what="order", facts=facts)
            else:
                written = act
            data, after = append(head, written)
            rows.append({"shop": shop, "chain": head.order, "seq": head.length, "data": data})
            head = after
        await self._move(before, head, adopted, fresh=row is None)
        await self._link.run_many(_APPEND, rows)

    async def _move(self, before: Head, after: Head, adopted: dict[str, Any], *, fresh: bool) -> None:
        if fresh:
            row = {"shop": after.shop, "chain": after.order, "sealed": 0, "length": after.length, "head": after.hash}
            changed = await self._run(_BEGIN, row | {"order_id": None, "number": None} | adopted)
        else:
            at = {"of_shop": after.shop, "of_chain": after.order, "before": before.length}
            to = {"to_length": after.length, "to_head": after.hash} | {f"to_{k}": v for k, v in adopted.items()}
            changed = await self._run(_GROW_ADOPTED if adopted else _GROW, at | to)
        if changed != 1:
            raise Conflict(f"the evidence of {after.order} has grown meanwhile", 0.0)

    async def _next_number(self, shop: str, chain: str) -> int:
        """Counted in the transaction, unlike a sequence: one that is rolled back leaves no gap."""
        series = series_of(chain)
        row = await self._row(_COUNT, {"of_name": f"{COUNTER}/{series}", "of_shop": shop})
        return (int(row.value) - 1) * SERIES + series + 1

    async def _chain(self, shop: str, order: str, *, lock: bool) -> Any:
        """The row of the chain that is the order's own, or was adopted by it."""
        return await self._row(_CHAIN[lock], {"of_shop": shop, "of_order": order})


def _head(row: Any) -> Head:
    return Head(shop=row.shop, order=row.chain, length=row.length, hash=row.head)

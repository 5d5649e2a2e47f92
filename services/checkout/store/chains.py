"""Chains of evidence: what is recorded of a checkout, and from the click on of its order, in one chain.

An order of a shop gets a number when its chain is adopted; the number stands in the chain as well. So an order that is
deleted whole, before any checkpoint sealed it, leaves a gap. Counting makes orders wait for each other, from the count
to the end of the transaction: so a shop has sixteen series, each without gaps, and the numbers of series n are n + 1,
n + 17, n + 33 and so on.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, insert, or_, select, update

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
_CHAIN: Final = {False: _OF, True: _OF.with_for_update()}


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
        statement = select(ENTRIES.c.data).where(ENTRIES.c.shop == shop, ENTRIES.c.chain == row.chain)
        return [bytes(each.data) for each in await self._execute(statement.order_by(ENTRIES.c.seq))]

    async def every_entry(self) -> AsyncIterator[bytes]:
        """All entries of all shops."""
        rows = await self._connection.stream(select(ENTRIES.c.data).order_by(ENTRIES.c.shop, ENTRIES.c.chain))
        async for row in rows:
            yield bytes(row.data)

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
        await self._execute(insert(ENTRIES), rows)

    async def _move(self, before: Head, after: Head, adopted: dict[str, Any], *, fresh: bool) -> None:
        fields = {"length": after.length, "head": after.hash, **adopted}
        if fresh:
            row = {"shop": after.shop, "chain": after.order, "sealed": 0, **fields}
            changed = await self._execute(self._insert(CHAINS).values(**row).on_conflict_do_nothing())
        else:
            at = (CHAINS.c.shop == after.shop, CHAINS.c.chain == after.order, CHAINS.c.length == before.length)
            changed = await self._execute(update(CHAINS).where(*at).values(**fields))
        if changed.rowcount != 1:
            raise Conflict(f"the evidence of {after.order} has grown meanwhile", 0.0)

    async def _next_number(self, shop: str, chain: str) -> int:
        """Counted in the transaction, unlike a sequence: one that is rolled back leaves no gap."""
        series = series_of(chain)
        row = {"name": f"{COUNTER}/{series}", "shop": shop, "value": 1}
        statement = self._insert(COUNTERS).values(**row)
        counted = statement.on_conflict_do_update(
            index_elements=["name", "shop"], set_={"value": COUNTERS.c.value + 1}
        ).returning(COUNTERS.c.value)
        return (int((await self._execute(counted)).scalar_one()) - 1) * SERIES + series + 1

    async def _chain(self, shop: str, order: str, *, lock: bool) -> Any:
        """The row of the chain that is the order's own, or was adopted by it."""
        return (await self._execute(_CHAIN[lock], {"of_shop": shop, "of_order": order})).first()


def _head(row: Any) -> Head:
    return Head(shop=row.shop, order=row.chain, length=row.length, hash=row.head)

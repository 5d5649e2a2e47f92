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
_COUNTED: Final = Statement(
    select(COUNTERS.c.value).where(COUNTERS.c.name == bindparam("of_name"), COUNTERS.c.shop == bindparam("of_shop"))
)


def series_of(chain: str) -> int:
    """In which series a chain is counted, from 0."""
    return int(sha256(chain.encode()).hexdigest()[0], SERIES)


class _Adopted(msgspec.Struct, frozen=True):
    order: str
    at_ms: int


class _Growing:
    """A chain in this transaction. `row`: as it was read, None for a new one; `fresh`: it is not stored yet."""

    def __init__(self, shop: str, name: str, row: Any, *, locked: bool) -> None:
        self.locked = locked
        self.head = start(shop, name) if row is None else _head(row)
        self.before = self.head
        self.fresh = row is None
        self.order_id: str | None = None if row is None else row.order_id
        self.adopted: dict[str, Any] = {"order_id": None, "number": None}
        self.rows: list[dict[str, Any]] = []

    def append(self, act: Act) -> None:
        """One more entry."""
        data, after = append(self.head, act)
        self.rows.append({"shop": after.shop, "chain": after.order, "seq": self.head.length, "data": data})
        self.head = after

    def moved(self) -> dict[str, Any]:
        """Where it stands now, over where it stood."""
        head = self.head
        return {"shop": head.shop, "chain": head.order, "sealed": 0, "length": head.length, "head": head.hash,
                "before": self.before.length, **self.adopted}  # fmt: skip

    def stored(self) -> None:
        """All of it is at the database."""
        self.before, self.fresh, self.rows = self.head, False, []
        self.adopted = {"order_id": None, "number": None}


class Chains(Part):
    """The room of evidence in a transaction. Acts are chained at its end, in the order of the calls."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._acts: dict[tuple[str, str], list[Act | _Adopted]] = {}
        self._growing: dict[tuple[str, str], _Growing] = {}

    async def chain_of(self, shop: str, order: str) -> str:
        """The name of the chain that an order's evidence stands in: its checkout's, once adopted; else its own."""
        return (await self._chain(shop, order)).head.order

    async def record(self, shop: str, order: str, acts: Sequence[Act]) -> None:
        """Append acts to the chain of an order; before the click, `order` is the checkout's id."""
        if acts:
            self._acts.setdefault((shop, order), []).extend(acts)

    async def adopt(self, shop: str, checkout: str, order: str, at: datetime) -> None:
        """At the click: the checkout's chain is the order's from now on, and says so in an entry (`happened: order`,
        with the order's id and its number among the shop's orders). `record` then takes the order's id.
        """
        self._acts.setdefault((shop, checkout), []).append(_Adopted(order, to_ms(at)))

    async def counted(self, shop: str, series: str) -> int:
        """The number that `count` gave last, as of this transaction; 0 when it gave none."""
        row = await self._row(_COUNTED, {"of_name": series, "of_shop": shop})
        return 0 if row is None else int(row.value)

    async def count(self, shop: str, series: str) -> int:
        """The next number of a series of a shop, from 1: unlike a sequence it is counted in the transaction, so that
        one that is rolled back leaves no gap. Those that count at once wait for each other until they end: count last.
        """
        await self._link.begin()
        row = await self._row(_COUNT, {"of_name": series, "of_shop": shop})
        return int(row.value)

    async def head(self, shop: str, order: str) -> Head:
        """Where the chain of an order (or checkout) stands, with all that this transaction recorded."""
        await self._write_acts()
        return (await self._chain(shop, order)).head

    async def entries(self, shop: str, order: str) -> list[bytes]:
        """The entries of an order (or checkout), as they are stored, with all that this transaction recorded."""
        await self._write_acts()
        chain = await self._chain(shop, order)
        found = await self._rows(_ENTRIES, {"of_shop": shop, "of_chain": chain.head.order})
        return [bytes(each.data) for each in found]

    async def _write_acts(self) -> None:
        """Write them now."""
        for chain in await self._chained():
            moved = chain.moved()
            if chain.fresh:
                changed = await self._run(_BEGIN, moved)
            else:
                given = {f"to_{name}": value for name, value in moved.items()}
                at = {"of_shop": moved["shop"], "of_chain": moved["chain"], "before": moved["before"]}
                changed = await self._run(_GROW if moved["number"] is None else _GROW_ADOPTED, given | at)
            if changed != 1:
                raise Conflict(f"the evidence of {chain.head.order} has grown meanwhile", 0.0)
            await self._link.run_many(_APPEND, chain.rows)
            chain.stored()

    async def _chained(self) -> list[_Growing]:
        """The chains that have grown by the acts that wait."""
        waiting, self._acts = self._acts, {}
        # Each checkout before its order, whose acts may wait for the adoption; else in one order for all transactions.
        adopting = [place for place, acts in waiting.items() if any(isinstance(act, _Adopted) for act in acts)]
        grown: dict[int, _Growing] = {}
        if adopting:  # their orders are counted one at a time
            await self._link.begin()
        for place in (*sorted(adopting), *sorted(waiting.keys() - adopting)):
            chain = await self._chain(*place)
            for act in waiting[place]:
                chain.append(await self._adopt(chain, act) if isinstance(act, _Adopted) else act)
            grown[id(chain)] = chain
        return list(grown.values())

    async def _adopt(self, chain: _Growing, adopted: _Adopted) -> Act:
        if chain.order_id is not None:
            if chain.locked or chain.adopted["order_id"] is not None:
                raise Defect(f"the chain {chain.before.order} belongs to an order already")
            raise Conflict(f"the chain {chain.before.order} became an order's meanwhile", 0.0)
        shop = chain.head.shop
        number = await self._next_number(shop, chain.head.order)
        chain.order_id, chain.adopted = adopted.order, {"order_id": adopted.order, "number": number}
        self._growing[shop, adopted.order] = chain
        facts = {"order": adopted.order, "number": number}
        return Act(at_ms=adopted.at_ms, act="happened", what="order", facts=facts)

    async def _next_number(self, shop: str, chain: str) -> int:
        """Counted in the transaction, unlike a sequence: one that is rolled back leaves no gap."""
        series = series_of(chain)
        row = await self._row(_COUNT, {"of_name": f"{COUNTER}/{series}", "of_shop": shop})
        return (int(row.value) - 1) * SERIES + series + 1

    async def _chain(self, shop: str, order: str) -> _Growing:
        """The chain that is the order's own, or was adopted by it; locked when this transaction has begun already."""
        found = self._growing.get((shop, order))
        if found is None:
            locked = self._link.begun
            row = await self._row(_CHAIN[locked], {"of_shop": shop, "of_order": order})
            name = order if row is None else row.chain
            found = self._growing.get((shop, name)) or _Growing(shop, name, row, locked=locked)
            self._growing[shop, name] = self._growing[shop, order] = found
        return found


def _head(row: Any) -> Head:
    return Head(shop=row.shop, order=row.chain, length=row.length, hash=row.head)

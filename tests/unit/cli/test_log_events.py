import random
from pathlib import Path
from uuid import uuid4

import msgspec
import pyarrow as pa
import pytest

from relance.cli.lines import LineReader
from relance.cli.log import effective
from relance.cli.log_events import FactStore, events_of
from relance.events.batch import ABSENT, SCHEMA, TICK
from relance.events.catalog import CHANNEL_BIT, CODE
from relance.events.money import currency_code
from services.tracking.domain.hashing import event_hash

# What detection does not read, or what stands for an identity and needs to be equal only within one file.
_APART = {"event_hash", "cart_hash", "product", "page", "campaign"}


@pytest.fixture
def facts(tmp_path: Path) -> FactStore:
    return FactStore(tmp_path / "facts.db")


def record(rows: list[dict[str, object]]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    return bytes(sink.getvalue().to_pybytes())


def row(**columns: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "visitor": uuid4().bytes, "shop": "demo", "type": CODE["cart.updated"], "time": 1_000, "arrival": ABSENT,
        "event_hash": event_hash("/shops/demo", "e-1"), "cart_hash": 0, "total_minor": ABSENT, "value_minor": ABSENT,
        "top_price_minor": ABSENT, "items": -1, "currency": 0, "device": 0, "flags": 0, "consent_granted": 0,
        "consent_denied": 0, "product": "", "page": "", "campaign": "",
    }  # fmt: skip
    return plain | columns


def random_row(draw: random.Random) -> dict[str, object]:
    prices = [draw.choice([None, draw.randint(0, 99_999)]) for _ in range(draw.randint(0, 5))]
    quantities = [draw.randint(1, 9) for _ in prices]
    known = [price for price in prices if price is not None]
    value = sum(price * count for price, count in zip(prices, quantities, strict=True) if price is not None)
    granted = draw.randrange(4096)
    return row(
        type=draw.choice(list(CODE.values())), time=draw.randrange(10**12), arrival=draw.choice([ABSENT, 5_000]),
        event_hash=draw.getrandbits(64), cart_hash=draw.choice([0, draw.getrandbits(64)]),
        total_minor=draw.choice([ABSENT, 0, 12_345]),
        value_minor=value if len(known) == len(prices) else ABSENT,
        top_price_minor=max(known, default=ABSENT), items=sum(quantities),
        currency=draw.choice([0, currency_code("EUR"), currency_code("XAF")]), device=draw.randrange(4),
        flags=draw.choice([0, 1, 4, 5, 6, 7]), consent_granted=granted, consent_denied=draw.randrange(4096) & ~granted,
    )  # fmt: skip


def test_rows_without_facts_come_back_as_they_were(facts: FactStore, chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    rows = [random_row(draw) for _ in range(500)]
    rows += [row(items=0, value_minor=0), row(items=-1), row(items=3, value_minor=10, top_price_minor=4)]
    reader = LineReader("exported")
    for event in events_of(record(rows), 2_000, facts):
        assert reader.add(msgspec.json.encode(event))
    back = reader.take().batch.to_pylist()
    assert len(back) == len(rows)
    for before, after in zip(rows, back, strict=True):
        for name in before.keys() - _APART:
            assert after[name] == before[name], (name, before, after)
    assert len({one["event_hash"] for one in back}) == len({one["event_hash"] for one in rows})


def test_facts_give_back_the_true_id_source_and_data(facts: FactStore) -> None:
    data = {"cart_id": "c-1", "currency": "EUR", "items": [{"product_id": "A1", "price_minor": 7}], "note": "kept"}
    fact = {"id": "e-1", "source": "/shops/demo", "type": "cart.updated", "time": "1999-01-01T00:00:00Z",
            "personid": "p-9", "data": data}  # fmt: skip
    facts.add([msgspec.json.encode(fact), b"{broken", msgspec.json.encode(fact | {"data": {}})])
    (event,) = events_of(record([row(flags=1)]), 2_000, facts)
    assert (event["id"], event["source"], event["personid"], event["data"]) == ("e-1", "/shops/demo", "p-9", data)
    assert event["time"] == "1970-01-01T00:00:01.000Z"  # the columns' word holds
    assert event["receivedtime"] == "1970-01-01T00:00:02.000Z"
    assert "arrivedtime" not in event


def test_a_fact_of_another_type_gives_its_identity_and_nothing_else(facts: FactStore) -> None:
    """One source and id under two types: the duplicate filter takes the second for the first, and so must its file."""
    fact = {"id": "e-1", "source": "/shops/demo", "personid": "p-1", "time": "1999-01-01T00:00:00Z"}
    updated = fact | {"type": "cart.updated", "data": {"cart_id": "of the cart"}}
    completed = fact | {"type": "order.completed", "personid": "p-2", "data": {"cart_id": "of the order"}}
    facts.add(map(msgspec.json.encode, (updated, completed)))
    types = ("order.completed", "cart.updated", "payment.failed", "page.viewed")
    rows = [row(type=CODE[name], flags=1) for name in types]
    events = list(events_of(record(rows), 2_000, facts))
    assert {(event["id"], event["source"]) for event in events} == {("e-1", "/shops/demo")}
    assert [event["data"].get("cart_id") for event in events] == ["of the order", "of the cart", None, None]
    assert [event["personid"] for event in events] == ["p-2", "p-1", "known", "known"]


def test_consent_comes_back_by_channel(facts: FactStore) -> None:
    columns = {"consent_granted": CHANNEL_BIT["email"], "consent_denied": CHANNEL_BIT["sms"]}
    (event,) = events_of(record([row(type=CODE["consent.changed"], **columns)]), 2_000, facts)
    assert event["data"]["consent"] == {"email": True, "sms": False}


def test_ticks_and_definitions_are_no_events(facts: FactStore) -> None:
    assert list(events_of(TICK, 1, facts)) == []
    assert list(events_of(b'{"kind": "definitions"}', 1, facts)) == []


def test_append_time_never_goes_back() -> None:
    times = [one.append_ms for one in effective(0, [(5, b""), (3, b""), (9, b""), (9, b""), (1, b"")])]
    assert times == [5, 5, 9, 9, 9]

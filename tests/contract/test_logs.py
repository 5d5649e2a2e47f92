"""Logs of other shops, as ../shared/data/README.md maps them."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from relance.events.codec import decode, problems_of
from relance.events.logs import FORMATS, read
from relance.kernel.errors import InputError

SHARED = Path(__file__).parents[3] / "shared/data"
REES46 = SHARED / "rees46-2019-10-sample.csv"
SESSIONS = SHARED / "ecommerce-sessions-a.csv"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here: it is not shipped")

REES46_TEXT = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:02 UTC,cart,7,1,a.b,acme,35.79,u1,s1
2019-10-01 00:00:01 UTC,view,7,1,,,35.7,u1,s1
2019-10-01 00:00:02 UTC,remove_from_cart,7,1,,,,u1,s1
2019-10-01 00:00:03 UTC,purchase,7,1,,,35.79,u1,s1
"""
SESSIONS_TEXT = """\
user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle
u1,s1,home,2024-03-13 10:21:14,ios_app,email,2024-01,loyal
u1,s1,add_to_cart,2024-03-13 10:21:15,tablet,email,2024-01,new
u1,s1,cart,2024-03-13 10:21:16,kiosk,email,2024-01,returning
u1,s1,payment_error,2024-03-13 10:21:17,desktop,email,2024-01,new
u1,s1,purchase,2024-03-13 10:21:18,desktop,email,2024-01,new
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "log"
    path.write_text(text)
    return path


def test_rees46_rows_become_events_in_order_of_time(tmp_path: Path) -> None:
    viewed, added, removed, ordered = read(_written(tmp_path, REES46_TEXT), "rees46")
    assert viewed == {
        "specversion": "1.0", "id": "rees46-3", "source": "/shops/demo", "type": "product.viewed",
        "time": "2019-10-01T00:00:01.000Z", "visitorid": "u1",
        "data": {
            "product_id": "7", "currency": "USD", "items": [{"product_id": "7", "quantity": 1, "price_minor": 3570}],
        },
    }  # fmt: skip
    assert (added["id"], added["type"]) == ("rees46-2", "cart.product_added")
    item = {"product_id": "7", "quantity": 1, "price_minor": 3579, "brand": "acme", "category": "a.b"}
    assert added["data"] == {"cart_id": "s1", "currency": "USD", "items": [item]}
    assert removed["type"] == "cart.product_removed"
    assert removed["data"]["items"] == [{"product_id": "7", "quantity": 1}]
    assert ordered["type"] == "order.completed"
    assert ordered["data"] == {"order_id": "s1", "cart_id": "s1"}


def test_sessions_rows_become_events(tmp_path: Path) -> None:
    home, added, cart, failed, ordered = read(_written(tmp_path, SESSIONS_TEXT), "ecommerce-sessions")
    assert home == {
        "specversion": "1.0", "id": "ecommerce-sessions-2", "source": "/shops/demo", "type": "page.viewed",
        "time": "2024-03-13T10:21:14.000Z", "visitorid": "u1", "device": "mobile", "returning": True,
        "data": {"page": "home"},
    }  # fmt: skip
    assert (added["data"], added["device"], added["returning"]) == ({"cart_id": "s1"}, "tablet", False)
    assert cart["data"] == {"cart_id": "s1"}
    assert "device" not in cart
    assert failed["data"]["attempt_id"] == failed["id"] == "ecommerce-sessions-5"
    assert ordered["data"]["order_id"] == "s1"


@pytest.mark.parametrize(
    ("log_format", "text", "where"),
    [
        ("rees46", REES46_TEXT.replace("purchase", "wish"), ":5: 'wish' is no event_type"),
        ("rees46", REES46_TEXT.replace("35.7,", "cheap,"), ":3: 'cheap' is not an amount"),
        ("rees46", REES46_TEXT.replace("35.7,", "35.701,"), ":3: '35.701' is finer"),
        ("rees46", REES46_TEXT.replace("2019-10-01 00:00:03", "yesterday"), ":5: "),
        ("rees46", REES46_TEXT.replace(",u1,s1\n", ",u1\n", 1), ":2: 8 fields"),
        ("rees46", SESSIONS_TEXT, ":1: the header lacks event_time"),
        ("rees46", "", ":1: the header lacks"),
        ("ecommerce-sessions", SESSIONS_TEXT.replace(",cart,", ",dance,"), ":4: 'dance' is no event"),
        ("cloudevents", '{"time": "2026-11-22T10:00:00Z"}\nnonsense\n', ":2: "),
        ("cloudevents", "[]\n", ":1: must be a JSON object"),
        ("cloudevents", "\n\n{}\n", ":3: an event has no time"),
        ("cloudevents", '{"time": "2026-11-22"}\n', ":1: '2026-11-22' is no RFC 3339 time"),
        ("segment", '{"type": "noise"}\n', ":1: type: 'noise'"),
        ("ga4", '{"event": "purchase"}\n', ":1: an event has no time"),
    ],
)
def test_what_is_not_of_the_format_is_told_with_file_and_line(
    tmp_path: Path, log_format: str, text: str, where: str
) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        list(read(path, log_format))
    assert str(caught.value).startswith(f"{path}{where}")


def test_a_missing_file_and_a_strange_format_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none", "rees46")
    with pytest.raises(InputError, match="is no format of a log"):
        read(tmp_path, "xml")
    (tmp_path / "latin").write_bytes(b"\xe9\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read(tmp_path / "latin", "cloudevents")


def test_json_logs_are_read_in_order_of_time(tmp_path: Path) -> None:
    times = ["10:00:02Z", "10:00:01Z", "11:00:01+01:00", "10:00:00.5Z"]
    lines = [json.dumps({"id": str(place), "time": f"2026-11-22T{time}"}) for place, time in enumerate(times)]
    path = _written(tmp_path, "\n".join(lines))
    assert [event["id"] for event in read(path, "cloudevents")] == ["3", "1", "2", "0"]
    assert [event["id"] for event in read(path, "cloudevents", 3)] == ["3", "1", "2"]


@pytest.mark.parametrize("log_format", ["segment", "ga4"])
def test_bodies_are_read_from_lines(tmp_path: Path, log_format: str) -> None:
    bodies = sorted((Path(__file__).parent / "recorded" / log_format).glob("*.body.json"))
    path = _written(tmp_path, "\n".join(json.dumps(json.loads(body.read_text())) for body in bodies))
    expected = sum(len(json.loads(events.read_text())) for events in _expected(bodies))
    events = list(read(path, log_format))
    assert len(events) == expected > 40
    assert all(problems_of(event) == () for event in events)


def _expected(bodies: list[Path]) -> list[Path]:
    return [body.with_name(body.name.replace(".body.", ".events.")) for body in bodies]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def _strict(events: list[dict[str, Any]]) -> None:
    for event in events:
        decode(json.dumps(event).encode())


@needs_shared
def test_the_rees46_sample_is_taken_whole() -> None:
    events = list(read(REES46, "rees46"))
    _strict(events)
    rows = _rows(REES46)
    assert [event["id"] for event in events] == [f"rees46-{line}" for line in range(2, len(rows) + 2)]  # it is in order
    assert [event["visitorid"] for event in events] == [row["user_id"] for row in rows]
    assert Counter(event["type"] for event in events) == {
        "product.viewed": 987, "cart.product_added": 3, "order.completed": 10,
    }  # fmt: skip
    assert sum(event["data"]["items"][0]["price_minor"] for event in events if "items" in event["data"]) == sum(
        int(row["price"].replace(".", "")) for row in rows if row["event_type"] != "purchase"
    )


@needs_shared
def test_the_sessions_sample_is_taken_whole() -> None:
    events = list(read(SESSIONS, "ecommerce-sessions"))
    _strict(events)
    rows = _rows(SESSIONS)
    expected = sorted(range(len(rows)), key=lambda place: rows[place]["timestamp"])
    assert [event["id"] for event in events] == [f"ecommerce-sessions-{place + 2}" for place in expected]
    assert [event.get("device") for event in events] == [rows[place]["platform"] for place in expected]
    assert list(read(SESSIONS, "ecommerce-sessions", 2000)) == events[:2000]


def test_every_format_is_named() -> None:
    assert set(FORMATS) == {"cloudevents", "segment", "ga4", "rees46", "ecommerce-sessions"}

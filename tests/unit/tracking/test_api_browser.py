import json
from typing import Any

import msgspec
import pytest

from relance.events.catalog import CODE
from services.tracking.api.browser import ALLOWED_TYPES, allowed, open_page
from services.tracking.api.door import client_address
from services.tracking.api.problems import Refused

NOW_MS = 1_767_225_600_000  # 2026-01-01


def event(**attributes: Any) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "1", "source": "/shops/a", "visitorid": "v", **attributes}).encode()


@pytest.mark.parametrize(
    "name",
    [
        "order.completed", "order.cancelled", "payment.succeeded", "payment.failed", "refund.succeeded",
        "withdrawal.requested", "identity.linked", "product.price_changed", "product.stock_changed",
    ],
)  # fmt: skip
def test_what_moves_money_or_identity_is_a_servers_word(name: str) -> None:
    _, problem = allowed(event(type=name), "demo", NOW_MS)
    assert problem is not None
    assert problem.path == "type"


def test_what_the_tracker_sends_is_allowed() -> None:
    for name in ("page.viewed", "page.engaged", "page.left", "exit.intent", "product.viewed", "cart.updated",
                 "checkout.started", "payment.info_entered", "support.requested"):  # fmt: skip
        value, problem = allowed(event(type=name), "demo", NOW_MS)
        assert (json.loads(value), problem) == (json.loads(event(type=name)), None)


def test_a_page_cannot_make_the_servers_events_look_like_duplicates() -> None:
    value, problem = allowed(event(type="page.viewed", source="/shops/demo", id="order-1001"), "demo", NOW_MS)
    assert problem is None
    assert json.loads(value)["source"] == "/shops/demo/browser"


def test_a_time_far_ahead_is_refused_where_no_clock_corrects_it() -> None:
    near = event(type="exit.intent", time="2026-01-01T23:59:59Z")
    ahead = event(type="exit.intent", time="2026-01-02T00:00:01Z")
    corrected = event(type="exit.intent", time="2030-01-02T00:00:01Z", senttime="2030-01-02T00:00:02Z")
    assert allowed(near, "demo", NOW_MS)[1] is None
    problem = allowed(ahead, "demo", NOW_MS)[1]
    assert problem is not None
    assert problem.path == "time"
    assert allowed(corrected, "demo", NOW_MS)[1] is None


def test_a_type_that_stands_twice_does_not_slip_through() -> None:
    value, problem = allowed(b'{"type":"order.completed","id":"1","type":"page.viewed"}', "demo", NOW_MS)
    assert problem is None
    assert bytes(memoryview(value)) == b'{"type":"page.viewed","id":"1"}'


def test_every_type_is_either_a_browsers_or_a_servers() -> None:
    assert not ALLOWED_TYPES - CODE.keys()
    assert not [name for name in ALLOWED_TYPES if name.startswith(("order.", "refund.", "withdrawal.", "identity."))]


def test_consent_is_taken_of_the_visitor_himself_only() -> None:
    own = event(type="consent.changed", data={"channel": "email", "status": "granted", "subject": "v"})
    other = event(type="consent.changed", data={"channel": "email", "status": "granted", "subject": "cust-1"})
    assert allowed(own, "demo", NOW_MS)[1] is None
    problem = allowed(other, "demo", NOW_MS)[1]
    assert problem is not None
    assert problem.path == "data.subject"


def test_a_page_cannot_say_who_somebody_is() -> None:
    value, problem = allowed(event(type="page.viewed", personid="cust-42", data={"page": "/"}), "demo", NOW_MS)
    assert problem is None
    assert msgspec.json.decode(value) == msgspec.json.decode(event(type="page.viewed", data={"page": "/"}))


@pytest.mark.parametrize("broken", [b"", b"7", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"type":"page.viewed"'])
def test_what_is_no_event_is_left_for_the_encoder_to_refuse(broken: bytes) -> None:
    assert allowed(broken, "demo", NOW_MS) == (broken, None)


def test_a_page_sends_one_event_several_or_several_with_the_key() -> None:
    one = event(type="page.viewed")
    assert open_page(one, 5) == (None, (one,))
    key, values = open_page(b"[" + one + b"," + one + b"]", 5)
    assert (key, [bytes(memoryview(value)) for value in values]) == (None, [one, one])
    key, values = open_page(b'{"key":"pk","events":[' + one + b"]}", 5)
    assert (key, [bytes(memoryview(value)) for value in values]) == ("pk", [one])


def test_a_page_that_sends_no_json_or_too_much_is_refused() -> None:
    with pytest.raises(Refused) as raised:
        open_page(b"key=pk", 5)
    assert raised.value.status == 400
    with pytest.raises(Refused) as raised:
        open_page(b"[1,2,3,4,5,6]", 5)
    assert raised.value.status == 413


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "6.6.6.6", "10.0.0.9"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
        (1, "<script>", "unknown"),
    ],
)
def test_only_our_own_proxies_are_believed(proxies: int, forwarded: str, seen: str) -> None:
    assert client_address("10.0.0.9", forwarded, proxies) == seen

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.book import default_book
from relance.rules.law.refunds import Mode, ServiceUse, amount
from tests.unit.law.asking import ask

LAW = (default_book(), date(2026, 1, 1))
HOME = {"id": "home", "fee_minor": 590, "standard": True}
RELAY = {"id": "relay", "fee_minor": 390, "standard": True}
EXPRESS = {"id": "express", "fee_minor": 1290, "standard": False}
PICKUP = {"id": "click-and-collect", "fee_minor": 0, "standard": False}


def refund(delivery_paid_minor: int, *modes: dict[str, Any], **given: Any) -> int:
    found = ask(
        "refund.amount",
        lines_minor=given.pop("lines_minor", [4000, 1000]),
        delivery_paid_minor=delivery_paid_minor,
        modes=modes,
        **given,
    )
    minor: int = found["result"]["refund_minor"]
    return minor


# L221-24 al. 1 and 4: delivery too, but not what was chosen above the standard mode; annex R221-3: the least costly.
@pytest.mark.parametrize(
    ("paid", "modes", "given_back"),
    [
        (590, [HOME, EXPRESS], 5590),
        (1290, [HOME, EXPRESS], 5590),  # express: the standard fee only
        (1290, [HOME, RELAY, EXPRESS], 5390),  # the cheapest of two standard modes
        (390, [HOME, RELAY], 5390),
        (590, [HOME, RELAY], 5390),
        (1290, [HOME, EXPRESS, PICKUP], 5590),  # to collect is no delivery: it caps nothing
        (1290, [HOME, PICKUP | {"standard": True}], 5590),  # even if it is marked so
        (1290, [EXPRESS], 6290),  # no standard mode was offered: nothing dearer was chosen
        (0, [HOME, PICKUP], 5000),
        (590, [], 5590),
    ],
)
def test_delivery_is_given_back_up_to_the_cheapest_standard_mode(paid: int, modes: Any, given_back: int) -> None:
    assert refund(paid, *modes) == given_back


@pytest.mark.parametrize(
    ("used", "express_request", "given_back"),
    [
        (10, True, 6667),  # 100.00 x 10/30 = 33.33 is due
        (20, True, 3333),  # 66.67 is due
        (10, False, 10_000),  # L221-25 al. 3: without the request nothing is due
        (0, True, 10_000),
        (30, True, 0),
        (15, True, 5000),
    ],
)
def test_a_service_that_began_on_request_is_paid_pro_rata(used: int, express_request: bool, given_back: int) -> None:  # noqa: FBT001
    service = {"price_minor": 10_000, "days": 30, "used_days": used, "express_request": express_request}
    assert refund(0, lines_minor=[], service=service) == given_back
    assert refund(590, HOME, service=service) == 5590 + given_back


def test_a_half_cent_that_is_due_goes_up() -> None:
    # 0.05 for 2 days, one used: 2.5 cents are due, 3 after rounding.
    service = {"price_minor": 5, "days": 2, "used_days": 1, "express_request": True}
    assert refund(0, lines_minor=[], service=service) == 2


def test_a_service_is_not_used_for_longer_than_it_lasts() -> None:
    service = {"price_minor": 100, "days": 30, "used_days": 31, "express_request": True}
    found = ask("refund.amount", lines_minor=[], delivery_paid_minor=0, modes=[], service=service)
    assert found["field"] == "service.used_days"


@given(
    st.lists(st.integers(0, 10**6), max_size=6),
    st.integers(0, 5000),
    st.lists(
        st.builds(Mode, id=st.text(max_size=3), fee_minor=st.integers(0, 5000), standard=st.booleans()), max_size=4
    ),
    st.integers(1, 400),
    st.integers(0, 400),
)
def test_never_more_than_was_paid(lines: list[int], paid: int, modes: list[Mode], days: int, used: int) -> None:
    service = ServiceUse(price_minor=9999, days=days, used_days=min(used, days), express_request=True)
    found = amount(lines, paid, modes, service, LAW)
    assert sum(lines) <= found.refund_minor <= sum(lines) + paid + 9999
    assert found.service_minor + found.service_due_minor == 9999


def due(**given: Any) -> Any:
    given = {"notice_on": "2026-04-17", "shipped": True, "collection_offered": False} | given
    return ask("refund.due", **given)["result"]


# L221-24: notice + 14 days, or for goods the first of recovery and proof of dispatch if that is later.
@pytest.mark.parametrize(
    ("given", "due_on"),
    [
        ({"shipped": False}, "2026-05-01"),  # a Friday and a holiday: refunds do not wait for a working day
        ({"shipped": False, "notice_on": "2026-04-18"}, "2026-05-02"),  # a Saturday
        ({"collection_offered": True}, "2026-05-01"),
        ({"collection_offered": True, "recovered_on": "2026-06-01"}, "2026-05-01"),
        ({"recovered_on": "2026-05-01"}, "2026-05-01"),
        ({"recovered_on": "2026-05-02"}, "2026-05-02"),
        ({"recovered_on": "2026-05-20", "dispatched_on": "2026-05-10"}, "2026-05-10"),
        ({"recovered_on": "2026-05-10", "dispatched_on": "2026-05-20"}, "2026-05-10"),
        ({"dispatched_on": "2026-04-20"}, "2026-05-01"),
        ({"dispatched_on": "2026-04-10"}, "2026-05-01"),  # sent back before the notice
    ],
)
def test_when_a_refund_is_due(given: dict[str, Any], due_on: str) -> None:
    assert due(**given) == {"due_on": due_on}


def test_it_is_not_yet_due_while_the_trader_may_wait_for_the_goods() -> None:
    assert due() == {"not_yet": True}

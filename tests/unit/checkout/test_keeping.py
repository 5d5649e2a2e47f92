"""Of a person who wants to be erased stays what a law asks to keep: a contract that runs, what is owed, the archive."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.checkout.domain import looking, papers
from services.checkout.domain.aftercare import Aftercare, Claim, PaperRef, SoldLine
from services.checkout.domain.contracts import Contract, Termination
from services.checkout.domain.keeping import kept_by_law
from services.checkout.domain.orders import Order, OrderTerms
from services.checkout.domain.refunds import Refund
from tests.unit.checkout.owed import brought, only, owing
from tests.unit.checkout.sold import ORDER_ID, PLACED, at, line, ordered, parcel, setting, sold
from tests.unit.checkout.sold import cared as bare

replace = msgspec.structs.replace

NOW = "2027-01-15 12:00"
INVOICE = PaperRef(
    number="F2026-000001", kind="invoice", cause="order", total_minor=4990, vat_minor={}, issued_on=date(2026, 3, 2),
    sha256="0" * 64,
)  # fmt: skip


def cared(*lines: SoldLine, **more: Any) -> Aftercare:
    """What follows an order whose invoice is printed."""
    return bare(*lines, **({"papers": (INVOICE,)} | more))


def ended(minor: int = 4990, state: str = "closed", **more: Any) -> Order:
    """An order that is over; what was delivered was received on 5 March."""
    parcels = (parcel("a", {"1": 1}, "2026-03-05 10:00"),) if state in {"closed", "delivered"} else ()
    return ordered(line("1", 1, minor), parcels=parcels, delivery_minor=0, state=state, **more)


def why(order: Order, after: Aftercare | None = None, *running: Contract, now: str | datetime = NOW) -> str:
    found = kept_by_law(order, after, running, setting(now))
    return "" if found is None else found.reason


def contract(**more: Any) -> Contract:
    return Contract(
        id=str(UUID(int=7)), shop="lumen", order_id=str(ORDER_ID), line_id="1", name="Coffret", term_months=12,
        tacit=True, started_on=date(2026, 3, 2), term_from=date(2026, 3, 2), **more,
    )  # fmt: skip


def test_a_small_order_that_is_over_is_kept_for_nothing() -> None:
    assert why(ended()) == why(ended(), cared()) == ""


@pytest.mark.parametrize(
    ("state", "until"),
    [("cancelled", "2036-03-02"), ("lapsed", "2036-03-02"), ("resolved", "2036-03-02"), ("closed", "2036-03-05")],
)
def test_a_contract_is_archived_whatever_became_of_it(state: str, until: str) -> None:
    """Withdrawn from before anything was shipped an order is cancelled: its contract was concluded all the same."""
    assert why(ended(12_000, state), cared()).endswith(f"archived until {until}")
    assert why(ended(11_999, state), cared()) == ""


def test_nobody_is_erased_before_his_invoice_and_his_credit_notes_are_printed() -> None:
    assert "printed" in why(ended(), bare())
    assert "printed" in why(ended(), cared(papers=(replace(INVOICE, sha256=""),)))
    back = Refund(
        id="r9", tender=0, amount_minor=500, cause="goodwill", requested_at=PLACED, state="succeeded",
        succeeded_at=PLACED,
    )  # fmt: skip
    refunded = ended(refunds=(back,))
    assert "printed" in why(refunded, cared())
    note = replace(INVOICE, number="A2026-000001", kind="credit_note", cause=f"goodwill@{PLACED.isoformat()}")
    assert why(refunded, cared(papers=(INVOICE, replace(note, total_minor=500, taxed_minor={"20": 500})))) == ""
    assert why(ended(paid_at=None, tenders=()), bare()) == "", "no money, no invoice"


def test_what_was_never_concluded_is_no_contract() -> None:
    terms = OrderTerms(concluded="payment_secured")
    order = ended(20_000, "lapsed", terms=terms, confirmed_at=None, paid_at=None, tenders=())
    assert order.concluded_at is None
    assert why(order, cared()) == ""


def test_a_service_is_kept_ten_years_from_its_performance() -> None:
    after = cared(sold("1", "service", performed_on=date(2026, 9, 30)))
    assert why(ended(12_000, "closed"), after, now="2036-03-10 12:00").endswith("archived until 2036-09-30")
    assert why(ended(12_000, "closed"), after, now="2036-10-01 00:00") == ""


def test_what_is_owed_is_not_forgotten() -> None:
    after = owing({})
    assert "owed" in why(ended(), after)
    refund = brought(only(after), 4990, date(2026, 3, 12))
    assert "printed" in why(ended(refunds=(refund,)), after), "nothing is owed, its credit note is to come"
    assert "owed" in why(ended(refunds=(brought(only(after), 4990, None),)), after)


def test_who_mistyped_his_address_is_not_kept_for_ever_by_the_confirmation_that_came_back() -> None:
    untold = cared(confirmed_at=None)
    for state in ("closed", "delivered", "cancelled", "lapsed", "resolved"):
        assert why(ended(state=state), untold) == "", state
        assert looking.state_of(ended(state=state), untold, setting(NOW)) != "owing", state
    sent = ordered(line("1", 1, 4990), parcels=(parcel("a", {"1": 1}),), delivery_minor=0)
    assert "performed" in why(sent, untold)
    assert looking.state_of(sent, untold, setting("2026-03-04 12:00")) == "owing", "it can still be handed over"
    claim = Claim(id="c1", line_id="1", units=1, asked="repair", opened_at=at("2027-01-10 10:00"))
    assert "owed" in why(ended(), replace(untold, claims=(claim,))), "what else is owed to him keeps him"


def test_an_order_that_its_shop_invoiced_elsewhere_waits_for_no_invoice() -> None:
    old = bare(since=at("2026-06-01 10:00"))
    assert why(ended(), old) == ""
    found = kept_by_law(ended(), old, (), setting(NOW, since=date(2026, 3, 1)))
    assert found is not None
    assert "printed" in found.reason, "its shop says that it did not"


def test_an_open_claim_is_answered_first() -> None:
    claim = Claim(id="c1", line_id="1", units=1, asked="repair", opened_at=at("2027-01-10 10:00"))
    assert "owed" in why(ended(), cared(claims=(claim,)))
    assert why(ended(), cared(claims=(replace(claim, state="refused"),))) == ""


def test_a_contract_that_runs_keeps_its_order_until_it_ended() -> None:
    left = Termination(
        id="t1", asked_at=at("2026-12-01 10:00"), channel="web", ends_on=date(2027, 3, 2), effects="term_end"
    )  # fmt: skip
    assert "runs" in why(ended(), cared(), contract())
    assert "runs" in why(ended(), cared(), contract(termination=left))
    assert why(ended(), cared(), contract(termination=left), now="2027-03-02 12:00") == ""
    assert why(ended(), cared(), contract(withdrawn_on=date(2026, 3, 9))) == ""
    assert "runs" in why(ended(), cared(), contract(withdrawn_on=date(2026, 3, 9)), contract())


@given(
    minor=st.integers(1, 40_000),
    state=st.sampled_from(["cancelled", "closed", "delivered", "lapsed", "resolved"]),
    performed=st.dates(date(2026, 3, 2), date(2030, 1, 1)),
    now=st.datetimes(datetime(2026, 3, 3), datetime(2042, 1, 1)),  # noqa: DTZ001 - a Paris time is made of it
)
def test_nothing_that_the_papers_keep_is_erased(minor: int, state: str, performed: date, now: datetime) -> None:
    """Erasing and archiving never differ: who may be erased has no contract whose last day is still to come."""
    order, after = ended(minor, state), cared(sold("1", "service", performed_on=performed))
    asked = setting(now.replace(tzinfo=PLACED.tzinfo))
    until = papers.kept_until(order, after, asked.book)
    assert (kept_by_law(order, after, (), asked) is None) == (until is None or until < asked.on)

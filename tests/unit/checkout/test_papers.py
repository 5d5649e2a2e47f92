"""Invoices and credit notes: what they are about, and that their tax closes to the cent."""

import csv
import io
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relance.rules.law.totals import CartLine, Delivery, Percent, totals
from services.checkout.domain import papers
from services.checkout.domain.aftercare import Aftercare, PaperRef, Payout, bounded, new_due
from services.checkout.domain.orders import Order
from services.checkout.domain.paper_table import PLAIN, SPREADSHEET, Form, guarded, row_of, table
from services.checkout.domain.papers import Paper, PaperLine, Wanted, kept_until, look, numbered, wanted
from services.checkout.domain.refunds import Refund
from tests.unit.checkout.sold import BOOK, ORDER_ID, PLACED, cared, line, ordered, parcel, setting, sold

replace = msgspec.structs.replace
RATES = ("20", "10", "5.5", "2.1")


def refund(minor: int, key: str = "", cause: str = "withdrawal", n: int = 0) -> Refund:
    return Refund(
        id=f"r{n}", tender=0, amount_minor=minor, cause=cause, requested_at=PLACED + timedelta(days=n), key=key  # type: ignore[arg-type]
    )  # fmt: skip


def issued(after: Aftercare, *found: Wanted) -> Aftercare:
    refs = [
        PaperRef(
            number=f"N{len(after.papers) + n}", kind=one.kind, cause=one.cause, total_minor=one.total_minor,
            vat_minor=one.vat_minor, taxed_minor=one.taxed_minor, issued_on=date(2026, 3, 2),
        )
        for n, one in enumerate(found)
    ]  # fmt: skip
    return replace(after, papers=(*after.papers, *refs))


def invoiced(order: Order, after: Aftercare) -> Aftercare:
    (invoice,) = wanted(order, after)
    return issued(after, invoice)


def tax(minor: int, rate: str) -> int:
    return int((Decimal(minor) * Decimal(rate) / (100 + Decimal(rate))).quantize(Decimal(1), rounding="ROUND_HALF_UP"))


def test_an_invoice_is_due_once_the_order_is_paid() -> None:
    order, after = ordered(line(), line("2", 2, 9000)), cared(sold(), replace(sold("2"), vat_percent="5.5"))
    assert wanted(replace(order, paid_at=None), after) == ()
    (invoice,) = wanted(order, after)
    assert (invoice.kind, invoice.cause, invoice.total_minor) == ("invoice", "order", order.total_minor)
    assert [(one.what, one.amount_minor) for one in invoice.lines] == [
        ("article", 4990), ("article", 9000), ("delivery", 490),
    ]  # fmt: skip
    assert sum(invoice.taxed_minor.values()) == order.total_minor
    assert invoice.vat_minor == {rate: tax(part, rate) for rate, part in invoice.taxed_minor.items()}
    assert wanted(order, issued(after, invoice)) == ()


def test_a_seller_under_franchise_shows_no_tax_and_a_gift_costs_nothing() -> None:
    order = ordered(line(), line("2", 1, 0, unit_minor=1000))
    (invoice,) = wanted(order, cared(sold(), sold("2")), franchise=True)
    assert (invoice.vat_minor, invoice.taxed_minor) == ({}, {"20": 5480})
    nothing = ordered(line("1", 1, 0, unit_minor=1000), delivery_minor=0)
    assert wanted(nothing, cared()) == ()
    only_delivery = ordered(line("1", 1, 0, unit_minor=3000), line("2", 1, 0, unit_minor=1000), delivery_minor=400)
    (invoice,) = wanted(only_delivery, cared(sold(), replace(sold("2"), vat_percent="5.5")))
    assert invoice.taxed_minor == {"20": 300, "5.5": 100}


def test_a_credit_note_says_of_which_articles_it_is() -> None:
    order, after = ordered(line(), line("2", 2, 9000)), cared(sold(), replace(sold("2"), vat_percent="5.5"))
    after = invoiced(order, after)
    due = new_due(
        after, "withdrawal", "statement/s1", units={"2": 1}, lines_minor={"2": 4500}, goods_minor=4500,
        delivery_minor=90, amount_minor=4590, product_minor=4500, notice_on=date(2026, 3, 10),
    )  # fmt: skip
    after = replace(after, dues=(due,))
    order = replace(order, refunds=(refund(4590, f"due/{due.id}"),))
    (note,) = wanted(order, after)
    assert (note.kind, note.of, note.cause, note.total_minor) == ("credit_note", "N0", f"due/{due.id}", 4590)
    assert [(one.what, one.name, one.quantity, one.amount_minor) for one in note.lines] == [
        ("article", "Ligne 2", 1, 4500), ("delivery", "", 1, 90),
    ]  # fmt: skip
    assert sum(note.taxed_minor.values()) == 4590
    assert note.taxed_minor["5.5"] >= 4500
    assert wanted(order, issued(after, note)) == ()


def test_refunds_of_one_act_are_one_note_and_money_that_was_no_price_is_none() -> None:
    order = ordered(line(), line("2"))
    after = invoiced(order, cared(sold(), sold("2")))
    split = (
        refund(3000, n=1), replace(refund(2000, n=1), id="r2", tender=1), refund(700, cause="surplus", n=2),
        refund(700, cause="lapsed", n=2), refund(500, "shop-1", "goodwill", 3),
    )  # fmt: skip
    notes = wanted(replace(order, refunds=split), after)
    assert [(note.total_minor, note.lines[0].what) for note in notes] == [(5000, "other"), (500, "other")]


def test_money_that_the_shop_paid_by_itself_has_its_note_and_what_was_no_price_has_none() -> None:
    order, after = ordered(line(), line("2", 2, 9000)), cared(sold(), sold("2"))
    after = invoiced(order, after)
    paid = tuple(
        Payout(id=id_, minor=minor, paid_on=date(2026, 3, 12), for_=for_, means="cheque")  # type: ignore[arg-type]
        for id_, minor, for_ in (("p1", 1500, "principal"), ("p2", 40, "surcharge"), ("p3", 500, "principal"))
    )
    price = new_due(
        after, "none", "claim/c", units={"2": 1}, lines_minor={"2": 2000}, goods_minor=2000, amount_minor=2000,
        product_minor=2000, notice_on=date(2026, 3, 10), payouts=paid,
    )  # fmt: skip
    postage = replace(price, id="other", regime="guarantee", units={}, lines_minor={}, goods_minor=0)
    after = replace(after, dues=(price, postage))
    notes = wanted(order, after)
    assert [(one.cause, one.total_minor, one.lines[0].name) for one in notes] == [
        ("payout/p1", 1500, "Ligne 2"), ("payout/p3", 500, "Ligne 2"),
    ]  # fmt: skip
    effects = look(order, after, setting("2026-03-12 10:00")).effects
    assert [one.ref for one in effects] == ["order", "payout/p1", "payout/p3"]
    assert wanted(order, issued(after, *notes)) == ()


def test_without_an_invoice_there_is_no_credit_note_and_never_more_than_it() -> None:
    order = ordered(line())
    late = replace(order, refunds=(refund(5480, n=1),))
    assert [one.kind for one in wanted(late, cared())] == ["invoice"]
    assert wanted(replace(late, paid_at=None), cared()) == ()
    twice = replace(order, refunds=(refund(5480, n=1), refund(5480, n=2)))
    assert [note.total_minor for note in wanted(twice, invoiced(order, cared()))] == [5480]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_tax_of_all_credit_notes_closes_the_invoice_whatever_the_steps(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    nets = [data.draw(st.integers(0, 20_000)) for _ in range(count)]
    rates = [data.draw(st.sampled_from(RATES)) for _ in range(count)]
    fee = data.draw(st.integers(0, 900))
    lines = [line(str(n), 1, net, unit_minor=net or 100) for n, net in enumerate(nets)]
    order = ordered(*lines, delivery_minor=fee)
    after = cared(*(replace(sold(str(n)), vat_percent=rate) for n, rate in enumerate(rates)))
    if not order.total_minor:
        return
    (invoice,) = wanted(order, after)
    cart = [
        CartLine(unit_minor=net, quantity=1, vat_percent=Percent(rate)) for net, rate in zip(nets, rates, strict=True)
    ]
    if any(nets):
        expected = totals(cart, None, Delivery(fee_minor=fee))
        assert invoice.vat_minor == {str(rate): part for rate, part in expected.vat_minor.items()}
    after, left = issued(after, invoice), order.total_minor
    refunds: tuple[Refund, ...] = ()
    while left:
        part = data.draw(st.integers(1, left)) if len(refunds) < 15 else left  # cent by cent it would never end
        left -= part
        refunds = (*refunds, refund(part, n=len(refunds)))
        order = replace(order, refunds=refunds)
        (note,) = wanted(order, after)
        assert sum(note.taxed_minor.values()) == sum(one.amount_minor for one in note.lines) == part
        assert all(vat >= 0 for vat in note.vat_minor.values())
        after = issued(after, note)
    for rate, whole in invoice.vat_minor.items():
        assert sum(ref.vat_minor.get(rate, 0) for ref in after.papers[1:]) == whole
        assert sum(ref.taxed_minor.get(rate, 0) for ref in after.papers[1:]) == invoice.taxed_minor[rate]


def test_a_look_asks_for_each_paper_once() -> None:
    order = replace(ordered(line()), refunds=(refund(100, "shop-1", n=1),))
    first = look(order, cared(), setting("2026-03-10 10:00"))
    assert [(one.kind, one.ref) for one in first.effects] == [("print_paper", "order"), ("print_paper", "shop-1")]
    assert look(order, first.after, setting("2026-03-10 10:00")).effects == ()
    assert look(replace(order, paid_at=None), cared(), setting("2026-03-10 10:00")).effects == ()


def test_an_order_that_was_paid_before_aftercare_was_kept_has_its_papers_where_its_shop_issued_them() -> None:
    since = PLACED + timedelta(days=400)
    order, old = replace(ordered(line()), refunds=(refund(100, "shop-1", n=401),)), cared(since=since)
    today = setting(since + timedelta(days=2))
    assert wanted(order, old) == ()
    assert look(order, old, today).effects == ()
    assert look(order, old, today).after == old, "nothing is told, so that its shop may still say otherwise"
    assert [one.kind for one in wanted(replace(order, paid_at=since), old)] == ["invoice"]
    said = bounded(old, PLACED.date())
    assert [one.ref for one in look(order, said, today).effects] == ["order", "shop-1"]
    here = issued(old, *wanted(order, cared()))
    assert [one.kind for one in wanted(order, here)] == ["credit_note"], "its invoice was issued here"


def test_a_shop_gives_no_bound_to_an_order_that_was_sold_since() -> None:
    after = cared()
    assert bounded(after, date(2030, 1, 1)) is after
    assert bounded(after, None) is after


def test_numbers_have_their_kind_their_year_and_six_figures() -> None:
    assert numbered("invoice", date(2026, 12, 31), 1) == "F2026-000001"
    assert numbered("credit_note", date(2027, 1, 1), 1_234_567) == "A2027-1234567"
    assert papers.series("invoice", date(2026, 1, 1)) == "F2026"


def paper(number: str = "F2026-000001", name: str = "Lampe", **more: Any) -> Paper:
    given_: dict[str, Any] = {
        "id": number, "shop": "lumen", "order_id": str(ORDER_ID), "kind": "invoice", "cause": "order",
        "issued_at": PLACED, "total_minor": 4990, "taxed_minor": {"20": 4990}, "vat_minor": {"20": 832},
        "lines": (PaperLine(what="article", name=name, quantity=2, amount_minor=4990),),
    }  # fmt: skip
    return Paper(**(given_ | more))


def test_a_table_of_papers_is_read_as_it_was_written_with_sums_as_numbers() -> None:
    note = paper(
        "A2026-000001", kind="credit_note", of="F2026-000001", total_minor=100, taxed_minor={"5.5": 100},
        vat_minor={"5.5": 5}, lines=(PaperLine(what="other", amount_minor=100),),
    )  # fmt: skip
    text = table([paper(name='Lampe "Élise", grande\nrouge'), note])
    assert text.count("\r\n") == 3
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert (first["total"], first["tax"], first["before tax at 20 %"], first["tax at 20 %"]) == (
        "49.90", "8.32", "41.58", "8.32",
    )  # fmt: skip
    assert first["lines"] == '2 x Lampe "Élise", grande rouge'
    assert (second["total"], second["corrects"], second["tax at 5.5 %"]) == ("-1.00", "F2026-000001", "-0.05")
    assert (first["date"], second["lines"], first["tax at 5.5 %"]) == ("2026-03-02", "other", "0.00")
    assert table([]).startswith("number,kind,date")


@given(name=st.text(max_size=20))
def test_no_cell_of_words_begins_a_formula(name: str) -> None:
    bare = paper(lines=(PaperLine(what="article", name=name, amount_minor=1),), of=name, order_id=name)
    (row,) = csv.DictReader(io.StringIO(table([bare]), newline=""))
    for column in ("order", "corrects", "lines"):
        assert row[column].lstrip(' \u00a0\u200b"`’“')[:1] not in set("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - also wide ones
        assert "\n" not in row[column]


BEGINNINGS = (
    "=",
    "+",
    "-",
    "@",
    "|",
    "%",
    "\u2212",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
    "\ufe62",
    "\ufe63",
    "\ufe66",
    "\u207a",
)
BEFORE = (
    "",
    " ",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u202e",
    "\u0301",
    '"',
    "'",
    "\u2019",
    "«\u202f",
    "`",
    ' "',
    "“ ",
)


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("sign", BEGINNINGS)
def test_what_begins_a_formula_gets_an_apostrophe_whatever_hides_it(sign: str, before: str) -> None:
    for formula in (f"{before}{sign}HYPERLINK(1)", f"{before}{sign}"):
        assert guarded(formula) == f"'{formula}"
    assert guarded(f"a{before}{sign}1") == f"a{before}{sign}1"


@pytest.mark.parametrize("end", ["\t", "\r", "\n", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\x00"])
def test_a_cell_is_one_line_and_what_stood_on_a_line_of_its_own_is_no_formula(end: str) -> None:
    assert guarded(f"{end}=1") == f"'{' ' * len(end)}=1"
    assert guarded(f"lea@example.org{end}=1") == f"lea@example.org{' ' * len(end)}=1"
    (row,) = csv.reader(io.StringIO(row_of(paper(order_id=f"{end}=1", name=f"a{end}=1"), ["20"]), newline=""))
    assert (row[3].lstrip("' "), row[3][0]) == ("=1", "'")


@pytest.mark.parametrize(
    "words", ["Élise d\u2019Aubigny", "lea+note@example.org", "F2026-000001", "1 x -20 %", "日本 = 1", "a", ""]
)
def test_other_words_stay_as_they_are(words: str) -> None:
    assert guarded(words) == words


@pytest.mark.parametrize("form", [PLAIN, SPREADSHEET])
def test_quotes_and_separators_of_words_never_begin_a_cell(form: Form) -> None:
    hostile = 'a";=1+1;"', "a;=1", 'a",=1+1,"', "a,=1"
    for name in hostile:
        text = table([paper(name=name, order_id=name, of=name)], form)
        assert text.startswith(form.mark)
        _, row = csv.reader(io.StringIO(text.removeprefix(form.mark), newline=""), delimiter=form.separator)
        assert (row[3], row[4], row[8]) == (name, name, f"2 x {name}")
        assert row[6] == f"49{form.point}90"


def kept(total: int, *parcels: Any, **more: Any) -> date | None:
    order = ordered(line("1", 2, total), parcels=parcels, delivery_minor=0, **more)
    return kept_until(order, cared(), BOOK)


def test_a_contract_of_120_euros_is_kept_ten_years_from_its_last_receipt() -> None:
    first, last = parcel("a", {"1": 1}, "2026-03-05 10:00"), parcel("b", {"1": 1}, "2026-04-30 23:59:59")
    assert kept(11_999, first, last) is None
    assert kept(12_000, first, last) == date(2036, 4, 30)
    assert kept(12_000, first) == date(2036, 3, 5)
    assert kept(12_000) == date(2036, 3, 2)
    assert kept(12_000, parcel("a", {"1": 1}, "2028-02-29 10:00")) == date(2038, 2, 28)
    assert kept(12_000, parcel("a", {"1": 1}), placed=datetime.fromisoformat("2026-12-31T23:30:00+00:00")) == date(
        2037, 1, 1
    )

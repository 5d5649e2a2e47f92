"""Drawn questions: what `relance law ask` answers is what the second reckoning finds in the articles."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relance.rules.law.book import default_book
from relance.rules.law.questions import answer_line
from tests.rules import reckoning
from tests.rules.reckoning import Question, written

BOOK = default_book()
TODAY = date(2026, 11, 22)
DRAWN = settings(max_examples=400)

DAYS = st.one_of(
    st.dates(date(2022, 1, 1), date(2035, 12, 31)),
    st.builds(  # days that end on or near holidays, ends of months and years, and changes of the clock
        lambda year, place, off: date(year, *place) + timedelta(days=off),
        st.integers(2022, 2035),
        st.sampled_from([(1, 31), (2, 28), (3, 29), (4, 6), (5, 1), (5, 31), (7, 14), (10, 25), (11, 30), (12, 31)]),
        st.integers(-17, 3),
    ),
)
AROUND_MIDNIGHT = st.sampled_from([0, 1, 2, 3, 21, 22, 23]).flatmap(
    lambda hour: st.sampled_from(
        [f"{hour:02}:00:00", f"{hour:02}:59:59", f"{hour:02}:59:59.999999", f"{hour:02}:30:00"]
    )
)
ZONES = st.sampled_from(["Z", "+01:00", "+02:00", "-05:00", "+14:00"])
TIMES = st.builds(lambda day, time, zone: f"{day}T{time}{zone}", DAYS, AROUND_MIDNIGHT, ZONES)
CENTS = st.one_of(st.integers(0, 200), st.integers(0, 10**7))
FLAGS = st.booleans()


def after(day: date, least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).map(lambda days: str(day + timedelta(days=days)))


def times_after(day: date, least: int, most: int) -> st.SearchStrategy[str]:
    return st.builds(lambda on, time, zone: f"{on}T{time}{zone}", after(day, least, most), AROUND_MIDNIGHT, ZONES)


@st.composite
def withdrawals(draw: st.DrawFn) -> Question:
    day = draw(DAYS)
    lines = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        line: Question = {"id": name, "kind": draw(st.sampled_from(["goods", "goods", "goods", "service", "digital"]))}
        if line["kind"] == "goods":
            line |= draw(st.fixed_dictionaries({}, optional={
                "received_at": times_after(day, -1, 30), "regular": FLAGS,
                "received_by": st.sampled_from(["consumer", "designated_third_party", "relay", "locker", "carrier"]),
            }))  # fmt: skip
        line |= draw(st.fixed_dictionaries({}, optional={
            "exception": st.integers(1, 13), "exception_shown": FLAGS, "unsealed_proof": FLAGS, "early_start": FLAGS,
        }))  # fmt: skip
        lines.append(line)
    late = st.fixed_dictionaries({"at": after(day, -2, 440)})
    asked = {
        "ask": "withdrawal.decision", "concluded_at": draw(times_after(day, 0, 0)), "lines": lines,
        "informed": draw(st.one_of(FLAGS, late)), "stated_at": draw(times_after(day, -2, 60)),
    }  # fmt: skip
    if draw(FLAGS):  # on the edge: the last instant in time, or the first out of it
        last = [end for end in reckoning.deadlines(asked).values() if end is not None]
        if last:
            edge = int(reckoning.midnight(draw(st.sampled_from(last)) + 1)) - draw(st.integers(0, 1))
            since = datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=edge - 86_400)
            asked["stated_at"] = since.isoformat()
    return asked


@st.composite
def refunds(draw: st.DrawFn) -> Question:
    days = draw(st.integers(1, 400))
    mode = st.fixed_dictionaries(
        {"id": st.sampled_from(["home", "express", "pickup"]), "fee_minor": CENTS, "standard": FLAGS}
    )
    service = st.fixed_dictionaries(
        {"price_minor": CENTS, "days": st.just(days), "used_days": st.integers(0, days), "express_request": FLAGS}
    )
    return {
        "ask": "refund.amount", "lines_minor": draw(st.lists(CENTS, max_size=4)), "delivery_paid_minor": draw(CENTS),
        "modes": draw(st.lists(mode, max_size=4)), **draw(st.fixed_dictionaries({}, optional={"service": service})),
    }  # fmt: skip


@st.composite
def dues(draw: st.DrawFn) -> Question:
    day = draw(DAYS)
    return draw(
        st.fixed_dictionaries(
            {
                "ask": st.just("refund.due"),
                "notice_on": st.just(str(day)),
                "shipped": FLAGS,
                "collection_offered": FLAGS,
            },
            optional={"recovered_on": after(day, -5, 40), "dispatched_on": after(day, -5, 40)},
        )
    )


@st.composite
def surcharges(draw: st.DrawFn) -> Question:
    due = draw(st.one_of(DAYS, st.dates(date(2025, 12, 20), date(2026, 6, 30))))
    edges = st.sampled_from([0, 1, 10, 11, 14, 15, 20, 21, 30, 31, 60, 61, 90, 91, 119, 120, 121, 122, 123, 396, 397])
    late = draw(st.one_of(edges, st.integers(-3, 900)))
    return draw(
        st.fixed_dictionaries(
            {
                "ask": st.just("refund.surcharge"), "regime": st.sampled_from(["withdrawal", "delivery", "guarantee"]),
                "sum_minor": CENTS, "due_on": st.just(str(due)), "refunded_on": after(due, late, late),
            },
            optional={"product_minor": CENTS},
        )
    )  # fmt: skip


@st.composite
def resolutions(draw: st.DrawFn) -> Question:
    day = draw(DAYS)
    warned = draw(st.integers(-3, 20))
    notice = st.fixed_dictionaries(
        {"at": times_after(day, warned, warned), "until": after(day, warned + 2, warned + 20)}
    )
    return draw(
        st.fixed_dictionaries(
            {
                "ask": st.just("delivery.resolution"), "promised_on": st.just(str(day)),
                "resolution_received_at": times_after(day, -2, 40),
            },
            optional={"notice": notice, "essential": FLAGS, "delivered_at": times_after(day, -3, 40)},
        )
    )  # fmt: skip


LATEST = st.fixed_dictionaries(
    {"ask": st.just("delivery.latest"), "concluded_at": TIMES}, optional={"promised_on": DAYS.map(str)}
)
ARCHIVES = st.fixed_dictionaries(
    {
        "ask": st.just("archive.until"), "total_minor": st.one_of(st.integers(11_998, 12_002), CENTS),
        "concluded_on": DAYS.map(str), "deliveries": st.lists(DAYS.map(str), max_size=4),
    }
)  # fmt: skip


@st.composite
def renewals(draw: st.DrawFn) -> Question:
    day = draw(DAYS)
    asked = draw(
        st.fixed_dictionaries(
            {"ask": st.just("renewal.window"), "refusal_until": st.just(str(day)), "renews_on": after(day, 0, 60)}
        )
    )
    edge = draw(st.sampled_from(reckoning.window(asked))) + draw(st.integers(-2, 2))
    return asked | draw(st.sampled_from([{}, {"notice_sent_on": written(edge)}]))


def result(asked: Question) -> Any:
    answer = json.loads(answer_line(json.dumps(asked).encode(), BOOK, TODAY))
    assert "error" not in answer, answer
    return answer["result"]


@given(withdrawals())
@DRAWN
def test_what_can_be_withdrawn_from_and_until_when(asked: Question) -> None:
    assert result(asked) == {"lines": reckoning.decisions(asked), "acknowledge": True}
    until = {
        name: {"open": True} if last is None else (written(last), reckoning.midnight(last + 1))
        for name, last in reckoning.deadlines(asked).items()
    }
    plain = {name: asked[name] for name in ("concluded_at", "lines", "informed")}
    found = result(plain | {"ask": "withdrawal.deadline"})["lines"]
    told = {
        name: one if "open" in one else (one["last_day"], reckoning.second(one["ends_at"]))
        for name, one in found.items()
    }
    assert told == until


@given(refunds())
@DRAWN
def test_how_much_is_given_back(asked: Question) -> None:
    assert result(asked) == {"refund_minor": reckoning.amount(asked)}


@given(dues())
@DRAWN
def test_until_when_it_is_given_back(asked: Question) -> None:
    due = reckoning.due(asked)
    assert result(asked) == ({"not_yet": True} if due is None else {"due_on": written(due)})


@given(surcharges())
@DRAWN
def test_what_it_costs_to_be_late(asked: Question) -> None:
    try:
        owed = reckoning.surcharge(asked)
    except reckoning.RateMissingError:
        answer = json.loads(answer_line(json.dumps(asked).encode(), BOOK, TODAY))
        assert answer["field"] == "refunded_on"
        assert "legal rate" in answer["error"]
        return
    assert result(asked) == {"surcharge_minor": owed, "total_minor": asked["sum_minor"] + owed}


@given(LATEST)
@DRAWN
def test_until_when_a_delivery_is_in_time(asked: Question) -> None:
    assert result(asked) == {"latest_on": written(reckoning.latest(asked))}


@given(resolutions())
@DRAWN
def test_whether_a_late_delivery_ends_the_contract(asked: Question) -> None:
    back = reckoning.resolved(asked)
    wanted = {"resolved": False} if back is None else {"resolved": True, "refund_due_on": written(back)}
    assert result(asked) == wanted


@given(ARCHIVES)
@DRAWN
def test_until_when_a_contract_is_kept(asked: Question) -> None:
    until = reckoning.kept_until(asked)
    assert result(asked) == (None if until is None else written(until))


@given(renewals())
@DRAWN
def test_when_a_renewal_is_announced(asked: Question) -> None:
    first, last = reckoning.window(asked)
    wanted: dict[str, Any] = {"from": written(first), "to": written(last)}
    if "notice_sent_on" in asked:
        wanted["valid"] = first <= reckoning.read(asked["notice_sent_on"]) <= last
    assert result(asked) == wanted

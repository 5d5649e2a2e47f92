from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.book import default_book
from relance.rules.law.calendar import first_instant
from relance.rules.law.withdrawal import Informed, Line, decide, periods, terms
from tests.unit.law.asking import ask

LAW = terms(default_book(), date(2026, 1, 1))
CONCLUDED = "2026-04-10T10:00:00+02:00"  # a Friday


def goods(id_: str = "a", received_at: str | None = None, **given: Any) -> dict[str, Any]:
    return {"id": id_, "kind": "goods", **({"received_at": received_at} if received_at else {}), **given}


def deadline(*lines: dict[str, Any], informed: Any = True, concluded_at: str = CONCLUDED) -> Any:
    found = ask("withdrawal.deadline", concluded_at=concluded_at, lines=lines, informed=informed)
    return {id_: line.get("last_day", "open") for id_, line in found["result"]["lines"].items()}


def decision(*lines: dict[str, Any], stated_at: str, informed: Any = True, concluded_at: str = CONCLUDED) -> Any:
    found = ask("withdrawal.decision", concluded_at=concluded_at, lines=lines, informed=informed, stated_at=stated_at)
    assert found["result"]["acknowledge"] is True
    return found["result"]["lines"]


# L221-18, L221-19: the day of receipt is not counted; the fourteenth is the last; it moves to a working day.
@pytest.mark.parametrize(
    ("received", "last_day"),
    [
        ("2026-04-15T09:00:00+02:00", "2026-04-29"),  # a Wednesday to a Wednesday
        ("2026-04-17T09:00:00+02:00", "2026-05-04"),  # 1 May is a holiday and a Friday: Monday
        ("2026-04-30T09:00:00+02:00", "2026-05-15"),  # 14 May is Ascension: Friday
        ("2026-05-09T09:00:00+02:00", "2026-05-26"),  # 23 May is a Saturday, 25 May Whit Monday: Tuesday
        ("2026-05-10T21:59:59Z", "2026-05-26"),  # 10 May in Paris
        ("2026-05-12T22:00:00Z", "2026-05-27"),  # 13 May in Paris: the instant is past midnight there
    ],
)
def test_goods_run_from_receipt(received: str, last_day: str) -> None:
    assert deadline(goods(received_at=received)) == {"a": last_day}


def test_ends_at_is_the_first_instant_out_of_time_in_paris() -> None:
    def ends_at(received_at: str) -> str:
        found = ask(
            "withdrawal.deadline",
            concluded_at="2026-03-01T10:00:00+01:00",
            lines=[goods(received_at=received_at)],
            informed=True,
        )
        end: str = found["result"]["lines"]["a"]["ends_at"]
        return end

    # Clocks go forward on Sunday 29 March 2026: the period of receipt on 13 March ends on Friday 27, still in winter
    # time; that of receipt on 16 March on Monday 30, in summer time.
    assert ends_at("2026-03-13T10:00:00+01:00") == "2026-03-28T00:00:00+01:00"
    assert ends_at("2026-03-16T10:00:00+01:00") == "2026-03-31T00:00:00+02:00"
    # and back on Sunday 25 October 2026
    assert ends_at("2026-10-09T10:00:00+02:00") == "2026-10-24T00:00:00+02:00"
    assert ends_at("2026-10-12T10:00:00+02:00") == "2026-10-27T00:00:00+01:00"


def test_all_goods_of_an_order_run_from_the_last_receipt_and_the_rest_from_conclusion() -> None:
    lines = (
        goods("a", "2026-04-13T10:00:00+02:00"),
        goods("b", "2026-04-20T10:00:00+02:00"),
        {"id": "c", "kind": "service"},
        {"id": "d", "kind": "digital"},
    )
    # b: 20 April + 14 is Monday 4 May. Conclusion 10 April + 14 is Friday 24 April.
    assert deadline(*lines) == {"a": "2026-05-04", "b": "2026-05-04", "c": "2026-04-24", "d": "2026-04-24"}


@pytest.mark.parametrize("by", ["relay", "locker", "pick-up shop", "Relay point", "carrier", "neighbour"])
def test_a_deposit_is_no_receipt(by: str) -> None:
    assert deadline(goods(received_at="2026-04-13T10:00:00+02:00", received_by=by)) == {"a": "open"}


@pytest.mark.parametrize("by", ["consumer", "third_party", "designated third party"])
def test_receipt_is_by_the_consumer_or_his_designee(by: str) -> None:
    assert deadline(goods(received_at="2026-04-13T10:00:00+02:00", received_by=by)) == {"a": "2026-04-27"}


def test_one_parcel_that_is_still_out_leaves_all_goods_open_but_not_the_service() -> None:
    lines = (goods("a", "2026-04-13T10:00:00+02:00"), goods("b"), {"id": "s", "kind": "service"})
    assert deadline(*lines) == {"a": "open", "b": "open", "s": "2026-04-24"}


def test_regular_deliveries_run_from_the_first_and_do_not_hold_the_others() -> None:
    lines = (goods("a", "2026-04-20T10:00:00+02:00"), goods("r", "2026-04-13T10:00:00+02:00", regular=True))
    assert deadline(*lines) == {"a": "2026-05-04", "r": "2026-04-27"}
    assert deadline(goods("a", "2026-04-20T10:00:00+02:00"), goods("r", regular=True)) == {
        "a": "2026-05-04",
        "r": "open",
    }


# L221-20: twelve months from the expiry of the initial period; late information opens fourteen days.
@pytest.mark.parametrize(
    ("informed", "last_day"),
    [
        (True, "2026-05-04"),
        (False, "2027-05-04"),  # the initial end (moved from 1 to 4 May 2026) and twelve months: a Tuesday
        ({"at": "2026-04-01"}, "2026-05-04"),  # before the contract: in time
        ({"at": "2026-04-20"}, "2026-05-04"),  # within the initial period: fourteen days would end on the same day
        ({"at": "2026-04-29"}, "2026-05-13"),  # fourteen days from then, a Wednesday
        ({"at": "2026-06-01"}, "2026-06-15"),
        ({"at": "2026-05-31T22:30:00Z"}, "2026-06-15"),  # 1 June in Paris
        ({"at": "2027-05-04"}, "2027-05-18"),  # on the last day of the longer period: fourteen days from it
        ({"at": "2027-05-05"}, "2027-05-04"),  # too late to change anything
    ],
)
def test_missing_information_lengthens_the_period(informed: Any, last_day: str) -> None:
    assert deadline(goods(received_at="2026-04-17T09:00:00+02:00"), informed=informed) == {"a": last_day}


def test_a_lengthened_period_also_ends_on_a_working_day() -> None:
    # Receipt on 1 May 2026: initial end Friday 15 May; a year later that is a Saturday, and Monday 17 is Whit Monday.
    assert deadline(goods(received_at="2026-05-01T09:00:00+02:00"), informed=False) == {"a": "2027-05-18"}


def test_the_answer_names_the_article_that_lengthened_the_period() -> None:
    given = {"concluded_at": CONCLUDED, "lines": [{"id": "s", "kind": "service"}]}
    settled = ask("withdrawal.deadline", informed=True, **given)
    longer = ask("withdrawal.deadline", informed=False, **given)
    assert [settled[key] for key in ("rule", "article", "reading")] == ["B01", "L221-18", "settled"]
    assert [longer[key] for key in ("rule", "article", "reading")] == ["B03", "L221-20", "settled"]


@pytest.mark.parametrize(
    ("stated_at", "outcome"),
    [
        ("2026-04-10T10:00:01+02:00", "accepted"),  # before receipt too
        ("2026-05-04T23:59:59.999999+02:00", "accepted"),
        ("2026-05-05T00:00:00+02:00", "late"),
        ("2026-05-04T22:00:00Z", "late"),  # the same instant
        ("2026-05-04T21:59:59Z", "accepted"),
    ],
)
def test_a_statement_is_in_time_before_the_first_instant_out_of_time(stated_at: str, outcome: str) -> None:
    assert decision(goods(received_at="2026-04-17T09:00:00+02:00"), stated_at=stated_at) == {"a": outcome}


def test_an_open_period_is_never_missed() -> None:
    assert decision(goods(), stated_at="2029-01-01T00:00:00Z") == {"a": "accepted"}


def excepted(number: Any, stated_at: str = "2026-04-20T10:00:00+02:00", kind: str = "goods", **given: Any) -> str:
    line = {"id": "a", "kind": kind, "exception": number, "exception_shown": True, **given}
    found: str = decision(line, stated_at=stated_at)["a"]
    return found


RECEIVED = {"received_at": "2026-04-17T09:00:00+02:00"}


def test_an_exception_holds_only_if_it_was_shown() -> None:
    for number in (2, 3, 4, 7, 10, 11):
        assert excepted(number, **RECEIVED) == "excepted"
        assert excepted(number, **RECEIVED, exception_shown=False) == "accepted"
    assert excepted("L221-28 3°", **RECEIVED) == "excepted"
    assert excepted("3", **RECEIVED) == "excepted"


@pytest.mark.parametrize("number", [5, 9])
def test_unsealing_is_for_the_trader_to_prove(number: int) -> None:
    assert excepted(number, **RECEIVED) == "accepted"
    assert excepted(number, **RECEIVED, unsealed_proof=True) == "excepted"
    assert excepted(number, **RECEIVED, unsealed_proof=True, exception_shown=False) == "accepted"


def test_goods_are_mixed_after_delivery_only() -> None:
    assert excepted(6) == "accepted"
    assert excepted(6, **RECEIVED) == "excepted"


def test_digital_content_and_services_need_the_record_of_an_early_start() -> None:
    assert excepted(13, kind="digital") == "accepted"
    assert excepted(13, kind="digital", early_start=True) == "excepted"
    assert excepted(13, kind="digital", early_start=True, exception_shown=False) == "accepted"
    assert excepted(None, kind="digital", early_start=True) == "excepted"
    assert excepted(1, kind="service") == "accepted"
    assert excepted(1, kind="service", early_start=True) == "excepted"
    assert excepted(None, kind="service", early_start=True) == "accepted"  # pro rata is then due, the right stays
    assert excepted(12, kind="service") == "excepted"
    assert excepted(8, kind="service") == "excepted"


def test_an_exception_of_another_kind_of_contract_does_not_hold() -> None:
    assert excepted(13, **RECEIVED, early_start=True) == "accepted"
    assert excepted(3, kind="service") == "accepted"
    assert excepted(12, **RECEIVED) == "accepted"


def test_lines_are_decided_one_by_one() -> None:
    lines = (
        goods("a", "2026-04-13T10:00:00+02:00"),
        goods("b", "2026-04-13T10:00:00+02:00", exception=3, exception_shown=True),
        {"id": "s", "kind": "service"},
    )
    # goods to 27 April, the service to 24 April
    assert decision(*lines, stated_at="2026-04-25T10:00:00+02:00") == {"a": "accepted", "b": "excepted", "s": "late"}
    assert decision(*lines, stated_at="2026-04-28T10:00:00+02:00") == {"a": "late", "b": "excepted", "s": "late"}


@given(
    st.dates(date(2016, 7, 1), date(2090, 1, 1)),
    st.lists(st.integers(0, 90), min_size=1, max_size=6),
    st.one_of(st.just(Informed(in_time=True)), st.integers(-30, 500)),
)
def test_no_period_is_shorter_than_the_law(concluded: date, delays: list[int], informed: Any) -> None:
    told = informed if isinstance(informed, Informed) else Informed(False, concluded + timedelta(days=informed))  # noqa: FBT003
    lines = [
        Line(id=n, kind="goods", received_at=first_instant(concluded + timedelta(days=days)))
        for n, days in enumerate(delays)
    ]
    found = periods(first_instant(concluded), lines, told, LAW)
    last = concluded + timedelta(days=max(delays))
    for period in found:
        assert period.last_day is not None
        assert period.ends_at is not None
        assert period.last_day >= last + timedelta(days=14)
        assert period.last_day.weekday() < 5
        assert told.on is None or told.on > period.last_day or period.last_day >= told.on + timedelta(days=14)
        just_in_time = period.ends_at - timedelta(microseconds=1)
        for stated_at, outcome in ((just_in_time, "accepted"), (period.ends_at, "late")):
            decided = decide(first_instant(concluded), lines, told, stated_at, LAW)
            assert {decision.outcome for decision in decided} == {outcome}

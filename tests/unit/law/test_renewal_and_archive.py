from typing import Any

import pytest

from tests.unit.law.asking import ask


def window(refusal_until: str, renews_on: str, sent: str | None = None) -> dict[str, Any]:
    given = {"notice_sent_on": sent} if sent else {}
    return ask("renewal.window", refusal_until=refusal_until, renews_on=renews_on, **given)


# L215-1: from three months to one month before the end of the period in which renewal may be refused.
@pytest.mark.parametrize(
    ("refusal_until", "first", "last"),
    [
        ("2026-12-01", "2026-09-01", "2026-11-01"),
        ("2026-05-31", "2026-02-28", "2026-04-30"),  # months without a 31st
        ("2028-05-31", "2028-02-29", "2028-04-30"),
        ("2027-01-15", "2026-10-15", "2026-12-15"),
    ],
)
def test_the_window_is_counted_from_the_end_of_the_refusal_period(refusal_until: str, first: str, last: str) -> None:
    found = window(refusal_until, "2028-12-31")
    assert found["result"] == {"from": first, "to": last}
    assert [found[key] for key in ("rule", "article", "reading")] == ["B23", "L215-1", "settled"]


@pytest.mark.parametrize(
    ("sent", "valid"), [("2026-08-31", False), ("2026-09-01", True), ("2026-11-01", True), ("2026-11-02", False)]
)
def test_a_notice_is_valid_on_both_days_of_the_window_and_not_beyond(sent: str, valid: bool) -> None:  # noqa: FBT001
    found = window("2026-12-01", "2027-01-01", sent)
    assert found["result"]["valid"] is valid
    assert found["facts"].get("consumer_may_leave_from") == (None if valid else "2027-01-01")


def test_renewal_cannot_be_refused_after_it() -> None:
    assert window("2027-01-02", "2027-01-01")["field"] == "refusal_until"
    assert "result" in window("2027-01-01", "2027-01-01")


# L213-1, D213-1: from 120 EUR; D213-2: ten years from conclusion, or from the last delivery.
@pytest.mark.parametrize(
    ("total_minor", "deliveries", "until"),
    [
        (11_999, ["2026-05-20"], None),
        (12_000, ["2026-05-20"], "2036-05-20"),
        (12_000, ["2026-06-02", "2026-05-20"], "2036-06-02"),
        (12_000, ["2026-05-01"], "2036-05-01"),  # delivered at once
        (12_000, [], "2036-05-01"),
        (12_000, ["2028-02-29"], "2038-02-28"),
        (0, [], None),
    ],
)
def test_a_contract_is_kept_for_ten_years(total_minor: int, deliveries: list[str], until: str | None) -> None:
    found = ask("archive.until", total_minor=total_minor, concluded_on="2026-05-01", deliveries=deliveries)
    assert (found["result"], found["rule"], found["article"]) == (until, "G09", "L213-1")

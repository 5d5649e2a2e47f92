from typing import Any

import pytest

from tests.unit.law.asking import ask


@pytest.mark.parametrize(
    ("concluded_at", "latest_on"),
    [
        ("2026-03-02T10:00:00+01:00", "2026-04-01"),  # 29 days of March and one of April
        ("2026-03-01T22:59:59Z", "2026-03-31"),  # still 1 March in Paris
        ("2026-03-01T23:00:00Z", "2026-04-01"),  # 2 March in Paris
        ("2026-04-03T10:00:00+02:00", "2026-05-03"),  # a Sunday: "au plus tard trente jours", no delay for the trader
        ("2028-01-31T10:00:00+01:00", "2028-03-01"),  # over 29 February
    ],
)
def test_without_a_promise_delivery_takes_thirty_days_at_most(concluded_at: str, latest_on: str) -> None:
    found = ask("delivery.latest", concluded_at=concluded_at)
    assert (found["result"], found["rule"], found["article"]) == ({"latest_on": latest_on}, "C01", "L216-1")
    assert found["reading"] == ("U" if latest_on == "2026-05-03" else "settled")


def test_the_promised_date_is_the_latest_whatever_it_is() -> None:
    for promised_on in ("2026-03-05", "2026-12-25"):
        found = ask("delivery.latest", concluded_at="2026-03-02T10:00:00+01:00", promised_on=promised_on)
        assert found["result"] == {"latest_on": promised_on}


NOTICE = {"at": "2026-03-12T10:00:00+01:00", "until": "2026-03-20"}


def resolve(resolution_received_at: str = "2026-03-21T09:00:00+01:00", **given: Any) -> dict[str, Any]:
    return ask("delivery.resolution", promised_on="2026-03-10", resolution_received_at=resolution_received_at, **given)


def test_a_contract_is_resolved_after_the_extra_time_of_a_notice() -> None:
    found = resolve(notice=NOTICE)
    # L216-7: fourteen days after 21 March; not moved, though 4 April is a Saturday.
    assert found["result"] == {"resolved": True, "refund_due_on": "2026-04-04"}
    assert [found[key] for key in ("rule", "article", "reading")] == ["C03", "L216-6", "settled"]


@pytest.mark.parametrize(
    ("received_at", "resolved"),
    [
        ("2026-03-20T23:59:59+01:00", False),  # the last day of the extra time is the trader's
        ("2026-03-20T23:00:00Z", True),
        ("2026-03-21T00:00:00+01:00", True),
    ],
)
def test_the_extra_time_must_have_passed(received_at: str, resolved: bool) -> None:  # noqa: FBT001
    assert resolve(received_at, notice=NOTICE)["result"]["resolved"] is resolved


def test_extra_time_can_end_at_an_instant() -> None:
    notice = NOTICE | {"until": "2026-03-20T12:00:00+01:00"}
    assert resolve("2026-03-20T11:59:59+01:00", notice=notice)["result"] == {"resolved": False}
    assert resolve("2026-03-20T12:00:00+01:00", notice=notice)["result"]["resolved"] is True


def test_without_notice_nothing_is_resolved_unless_the_date_was_essential() -> None:
    assert resolve()["result"] == {"resolved": False}
    found = resolve("2026-03-11T00:00:00+01:00", essential=True)
    assert found["result"] == {"resolved": True, "refund_due_on": "2026-03-25"}
    assert found["rule"] == "C04"


@pytest.mark.parametrize("essential", [True, False])
def test_before_the_promised_day_has_ended_nothing_is_late(essential: bool) -> None:  # noqa: FBT001
    assert resolve("2026-03-10T23:59:59+01:00", essential=essential)["result"] == {"resolved": False}


@pytest.mark.parametrize(
    ("delivered_at", "resolved"),
    [
        ("2026-03-09T10:00:00+01:00", False),
        ("2026-03-21T08:59:59+01:00", False),  # "à moins que le professionnel ne se soit exécuté entre-temps"
        ("2026-03-21T09:00:00+01:00", False),  # at the same instant
        ("2026-03-21T09:00:01+01:00", True),
    ],
)
def test_a_delivery_before_the_resolution_arrives_saves_the_contract(delivered_at: str, resolved: bool) -> None:  # noqa: FBT001
    assert resolve(notice=NOTICE, delivered_at=delivered_at)["result"]["resolved"] is resolved


def test_a_delivery_after_an_essential_date_saves_nothing() -> None:
    late = resolve(essential=True, delivered_at="2026-03-11T10:00:00+01:00")
    assert (late["result"]["resolved"], late["reading"]) == (True, "U")
    in_time = resolve(essential=True, delivered_at="2026-03-10T20:00:00+01:00")
    assert in_time["result"] == {"resolved": False}


def test_a_notice_before_delivery_is_late_is_none() -> None:
    found = resolve(notice={"at": "2026-03-10T10:00:00+01:00", "until": "2026-03-20"})
    assert (found["result"], found["reading"]) == ({"resolved": False}, "U")


def test_extra_time_does_not_end_before_it_begins() -> None:
    assert resolve(notice={"at": "2026-03-12T10:00:00+01:00", "until": "2026-03-11"})["field"] == "notice.until"

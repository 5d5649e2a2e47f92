from typing import Any

import pytest

from tests.unit.law.asking import ask

AT = "2026-11-10T11:00:00+01:00"  # a Tuesday


def said(event: str, at: str = "2026-10-01T10:00:00Z", **given: Any) -> dict[str, Any]:
    return {"event": event, "at": at, **given}


def derive(*history: dict[str, Any], channel: str = "email", purpose: str = "similar_goods", at: str = AT) -> Any:
    return ask("consent.derive", contact_history=history, channel=channel, purpose=purpose, at=at)


def allowed(*history: dict[str, Any], **given: Any) -> Any:
    result = derive(*history, **given)["result"]
    return result["basis"] if result["allowed"] else False


SALE = said("order.completed", objection_offered=True)
GRANT = said("consent.changed", channel="email", status="granted", purpose="marketing")
PHONE = said("consent.changed", channel="phone", status="granted")


def test_a_prospect_is_not_written_to() -> None:
    # Brico Privé: an account, a cart, an order that was never paid are no sale.
    for history in ((), (said("cart.updated"),), (said("checkout.contact_captured", objection_offered=True),)):
        found = derive(*history)
        assert found["result"] == {"allowed": False, "basis": None, "rule": "E03"}
    assert derive(said("order.placed", objection_offered=True))["result"]["allowed"] is False


def test_a_customer_is_written_to_about_similar_goods_if_he_could_object() -> None:
    found = derive(SALE)
    assert found["result"] == {"allowed": True, "basis": "similar_goods", "rule": "E02"}
    assert (found["article"], found["reading"]) == ("L34-5", "settled")
    captured = said("checkout.contact_captured", at="2026-09-30T10:00:00Z", objection_offered=True, channel="email")
    assert allowed(captured, said("order.completed")) == "similar_goods"


@pytest.mark.parametrize(
    "history",
    [
        [said("order.completed")],  # no objection was offered
        [said("order.completed", objection_offered=True, objected=True)],
        [said("order.completed", objection_offered=True, similar=False)],
        [said("order.completed"), said("checkout.contact_captured", at="2026-10-02T10:00:00Z", objection_offered=True)],
        [said("order.completed"), said("checkout.contact_captured", channel="sms", objection_offered=True)],
        [SALE, said("objection", at="2026-10-02T10:00:00Z")],
        [SALE, said("email.unsubscribed", at="2026-10-02T10:00:00Z", channel="email")],
        [SALE, said("opposed_to_everything", at="2026-10-02T10:00:00Z")],
        [SALE, said("consent.changed", at="2026-10-02T10:00:00Z", channel="email", status="withdrawn")],
        [SALE | {"at": "2026-11-10T11:00:01+01:00"}],  # only afterwards
    ],
)
def test_each_condition_of_l34_5_al_4_counts(history: list[Any]) -> None:
    assert allowed(*history) is False


def test_an_objection_on_one_channel_leaves_the_other() -> None:
    history = (SALE, said("objection", at="2026-10-02T10:00:00Z", channel="sms"))
    assert allowed(*history) == "similar_goods"
    assert allowed(*history, channel="sms") is False


@pytest.mark.parametrize("channel", ["phone", "push", "whatsapp", "rcs", "ads"])
def test_similar_goods_are_for_electronic_mail_only(channel: str) -> None:
    assert allowed(SALE, channel=channel) is False


def test_other_goods_need_to_be_known_as_similar() -> None:
    assert allowed(SALE, purpose="abandoned_cart") is False
    assert allowed(SALE | {"similar": True}, purpose="abandoned_cart") == "similar_goods"


def test_consent_is_for_its_channel_and_its_purpose() -> None:
    assert allowed(GRANT) == "consent"
    assert allowed(GRANT, purpose="abandoned_cart") == "consent"
    assert allowed(GRANT, channel="sms") is False
    assert allowed(GRANT | {"purpose": "newsletter"}, purpose="abandoned_cart") is False
    assert allowed(GRANT | {"channel": None}) is False
    assert allowed(GRANT | {"status": "pending"}) is False
    for event in ("consent.changed", "consent"):
        assert allowed(said(event, channel="email", granted=True)) == "consent"
        assert allowed(said(event, channel="email", granted=False)) is False
        assert allowed(said(event, channel="email", status="withdrawn")) is False
    assert allowed(said("consent", channel="email")) == "consent"
    assert allowed(said("consent.changed", channel="email")) is False
    assert derive(GRANT)["result"]["rule"] == "E01"


def test_the_last_word_counts_and_a_refusal_wins_a_tie() -> None:
    refusal = said("consent.changed", at="2026-10-05T10:00:00Z", channel="email", status="denied")
    again = GRANT | {"at": "2026-10-06T10:00:00Z"}
    assert allowed(GRANT, refusal) is False
    assert allowed(refusal, GRANT) is False  # the order of the list means nothing
    assert allowed(GRANT, refusal, again) == "consent"
    assert allowed(refusal | {"at": GRANT["at"]}, GRANT) is False
    found = derive(GRANT, refusal)
    assert (found["rule"], found["article"]) == ("E06", "RGPD, 21(2)")


# L223-1 as from 11 August 2026.
@pytest.mark.parametrize(
    ("at", "basis"),
    [
        ("2026-08-10T23:59:59+02:00", "no_objection"),
        ("2026-08-11T00:00:00+02:00", False),
        ("2026-08-10T22:00:00Z", False),  # the same instant
    ],
)
def test_from_11_august_2026_calls_need_consent(at: str, basis: Any) -> None:
    assert allowed(channel="phone", purpose="marketing", at=at) == basis


def test_consent_to_calls_can_be_given_before_and_taken_back() -> None:
    given = PHONE | {"at": "2026-07-01T10:00:00Z"}
    assert allowed(given, channel="phone", purpose="marketing") == "consent"
    withdrawn = said("consent.changed", channel="phone", status="withdrawn")
    found = derive(given, withdrawn, channel="phone", purpose="marketing")
    assert found["result"] == {"allowed": False, "basis": None, "rule": "E09"}
    assert found["article"] == "L223-1"
    assert allowed(given, withdrawn, channel="phone", purpose="marketing", at="2026-08-01T10:00:00Z") == "consent"


def test_before_that_date_an_objection_was_enough() -> None:
    refused = said("objection", at="2026-07-01T10:00:00Z", channel="phone")
    assert allowed(refused, channel="phone", purpose="marketing", at="2026-08-01T10:00:00Z") is False


def test_the_date_of_the_law_can_be_asked_for() -> None:
    given: dict[str, Any] = {"contact_history": [], "channel": "phone", "purpose": "marketing", "at": AT}
    assert ask("consent.derive", **given, on="2026-08-10")["result"]["allowed"] is True
    assert ask("consent.derive", **given, on="2026-08-11")["result"]["allowed"] is False


def test_a_contract_that_runs_may_be_served_by_phone_and_no_other() -> None:
    placed = said("order.placed", at="2026-11-01T10:00:00Z")
    done = said("order.delivered", at="2026-11-05T10:00:00Z")
    assert allowed(placed, channel="phone", purpose="service") == "contract"
    assert allowed(placed, done, channel="phone", purpose="service") is False
    assert allowed(placed, channel="phone", purpose="abandoned_cart") is False
    assert allowed(said("cart.updated"), channel="phone", purpose="service") is False


def test_a_service_message_serves_an_order() -> None:
    found = derive(said("order.placed"), said("objection"), purpose="service")
    assert found["result"] == {"allowed": True, "basis": "contract", "rule": "E08"}
    assert found["reading"] == "U"
    assert allowed(purpose="service") is False


# D223-9 al. 3: four attempts in thirty calendar days; sixty days of silence after a refusal.
def test_the_fifth_attempt_in_thirty_days_is_not_made() -> None:
    calls = [said("call.attempted", at=f"2026-10-{day:02}T10:00:00Z") for day in (12, 13, 14, 15)]
    # 10 November less 30 days is 11 October: from 12 October they all count, on 11 November the first no longer.
    assert allowed(PHONE, *calls, channel="phone", purpose="marketing") is False
    assert allowed(PHONE, *calls[1:], channel="phone", purpose="marketing") == "consent"
    assert allowed(PHONE, *calls, channel="phone", purpose="marketing", at="2026-11-11T11:00:00+01:00") == "consent"


@pytest.mark.parametrize(("refused", "basis"), [("2026-09-11", False), ("2026-09-10", "consent")])
def test_sixty_days_after_a_refusal_there_is_no_call(refused: str, basis: Any) -> None:
    # 11 September and 60 days is 10 November, still within.
    call = said("call.refused", at=f"{refused}T10:00:00Z")
    assert allowed(PHONE, call, channel="phone", purpose="marketing") == basis


@pytest.mark.parametrize(
    ("at", "within"),
    [
        ("2026-11-10T09:59:59+01:00", False),
        ("2026-11-10T10:00:00+01:00", True),
        ("2026-11-10T13:00:00+01:00", False),
        ("2026-11-10T14:00:00+01:00", True),
        ("2026-11-10T19:59:59+01:00", True),
        ("2026-11-10T20:00:00+01:00", False),
        ("2026-11-11T11:00:00+01:00", False),  # a holiday
        ("2026-11-14T11:00:00+01:00", False),  # a Saturday
    ],
)
def test_the_hours_of_calls_are_a_fact_beside_the_basis(at: str, within: bool) -> None:  # noqa: FBT001
    found = derive(PHONE, channel="phone", purpose="marketing", at=at)
    assert (found["result"]["allowed"], found["facts"]["within_call_hours"]) == (True, within)


def test_what_was_asked_for_is_sent_once_and_soon() -> None:
    wish = said("callback.requested", at="2026-11-03T10:00:00Z")
    assert allowed(wish, channel="phone", purpose="callback") == "request"
    assert allowed(wish, channel="phone", purpose="callback", at="2026-11-11T10:00:00Z") is False
    assert allowed(wish, said("call.made", at="2026-11-04T10:00:00Z"), channel="phone", purpose="callback") is False
    assert allowed(channel="phone", purpose="callback") is False
    assert allowed(said("cart.requested", at="2026-11-09T10:00:00Z"), purpose="requested_cart") == "request"


def test_tracking_and_uploads_have_a_consent_of_their_own() -> None:
    for purpose, rule in (("email_open_tracking", "E20"), ("ad_network_upload", "E22")):
        assert allowed(GRANT, SALE, purpose=purpose) is False
        own = said("consent.changed", channel="email", status="granted", purpose=purpose)
        assert derive(own, purpose=purpose)["result"] == {"allowed": True, "basis": "consent", "rule": rule}
        assert allowed(own, purpose="marketing") is False


def test_three_years_after_the_last_contact_a_prospect_is_forgotten() -> None:
    old = GRANT | {"at": "2023-11-10T10:00:00Z"}
    assert allowed(old) == "consent"
    assert allowed(old, at="2026-11-11T10:00:00Z") is False
    assert allowed(old, said("page.viewed", at="2026-01-01T10:00:00Z"), at="2026-11-11T10:00:00Z") == "consent"


def test_letters_need_no_consent_but_no_objection() -> None:
    assert allowed(channel="post", purpose="marketing") == "no_objection"
    assert allowed(said("objection"), channel="post", purpose="marketing") is False


def test_the_consent_of_a_contact_form_counts_if_it_was_given() -> None:
    captured = said("checkout.contact_captured", channel="email", consent={"email": "granted", "sms": "denied"})
    assert allowed(captured) == "consent"
    assert allowed(captured, channel="sms") is False


def test_an_unknown_channel_is_an_error() -> None:
    assert derive(channel="pigeon")["field"] == "channel"


@pytest.mark.parametrize("name", ["contact history", "history"])
def test_the_history_may_be_named_as_in_the_table(name: str) -> None:
    found = ask("consent.derive", **{name: [SALE]}, channel="email", purpose="similar_goods", at=AT)
    assert found["result"]["allowed"] is True

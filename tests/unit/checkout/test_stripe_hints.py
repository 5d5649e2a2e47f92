"""Webhooks of Stripe: vectors made with openssl, `printf '%s.%s' T BODY | openssl dgst -sha256 -hmac SECRET`."""

from datetime import UTC, datetime, timedelta

import pytest

from services.checkout.adapters.stripe_webhooks import read_hint
from services.checkout.ports import Hint

BODY = (
    b'{"id":"evt_1","object":"event","type":"checkout.session.completed","data":{"object":{"id":"cs_test_1",'
    b'"object":"checkout.session","metadata":{"attempt":"a-1","order":"o-1","shop":"demo"}}}}'
)
FIRST, SECOND = "whsec_first", "whsec_second"
OF_FIRST = "cdf4b2e88bb3efe6429b591814f53def30025c887ef405dabaebbc4be74d6e81"
OF_SECOND = "c2b73f27f8525047a05aafe9b7c900d7aaf9fe200335ea4eb0e296b590cb222f"
STAMP = 1_795_000_000
AT = datetime.fromtimestamp(STAMP, UTC)
WANTED = Hint("evt_1", "cs_test_1", "a-1", "o-1", "demo")


def hint(header: str, *, body: bytes = BODY, at: datetime = AT, secrets: tuple[str, ...] = (FIRST,)) -> Hint | None:
    return read_hint(body, {"Stripe-Signature": header}, secrets, at)


def test_a_signed_webhook_says_what_it_is_about() -> None:
    assert hint(f"t={STAMP},v1={OF_FIRST}") == WANTED


def test_any_of_several_secrets_may_have_signed() -> None:
    assert hint(f"t={STAMP},v1={OF_SECOND}", secrets=(FIRST, SECOND)) == WANTED
    assert hint(f"t={STAMP},v1={OF_SECOND}", secrets=(FIRST,)) is None
    both = f"t={STAMP},v1={'0' * 64},v1={OF_FIRST},v0=abc"
    assert hint(both) == WANTED, "while Stripe's own secret is rotated it signs with both"


@pytest.mark.parametrize("name", ["Stripe-Signature", "stripe-signature", "STRIPE-SIGNATURE"])
def test_headers_have_any_case(name: str) -> None:
    assert read_hint(BODY, {name: f"t={STAMP},v1={OF_FIRST}"}, (FIRST,), AT) == WANTED


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_within_five_minutes_it_counts(seconds: int) -> None:
    assert hint(f"t={STAMP},v1={OF_FIRST}", at=AT + timedelta(seconds=seconds)) == WANTED


@pytest.mark.parametrize("seconds", [-3_600, -301, 301, 86_400])
def test_one_from_the_past_or_the_future_does_not(seconds: int) -> None:
    assert hint(f"t={STAMP},v1={OF_FIRST}", at=AT + timedelta(seconds=seconds)) is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"v1={OF_FIRST}",
        f"t={STAMP}",
        f"t={STAMP},v0={OF_FIRST}",
        f"t={STAMP},v1={OF_FIRST[:-1]}0",
        f"t={STAMP},v1={OF_FIRST.upper()}",
        f"t={STAMP},t={STAMP + 1},v1={OF_FIRST}",
        f"t={STAMP + 1},v1={OF_FIRST}",
        f"t=-{STAMP},v1={OF_FIRST}",
        f"t=٣{STAMP},v1={OF_FIRST}",
        f"t={'9' * 400},v1={OF_FIRST}",
        f"t={STAMP},v1=é",
        "t=1,v1",
        ",,,=,=",
    ],
)
def test_other_headers_are_refused(header: str) -> None:
    assert hint(header) is None


@pytest.mark.parametrize("body", [BODY + b" ", BODY.replace(b"a-1", b"a-2"), b"", b"\xff\xfe", b"{}"])
def test_another_body_is_refused(body: bytes) -> None:
    assert hint(f"t={STAMP},v1={OF_FIRST}", body=body) is None


def test_no_header_at_all() -> None:
    assert read_hint(BODY, {}, (FIRST,), AT) is None

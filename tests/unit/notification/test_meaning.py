"""What answers mean, when to try again, whose address it is, and how much goes where."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.kernel.errors import InputError
from services.notification.domain.addresses import (
    address_hash,
    header_text,
    message_id,
    parse_address,
    read_return_path,
    return_path,
)  # fmt: skip
from services.notification.domain.failures import Schedule, Stage, classify, is_final, retry_at_ms, suppresses
from services.notification.domain.pacing import Pace
from services.notification.domain.senders import read_senders
from tests.integration.notification.mail_kit import sender_document

SECRET = b"s" * 32


@pytest.mark.parametrize(
    ("code", "text", "stage", "sort"),
    [
        (450, "4.2.0 <a@b.fr>: Recipient address rejected: Greylisted, see http://x", "recipient", "greylisted"),
        (451, "4.7.1 graylist in effect", "recipient", "greylisted"),
        (451, "4.3.0 try later", "content", "deferred"),
        (421, "4.7.0 too many connections", "greeting", "deferred"),
        (550, "5.1.1 <a@b.fr> User unknown", "recipient", "address"),
        (550, "No such user here", "recipient", "address"),
        (550, "No such message", "content", "refused"),
        (550, "5.2.1 mailbox disabled", "recipient", "refused"),
        (552, "5.2.2 over quota", "recipient", "mailbox_full"),
        (550, "5.7.26 unauthenticated mail", "content", "policy"),
        (550, "5.7.515 sender does not meet the requirements", "recipient", "policy"),
        (553, "5.1.8 sender refused", "sender", "policy"),
        (535, "5.7.8 bad credentials", "authentication", "authentication"),
        (530, "5.7.0 Must issue a STARTTLS command first", "sender", "tls"),
        (554, "no service here", "greeting", "connection"),
    ],
)
def test_a_reply_has_its_meaning(code: int, text: str, stage: Stage, sort: str) -> None:
    failure = classify(code, text, stage)
    assert failure.sort == sort
    assert "@" not in failure.detail
    assert suppresses(failure) == (sort == "address")
    assert is_final(failure.sort) == (sort in {"address", "mailbox_full", "policy", "refused"})


@given(
    st.integers(1, 200), st.floats(0, 1, exclude_max=True), st.sampled_from(["greylisted", "deferred", "connection"])
)
def test_pauses_grow_are_spread_by_a_quarter_and_stay_bounded(attempts: int, chance: float, sort: str) -> None:
    schedule = Schedule()
    first = {"greylisted": 300, "deferred": 30, "connection": 2}[sort]
    longest = 120 if sort == "connection" else 1_800
    pause_ms = retry_at_ms(sort, attempts, 0, schedule, chance)  # type: ignore[arg-type]
    middle_ms = min(first * 2 ** min(attempts - 1, 30), longest) * 1_000
    assert 0.75 * middle_ms <= pause_ms <= 1.25 * middle_ms


@given(st.uuids(), st.text(max_size=60))
def test_a_return_path_names_its_request_and_no_other_text_does(request: UUID, other: str) -> None:
    path = return_path(SECRET, request, "bounce.demo.example")
    assert len(path.partition("@")[0]) <= 64
    assert read_return_path(SECRET, path) == request
    assert read_return_path(SECRET, f"<{path.upper()}>") == request
    assert read_return_path(b"t" * 32, path) is None
    assert read_return_path(SECRET, other) is None
    last = path[40]
    assert read_return_path(SECRET, path[:35] + ("a" if path[35] != "a" else "b") + path[36:]) is None, last


@pytest.mark.parametrize("text", ["camille@example.com", "a.b+c@sub.example.fr", "o'neil@exam-ple.org"])
def test_plain_addresses_are_taken_as_they_are(text: str) -> None:
    assert str(parse_address(text)) == text


def test_an_international_domain_is_written_in_ascii() -> None:
    assert str(parse_address("camille@château.example")) == "camille@xn--chteau-xta.example"


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b.fr", "a@", "a@b", "a b@c.fr", "a@b.fr\r\nRCPT TO:<x@y.fr>", "a@b.fr>", "a@@b.fr", "a\0@b.fr",
     "é@b.fr", '"a b"@c.fr', "a@-b.fr", "a@b..fr", "a,b@c.fr", "x" * 65 + "@b.fr", ".a@b.fr"],
)  # fmt: skip
def test_what_could_be_more_than_an_address_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_address(text)


@given(st.text(max_size=30), st.sampled_from("\r\n\0\v\f\x85\u2028\u2029"), st.text(max_size=30))
def test_a_header_holds_no_control_character(before: str, bad: str, after: str) -> None:
    with pytest.raises(InputError):
        header_text(before + bad + after)


def test_an_address_is_remembered_per_shop_whatever_its_case() -> None:
    one, same = parse_address("A@Example.com"), parse_address("a@example.COM")
    assert address_hash(SECRET, "demo", one) == address_hash(SECRET, "demo", same)
    assert address_hash(SECRET, "demo", one) != address_hash(SECRET, "other", one)


def test_a_message_id_is_that_of_its_request() -> None:
    request = uuid4()
    assert message_id(request, "demo.example") == f"<{request}@demo.example>"


def test_a_domain_gets_so_much_at_once_and_a_minute() -> None:
    pace = Pace(2, 3)
    assert [pace.begin("a.fr", 0), pace.begin("a.fr", 0)] == [0, 0]
    assert pace.begin("a.fr", 0) == 200
    assert pace.begin("b.fr", 0) == 0
    pace.end("a.fr")
    assert pace.begin("a.fr", 1_000) == 0
    pace.end("a.fr")
    pace.end("a.fr")
    assert pace.begin("a.fr", 2_000) == 60_000
    assert pace.begin("a.fr", 60_000) == 0


def test_senders_are_read_by_shop() -> None:
    sender = read_senders(sender_document())["demo"]
    assert sender.domain == "demo.example"
    assert sender.link_hosts == ("demo.example",)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("address", "commandes@elsewhere.example", "dkim.domain"),
        ("address", "no address", "address"),
        ("name", "Boutique\r\nBcc: x@y.fr", "control"),
        ("bounce_domain", "nowhere", "domain"),
        ("dkim", {"domain": "demo.example", "selector": "../x"}, "selector"),
        ("color", "red", "color"),
    ],
)
def test_a_sender_that_cannot_be_is_refused_with_its_shop(field: str, value: object, told: str) -> None:
    document = sender_document()
    document["senders"]["demo"][field] = value
    with pytest.raises(InputError, match=f"demo: .*{told}"):
        read_senders(document)

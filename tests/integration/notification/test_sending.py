"""Requests through a real mail server, with real documents: what arrives, what is tried again, what is said of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]
import msgspec
import pytest

from relance.events.messages import Body, Document, Kind
from relance.events.topics import NOTIFICATION_DEAD_LETTERS
from relance.kernel.errors import InputError
from services.notification.adapters.dkim_keys import record_of
from services.notification.adapters.mail.registry import load_kinds
from services.notification.application.preparing import ATTACHED_BYTES_MAX
from services.notification.domain.addresses import read_return_path
from services.notification.domain.kinds import read_kind
from services.notification.domain.pacing import Pace
from services.notification.domain.senders import DkimKey
from tests.integration.notification.conftest import Office
from tests.integration.notification.mail_kit import (
    PDF,
    SECRET,
    MailServer,
    Shelf,
    certificate,
    dsn,
    mail_server,
    make_request,
)  # fmt: skip

OpenOffice = Callable[..., Awaitable[Office]]
MINUTE_MS = 60_000


def once(stage: str, reply: str) -> Callable[[str, str], str | None]:
    """The first time at a stage this reply, then an ordinary one."""
    left = [reply]
    return lambda at, _name: left.pop() if at == stage and left else None


async def test_a_confirmation_arrives_with_its_pdf_signed_for_the_shops_domain(
    office: Office, server: MailServer, shelf: Shelf, home: tuple[Path, dict[str, str]]
) -> None:
    html = "<html><body><h1>Votre commande</h1><p>Total : 42 €</p></body></html>"
    body = Body(html=shelf.put(html.encode()), text=shelf.put("Votre commande\nTotal : 42 €\n".encode()))
    document = Document(name="confirmation.pdf", sha256=shelf.put(PDF))
    request = make_request("order.confirmation", documents=(document,), body=body)
    await office.hear(request)
    await office.step()
    (taken,) = server.messages
    message = taken.message
    assert message["From"] == "Boutique démo <commandes@demo.example>"
    assert message["To"] == taken.recipient == request.to
    assert message["Message-ID"] == f"<{request.id}@demo.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Reply-To"] == "aide@demo.example"
    assert read_return_path(SECRET.encode(), taken.return_path) == request.id
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert "Total : 42 €" in plain.get_content()
    assert rich is not None
    assert rich.get_content().strip() == html
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "confirmation.pdf"
    assert attached.get_content() == PDF
    record = record_of(home[0] / "dkim", DkimKey("demo.example"))
    published = "".join(record.split('"')[1::2]).encode()
    assert dkim.verify(taken.content, dnsfunc=lambda *_name, **_how: published)
    assert not dkim.verify(taken.content.replace(b"Votre", b"Notre"), dnsfunc=lambda *_name, **_how: published)
    (outcome,) = await office.outcomes()
    assert (outcome.outcome, outcome.request_id, outcome.kind) == ("accepted", request.id, "order.confirmation")
    assert outcome.message_id == message["Message-ID"]
    assert shelf.tokens == {"Bearer token"}


async def test_documents_beyond_what_servers_take_are_a_dead_letter_and_alerted(office: Office, shelf: Shelf) -> None:
    papers = tuple(
        Document(name=f"{n}.pdf", sha256=shelf.put(b"%PDF-" + bytes([n]) * (ATTACHED_BYTES_MAX // 2))) for n in (1, 2)
    )
    await office.hear(make_request("order.confirmation", documents=papers))
    await office.step()
    (outcome,) = await office.outcomes()
    assert (outcome.outcome, "more than" in outcome.detail) == ("dead", True)


@pytest.mark.parametrize("kind", sorted(load_kinds()))
async def test_each_kind_is_sent_with_a_plain_text_beside_the_html(
    kind: Kind, office: Office, server: MailServer, shelf: Shelf
) -> None:
    request = make_request(kind)
    await office.hear(request)
    await office.step()
    message = server.messages[0].message
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert rich is not None
    given = request.facts
    shown = next(str(given[name]) for name in ("order_number", "code", "contract", "number", "link") if name in given)
    assert shown in plain.get_content()
    assert shown in rich.get_content()
    assert "<img" not in rich.get_content()


async def test_a_request_heard_twice_is_sent_once(office: Office, server: MailServer) -> None:
    request = make_request()
    await office.hear(request, request)
    await office.hear(request)
    await office.step()
    await office.step()
    assert len(server.messages) == 1
    assert len(await office.outcomes()) == 1


@pytest.mark.parametrize(
    ("stage", "reply", "sort", "after_s"),
    [
        ("rcpt", "451 4.7.1 Greylisting in action, please come back later", "greylisted", 300),
        ("rcpt", "450 4.2.0 mailbox busy", "deferred", 30),
        ("data", "452 4.3.1 insufficient storage", "deferred", 30),
        ("mail", "421 4.3.0 shutting down", "deferred", 30),
        ("mail", "drop", "connection", 2),
        ("data", "drop", "uncertain", 180),
    ],
)
async def test_what_passes_is_tried_again_after_its_pause(
    stage: str, reply: str, sort: str, after_s: int, office: Office, server: MailServer
) -> None:
    server.script = once(stage, reply)
    request = make_request()
    await office.hear(request)
    await office.step()
    (failure,) = await office.ledger.attempts(request.id)
    assert failure.sort == sort
    office.clock.ms += round(after_s * 0.7 * 1_000) if sort != "uncertain" else 59_000
    await office.step()
    assert not server.messages
    office.clock.ms += round(after_s * 0.6 * 1_000)
    await office.step()
    assert [each.request for each in server.messages] == [request.id]
    assert [each.outcome for each in await office.outcomes()] == ["accepted"]


@pytest.mark.parametrize(
    ("stage", "reply", "again"),
    [
        ("rcpt", "550 5.1.1 no such user", 0),
        ("rcpt", "550 unknown", 0),
        ("rcpt", "552 5.2.2 mailbox full", 1),
        ("data", "550 5.7.1 rejected by policy", 1),
        ("mail", "553 5.1.8 sender domain refused", 1),
    ],
)
async def test_what_is_refused_for_good_is_not_tried_again_and_only_a_missing_address_is_remembered(
    stage: str,
    reply: str,
    again: int,
    office: Office,
    server: MailServer,
) -> None:
    server.script = once(stage, reply)
    first, second, code = make_request(n=0), make_request(n=1), make_request("code")
    await office.hear(first)
    await office.step()
    office.clock.ms += 90 * MINUTE_MS
    await office.step()
    assert not server.messages
    assert await office.state(first) == "bounced"
    office.clock.ms -= 90 * MINUTE_MS
    await office.hear(second, code)
    await office.step()
    sent = {each.request for each in server.messages}
    assert sent == ({second.id, code.id} if again else {code.id})  # a code is another class of message
    if not again:
        assert office.counted("alerts_total", reason="suppressed") == 1
        assert await office.state(second) == "bounced"


async def test_another_document_than_was_asked_for_is_never_sent(
    office: Office, server: MailServer, shelf: Shelf
) -> None:
    shelf.lies = True
    request = make_request("order.confirmation", documents=(Document(name="a.pdf", sha256=shelf.put(PDF)),))
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert await office.state(request) == "dead"
    letter = next(row for row in await office.said() if row.topic == NOTIFICATION_DEAD_LETTERS.name)
    assert letter.key == str(request.id)
    assert "another document" in letter.headers["reason"]
    assert office.counted("alerts_total", reason="hash_mismatch") == 1
    assert [each.outcome for each in await office.outcomes()] == ["dead"]


async def test_a_document_that_checkout_does_not_have_is_a_dead_letter(office: Office, server: MailServer) -> None:
    request = make_request(
        "order.confirmation", documents=(Document(name="a.pdf", sha256=sha256(b"nowhere").hexdigest()),)
    )
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert await office.state(request) == "dead"


async def test_while_checkout_is_away_a_message_waits(office: Office, server: MailServer, shelf: Shelf) -> None:
    shelf.away = 1
    request = make_request("order.confirmation", documents=(Document(name="a.pdf", sha256=shelf.put(PDF)),))
    await office.hear(request)
    await office.step()
    assert await office.state(request) == "queued"
    office.clock.ms += 3_000
    await office.step()
    assert len(server.messages) == 1


async def test_a_body_that_tracks_is_not_sent(office: Office, server: MailServer, shelf: Shelf) -> None:
    html = '<p>Merci</p><img src="https://t.example/o.gif" width="1">'
    body = Body(html=shelf.put(html.encode()), text=shelf.put(b"Merci"))
    request = make_request("order.confirmation", body=body)
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert await office.state(request) == "dead"


@pytest.mark.parametrize(
    "facts", [{"link": "https://elsewhere.example/x"}, {"link": "javascript:alert(1)"}, {"subject": "a\r\nBcc: b@c.de"}]
)
async def test_a_fact_that_leads_elsewhere_or_forges_a_header_is_not_sent(
    facts: dict[str, Any], office: Office, server: MailServer
) -> None:
    request = make_request(**facts)
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert await office.state(request) == "dead"


async def test_a_code_is_not_sent_when_its_time_is_over(office: Office, server: MailServer) -> None:
    request = make_request("code", requested_at=datetime.now(UTC) - timedelta(minutes=11))
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert [each.outcome for each in await office.outcomes()] == ["failed"]


async def test_a_report_of_success_settles_what_nobody_knew_so_that_nothing_is_sent_twice(
    office: Office, server: MailServer
) -> None:
    server.script = once("taken", "drop")
    request = make_request()
    await office.hear(request)
    await office.step()
    assert await office.state(request) == "sending"
    assert await office.reporting.take(dsn(server.messages[0].return_path, "relayed", "2.0.0")) == "relayed"
    assert await office.state(request) == "accepted"
    office.clock.ms += 60 * MINUTE_MS
    await office.step()
    assert len(server.messages) == 1
    assert len(await office.outcomes()) == 1


@pytest.mark.parametrize(("kind", "copies", "outcome"), [("payment.failed", 2, "accepted"), ("code", 1, "failed")])
async def test_without_a_report_what_the_law_wants_is_sent_again_as_the_same_message_and_a_code_is_not(
    kind: Kind, copies: int, outcome: str, office: Office, server: MailServer
) -> None:
    server.script = once("taken", "drop")
    request = make_request(kind)
    await office.hear(request)
    await office.step()
    office.clock.ms += 4 * MINUTE_MS
    await office.step()
    assert len(server.messages) == copies
    assert len({each.message["Message-ID"] for each in server.messages}) == 1
    unsigned = {each.content.partition(b"\nFrom:")[2] for each in server.messages}
    assert len(unsigned) == 1
    assert [each.outcome for each in await office.outcomes()] == [outcome]
    assert office.counted("uncertain_total", resolved="again" if copies == 2 else "given_up") == 1


async def test_a_confirmation_that_bounces_later_alerts_and_says_so(office: Office, server: MailServer) -> None:
    request, later = make_request("order.confirmation"), make_request("payment.failed")
    await office.hear(request)
    await office.step()
    report = dsn(server.messages[0].return_path, "failed", "5.1.1")
    assert await office.reporting.take(report) == "failed"
    assert await office.reporting.take(report) == "failed"
    said = await office.outcomes()
    assert [each.outcome for each in said] == ["accepted", "bounced"]
    assert said[1].status == "5.1.1"
    assert "@" not in said[1].detail
    assert office.counted("alerts_total", reason="bounced_confirmation") == 1
    await office.hear(later)
    await office.step()
    assert len(server.messages) == 1
    assert await office.state(later) == "bounced"


async def test_a_slow_domain_does_not_keep_others_waiting(open_office: OpenOffice, server: MailServer) -> None:
    office = await open_office(pace=Pace(1, 0), at_once=4)
    server.pause_s = 0.5
    slow = [make_request(to="a@slow.example", n=n) for n in range(3)]
    other = make_request(to="b@other.example")
    await office.hear(*slow, other)
    assert await office.sending.begin() == 2
    await office.sending.drain()
    assert {each.recipient for each in server.messages} == {"a@slow.example", "b@other.example"}


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
async def test_tls_is_spoken_with_a_server_whose_certificate_is_trusted_and_with_no_other(
    mode: str, open_office: OpenOffice, tmp_path: Path
) -> None:
    trusted, stranger = certificate(tmp_path / "a.pem"), certificate(tmp_path / "b.pem")
    for shown, arrives in ((trusted, True), (stranger, False)):
        with mail_server(mode, shown) as secure:
            office = await open_office(
                database=f"sqlite:///{tmp_path}/{shown.stem}.db", RELANCE_NOTIFICATION_SMTP_TLS=mode,
                RELANCE_NOTIFICATION_SMTP_CA=str(trusted), RELANCE_NOTIFICATION_SMTP_PORT=str(secure.port),
            )  # fmt: skip
            request = make_request()
            await office.hear(request)
            await office.step()
            assert len(secure.messages) == arrives
            if not arrives:
                assert [each.sort for each in await office.ledger.attempts(request.id)] == ["tls"]
            await office.mailer.close()  # before its server ends
            await asyncio.sleep(0.2)  # the server's side of a broken handshake ends a little later


async def test_where_tls_is_wanted_and_not_offered_nothing_is_sent(open_office: OpenOffice, server: MailServer) -> None:
    office = await open_office(RELANCE_NOTIFICATION_SMTP_TLS="starttls")
    request = make_request()
    await office.hear(request)
    await office.step()
    assert not server.messages
    assert [each.sort for each in await office.ledger.attempts(request.id)] == ["tls"]


async def test_a_hundred_messages_share_few_connections(office: Office, server: MailServer) -> None:
    await office.hear(*(make_request(to=f"p{n}@example{n % 9}.com") for n in range(100)))
    await office.step()
    assert len(server.messages) == 100


@pytest.mark.parametrize(
    ("kind", "told"), [("payment.failed", "facts lack category"), ("gift.idea", "there is no such kind of message")]
)
async def test_a_request_of_no_kind_or_without_a_fact_is_told_as_dead(office: Office, kind: str, told: str) -> None:
    request = make_request()
    facts = {name: value for name, value in request.facts.items() if name != "category"}
    await office.hear(msgspec.structs.replace(request, kind=kind, facts=facts))
    await office.step()
    (outcome,) = await office.outcomes()
    assert (outcome.outcome, told in outcome.detail) == ("dead", True)


def test_every_kind_has_all_that_the_registry_asks_for() -> None:
    kinds = load_kinds()
    assert {"order.confirmation", "withdrawal.acknowledged", "refund.made", "termination.confirmed"} <= kinds.keys()
    assert kinds.sent_again.isdisjoint({"code", "account.link"})
    with pytest.raises(InputError, match="lasts_minutes"):
        read_kind("x", {"facts": [], "lasts_minutes": 0, "sent_again": True})

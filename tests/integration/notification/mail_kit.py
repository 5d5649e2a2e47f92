"""A mail server that answers as it is told, a checkout that holds documents, a house for a notification service."""

import asyncio
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import grpc
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typing_extensions import override

from relance.events.messages import Body, Document, Kind, MessageRequest, request_id
from relance.rpc.checkout.v1 import checkout_pb2
from services.notification.adapters.dkim_keys import make_key
from services.notification.adapters.mail.registry import load_kinds
from services.notification.domain.senders import DkimKey

SHOP = "demo"
SECRET = "s" * 40
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40
Script = Callable[[str, str], str | None]
"""(stage, recipient or request) to a reply, None for an ordinary one; `drop` ends the connection."""


class Taken(NamedTuple):
    """A message that the server has taken."""

    request: UUID
    return_path: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=POLICY)


class _Server(SMTP):
    """Takes DSN's parameters (RFC 3461), which aiosmtpd does not know."""

    @override
    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(_without_dsn(arg))

    @override
    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(_without_dsn(arg))


def _without_dsn(arg: str | None) -> str | None:
    return arg if arg is None else re.sub(r" (RET|ENVID|NOTIFY|ORCPT)=\S+", "", arg)


class _Handler:
    def __init__(self, server: "MailServer") -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802
        self, _smtp: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", responses[-1]] if self._server.offers_dsn else responses

    async def handle_MAIL(  # noqa: N802
        self, smtp: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._said(smtp, "mail", address):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, smtp: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self._said(smtp, "rcpt", address):
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, smtp: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        recipient = envelope.rcpt_tos[0]
        if reply := self._said(smtp, "data", recipient):
            return reply
        if self._server.pause_s:
            await asyncio.sleep(self._server.pause_s)
        found = re.search(rb"^Message-ID: <([0-9a-f-]{36})@", content, re.MULTILINE)
        assert found is not None, content[:2000]
        self._server.took(Taken(UUID(found[1].decode()), envelope.mail_from or "", recipient, content))
        return self._said(smtp, "taken", recipient) or "250 2.0.0 taken"

    def _said(self, smtp: SMTP, stage: str, name: str) -> str | None:
        reply = self._server.script(stage, name)
        if reply == "drop":
            assert smtp.transport is not None
            smtp.transport.abort()  # type: ignore[attr-defined]
            return "421 gone"
        return reply


class MailServer(Controller):
    """An SMTP server on the loopback in a thread of its own; `messages` are those that it has taken."""

    def __init__(self, tls: str = "none", certificate: Path | None = None) -> None:
        self.script: Script = lambda _stage, _name: None
        self.offers_dsn = False
        self.pause_s = 0.0
        self.messages: list[Taken] = []
        self.on_taken: Callable[[Taken], None] = lambda _message: None
        self._guard = threading.Lock()
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._starttls = context if tls == "starttls" else None
        super().__init__(
            _Handler(self), hostname="127.0.0.1", port=0, ssl_context=context if tls == "implicit" else None
        )

    @override
    def factory(self) -> SMTP:
        return _Server(self.handler, tls_context=self._starttls, **self.SMTP_kwargs)

    @override
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]

    def took(self, message: Taken) -> None:
        with self._guard:
            self.messages.append(message)
        self.on_taken(message)


@contextmanager
def mail_server(tls: str = "none", certificate: Path | None = None) -> Iterator[MailServer]:
    """A server that runs within the block."""
    server = MailServer(tls, certificate)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Shelf:
    """Checkout's documents, by hash; `lies` gives another document than was asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.lies = False
        self.away = 0
        self.tokens: set[str] = set()

    def put(self, content: bytes) -> str:
        digest = sha256(content).hexdigest()
        self.documents[digest] = content
        return digest

    def give(self, request: checkout_pb2.GetDocumentRequest, context: Any) -> checkout_pb2.GetDocumentResponse:
        """`CheckoutService.GetDocument`."""
        self.tokens |= {value for name, value in context.invocation_metadata() if name == "authorization"}
        if self.away:
            self.away -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        if request.sha256 not in self.documents:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such document")
        given = b"other" if self.lies else self.documents[request.sha256]
        return checkout_pb2.GetDocumentResponse(content=given)


@contextmanager
def shelf_server() -> Iterator[tuple[Shelf, str]]:
    """A gRPC server with `CheckoutService.GetDocument` in threads of its own, and its address."""
    shelf = Shelf()
    server = grpc.server(ThreadPoolExecutor(4))
    service = checkout_pb2.DESCRIPTOR.services_by_name["CheckoutService"].full_name
    method = grpc.unary_unary_rpc_method_handler(
        shelf.give,
        request_deserializer=checkout_pb2.GetDocumentRequest.FromString,
        response_serializer=checkout_pb2.GetDocumentResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetDocument": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield shelf, f"127.0.0.1:{port}"
    finally:
        server.stop(0.1).wait()


def make_request(
    kind: Kind = "payment.failed", *, to: str = "camille@example.com", n: int = 0, order: UUID | None = None,
    documents: tuple[Document, ...] = (), body: Body | None = None, requested_at: datetime | None = None, **facts: Any,
) -> MessageRequest:  # fmt: skip
    """A request that can be sent."""
    order = order or uuid4()
    given: dict[str, Any] = {
        "order_number": "D-1001", "category": "authentication", "link": "https://demo.example/p/token",
        "code": "042137", "subject": "Votre commande D-1001",
    }  # fmt: skip
    given |= {
        "shop_name": "Boutique démo", "minutes": 15, "stated_at": "2026-11-22T10:00:00Z", "lines": "2 x Lampe Lumen",
        "withdrawal_number": "R-7", "amount": "129,90 EUR", "means": "carte bancaire", "cause": "withdrawal",
        "promised_on": "2026-11-20", "contract": "C-12", "refusal_until": "2026-12-20", "renews_on": "2027-01-01",
        "notified_at": "2026-11-22T10:00:00Z", "ends_on": "2026-12-31", "effects": "il cesse ce jour-là",
        "number": "A2026-000001",
    }  # fmt: skip
    wanted = load_kinds()[kind].facts
    if kind == "order.confirmation":
        given["link"] = "https://demo.example/o/token"
        wanted += ("subject", "link")
    elif "link" not in wanted and kind != "code":
        wanted += ("link",)
    return MessageRequest(
        id=request_id(order, kind, n), shop=SHOP, kind=kind, order_id=order, to=to, locale="fr",
        facts={name: given[name] for name in wanted} | facts, documents=documents, body_sha256=body,
        requested_at=requested_at or datetime.now(UTC) - timedelta(seconds=1),
    )  # fmt: skip


def sender_document() -> dict[str, Any]:
    """Senders as the file holds them."""
    return {
        "senders": {
            SHOP: {
                "name": "Boutique démo", "address": "commandes@demo.example", "bounce_domain": "bounce.demo.example",
                "reply_to": "aide@demo.example", "dkim": {"domain": "demo.example"}, "help_phone": "01 23 45 67 89",
            }
        }
    }  # fmt: skip


def house(home: Path) -> dict[str, str]:
    """A home with senders and a key; the settings that name them."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "senders.yaml").write_text(yaml.safe_dump(sender_document()), encoding="utf-8")
    make_key(home / "dkim", DkimKey("demo.example"))
    return {
        "RELANCE_NOTIFICATION_SECRET": SECRET,
        "RELANCE_NOTIFICATION_SENDERS": str(home / "senders.yaml"),
        "RELANCE_NOTIFICATION_KEYS": str(home / "dkim"),
        "RELANCE_NOTIFICATION_SMTP_TLS": "none",
    }


def certificate(path: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


def dsn(return_path: str, action: str, status: str, diagnostic: str = "smtp; 550 no such user") -> bytes:
    """A report as Postfix writes it."""
    return (
        f"From: MAILER-DAEMON@mx.example (Mail Delivery System)\r\nTo: {return_path}\r\n"
        "Subject: Delivery report\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="BND"\r\n\r\n'
        "--BND\r\nContent-Type: text/plain\r\n\r\nThis is the mail system.\r\n\r\n"
        "--BND\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\nArrival-Date: Sun, 22 Nov 2026 10:00:00 +0000 (UTC)\r\n\r\n"
        f"Final-Recipient: rfc822; camille@example.com\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Remote-MTA: dns; mail.example\r\nDiagnostic-Code: {diagnostic}\r\n\r\n"
        "--BND\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--BND--\r\n"
    ).encode()

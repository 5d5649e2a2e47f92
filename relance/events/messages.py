"""What checkout asks notification to send, and what became of it: JSON on `checkout.messages.v1` and
`notification.outcomes.v1`, both keyed by order.

A request's id says which message of which order it is, so that asking twice sends once; an outcome's id follows from
its request, so that saying it twice is seen.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta

from relance.events.envelope import Instant
from relance.kernel.errors import InputError

__all__ = [
    "Body", "Document", "Kind", "MessageOutcome", "MessageRequest", "Outcome", "decode_outcome",
    "decode_request", "encode", "outcome_id", "request_id",
]  # fmt: skip

Kind = Annotated[str, Meta(pattern=r"^[a-z]+(\.[a-z_]+){0,2}$", max_length=64)]
Outcome = Literal["accepted", "bounced", "failed", "dead"]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Shop = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Fact = Annotated[str, Meta(max_length=2048)] | int
FactName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]

DOCUMENTS_MAX: Final = 8


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A file to attach, fetched from checkout by its hash and refused when it hashes otherwise."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    sha256: Sha256
    media_type: Literal["application/pdf", "text/html", "text/plain"] = "application/pdf"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The hashes of a body that checkout made and keeps as evidence; both parts are sent."""

    html: Sha256
    text: Sha256


class MessageRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message to one person about one order (or, for a code or a link to an account, one checkout or account).

    What there is of kinds, and which facts each must have: services/notification/adapters/mail/kinds. `link` is https
    (http on the loopback). Any kind takes `shop_name` (else the sender's name), `help_phone`, `help_email` and
    `help_hours`. `body_sha256` given: that body is sent under the `subject` in `facts`; absent: the kind's template.
    """

    id: UUID
    shop: Shop
    kind: Kind
    order_id: UUID
    to: Annotated[str, Meta(min_length=3, max_length=320, pattern=r"^[^\s@]+@[^\s@]+$")]
    locale: Annotated[str, Meta(pattern="^[a-z]{2}([-_][A-Z]{2})?$")] = "fr"
    facts: dict[FactName, Fact] = {}
    documents: Annotated[tuple[Document, ...], Meta(max_length=DOCUMENTS_MAX)] = ()
    body_sha256: Body | None = None
    requested_at: Instant


class MessageOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a request. accepted: the recipient's server (or the relay) took it; bounced: it was refused for
    good, then or afterwards; failed: not taken within its time; dead: it could not be sent at all, see `detail`.

    A message may be accepted and bounced later. `detail` holds no address; `status` is the enhanced status (RFC 3463).
    """

    id: UUID
    request_id: UUID
    shop: Shop
    order_id: UUID
    kind: Kind
    outcome: Outcome
    at: Instant
    detail: Annotated[str, Meta(max_length=500)] = ""
    status: Annotated[str, Meta(max_length=16)] = ""
    message_id: Annotated[str, Meta(max_length=255)] = ""


_REQUEST: Final = msgspec.json.Decoder(MessageRequest)
_OUTCOME: Final = msgspec.json.Decoder(MessageOutcome)


def request_id(order: UUID, kind: Kind, n: int, at: datetime | None = None) -> UUID:
    """The id of the n-th message of a kind about an order, counted from 0. `at`: when it was asked for, where an order
    has several of a kind: a database that was restored counts them anew, and none must be taken for an earlier one.
    """
    return uuid5(order, f"message/{kind}/{n}" if at is None else f"message/{kind}/{n}/{at.isoformat()}")


def outcome_id(request: UUID, outcome: Outcome, n: int = 0) -> UUID:
    """The id of the n-th outcome of a sort of a request, counted from 0."""
    return uuid5(request, f"{outcome}/{n}")


def encode(message: MessageRequest | MessageOutcome) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def decode_request(value: bytes) -> MessageRequest:
    """Raises InputError when the bytes are no request; whether its kind has all facts is for notification to find."""
    try:
        request = _REQUEST.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a message request: {error}") from error
    if request.body_sha256 is not None and not request.facts.get("subject"):
        raise InputError(f"{request.kind}: facts lack subject")
    return request


def decode_outcome(value: bytes) -> MessageOutcome:
    """Raises InputError when the bytes are no outcome."""
    try:
        return _OUTCOME.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a message outcome: {error}") from error

"""What sending needs of the outside."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from services.notification.domain.failures import Failure
from services.notification.domain.senders import Sender

__all__ = ["Accepted", "Answer", "Documents", "Envelope", "Mailer", "MayEnd", "Outbox",
           "Queued", "Signer", "Unknown", "Withdrawn"]  # fmt: skip

MayEnd = Callable[[], Awaitable[bool]]
"""Asked after the content and before its end: commits that the end goes out now. False: the claim is another's."""


class Envelope(NamedTuple):
    """What a server is told beside the message."""

    request: UUID
    sender: str  # the return path
    recipient: str


class Accepted(NamedTuple):
    """The server has taken the message."""

    code: int
    detail: str


class Unknown(NamedTuple):
    """The end of the message went out, and no answer came."""

    detail: str


class Withdrawn(NamedTuple):
    """The end of the message did not go out, because it might not."""


Answer = Accepted | Failure | Unknown | Withdrawn


class Mailer(Protocol):
    """A way to a mail server."""

    async def send(self, envelope: Envelope, content: bytes, may_end: MayEnd) -> Answer:
        """One attempt; never raises for what a server or a connection does."""
        ...


class Documents(Protocol):
    """Where the bytes of documents are."""

    async def fetch(self, shop: str, sha256: str) -> bytes:
        """The document with this hash, checked by who asks. Raises InputError when there is none, NotNow when it cannot
        be told at the moment.
        """
        ...


class Signer(Protocol):
    """The shops' keys."""

    def sign(self, sender: Sender, content: bytes) -> bytes:
        """`content` with a signature for the sender's domain before it."""
        ...


class Queued(NamedTuple):
    """A record that is to be said."""

    id: int
    topic: str
    key: str
    value: bytes
    headers: dict[str, str]


class Outbox(Protocol):
    """What is to be said, in its order."""

    async def queued(self, limit: int) -> list[Queued]:
        """The oldest records, at most `limit`."""
        ...

    async def said(self, ids: Sequence[int]) -> None:
        """Kafka has these."""
        ...

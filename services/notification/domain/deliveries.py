"""A request on its way: what is known of it, and what each sort of message may do.

No protocol can tell a sender who died while it waited for the last answer whether its message was taken. So a message
is `claimed` before anything is said to a server, and `sending` is committed after its content and before the line that
ends it. Until then nothing was sent, and that is certain: a server drops a message whose end it did not see (RFC 5321,
4.1.1.4). After it, only the answer, or a report that comes back, tells. A sender that is stopped in between leaves the
state `sending` behind, and no attempt is made before its time has come:

1. A report for the request's own return path settles it, whatever it says: a server had taken the message. Where a
   server offers DSN (RFC 3461) it is asked to report success too (`report_success`), so this is the ordinary case.
2. Else, when `uncertain` has passed: a message that the law wants to arrive is sent again (`MessageKind.sent_again`),
   the same content under the same Message-ID, by which mailboxes know a copy. What is worthless late, a code, is given
   up: another is asked for.

What remains: without such reports, a message whose acceptance was not recorded, because the process or the connection
ended within the few milliseconds in which a server answers, may arrive twice. Each is counted (`uncertain`).
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from relance.events.messages import MessageOutcome, MessageRequest, Outcome, outcome_id

__all__ = [
    "FINAL", "Delivery", "Settled", "Source", "State", "outcome_of",
]  # fmt: skip

State = Literal["queued", "claimed", "sending", "accepted", "bounced", "failed", "dead"]

FINAL: Final = frozenset({"accepted", "bounced", "failed", "dead"})


class Source(NamedTuple):
    """Where a request stands in Kafka."""

    topic: str
    partition: int
    offset: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A request that this process has claimed under `claim`. `attempts` counts this one, from 1."""

    request: MessageRequest
    claim: str
    attempts: int
    uncertain: int
    domain: str
    address_hash: str
    source: Source


class Settled(NamedTuple):
    """How a request ended."""

    outcome: Outcome
    detail: str = ""
    status: str = ""


def outcome_of(request: MessageRequest, settled: Settled, at: datetime, message_id: str) -> MessageOutcome:
    """What is said of it."""
    return MessageOutcome(
        id=outcome_id(request.id, settled.outcome),
        request_id=request.id,
        shop=request.shop,
        order_id=request.order_id,
        kind=request.kind,
        outcome=settled.outcome,
        at=at,
        detail=settled.detail[:500],
        status=settled.status[:16],
        message_id=message_id,
    )

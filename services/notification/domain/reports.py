"""Reports of delivery (RFC 3464): whom they are about, and what they say."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.notification.domain.addresses import read_return_path
from services.notification.domain.failures import Failure, Sort, without_addresses

__all__ = ["BYTES_MAX", "Action", "Report", "failure_of", "read_report"]

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

BYTES_MAX: Final = 2_097_152  # a report may bring the whole message back; more is none
_NESTED: Final = re.compile(rb"(?:multipart|message)/", re.IGNORECASE)
_NESTED_MAX: Final = 100  # each may be a level that the parser goes down
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ACTIONS: Final[dict[str, Action]] = {
    "failed": "failed", "delayed": "delayed", "delivered": "delivered", "relayed": "relayed", "expanded": "expanded",
}  # fmt: skip
_ADDRESSED: Final = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "resent-to")
_FIELDS_MAX: Final = 20  # of one name
_FIELD_MAX: Final = 1_000  # letters: the time to look for addresses grows with their square
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"]+@[^\s<>,;:\"]+")
_GRAVITY: Final = ("failed", "delayed", "expanded", "relayed", "delivered")


class Report(NamedTuple):
    """What became of a request. Any report proves that a server had taken the message."""

    request: UUID
    action: Action
    status: str
    detail: str


def read_report(raw: bytes, secret: bytes, envelope_to: str = "") -> Report | None:
    """The report in a message that came to a return path of ours; None when it is no report, or names no request.

    Only the return path says whom it is about: it is signed, and the rest of a report can be written by anybody, so
    whatever the parser stumbles over is no report either. `envelope_to` is the address that the message was delivered
    to, when the server told it.
    """
    if len(raw) > BYTES_MAX or len(_NESTED.findall(raw)) > _NESTED_MAX:
        return None
    try:
        message = message_from_bytes(raw, policy=compat32)
        request = _request(message, secret, envelope_to)
        fields = list(_recipients(message))
    except (ValueError, LookupError, RecursionError, TypeError, AttributeError, AssertionError):
        return None
    if request is None or not fields:
        return None
    worst = min(fields, key=lambda each: _GRAVITY.index(_action(each) or "delivered"))
    action = _action(worst)
    if action is None:
        return None
    found = _STATUS.search(_field(worst, "status"))
    diagnostic = _field(worst, "diagnostic-code").partition(";")[2] or _field(worst, "diagnostic-code")
    return Report(request, action, found[0] if found else "", without_addresses(diagnostic))


def failure_of(report: Report) -> Failure:
    """A failed delivery as the failure that it is. A temporary status that became final is no fault of the address."""
    subject, _, detail = report.status.partition(".")[2].partition(".")
    sort: Sort = "refused"
    if report.status.startswith("5") or not report.status:
        if subject == "7":
            sort = "policy"
        elif (subject, detail) == ("2", "2"):
            sort = "mailbox_full"
        elif subject == "1":
            sort = "address"
    return Failure(sort, 0, report.status, report.detail)


def _request(message: Message, secret: bytes, envelope_to: str) -> UUID | None:
    candidates = [envelope_to]
    for name in _ADDRESSED:
        values = message.get_all(name, [])[:_FIELDS_MAX]
        candidates += [found for value in values for found in _ADDRESS.findall(str(value)[:_FIELD_MAX])]
    for candidate in candidates:
        if (request := read_return_path(secret, candidate)) is not None:
            return request
    return None


def _recipients(message: Message) -> Iterator[Message]:
    """The blocks of fields about a recipient, in every part that is a delivery status."""
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if isinstance(block, Message) and _action(block) is not None:
                yield block


def _action(block: Message) -> Action | None:
    return _ACTIONS.get(_field(block, "action").split("(")[0].strip().lower())


def _field(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, "")).split())

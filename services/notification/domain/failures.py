"""What a mail server's refusal means, and when to try again."""

import re
from typing import Final, Literal, NamedTuple

import msgspec

__all__ = [
    "Failure", "Schedule", "Sort", "Stage", "classify", "is_final", "retry_at_ms", "suppresses",
    "without_addresses",
]  # fmt: skip

Sort = Literal[
    "greylisted", "deferred", "address", "mailbox_full", "policy", "refused",
    "connection", "tls", "authentication", "timeout", "documents", "uncertain",
]  # fmt: skip
Stage = Literal["greeting", "authentication", "sender", "recipient", "content"]

_FINAL: Final = frozenset({"address", "mailbox_full", "policy", "refused"})
_STATUS: Final = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?![\w.])")
_GREY: Final = re.compile(r"gr[ae]y[- ]?list", re.IGNORECASE)
_READ_MAX: Final = 2_000  # letters of a reply; the time to look for addresses grows with their square
_ADDRESSES: Final = re.compile(r"\S+@\S+")
_DETAIL_MAX: Final = 300


class Failure(NamedTuple):
    """Why an attempt failed. `code` is SMTP's (0: none), `status` the enhanced one; `detail` holds no address."""

    sort: Sort
    code: int = 0
    status: str = ""
    detail: str = ""


class Schedule(msgspec.Struct, frozen=True):
    """First pauses in seconds, doubled by each attempt up to `longest_s`."""

    greylisted_s: float = 300.0  # most greylists open after five minutes
    deferred_s: float = 30.0
    away_s: float = 2.0  # a relay or a service that is away: a confirmation is due within a minute
    longest_s: float = 1_800.0
    longest_away_s: float = 120.0


def classify(code: int, text: str, stage: Stage) -> Failure:
    """The meaning of a reply that is no success."""
    found = _STATUS.search(text)
    status = found[0] if found else ""
    detail = without_addresses(text)
    if stage == "authentication" or code in {530, 534, 535, 538}:
        return Failure("tls" if "tls" in text.lower() else "authentication", code, status, detail)
    if 400 <= code < 500:
        return Failure("greylisted" if _GREY.search(text) else "deferred", code, status, detail)
    if stage == "greeting" or not 500 <= code < 600:
        return Failure("connection", code, status, detail)
    return Failure(_permanent(status, stage, code), code, status, detail)


def _permanent(status: str, stage: Stage, code: int) -> Sort:
    subject = status.split(".")[1:2]
    if subject == ["7"] or stage == "sender":
        return "policy"  # we are refused, not the recipient
    if status.endswith(".2.2") or code == 552:
        return "mailbox_full"
    if subject == ["1"] or (not status and stage == "recipient" and code in {550, 551, 553}):
        return "address"
    return "refused"


def without_addresses(text: str) -> str:
    """One bounded line that holds no mail address: details are kept and logged longer than addresses may be."""
    if len(text) > _READ_MAX:  # at a space: half an address would not be known for one
        text = text[:_READ_MAX].rpartition(" ")[0]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return _ADDRESSES.sub("<address>", line)[:_DETAIL_MAX]


def is_final(sort: Sort) -> bool:
    """Whether another attempt would be refused alike."""
    return sort in _FINAL


def suppresses(failure: Failure) -> bool:
    """Whether the address itself does not exist, so that nothing more goes there. A full mailbox, or a refusal of us,
    says nothing of the address.
    """
    return failure.sort == "address"


def retry_at_ms(sort: Sort, attempts: int, now_ms: int, schedule: Schedule, chance: float) -> int:
    """When to try again after the `attempts`-th attempt (from 1). `chance` in [0, 1) spreads the pause by a quarter, so
    that what failed together does not come back together.
    """
    first_s, longest_s = {
        "greylisted": (schedule.greylisted_s, schedule.longest_s),
        "deferred": (schedule.deferred_s, schedule.longest_s),
    }.get(sort, (schedule.away_s, schedule.longest_away_s))
    pause_s = min(first_s * 2.0 ** min(attempts - 1, 30), longest_s)
    return now_ms + round(pause_s * (0.75 + chance / 2) * 1_000)

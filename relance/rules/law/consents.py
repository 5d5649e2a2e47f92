"""On what legal basis a person may be contacted: derived from what was said and done, never stored as a flag.

Rules E01 to E03, E06, E08 (CPCE L34-5), E09 to E15 (L223-1, D223-9), E20, E22, E24, E29, E30. Whatever is not known to
allow a contact does not allow it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from relance.events.catalog import CODE
from relance.rules.law.book import Book, Rule
from relance.rules.law.calendar import PARIS, Holidays, Moment, after_months, paris_date, rolled
from relance.rules.law.terms import Unanswerable, parameters

__all__ = ["CHANNEL_RULE", "Basis", "Said", "call_hours", "derive"]

# The rule that wants consent on each channel; `post` wants none, only that nobody objected.
CHANNEL_RULE: Final = {
    "email": "E01", "sms": "E01", "mms": "E01", "phone": "E09", "push": "E29", "web_push": "E29", "whatsapp": "E30",
    "rcs": "E30", "messenger": "E30", "ads": "E22", "post": "E06",
}  # fmt: skip
_CHANNELS: Final = {"e_mail": "email", "mail": "email", "call": "phone", "phone_call": "phone", "whatsapp_rcs": "rcs"}
_SIMILAR: Final = {"email", "sms", "mms"}  # "courrier électronique" of L34-5; never phone, pixel or upload
_GENERAL: Final = {None, "marketing", "promotion", "all"}
_SERVICE: Final = {"service", "transactional", "order", "payment", "delivery", "contract", "current_contract"}
_TRACKING: Final = {
    "email_open_tracking": "E20", "ad_network_upload": "E22", "profiling_discount": "E26", "card_on_file": "E25",
}  # fmt: skip
_REQUESTED: Final = {"callback": "callback", "call_back": "callback", "requested_cart": "cart", "send_cart": "cart"}

_EVENTS: Final = {
    "grant": "consent.granted consent.given consent opt.in subscribed newsletter.subscribed",
    "revoke": "consent.withdrawn consent.revoked consent.denied objection objected opposition unsubscribed unsubscribe "
    "opt.out optout stop bloctel.registered",
    "sale": "order.completed order.paid order.confirmed purchase purchased sale",
    "placed": "order.placed contract.concluded contract.started subscription.started",
    "ended": "order.delivered order.closed order.cancelled order.expired contract.ended subscription.ended",
    "capture": "checkout.contact.captured contact.captured contact.collected objection.offered",
    "attempt": "call.attempted call.made call",
    "call_refused": "call.refused",
    "callback": "callback.requested call.back.requested",
    "cart": "cart.requested",
}
_KIND: Final = {name: kind for kind, names in _EVENTS.items() for name in names.split()}
_REFUSALS: Final = ("object", "oppos", "unsub", "withdr", "revok", "revoc", "refus", "opt.out", "optout", "denied")
_CATALOG: Final = {name.replace("_", ".") for name in CODE}
_BY_PERSON: Final = {"grant", "sale", "placed", "capture", "callback", "cart", "revoke"}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a contact's history; what it carries besides is not looked at.

    `objection_offered`: an objection to mail on similar goods was offered where the contact was collected;
    `objected`: it was made. `similar`: what is now offered is similar to what was sold. No `channel`: a refusal is
    meant for all of them, a consent for none.
    """

    event: str
    at: Moment
    channel: str | None = None
    channels: tuple[str, ...] | None = None
    status: str | bool | None = None
    granted: bool | None = None
    purpose: str | None = None
    consent: dict[str, Any] | None = None
    objection_offered: bool = False
    objected: bool = False
    similar: bool | None = None


class Basis(NamedTuple):
    """`basis` None: none was found, so nothing is allowed; `since` is when the entry that decided was made."""

    allowed: bool
    basis: str | None
    rule: str
    reason: str
    since: datetime | None = None
    unsettled: bool = False


class _Limits(msgspec.Struct, frozen=True):
    attempts: int
    in_days: int
    after_refusal_days: int


class _Days(msgspec.Struct, frozen=True):
    days: int


class _Years(msgspec.Struct, frozen=True):
    years: int


class _Hours(msgspec.Struct, frozen=True):
    hours: tuple[tuple[int, int], ...]


class _Asked(NamedTuple):
    history: tuple[tuple[str, Said], ...]  # kind of entry, entry; by time, a refusal last of one instant
    channel: str
    purpose: str
    at: datetime
    book: Book
    day: date

    @property
    def in_force(self) -> Mapping[str, Rule]:
        return self.book.on(self.day)

    def of(self, *kinds: str) -> Iterator[Said]:
        return (said for kind, said in self.history if kind in kinds)


def derive(history: Sequence[Said], channel: str, purpose: str, at: datetime, law: tuple[Book, date]) -> Basis:
    """Whether a message with that purpose may go out on that channel at that instant, and on what basis.

    Only what was said until then counts. Raises Unanswerable for an unknown channel.
    """
    place = _word(channel)
    place = _CHANNELS.get(place, place)
    if place not in CHANNEL_RULE:
        raise Unanswerable("channel", f"unknown channel {channel!r}; known: {', '.join(sorted(CHANNEL_RULE))}")
    known = [(_kind(said), said) for said in history if said.at.at <= at]
    known.sort(key=lambda pair: (pair[1].at.at, pair[0] == "revoke"))
    asked = _Asked(tuple(known), place, _word(purpose), at, *law)
    basis = _answered(asked)
    # A rule that came later words an older one more closely; before it, the older one is cited.
    return basis if basis.rule in asked.in_force else basis._replace(rule="E14" if place == "phone" else "E01")


def _answered(asked: _Asked) -> Basis:
    if asked.purpose in _TRACKING:
        rule = _TRACKING[asked.purpose]
        return _by_consent(asked, rule) or _none(rule, "no consent to exactly this")
    if asked.purpose in _REQUESTED:
        return _requested(asked)
    if asked.purpose in _SERVICE:
        return _service(asked)
    by_channel = {"phone": _phone, "post": _post}
    basis = by_channel.get(asked.channel, _electronic)(asked)
    return _not_too_old(asked, basis) if basis.allowed else basis


def call_hours(at: datetime, holidays: Holidays, law: tuple[Book, date]) -> bool | None:
    """Whether D223-9 lets an unsolicited call be made at that instant in Paris; None where it is not in force."""
    book, day = law
    if "E11" not in book.on(day):
        return None
    local = at.astimezone(PARIS)
    hours = parameters(book, "E11", day, _Hours).hours
    return rolled(local.date(), holidays) == local.date() and any(start <= local.hour < end for start, end in hours)


def _word(text: str) -> str:
    return "_".join(text.lower().replace("-", " ").replace("_", " ").split())


def _kind(said: Said) -> str:
    name = _word(said.event).replace("_", ".")
    if name == "consent.changed" or _KIND.get(name) == "grant":
        # A change says which; the other words mean a consent unless their status says otherwise.
        words = {said.status, said.granted} - {None}
        means = words <= {True, "granted", "given"} and (bool(words) or name != "consent.changed")
        return "grant" if means else "revoke"
    if name in _KIND:
        return _KIND[name]
    # A refusal in words that are not on the list is still a refusal.
    return "revoke" if name not in _CATALOG and any(stem in name for stem in _REFUSALS) else "other"


def _concerns(said: Said, channel: str) -> bool | None:
    """Whether an entry names the channel; None when it names none."""
    named = [*(said.channels or ()), *([said.channel] if said.channel is not None else [])]
    places = {_CHANNELS.get(_word(name), _word(name)) for name in named}
    return channel in places if places else None


def _consent(asked: _Asked) -> tuple[str, Said] | None:
    """The last word on the asked channel and purpose: ("grant" or "revoke", entry)."""
    last = None
    for kind, said in asked.history:
        if _grants(kind, said, asked):
            last = ("grant", said)
        if _refuses(kind, said, asked):
            last = ("revoke", said)
    return last


def _grants(kind: str, said: Said, asked: _Asked) -> bool:
    """A consent is specific: to its channel, and to its purpose or to marketing in general."""
    if kind in {"sale", "capture"}:
        return asked.purpose not in _TRACKING and _granted(said, asked.channel)
    if kind != "grant":
        return False
    purpose = None if said.purpose is None else _word(said.purpose)
    if asked.purpose in _TRACKING:
        return purpose == asked.purpose and _concerns(said, asked.channel) is not False
    return (purpose == asked.purpose or purpose in _GENERAL) and _concerns(said, asked.channel) is True


def _refuses(kind: str, said: Said, asked: _Asked) -> bool:
    """A refusal is broad: without channel it means all, and one of any advertising means all advertising there."""
    if _concerns(said, asked.channel) is False:
        return False
    if kind in {"sale", "capture"}:
        return said.objected and asked.purpose not in _TRACKING
    purpose = None if said.purpose is None else _word(said.purpose)
    if asked.purpose in _TRACKING:
        return kind == "revoke" and purpose in {None, asked.purpose}
    return kind == "revoke" and purpose not in _TRACKING


def _granted(said: Said, channel: str) -> bool:
    given = {_CHANNELS.get(_word(name), _word(name)): word for name, word in (said.consent or {}).items()}
    return given.get(channel) is True or given.get(channel) == "granted"


def _none(rule: str, reason: str, *, unsettled: bool = False) -> Basis:
    return Basis(allowed=False, basis=None, rule=rule, reason=reason, unsettled=unsettled)


def _by_consent(asked: _Asked, rule: str) -> Basis | None:
    """The answer when the person has spoken on this channel and purpose; None when he has not."""
    word = _consent(asked)
    if word is None:
        return None
    kind, said = word
    if kind == "grant":
        return Basis(allowed=True, basis="consent", rule=rule, reason="consent was given", since=said.at.at)
    refused = "E09" if asked.channel == "phone" and rule == "E09" else "E06"
    return Basis(allowed=False, basis=None, rule=refused, reason="the person objected", since=said.at.at)


def _electronic(asked: _Asked) -> Basis:
    rule = CHANNEL_RULE[asked.channel]
    said = _by_consent(asked, rule)
    if said is not None:
        return said._replace(unsettled=rule == "E29")
    if asked.channel not in _SIMILAR:
        return _none(rule, "no consent", unsettled=rule == "E29")
    return _similar_goods(asked)


def _similar_goods(asked: _Asked) -> Basis:
    """L34-5 al. 4: a sale, the contact collected at it with an objection offered, and similar goods; else consent."""
    sales = list(asked.of("sale"))
    if not sales:
        return _none("E03", "no consent, and nothing was bought: a prospect")
    similar = [sale for sale in sales if sale.similar or (sale.similar is None and asked.purpose == "similar_goods")]
    if not similar:
        return _none("E02", "no consent, and what was bought is not known to be similar to what is offered")
    offered = [
        said.at.at
        for said in asked.of("sale", "capture")
        if (said.objection_offered or _word(said.event) == "objection.offered")
        and _concerns(said, asked.channel) is not False
    ]
    for sale in reversed(similar):
        if offered and offered[0] <= sale.at.at:  # the history is sorted by time
            why = "bought here, objection offered and not made, similar goods"
            return Basis(allowed=True, basis="similar_goods", rule="E02", reason=why, since=sale.at.at)
    return _none("E02", "no consent, and no objection was offered when the contact was collected")


def _phone(asked: _Asked) -> Basis:
    said = _by_consent(asked, "E09" if "E09" in asked.in_force else "E12")
    if "E09" in asked.in_force:
        basis = said or _none("E09", "no prior consent to sales calls")
    else:
        why = "nobody objected, and no rule in force wants consent"
        basis = said or Basis(allowed=True, basis="no_objection", rule="E12", reason=why)
    return _within_limits(asked, basis) if basis.allowed else basis


def _within_limits(asked: _Asked, basis: Basis) -> Basis:
    """E12: so many attempts in so many days, and silence after a refusal, whatever the consent."""
    if "E12" not in asked.in_force:
        return basis
    limits = parameters(asked.book, "E12", asked.day, _Limits)
    today = paris_date(asked.at)
    for said in asked.of("call_refused"):
        if today <= said.at.day + timedelta(days=limits.after_refusal_days):
            return _none("E12", f"refused in a call on {said.at.day}")
    recent = [said for said in asked.of("attempt") if said.at.day > today - timedelta(days=limits.in_days)]
    if len(recent) >= limits.attempts:
        return _none("E12", f"{len(recent)} calls were attempted within {limits.in_days} days")
    return basis


def _post(asked: _Asked) -> Basis:
    said = _by_consent(asked, "E06")
    return said or Basis(allowed=True, basis="no_objection", rule="E06", reason="no objection to letters")


def _service(asked: _Asked) -> Basis:
    """E08: what a contract needs is no promotion; a sales purpose never becomes a service by its name."""
    running = None
    for kind, said in asked.history:
        if kind in {"placed", "sale"}:
            running = said
        elif kind == "ended" and asked.channel == "phone":
            running = None
    rule = "E09" if asked.channel == "phone" and "E09" in asked.in_force else "E08"
    if running is None:
        return _none(rule, "there is no contract that it could serve", unsettled=True)
    why = "serves a contract of this person, without promotion"
    return Basis(allowed=True, basis="contract", rule=rule, reason=why, since=running.at.at, unsettled=True)


def _requested(asked: _Asked) -> Basis:
    """E15: what the person asked for, once; a call that was made since, or too many days, end a request."""
    wanted = _REQUESTED[asked.purpose]
    rule = "E15" if wanted == "callback" else "E08"
    days = parameters(asked.book, "E15", asked.day, _Days).days
    last = max(asked.of(wanted), key=lambda said: said.at.at, default=None)
    if last is None:
        return _none(rule, "it was not asked for", unsettled=True)
    answered = wanted == "callback" and any(said.at.at > last.at.at for said in asked.of("attempt"))
    if answered or paris_date(asked.at) > last.at.day + timedelta(days=days):
        return _none(rule, "the request was answered or is too old", unsettled=True)
    basis = Basis(allowed=True, basis="request", rule=rule, reason="it was asked for", since=last.at.at, unsettled=True)
    return _within_limits(asked, basis) if asked.channel == "phone" else basis


def _not_too_old(asked: _Asked, basis: Basis) -> Basis:
    """E24: a prospect's data is gone three years after the last contact that he made himself."""
    own = [said.at.day for kind, said in asked.history if kind in _BY_PERSON or _is_visit(said)]
    if "E24" not in asked.in_force or not own:
        return basis
    years = parameters(asked.book, "E24", asked.day, _Years).years
    if paris_date(asked.at) > after_months(max(own), 12 * years):
        return _none("E24", f"the last contact by the person was on {max(own)}")
    return basis


def _is_visit(said: Said) -> bool:
    return _word(said.event).replace("_", ".") in _CATALOG

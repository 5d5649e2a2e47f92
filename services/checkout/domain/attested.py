"""A click on a page of the shop's own: what was disclosed, what the shop attests, and whether they agree."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from services.checkout.domain.outcomes import Refusal

__all__ = ["ACTS", "SET_LASTS", "Attested", "Disclosed", "DisclosureSet", "agrees", "told"]

SET_LASTS: Final = timedelta(minutes=15)
CLOCKS_DIFFER: Final = timedelta(minutes=1)  # between the shop's clock and ours
IN_ORDER: Final = ("recap_shown", "terms_accepted", "order_pressed")  # what every click takes, each after the other
ACTS: Final = frozenset({*IN_ORDER, "early_start_requested", "withdrawal_loss_acknowledged", "age_declared"})


class Disclosed(msgspec.Struct, frozen=True):
    """A text of the set: the hash of its bytes, and what asks for it."""

    sha256: str
    rule: str
    article: str


class DisclosureSet(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of the shop's own must show. `buttons`: names that the order button may have; one of them it has."""

    id: str
    checkout_id: str
    recap_hash: str
    language: str
    texts: dict[str, Disclosed]
    buttons: tuple[str, ...]
    issued_at: datetime
    version: int = 0

    @property
    def expires_at(self) -> datetime:
        """The first instant at which it is stale."""
        return self.issued_at + SET_LASTS


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop says happened on its page. `rendered`: name of a text to the hash of the bytes that were shown."""

    set_id: str
    rendered: dict[str, str]
    button_text: str
    acts: dict[str, datetime]
    locale: str
    user_agent: str


def agrees(found: DisclosureSet | None, attested: Attested, checkout_id: str, at: datetime) -> Refusal | None:
    """Whether all was shown that had to be, as it had to be, in time and in order; the first thing that was not."""
    if found is None or found.checkout_id != checkout_id:
        return Refusal("set_id", "there is no such set of disclosures for this checkout")
    if at >= found.expires_at:
        minutes = int(SET_LASTS.total_seconds()) // 60
        reason = f"older than {minutes} minutes: get the disclosures anew and show them"
        return Refusal("set_id", reason, "A07", "Code civil, 1127-2 al. 1")
    if wrong := _shown(found.texts, attested.rendered):
        return wrong
    if attested.button_text not in found.buttons:
        reason = f"{attested.button_text!r} is none of the names that the set allows"
        return Refusal("button_text", reason, "A04", "L221-14 al. 2")
    if attested.locale.replace("_", "-").split("-")[0].lower() != found.language:
        return Refusal("locale", f"the set is in {found.language}: get one in the page's language")
    return _acted(attested.acts, found.issued_at, at)


def _shown(texts: Mapping[str, Disclosed], rendered: Mapping[str, str]) -> Refusal | None:
    for name, text in texts.items():
        if name not in rendered:
            return Refusal(f"rendered.{name}", "was not shown", text.rule, text.article)
        if rendered[name].lower() != text.sha256:
            return Refusal(f"rendered.{name}", "is not what had to be shown", text.rule, text.article)
    unknown = sorted(rendered.keys() - texts.keys())
    return Refusal(f"rendered.{unknown[0]}", "belongs to no text of the set") if unknown else None


def _acted(acts: Mapping[str, datetime], issued_at: datetime, at: datetime) -> Refusal | None:
    before = issued_at - CLOCKS_DIFFER
    for name in IN_ORDER:
        if name not in acts:
            rule = ("A09", "Code civil, 1127-1") if name == "terms_accepted" else ("", "")
            return Refusal(f"acts.{name}", "the shopper has not done it", *rule)
        if acts[name] < before:
            return Refusal(f"acts.{name}", "was before the disclosures, or before the act that comes first")
        before = max(before, acts[name])
    for name, done_at in acts.items():
        if done_at > at + CLOCKS_DIFFER:
            return Refusal(f"acts.{name}", "lies in the future")
        if done_at < issued_at - CLOCKS_DIFFER or done_at > acts["order_pressed"]:
            return Refusal(f"acts.{name}", "was not between the disclosures and the button")
    return None


def told(attested: Attested, channel: str) -> dict[str, Any]:
    """The facts of what was attested, as evidence keeps them; the user agent, which is a person's, is kept apart."""
    return {
        "set": attested.set_id,
        "rendered": dict(sorted(attested.rendered.items())),
        "button": attested.button_text,
        "acts": {name: done_at.isoformat() for name, done_at in sorted(attested.acts.items())},
        "channel": channel,
        "locale": attested.locale,
    }

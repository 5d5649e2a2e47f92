"""Stripe's webhooks: who signed them, when, and what they are about."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import stripe

from services.checkout.adapters.stripe_reading import ATTEMPT, ORDER, REFUND, SHOP
from services.checkout.ports import Hint

__all__ = ["read_hint"]

_TOLERANCE_S: Final = 300  # Stripe signs each delivery anew, a repeated one too
_HEADER: Final = "stripe-signature"


class _Object(msgspec.Struct, frozen=True):
    object: str = ""
    id: str = ""
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Object = _Object()


class _Event(msgspec.Struct, frozen=True):
    id: str = ""
    type: str = ""
    data: _Data = _Data()


def read_hint(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> Hint | None:
    """What the webhook is about; None when none of the secrets signed it within five minutes before or after `now`,
    or when it is no event. `secrets`: the present one and those being rotated out.
    """
    header = next((value for name, value in headers.items() if name.lower() == _HEADER), "")
    if not _in_time(header, now) or not any(_signed(body, header, secret) for secret in secrets):
        return None
    try:
        event = msgspec.json.decode(body, type=_Event)
    except msgspec.DecodeError:
        return None
    about = event.data.object
    named = {name: value for name, value in (about.metadata or {}).items() if isinstance(value, str)}
    return Hint(
        event_id=event.id,
        psp_id=about.id if about.object == "checkout.session" else "",
        attempt_id=named.get(ATTEMPT, ""),
        order_id=named.get(ORDER, ""),
        shop=named.get(SHOP, ""),
        refund_id=named.get(REFUND, "") if about.object == "refund" else "",
    )


def _in_time(header: str, now: datetime) -> bool:
    """The library bounds the past alone, and by its own clock."""
    stamps = [part[2:] for part in header.split(",") if part.startswith("t=")]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12:
        return False
    return abs(now.timestamp() - int(stamps[0])) <= _TOLERANCE_S


def _signed(body: bytes, header: str, secret: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, header, secret))
    except (stripe.SignatureVerificationError, UnicodeError, TypeError):
        return False

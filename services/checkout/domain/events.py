"""Events said by transitions: their ids follow from what caused them, so that a replay says the same."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID, uuid5

import msgspec

from relance.events.codec import STRUCTS, Event
from services.checkout.domain.outcomes import Effect, Moved

__all__ = ["Aggregate", "Context", "Saying", "event_id", "moved"]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who shops, as every event tells it. `consent`: channel to whether it was granted."""

    shop: str
    cart_id: str
    visitor_id: str = ""
    person_id: str = ""
    device: str = ""
    recovery_link_id: str = ""
    consent: dict[str, bool] = {}


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine moves. `version` counts its transitions, and is compared when it is stored; `said`: its events."""

    id: UUID
    context: Context
    version: int = 0
    said: int = 0


class Saying(NamedTuple):
    """An event to be: its type, its time, and the fields of `data` beside those of the context."""

    type: str
    at: datetime
    fields: Mapping[str, Any]


A = TypeVar("A", bound=Aggregate)


def event_id(aggregate: UUID, transition: str, n: int) -> UUID:
    """The id of the aggregate's n-th event, counted from 0."""
    return uuid5(aggregate, f"{transition}/{n}")


def moved(state: A, transition: str, sayings: Sequence[Saying] = (), effects: Sequence[Effect] = ()) -> Moved[A]:
    """`state` after a transition, with its events. Raises msgspec.ValidationError when a field does not fit its type,
    which is a fault of the caller.
    """
    events = tuple(_event(state, transition, state.said + place, saying) for place, saying in enumerate(sayings))
    after = msgspec.structs.replace(state, version=state.version + 1, said=state.said + len(events))
    return Moved(after, transition, events, tuple(effects))


def _event(state: Aggregate, transition: str, n: int, saying: Saying) -> Event:
    context = state.context
    data: dict[str, Any] = {"cart_id": context.cart_id, "consent": context.consent}
    if context.recovery_link_id:
        data["recovery_link_id"] = context.recovery_link_id
    attributes = {
        "type": saying.type,
        "specversion": "1.0",
        "id": str(event_id(state.id, transition, n)),
        "source": f"/shops/{context.shop}/checkout",
        "time": saying.at,
        "data": data | {name: value for name, value in saying.fields.items() if value is not None},
    }
    who = {"visitorid": context.visitor_id, "personid": context.person_id, "device": context.device}
    attributes |= {name: value for name, value in who.items() if value}
    return cast("Event", msgspec.convert(attributes, STRUCTS[saying.type]))

"""What a transition gives: the next state with events and effects, or a refusal that changes nothing."""

from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from relance.events.codec import Event

__all__ = ["Effect", "Kind", "Moved", "Refusal", "then", "unchanged"]

S = TypeVar("S")

Kind = Literal[
    "call_psp", "cancel_at_psp", "ask_psp", "refund_at_psp",
    "release_tender", "redeem_tender", "restore_tender", "commit_stock", "release_stock", "promise_stock", "ship_stock",
    "release_coupons",
    "acknowledge", "acknowledge_withdrawal", "tell_shopper", "alert_shop",
    "look_after", "write_letter", "print_paper", "acknowledge_stray", "seek_contract",
]  # fmt: skip


class Effect(NamedTuple):
    """What the service does after the transition is stored, at least once; `ref` names the attempt, refund, tender
    (its place) or reason. Each can be repeated without harm.
    """

    kind: Kind
    ref: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why an act was refused: the dotted field, words for a person, and rule and article where the law decides."""

    field: str
    reason: str
    rule: str = ""
    article: str = ""


class Moved(NamedTuple, Generic[S]):
    """The state after an act. `transition` is empty when the act changed nothing: it was late, or said twice."""

    state: S
    transition: str = ""
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()


def unchanged(state: S) -> Moved[S]:
    """Nothing to store, to say or to do."""
    return Moved(state)


def then(first: Moved[S], second: Moved[S]) -> Moved[S]:
    """Two moves as one: `second` began where `first` ended. The first that changed something names the transition."""
    return Moved(
        second.state,
        first.transition or second.transition,
        first.events + second.events,
        first.effects + second.effects,
    )

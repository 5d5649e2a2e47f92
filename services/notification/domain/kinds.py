"""Kinds of messages: what each must be told, how long it is worth sending, and what becomes of one in doubt."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from typing_extensions import override

from relance.events.messages import MessageRequest
from relance.kernel.errors import InputError

__all__ = ["Kinds", "MessageClass", "MessageKind", "read_kind"]

MessageClass = Literal["order", "code"]
Names = tuple[Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")], ...]


class MessageKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """A kind of message. `facts` are those that a request must have, `optional` those that it may; `patterns` what some
    must match; `instants` and `dates` are given in ISO 8601 and shown in Paris, in words. `shows`: the fact that is
    shown large.

    `class_` is what an address is suppressed for: a code, or a link that opens once, is asked for at the moment it is
    sent, and shows a bounce by itself. `sent_again`: whether it is, when nobody knows whether it was taken. `alerts`:
    whether the shop must see to one that does not arrive. `template`: the source of its HTML.
    """

    name: str
    facts: Names
    lasts_minutes: Annotated[int, msgspec.Meta(ge=1, le=43_200)]
    sent_again: bool
    optional: Names = ()
    patterns: dict[str, str] = {}
    instants: Names = ()
    dates: Names = ()
    shows: str = ""
    class_: MessageClass = "order"
    alerts: bool = False
    template: str = "notice"

    @property
    def lasts_ms(self) -> int:
        """How long after its request a message is still tried."""
        return self.lasts_minutes * 60_000


class Kinds(Mapping[str, MessageKind]):
    """All kinds, by name."""

    def __init__(self, kinds: Iterable[MessageKind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    @override
    def __getitem__(self, name: str) -> MessageKind:
        return self._kinds[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    @override
    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def sent_again(self) -> frozenset[str]:
        """Those that are sent again when nobody knows whether they were taken."""
        return frozenset(name for name, kind in self._kinds.items() if kind.sent_again)

    def class_of(self, name: str) -> MessageClass:
        """What an address is suppressed for; that of orders for a kind that there is no more."""
        return self._kinds[name].class_ if name in self._kinds else "order"

    def check(self, request: MessageRequest) -> None:
        """Raises InputError when there is no such kind, or a fact of it is missing or ill-formed."""
        kind = self._kinds.get(request.kind)
        if kind is None:
            raise InputError(f"{request.kind}: there is no such kind of message")
        missing = [name for name in kind.facts if request.facts.get(name, "") == ""]
        if missing:
            raise InputError(f"{request.kind}: facts lack {', '.join(missing)}")
        for name, pattern in kind.patterns.items():
            if name in request.facts and re.fullmatch(pattern, str(request.facts[name])) is None:
                raise InputError(f"{request.kind}: facts.{name} must match {pattern}")


def read_kind(name: str, document: object) -> MessageKind:
    """A kind of its file. Raises InputError with the field and the reason."""
    try:
        kind = msgspec.convert({"name": name} | document if isinstance(document, dict) else document, MessageKind)
        for pattern in kind.patterns.values():
            re.compile(pattern)
    except (msgspec.ValidationError, re.error) as error:
        raise InputError(f"{name}: {error}") from None
    return kind

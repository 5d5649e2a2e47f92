"""Entries: one act each, chained by hash within their order."""

from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import msgspec

from relance.evidence.canonical import canonical, parse
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms, parse_ms

__all__ = [
    "ENTRY_BYTES_MAX", "NOTHING", "VERSION", "Act", "Base64", "Digest", "Document", "Entry", "Head", "RuleRef",
    "Sealed", "SealedDocument", "UnknownVersion", "append", "check_instant", "decode", "digest", "part", "start",
    "typed", "versioned",
]  # fmt: skip

VERSION: Final = 1
KIND: Final = "relance.evidence.entry"
NOTHING: Final = "0" * 64  # what the first entry and the first checkpoint follow
ENTRY_BYTES_MAX: Final = 1_000_000
_YEAR_2200_MS: Final = 7_258_118_400_000

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Base64 = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9+/]*={0,2}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]

T = TypeVar("T", bound=msgspec.Struct)


class UnknownVersion(InputError):  # noqa: N818 - the name says what the caller should understand
    """Evidence of a kind or version that this program does not read; a newer one may."""


class RuleRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rule that an act served: its id and version in the book of law, and the article to cite."""

    id: Name
    version: Annotated[int, msgspec.Meta(ge=1)]
    article: Name


class SealedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rendered page or PDF of one person: who, SHA-256(salt || bytes), and the SHA-256 of the blob that is stored."""

    subject: Name
    commitment: Digest
    blob: Digest


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was shown, by its bytes. `sha256` is theirs when the same bytes are shown to all.

    Bytes that hold personal data have none, for it would outlive an erasure as something to guess at; they have
    `sealed`: a salted commitment and the hash of the encrypted bytes (relance/evidence/personal.py).
    """

    media_type: Name
    size_bytes: Count
    sha256: Digest | None = None
    sealed: SealedDocument | None = None


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One encrypted field: SHA-256(salt || value), and AES-256-GCM over salt || value under the subject's key."""

    name: Name
    subject: Name
    commitment: Digest
    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{24}$", max_length=24)]
    ciphertext: Base64


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What is put on record. `at_ms` is when it was recorded; `what` is its subject in one word (terms, recap, button).

    `by` says who vouches for it: the checkout rendered or received it itself, the shop attests it (headless), or the
    payment provider or the mail service reported it. `facts` hold no personal data: amounts, choices, words on buttons.
    """

    at_ms: int
    act: Literal["shown", "chosen", "accepted", "declared", "happened"]
    what: Name
    by: Literal["checkout", "shop", "payment", "notification"] = "checkout"
    rules: tuple[RuleRef, ...] = ()
    document: Document | None = None
    facts: dict[str, Any] = {}
    personal: tuple[Sealed, ...] = ()


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An act at its place: entry `seq` (from 0) of an order, after the entry whose hash is `prior`."""

    type: Literal["relance.evidence.entry"]
    v: Literal[1]
    shop: Name
    order: Name
    seq: Count
    prior: Digest
    at: str
    act: Literal["shown", "chosen", "accepted", "declared", "happened"]
    what: Name
    by: Literal["checkout", "shop", "payment", "notification"]
    rules: tuple[RuleRef, ...]
    document: Document | None
    facts: dict[str, Any]
    personal: tuple[Sealed, ...]

    @property
    def at_ms(self) -> int:
        """When the act was recorded."""
        return parse_ms(self.at)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the chain of an order stands: how many entries, and the hash of the last. Printed in the confirmation."""

    shop: Name
    order: Name
    length: Count
    hash: Digest

    @classmethod
    def of(cls, entry: Entry, data: bytes) -> Self:
        """The head after `entry`, whose bytes are `data`."""
        return cls(shop=entry.shop, order=entry.order, length=entry.seq + 1, hash=digest(data))

    @property
    def printed(self) -> str:
        """The hash as it stands in a confirmation: groups of eight digits, which `verify --head` takes as they are."""
        return " ".join(self.hash[at : at + 8] for at in range(0, 64, 8))


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return sha256(data).hexdigest()


def start(shop: str, order: str) -> Head:
    """The head of a chain without entries."""
    return Head(shop=shop, order=order, length=0, hash=NOTHING)


def append(head: Head, act: Act) -> tuple[bytes, Head]:
    """The bytes of the next entry, and the head after it. They are stored as they are, never encoded again.

    Raises InputError for an act that could not be read again.
    """
    entry = Entry(
        type="relance.evidence.entry", v=1, shop=head.shop, order=head.order, seq=head.length, prior=head.hash,
        at=format_ms(act.at_ms), act=act.act, what=act.what, by=act.by, rules=act.rules, document=act.document,
        facts=act.facts, personal=act.personal,
    )  # fmt: skip
    value = msgspec.to_builtins(entry)
    data = canonical(value)
    _entry(value, len(data))
    return data, Head.of(entry, data)


def decode(data: bytes) -> Entry:
    """The entry of its bytes.

    Raises UnknownVersion, and InputError when they are too long, ill-formed, or not in their one canonical form.
    """
    if len(data) > ENTRY_BYTES_MAX:  # before anything of it is read
        raise _too_long(len(data))
    return _entry(parse(data), len(data))


def _too_long(size_bytes: int) -> InputError:
    return InputError(f"an entry of {size_bytes} bytes; at most {ENTRY_BYTES_MAX} are one")


def _entry(value: Any, size_bytes: int) -> Entry:
    """The entry of its canonical value. Raises as `decode`."""
    if size_bytes > ENTRY_BYTES_MAX:
        raise _too_long(size_bytes)
    entry = typed(versioned(value, KIND), Entry)
    check_instant(entry.at)
    document = entry.document
    if document is not None and (document.sha256 is None) == (document.sealed is None):
        raise InputError("a document has either a hash or a seal")
    return entry


def versioned(value: Any, kind: str) -> Any:
    """`value` again, when it says that it is of this kind in a version that is read here. Raises UnknownVersion."""
    if not isinstance(value, dict) or value.get("type") != kind:
        raise UnknownVersion(f"this is no {kind}")
    if value.get("v") != VERSION or isinstance(value["v"], bool):
        raise UnknownVersion(f"{kind} of version {ascii(value.get('v'))[:20]}; this program reads version {VERSION}")
    return value


def typed(value: Any, kind: type[T]) -> T:
    """`value` as a `kind`. Raises InputError with the field and the reason."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"not evidence: {error}") from None


def check_instant(text: str) -> None:
    """Raises InputError unless `text` is an instant of the years 1970 to 2199, in the one form that evidence has."""
    try:
        if format_ms(at_ms := parse_ms(text)) == text and 0 <= at_ms < _YEAR_2200_MS:
            return
    except ValueError:
        pass
    raise InputError(f"{text[:40]!r} is no instant in UTC with milliseconds, of the years 1970 to 2199")


def part(value: msgspec.Struct) -> bytes:
    """The canonical bytes of any part of evidence."""
    return canonical(msgspec.to_builtins(value))

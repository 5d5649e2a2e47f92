"""Checkpoints: signed statements of where the chains stand, each after the one before, one line each, kept elsewhere.

A checkpoint names the heads that moved since the last one, and through `prior` all those before; what an order's
last head is follows from the whole log. A minute in which nothing moved is sealed as well, so that a gap says
something.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from relance.evidence import merkle
from relance.evidence.canonical import parse
from relance.evidence.entries import (
    NOTHING,
    Digest,
    Head,
    UnknownVersion,
    check_instant,
    digest,
    part,
    typed,
    versioned,
)
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms, parse_ms

__all__ = [
    "Checkpoint", "Header", "UnknownVersion", "decode", "decode_header", "encode", "key_from_pem", "key_hex",
    "key_pem", "leaf", "seal", "signed_by",
]  # fmt: skip

KIND: Final = "relance.evidence.checkpoint"

Signature = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$", max_length=128)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is signed. `root` is over the heads in `Checkpoint.heads`, `key` the raw Ed25519 public key in hexadecimal.

    `next_key` hands over: all later checkpoints are signed with it, and none before.
    """

    type: Literal["relance.evidence.checkpoint"]
    v: Literal[1]
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    at: str
    prior: Digest
    root: Digest
    count: Annotated[int, msgspec.Meta(ge=0)]
    key: Digest
    next_key: Digest | None

    @property
    def at_ms(self) -> int:
        """When it was signed, by the signer's clock."""
        return parse_ms(self.at)


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint. `header_bytes` are signed, hashed and stored as they are; `heads` are in the tree's order."""

    header: Header
    header_bytes: bytes
    signature: str
    heads: tuple[Head, ...]

    @property
    def hash(self) -> str:
        """What the next checkpoint's `prior` must be."""
        return digest(self.header_bytes)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    header: str
    signature: Signature
    heads: tuple[Head, ...]


def seal(
    prior: Checkpoint | None,
    moved: Iterable[Head],
    at_ms: int,
    key: Ed25519PrivateKey,
    next_key: Ed25519PublicKey | None = None,
) -> Checkpoint:
    """The checkpoint after `prior` over the heads that moved since; one that was sealed before may come again.

    A clock that was set back does not turn the log's time back. Raises InputError when an order stands in `moved`
    twice, or when `prior` handed over to another key.
    """
    heads = tuple(sorted(moved, key=lambda head: (head.shop, head.order)))
    if not all(head.length for head in heads):
        raise InputError("a chain without entries has nothing to seal")
    if len({(head.shop, head.order) for head in heads}) < len(heads):
        raise InputError("an order has two heads at once")
    public = key_hex(key.public_key())
    if prior is not None and public != (prior.header.next_key or prior.header.key):
        raise InputError("this is not the key that the last checkpoint names for the next")
    header = Header(
        type="relance.evidence.checkpoint", v=1,
        number=prior.header.number + 1 if prior else 1,
        at=format_ms(max(at_ms, prior.header.at_ms) if prior else at_ms),
        prior=prior.hash if prior else NOTHING,
        root=merkle.root([leaf(head) for head in heads]), count=len(heads), key=public,
        next_key=key_hex(next_key) if next_key is not None else None,
    )  # fmt: skip
    data = part(header)
    return Checkpoint(header=header, header_bytes=data, signature=key.sign(data).hex(), heads=heads)


def leaf(head: Head) -> bytes:
    """The bytes of a head as a leaf of the tree."""
    return part(head)


def signed_by(header_bytes: bytes, signature: str, key: str) -> bool:
    """Whether `signature` over the header is that of the raw public key `key`, both in hexadecimal."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), header_bytes)
    except (InvalidSignature, ValueError):
        return False
    return True


def encode(checkpoint: Checkpoint) -> bytes:
    """One line of the log, without its end."""
    return part(_Line(header=checkpoint.header_bytes.decode(), signature=checkpoint.signature, heads=checkpoint.heads))


def decode(line: bytes) -> Checkpoint:
    """The checkpoint of a line; that it is true is for `verification` to find out.

    Raises UnknownVersion, and InputError when it is ill-formed or not in its one canonical form.
    """
    read = typed(parse(line), _Line)
    data = read.header.encode()
    return Checkpoint(header=decode_header(data), header_bytes=data, signature=read.signature, heads=read.heads)


def decode_header(data: bytes) -> Header:
    """A header of its bytes. Raises as `decode`."""
    header = typed(versioned(parse(data), KIND), Header)
    check_instant(header.at)
    return header


def key_hex(key: Ed25519PublicKey) -> str:
    """The raw public key in hexadecimal, 64 digits: how it is named and printed."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def key_pem(key: str) -> str:
    """The PEM text of a raw public key in hexadecimal, as openssl reads it."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_from_pem(text: str | bytes) -> str:
    """The raw public key in hexadecimal of a PEM text. Raises InputError."""
    try:
        key = load_pem_public_key(text.encode() if isinstance(text, str) else text)
    except ValueError:
        raise InputError("not a public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("not an Ed25519 key")
    return key_hex(key)

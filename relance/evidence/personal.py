"""Personal data in evidence: encrypted under a key per person; without the key they are gone, and the chain holds.

A chain's hashes cover the ciphertext and a salted commitment, SHA-256(salt || value). The salt lies inside the
ciphertext: while the key exists, and for whoever was given salt and value before, the value can be proved; afterwards
the commitment says nothing, not even to somebody who tries all e-mail addresses. Each person's key is kept wrapped by
the master key; erasing a person is deleting that one wrapped key, wherever it is kept, copies of it included.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relance.evidence.canonical import canonical
from relance.evidence.entries import Base64, Document, Sealed, SealedDocument, digest
from relance.kernel.errors import InputError

__all__ = [
    "Draw", "Opened", "Person", "WrappedKey", "bytes_of", "new_key", "open_document", "open_field", "proves",
    "seal_document", "seal_field", "text_of", "unwrap", "wrap",
]  # fmt: skip

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 32

Draw: TypeAlias = Callable[[int], bytes]  # so many random bytes, fit for keys


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data, in which order's evidence, under which key: all that sealing and opening need."""

    shop: str
    order: str
    subject: str
    key: bytes

    def bound_to(self, name: str) -> bytes:
        """What a ciphertext is bound to: elsewhere it does not open."""
        return canonical(
            {"kind": "relance.evidence.personal", "name": name, "order": self.order, "shop": self.shop,
             "subject": self.subject, "v": 1}
        )  # fmt: skip


class Opened(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What proves a commitment: its salt in hexadecimal, and the value's bytes in base64."""

    salt: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
    value: Base64


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person's key as it is kept: encrypted under the master key named `master`, bound to the person."""

    v: Literal[1] = 1
    subject: str
    master: str
    nonce: str
    ciphertext: str


def new_key(draw: Draw) -> bytes:
    """A key for one person."""
    return draw(KEY_BYTES)


def wrap(subject: str, key: bytes, master: tuple[str, bytes], draw: Draw) -> WrappedKey:
    """The person's key under the master key (its name and its 32 bytes). A new master wraps what the old opens."""
    name, secret = master
    nonce = draw(NONCE_BYTES)
    data = AESGCM(secret).encrypt(nonce, key, _wrapping(subject, name))
    return WrappedKey(subject=subject, master=name, nonce=nonce.hex(), ciphertext=data.hex())


def unwrap(wrapped: WrappedKey, secret: bytes) -> bytes:
    """The person's key. Raises InputError when `secret` is not the master key named, or anything was changed."""
    try:
        data = bytes.fromhex(wrapped.ciphertext)
        return AESGCM(secret).decrypt(bytes.fromhex(wrapped.nonce), data, _wrapping(wrapped.subject, wrapped.master))
    except (InvalidTag, ValueError):
        raise InputError(f"the key of {wrapped.subject!r} does not open with this master key") from None


def _wrapping(subject: str, master: str) -> bytes:
    return canonical({"kind": "relance.evidence.key", "master": master, "subject": subject, "v": 1})


def seal_field(person: Person, name: str, value: str, draw: Draw) -> Sealed:
    """A text of a person (an e-mail address, a delivery address) for an entry's `personal`."""
    salted, nonce, data = _seal(person, f"field {name}", value.encode(), draw)
    return Sealed(
        name=name, subject=person.subject, commitment=digest(salted), nonce=nonce.hex(),
        ciphertext=b64encode(data).decode(),
    )  # fmt: skip


def open_field(sealed: Sealed, person: Person) -> Opened:
    """Salt and value of a field. Raises InputError when the key is not the person's or the field another order's."""
    data = bytes_of(sealed.ciphertext)
    return _open(person, f"field {sealed.name}", bytes.fromhex(sealed.nonce), data, sealed.commitment)


def seal_document(person: Person, data: bytes, media_type: str, draw: Draw) -> tuple[Document, bytes]:
    """What an entry says of rendered bytes that hold personal data, and the blob to store under its `blob` hash."""
    salted, nonce, encrypted = _seal(person, f"document {media_type}", data, draw)
    blob = nonce + encrypted
    sealed = SealedDocument(subject=person.subject, commitment=digest(salted), blob=digest(blob))
    return Document(media_type=media_type, size_bytes=len(data), sealed=sealed), blob


def open_document(document: Document, blob: bytes, person: Person) -> Opened:
    """Salt and bytes of a sealed document. Raises InputError when the blob or the key is another."""
    if document.sealed is None:
        raise InputError("this document is not sealed")
    if digest(blob) != document.sealed.blob:
        raise InputError("the blob is not the one that the evidence names")
    nonce, data = blob[:NONCE_BYTES], blob[NONCE_BYTES:]
    return _open(person, f"document {document.media_type}", nonce, data, document.sealed.commitment)


def proves(opened: Opened, commitment: str) -> bool:
    """Whether salt and value are those of the commitment."""
    return sha256(bytes.fromhex(opened.salt) + bytes_of(opened.value)).hexdigest() == commitment


def text_of(opened: Opened) -> str:
    """The value as text; bytes that are none are shown as such."""
    return bytes_of(opened.value).decode(errors="backslashreplace")


def bytes_of(text: str) -> bytes:
    """The bytes of base64 in its one canonical form. Raises InputError."""
    try:
        data = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise InputError("not base64") from None
    if b64encode(data).decode() != text:
        raise InputError("not base64 in its canonical form")
    return data


def _seal(person: Person, name: str, value: bytes, draw: Draw) -> tuple[bytes, bytes, bytes]:
    salted = draw(SALT_BYTES) + value
    nonce = draw(NONCE_BYTES)
    return salted, nonce, AESGCM(person.key).encrypt(nonce, salted, person.bound_to(name))


def _open(person: Person, name: str, nonce: bytes, data: bytes, commitment: str) -> Opened:
    try:
        salted = AESGCM(person.key).decrypt(nonce, data, person.bound_to(name))
    except (InvalidTag, ValueError):
        raise InputError(f"the {name} of {person.subject!r} does not open with this key in this order") from None
    if digest(salted) != commitment:
        raise InputError(f"the {name} of {person.subject!r} is not the one committed to")
    return Opened(salt=salted[:SALT_BYTES].hex(), value=b64encode(salted[SALT_BYTES:]).decode())

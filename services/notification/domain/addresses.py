"""Addresses: of recipients, checked; of the way back, which name the request (VERP); and hashes to remember them by."""

import base64
import hashlib
import hmac
import re
from typing import Final, NamedTuple
from uuid import UUID

from typing_extensions import override

from relance.kernel.errors import InputError

__all__ = ["Address", "address_hash", "header_text", "message_id", "parse_address", "read_return_path", "return_path"]

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TAG_BYTES: Final = 8
_TOKEN: Final = re.compile(r"b\+([a-z2-7]{39})", re.IGNORECASE | re.ASCII)
_SPACES: Final = dict.fromkeys(map(ord, "\u00a0\u202f"), " ")


class Address(NamedTuple):
    """A mail address in ASCII: `domain` in small letters, an international one as its xn-- form."""

    local: str
    domain: str

    @override
    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_address(text: str) -> Address:
    """Raises InputError for anything that is not one plain address, above all for what would begin another header or
    command. A local part outside ASCII is refused: few servers take it.
    """
    local, _, name = text.rpartition("@")
    try:
        domain = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = ""
    labels = domain.split(".")
    if not (1 <= len(local) <= 64) or _LOCAL.fullmatch(local) is None:
        raise InputError("the part of the address before @ cannot be written to")
    if len(domain) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InputError("the part of the address after @ is no domain name")
    return Address(local, domain)


def header_text(text: str, limit: int = 200) -> str:
    """`text` as a header may hold it, its unbreakable spaces as plain ones. Raises InputError for a control character,
    which could begin another header.
    """
    text = text.translate(_SPACES)
    if not text.isprintable():
        raise InputError("a header may hold no control character")
    if not text.strip() or len(text) > limit:
        raise InputError(f"a header has 1 to {limit} letters")
    return text


def address_hash(secret: bytes, shop: str, address: Address) -> str:
    """What a shop remembers an address by: without the secret it cannot be found out by trying."""
    told = f"{shop}/{address}".lower()
    return hmac.new(secret, b"address" + told.encode(), hashlib.sha256).hexdigest()


def message_id(request: UUID, domain: str) -> str:
    """The Message-ID of a request: the same at each attempt, so that a mailbox knows a second copy for what it is."""
    return f"<{request}@{domain}>"


def return_path(secret: bytes, request: UUID, domain: str) -> str:
    """The address that a report comes back to. It names the request, and nobody else can make one."""
    token = base64.b32encode(request.bytes + _tag(secret, request)).decode().rstrip("=").lower()
    return f"b+{token}@{domain}"


def read_return_path(secret: bytes, address: str) -> UUID | None:
    """The request that a return path of ours names; None for any other address, and for a forged one."""
    found = _TOKEN.match(address.strip().strip("<>"))
    if found is None:
        return None
    raw = base64.b32decode(found[1].upper() + "=")
    request = UUID(bytes=raw[:16])
    return request if hmac.compare_digest(raw[16:], _tag(secret, request)) else None


def _tag(secret: bytes, request: UUID) -> bytes:
    return hmac.new(secret, b"return path" + request.bytes, hashlib.sha256).digest()[:_TAG_BYTES]

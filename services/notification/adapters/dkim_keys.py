"""DKIM: a key of its own for each domain that mail is from, and signatures by it (RFC 6376)."""

import base64
import os
import stat
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import dkim  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from relance.kernel.errors import InputError
from services.notification.domain.senders import DkimKey, Sender

__all__ = ["DkimKeys", "make_key", "make_missing", "record_of"]

_BITS: Final = 2_048
# What a reader sees or a program acts upon. `from` once more: a second From added on the way breaks the signature.
_SIGNED: Final = (
    b"from", b"to", b"reply-to", b"subject", b"date", b"message-id", b"auto-submitted", b"content-language",
    b"mime-version", b"content-type", b"from", b"reply-to",
)  # fmt: skip


class DkimKeys:
    """The keys of all senders, read once. Raises InputError for one that is missing, or that others could read."""

    def __init__(self, directory: Path, senders: Iterable[Sender]) -> None:
        self._keys = {sender.dkim: _read(_path(directory, sender.dkim)) for sender in senders}

    def sign(self, sender: Sender, content: bytes) -> bytes:
        """`content` with a DKIM-Signature before it."""
        key = sender.dkim
        signature: bytes = dkim.sign(
            content,
            key.selector.encode(),
            key.domain.encode(),
            self._keys[key],
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=list(_SIGNED),
        )
        return signature + content


def make_key(directory: Path, key: DkimKey) -> Path:
    """A new private key, for its owner's eyes alone. Raises InputError when there is one: mail signed with it may still
    be on its way, so a new one gets a new selector.
    """
    path = _path(directory, key)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = rsa.generate_private_key(65_537, _BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{path} is there already: choose another selector for a new key") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return path


def make_missing(directory: Path, senders: Iterable[Sender]) -> None:
    """A new key for each sender that has none."""
    for sender in senders:
        if not _path(directory, sender.dkim).exists():
            make_key(directory, sender.dkim)


def record_of(directory: Path, key: DkimKey) -> str:
    """The DNS record to publish, as a line of a zone file. Raises InputError when there is no key."""
    private = serialization.load_pem_private_key(_read(_path(directory, key)), password=None)
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    value = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    strings = " ".join(f'"{part}"' for part in textwrap.wrap(value, 200, drop_whitespace=False))
    return f"{key.selector}._domainkey.{key.domain}. IN TXT ( {strings} )"


def _path(directory: Path, key: DkimKey) -> Path:
    return directory / key.domain / f"{key.selector}.pem"


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"DKIM key {path}: {error.strerror}: make one with `python -m services.notification key DOMAIN`"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise InputError(f"DKIM key {path} can be read by others: chmod 600")
    return pem

"""Keys: the master key that wraps each person's, and the key that signs checkpoints. Both are files, or settings."""

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from typing_extensions import override

from relance.custody.secret_files import make_once
from relance.evidence.checkpoints import key_hex, key_pem
from relance.kernel.errors import InputError

__all__ = [
    "MasterKey", "UnknownMaster", "find_master_key", "local_master_key", "local_signing_key", "master_key",
    "read_signing_key",
]  # fmt: skip

_BYTES: Final = 32


class UnknownMaster(InputError):  # noqa: N818 - the name says what the caller should understand
    """What is encrypted was encrypted under a master key that is not at hand."""


class MasterKey(msgspec.Struct, frozen=True):
    """The key that wraps and finds. `older`: keys that were in use before, which still open what they wrapped."""

    secret: bytes
    older: tuple[bytes, ...] = ()

    @override
    def __repr__(self) -> str:  # a key must not reach a log
        return f"MasterKey({self.name})"

    @property
    def name(self) -> str:
        """How it is named beside what it wrapped; says nothing of the key."""
        return _name(self.secret)

    def secret_of(self, name: str) -> bytes:
        """The key of this name. Raises UnknownMaster when it was not given."""
        for secret in (self.secret, *self.older):
            if _name(secret) == name:
                return secret
        raise UnknownMaster(f"personal data need the master key {name}: set RELANCE_CHECKOUT_MASTER_KEY")


def _name(secret: bytes) -> str:
    return sha256(b"relance master key" + secret).hexdigest()[:16]


def master_key(text: str) -> MasterKey:
    """A master key of its setting: 64 hexadecimal digits, or several with commas between, the one in use first; or the
    path of a file that holds them. Raises InputError.
    """
    given = text.strip()
    if not given:
        raise InputError("no master key: set RELANCE_CHECKOUT_MASTER_KEY to 64 hexadecimal digits or to a file of them")
    if not _is_hex(given.partition(",")[0].strip()):
        try:
            given = Path(given).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "not a text"
            raise InputError(f"the master key is neither 64 hexadecimal digits nor a file of them: {said}") from None
    keys = [each.strip() for each in given.replace("\n", ",").split(",") if each.strip()]
    if not keys or not all(_is_hex(each) for each in keys):
        raise InputError("a master key is 64 hexadecimal digits (32 bytes): make one with `openssl rand -hex 32`")
    secret, *older = (bytes.fromhex(each) for each in keys)
    return MasterKey(secret, tuple(older))


def _is_hex(text: str) -> bool:
    return len(text) == 2 * _BYTES and not set(text.lower()) - set("0123456789abcdef")


def local_master_key(home: Path) -> MasterKey:
    """The master key of this machine, in `<home>/checkout/master.key`; made by the first call, for its owner alone."""
    path = home / "checkout" / "master.key"
    make_once(path, secrets.token_hex(_BYTES).encode() + b"\n")
    return master_key(str(path))


def find_master_key(setting: str, home: Path) -> MasterKey:
    """The key that the setting gives, else that of this machine. Raises InputError."""
    return master_key(setting) if setting.strip() else local_master_key(home)


def local_signing_key(home: Path) -> Ed25519PrivateKey:
    """The key that signs checkpoints on this machine, in `<home>/checkout/signing.pem`, with its public half beside it
    in `signing.pub.pem`; made by the first call.
    """
    path = home / "checkout" / "signing.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_once(path, pem)
    key = read_signing_key(path)
    public = path.with_suffix(".pub.pem")
    if not public.exists():
        public.write_text(key_pem(key_hex(key.public_key())), encoding="ascii")
    return key


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file (PKCS 8, not encrypted). Raises InputError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InputError(f"the key that signs checkpoints: {path.name}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise InputError(f"the key that signs checkpoints: {path.name} is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"the key that signs checkpoints: {path.name} is no Ed25519 key")
    return key

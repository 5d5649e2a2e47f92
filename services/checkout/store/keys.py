"""Keys: the master key that wraps each person's, and the key that signs checkpoints. Both are files, or settings."""

import hmac
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typing_extensions import override

from relance.custody.secret_files import make_once
from relance.custody.signing_keys import SigningKeys, new_signing_pem, read_signing_key
from relance.evidence.checkpoints import key_hex, key_pem
from relance.kernel.errors import InputError

__all__ = [
    "MasterKey", "UnknownMaster", "find_master_key", "key_name", "local_master_key", "local_signing_key", "lookup_of",
    "master_key", "read_signing_key", "signing_keys",
]  # fmt: skip

_BYTES: Final = 32


class UnknownMaster(InputError):  # noqa: N818 - the name says what the caller should understand
    """What is encrypted was encrypted under a master key that is not at hand."""


class MasterKey(msgspec.Struct, frozen=True):
    """The key that wraps and finds. `older`: keys that were in use before, which still open what they wrapped.

    `source`: the file that holds them; a rotation puts a new key there, and whoever meets what it wrapped looks again.
    """

    secret: bytes
    older: tuple[bytes, ...] = ()
    source: Path | None = None

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
        if self.source is not None:
            again = master_key(str(self.source))
            for secret in (again.secret, *again.older):
                if _name(secret) == name:
                    return secret
        raise UnknownMaster(f"personal data need the master key {name}: set RELANCE_CHECKOUT_MASTER_KEY")


def key_name(shop: str, subject: str) -> str:
    """Whose key it is, as a wrapped key says it."""
    return f"{shop}/{subject}"


def lookup_of(secret: bytes, hash_: str) -> str:
    """Under which name encrypted bytes are found by the hash of what they hold."""
    key = sha256(b"relance lookup" + secret).digest()
    return hmac.new(key, hash_.encode(), sha256).hexdigest()


def _name(secret: bytes) -> str:
    return sha256(b"relance master key" + secret).hexdigest()[:16]


def master_key(text: str) -> MasterKey:
    """A master key of its setting: 64 hexadecimal digits, or several with commas between, the one in use first; or the
    path of a file that holds them. Raises InputError.
    """
    given = text.strip()
    if not given:
        raise InputError("no master key: set RELANCE_CHECKOUT_MASTER_KEY to 64 hexadecimal digits or to a file of them")
    source: Path | None = None
    if not _is_hex(given.partition(",")[0].strip()):
        source = Path(given)
        try:
            given = source.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "not a text"
            raise InputError(f"the master key is neither 64 hexadecimal digits nor a file of them: {said}") from None
    keys = [each.strip() for each in given.replace("\n", ",").split(",") if each.strip()]
    if not keys or not all(_is_hex(each) for each in keys):
        raise InputError("a master key is 64 hexadecimal digits (32 bytes): make one with `openssl rand -hex 32`")
    secret, *older = (bytes.fromhex(each) for each in keys)
    return MasterKey(secret, tuple(older), source)


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
    make_once(path, new_signing_pem())
    key = read_signing_key(path)
    public = path.with_suffix(".pub.pem")
    if not public.exists():
        public.write_text(key_pem(key_hex(key.public_key())), encoding="ascii")
    return key


def signing_keys(setting: str, home: Path) -> SigningKeys:
    """The keys that sign checkpoints: beside the file that the setting names, else those of this machine."""
    if not setting:
        local_signing_key(home)
    keys = SigningKeys(Path(setting) if setting else home / "checkout" / "signing.pem")
    keys.check()
    return keys

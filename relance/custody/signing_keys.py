"""Keys that sign checkpoints: the one in force, and the next one until the log has handed over to it.

A hand-over is a checkpoint, signed with the old key, that names the new one. The next key lies beside the old until
that checkpoint is in the log; then it takes its place. Whatever ends in between is gone on with from what is there.
"""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from relance.custody.secret_files import make_once, sync_directory
from relance.evidence.checkpoints import Checkpoint, key_hex
from relance.kernel.errors import InputError

__all__ = ["SigningKeys", "new_signing_pem", "read_signing_key"]


class SigningKeys:
    """The files `signing.pem` and, while a rotation is under way, `signing.next.pem`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_suffix(".next.pem")

    @property
    def pending(self) -> str:
        """The raw public key, in hexadecimal, that the log is to hand over to; empty when none waits."""
        return key_hex(read_signing_key(self._next).public_key()) if self._next.exists() else ""

    @property
    def current(self) -> str:
        """The raw public key of the file that is in force, in hexadecimal."""
        return key_hex(read_signing_key(self._path).public_key())

    def check(self) -> None:
        """Raises InputError when there is no key to sign with."""
        read_signing_key(self._path)

    def begin(self) -> str:
        """Make the next key, unless one waits already; its public half in hexadecimal."""
        make_once(self._next, new_signing_pem())
        return self.pending

    def at(self, last: Checkpoint | None) -> tuple[Ed25519PrivateKey, Ed25519PublicKey | None]:
        """The key for the checkpoint after `last`, and the one that this checkpoint hands over to, if any.

        Raises InputError for files that hold no key.
        """
        if not self._next.exists():
            return read_signing_key(self._path), None
        coming = read_signing_key(self._next)
        if last is not None and key_hex(coming.public_key()) in {last.header.next_key, last.header.key}:
            self._next.replace(self._path)
            sync_directory(self._path.parent)
            return coming, None
        return read_signing_key(self._path), coming.public_key()


def new_signing_pem() -> bytes:
    """A new private key in PEM (PKCS 8, not encrypted)."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


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

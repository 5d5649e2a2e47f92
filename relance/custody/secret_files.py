"""Secrets of this machine: files that the first who needs one makes, for their owner alone."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from relance.kernel.errors import InputError

__all__ = ["kept_secret", "make_once", "replace_whole", "sync_directory"]

_BYTES: Final = 32


def kept_secret(path: Path) -> str:
    """What the file holds: 64 random letters, made when it is not there. Raises InputError when it cannot be had."""
    try:
        make_once(path, f"{secrets.token_hex(_BYTES)}\n".encode())
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not a text'}") from None
    if not found:
        raise InputError(f"{path}: is empty; remove it, and a new one is made")
    return found


def make_once(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read, unless it is there. Whole or not at all, whoever is first: another
    process may begin at the same time and look for it.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # then the other's counts
            os.link(fresh, path)
    finally:
        Path(fresh).unlink()


def replace_whole(path: Path, data: bytes) -> None:
    """Put other contents in the place of a secret's: whole or not at all, and on disk when this returns."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Wait until the disk has what changed in a directory."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

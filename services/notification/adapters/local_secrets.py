"""Secrets of this machine: files that the first who needs one makes, for their owner alone."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from relance.kernel.errors import InputError

__all__ = ["local_secret"]

_BYTES: Final = 32


def local_secret(path: Path) -> str:
    """What the file holds; it is made when it is not there. Raises InputError when it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not a text'}") from None
    if not found:
        raise InputError(f"{path}: is empty; remove it, and a new one is made")
    return found


def _make(path: Path) -> None:
    """Whole or not at all, whoever is first: another service may begin at the same time and look for it."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # then the other's counts
            os.link(fresh, path)
    finally:
        Path(fresh).unlink()

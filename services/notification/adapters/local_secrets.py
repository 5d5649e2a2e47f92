"""Secrets of this machine: files that the first who needs one makes, for their owner alone."""

import os
import secrets
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
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_BYTES))
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None

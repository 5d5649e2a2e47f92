"""Addresses of electronic mail: which text is one that a letter can go to."""

import re
from typing import Final

__all__ = ["EMAIL_MAX", "is_email"]

EMAIL_MAX: Final = 254
# What can stand in an envelope of SMTP and in a header without any quoting: nothing else is written to.
_EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}@[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,253}")


def is_email(text: str) -> bool:
    """Whether a text is an address and nothing else: no name beside it, no brackets, no blank around it."""
    return len(text) <= EMAIL_MAX and _EMAIL.fullmatch(text) is not None

"""The tree of errors.

RelanceError
├── InputError        what came in is wrong: one clear line, nothing changed (exit code 2, HTTP 4xx)
│   └── DefinitionsError  a windows file is wrong: file, line and reason
├── NotNow            the system cannot take it at the moment: try again (HTTP 503, RESOURCE_EXHAUSTED)
└── Defect            a state that must not be: the process ends with exit code 1 and replays
"""

__all__ = ["Defect", "DefinitionsError", "InputError", "NotNow", "RelanceError"]


class RelanceError(Exception):
    """Base of all errors that Relance raises on purpose; its text is one clear line."""


class InputError(RelanceError):
    """What came in is wrong; the text says what to do."""


class DefinitionsError(InputError):
    """A windows file cannot be used."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class NotNow(RelanceError):  # noqa: N818 - the name says what the caller should understand
    """Not possible at the moment."""

    def __init__(self, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Defect(RelanceError):  # noqa: N818 - see NotNow
    """An invariant is broken; the process must end."""

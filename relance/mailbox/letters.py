"""Letters in a folder: one file each, whole or not there; and a letter taken apart for reading."""

import os
import time
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Letter", "Letters", "Part"]

_SUFFIX: Final = ".eml"


class Part(NamedTuple):
    """A part of a letter that is no text to read in it: a document."""

    name: str
    media_type: str
    content: bytes


class Letter(NamedTuple):
    """A letter, read. `to` is of the envelope: who got it."""

    id: str
    to: str
    sender: str
    subject: str
    at: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


class Letters:
    """The folder. Names count up with time, so the newest letter has the greatest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, sender: str, recipients: list[str], data: bytes) -> str:
        """Keep a letter as it came, with its envelope before it; returns its id once it is on disk."""
        self._count += 1
        id_ = f"{time.time_ns():020d}-{os.getpid()}-{self._count}"
        envelope = f"Return-Path: <{sender}>\r\n" + "".join(f"Delivered-To: {one}\r\n" for one in recipients)
        fresh = self._folder / f"{id_}.part"
        with fresh.open("wb") as file:
            file.write(envelope.encode() + data)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._folder / f"{id_}{_SUFFIX}")
        return id_

    def ids(self) -> list[str]:
        """The newest first."""
        return sorted((path.stem for path in self._folder.glob(f"*{_SUFFIX}")), reverse=True)

    def read(self, id_: str) -> Letter | None:
        """The letter; None when there is none of this id."""
        if id_ not in self.ids():
            return None
        data = (self._folder / f"{id_}{_SUFFIX}").read_bytes()
        message = BytesParser(policy=policy.default).parsebytes(data)
        assert isinstance(message, EmailMessage)
        return _letter(id_, message)


def _letter(id_: str, message: EmailMessage) -> Letter:
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    return Letter(
        id=id_,
        to=", ".join(str(one) for one in message.get_all("Delivered-To", [])),
        sender=str(message.get("From", "")),
        subject=str(message.get("Subject", "")),
        at=str(message.get("Date", "")),
        text=_words(plain),
        html=_words(rich),
        headers=tuple((name, str(value)) for name, value in message.items()),
        parts=tuple(_part(number, one) for number, one in enumerate(message.iter_attachments())),
    )


def _words(part: MIMEPart | None) -> str:
    if part is None:
        return ""
    content = part.get_content()
    return content if isinstance(content, str) else ""


def _part(number: int, part: EmailMessage) -> Part:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    return Part(part.get_filename() or f"part-{number}", part.get_content_type(), content)

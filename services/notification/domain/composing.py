"""A message of parts: the same bytes for the same parts, so that a second attempt sends what the first did."""

import hashlib
from datetime import datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

import msgspec

from services.notification.domain.addresses import Address, header_text, parse_address
from services.notification.domain.senders import Sender

__all__ = ["Attachment", "Letter", "compose"]

_POLICY: Final = SMTP.clone(cte_type="7bit", max_line_length=78)


class Attachment(msgspec.Struct, frozen=True):
    """A file of a message."""

    name: str
    media_type: str
    content: bytes


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is made of. Every text comes twice: as HTML and plainly."""

    sender: Sender
    to: Address
    subject: str
    message_id: str
    dated: datetime
    locale: str
    html: str
    text: str
    attachments: tuple[Attachment, ...] = ()


def compose(letter: Letter) -> bytes:
    """The message with CRLF, in 7-bit ASCII: no relay on its way need change a byte that is signed.

    Raises InputError when a header would hold a control character.
    """
    message = EmailMessage(_POLICY)
    origin = parse_address(letter.sender.address)
    name = header_text(letter.sender.name)
    message["From"] = HeaderAddress(display_name=name, username=origin.local, domain=origin.domain)
    message["To"] = HeaderAddress(username=letter.to.local, domain=letter.to.domain)
    if letter.sender.reply_to:
        answered = parse_address(letter.sender.reply_to)
        message["Reply-To"] = HeaderAddress(username=answered.local, domain=answered.domain)
    message["Subject"] = header_text(letter.subject)
    message["Date"] = format_datetime(letter.dated)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
    message["Content-Language"] = letter.locale.replace("_", "-")
    message.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", charset="utf-8", cte="quoted-printable")
    for attachment in letter.attachments:
        main, _, sub = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name)
    _set_boundaries(message, letter.message_id)
    return message.as_bytes()


def _set_boundaries(message: EmailMessage, seed: str) -> None:
    for place, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary("=_" + hashlib.sha256(f"{seed}/{place}".encode()).hexdigest()[:40])

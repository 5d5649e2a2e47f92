"""A request as the message that goes out: documents fetched and checked, filled, looked through, composed, signed."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from relance.events.messages import MessageRequest
from relance.kernel.errors import InputError
from relance.observability.logs import logger
from services.notification.adapters.mail.rendering import Rendered, Templates
from services.notification.domain.addresses import message_id, parse_address, return_path
from services.notification.domain.composing import Attachment, Letter, compose
from services.notification.domain.linting import lint_structure, lint_wording
from services.notification.domain.senders import Sender
from services.notification.metrics import Metrics
from services.notification.ports import Documents, Envelope, Signer

__all__ = ["ATTACHED_BYTES_MAX", "HashMismatch", "Prepared", "Preparing"]

ATTACHED_BYTES_MAX: Final = 7_000_000  # in base64 below the 10 MB at which servers begin to refuse


class HashMismatch(InputError):  # noqa: N818 - the name says what was found
    """A document is not the one that was asked for."""


class Prepared(NamedTuple):
    """What goes to the server."""

    envelope: Envelope
    content: bytes
    message_id: str


class Preparing:
    """Makes messages of requests."""

    def __init__(
        self, senders: Mapping[str, Sender], documents: Documents, signer: Signer, secret: bytes, metrics: Metrics
    ) -> None:
        self._senders = senders
        self._documents = documents
        self._signer = signer
        self._secret = secret
        self._metrics = metrics
        self._templates = Templates()
        self._log = logger("preparing")

    async def prepare(self, request: MessageRequest) -> Prepared:
        """The signed message. Raises InputError when there never can be one, NotNow when checkout does not answer."""
        self._templates.kinds.check(request)
        sender = self._senders.get(request.shop)
        if sender is None:
            raise InputError(f"there is no sender for the shop {request.shop}")
        recipient = parse_address(request.to)
        body = await self._body(request, sender)
        attachments = await self._attachments(request)
        identity = message_id(request.id, sender.domain)
        letter = Letter(
            sender=sender,
            to=recipient,
            subject=body.subject,
            message_id=identity,
            dated=request.requested_at,
            locale=request.locale,
            html=body.html,
            text=body.text,
            attachments=tuple(attachments),
        )
        content = await asyncio.to_thread(lambda: self._signer.sign(sender, compose(letter)))
        envelope = Envelope(request.id, return_path(self._secret, request.id, sender.bounce_domain), str(recipient))
        return Prepared(envelope, content, identity)

    async def _attachments(self, request: MessageRequest) -> list[Attachment]:
        attachments: list[Attachment] = []
        left = ATTACHED_BYTES_MAX
        for each in request.documents:
            content = await self._document(request.shop, each.sha256)
            left -= len(content)
            if left < 0:
                raise InputError(f"the documents have more than {ATTACHED_BYTES_MAX} bytes; many servers take no more")
            attachments.append(Attachment(each.name, each.media_type, content))
        return attachments

    async def _body(self, request: MessageRequest, sender: Sender) -> Rendered:
        given = request.body_sha256
        if given is None:
            return self._templates.render(request, sender)
        html = _text(await self._document(request.shop, given.html))
        text = _text(await self._document(request.shop, given.text))
        if found := lint_structure(html, None):
            raise InputError("checkout's body holds " + "; ".join(f"{each.rule}: {each.shown}" for each in found[:5]))
        if words := lint_wording(text):
            self._metrics.wording.inc()
            self._log.warning("wording", request=str(request.id), words=[each.shown for each in words[:5]])
        return Rendered(str(request.facts["subject"]), html, text)

    async def _document(self, shop: str, digest: str) -> bytes:
        content = await self._documents.fetch(shop, digest)
        if sha256(content).hexdigest() != digest:
            raise HashMismatch(f"checkout gave another document than {digest}")
        return content


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("checkout's body is not UTF-8") from None

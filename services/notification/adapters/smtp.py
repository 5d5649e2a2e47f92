"""SMTP by aiosmtplib: a pool of connections to one relay, and the one place where a message's end is sent."""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)  # fmt: skip

from services.notification.domain.failures import Failure, Sort, Stage, classify, without_addresses
from services.notification.ports import Accepted, Answer, Envelope, MayEnd, Unknown, Withdrawn
from services.notification.settings import Settings

__all__ = ["SmtpPool"]

_IDLE_S: Final = 20.0  # servers end idle connections after a while; a shorter one is ours to end
_DOT: Final = re.compile(rb"^\.", re.MULTILINE)
_START: Final = 354
_TAKEN: Final = 250
_BROKEN: Final = (SMTPServerDisconnected, SMTPTimeoutError, OSError)


class _Line:
    """A connection that greeted us."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.messages = 0
        self.free_since_s = 0.0


class SmtpPool:
    """At most `smtp_connections` connections, each used for several messages (`services.notification.ports.Mailer`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free: list[_Line] = []
        self._places = asyncio.Semaphore(settings.smtp_connections)
        self._context = _context(settings)

    async def send(self, envelope: Envelope, content: bytes, may_end: MayEnd) -> Answer:
        """One attempt. A connection that was kept and has ended meanwhile is replaced before anything is said on it."""
        try:
            async with self._line() as line:
                if failure := await self._address(line.client, envelope, len(content)):
                    return failure
                return await self._deliver(line, content, may_end)
        except SMTPException as error:
            return _failure(error)
        except OSError as error:
            return _failure(error)

    async def close(self) -> None:
        """Say goodbye on the connections that are kept."""
        while self._free:
            await _goodbye(self._free.pop().client)

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[_Line]:
        async with self._places:
            line = await self._kept() or _Line(await self._connect())
            try:
                yield line
            except BaseException:
                line.client.close()  # whatever was under way on it must not be finished by the next message
                raise
            line.messages += 1
            if not line.client.is_connected:
                return
            if line.messages >= self._settings.smtp_messages_max:
                await _goodbye(line.client)
                return
            line.free_since_s = time.monotonic()
            self._free.append(line)

    async def _kept(self) -> _Line | None:
        while self._free:
            line = self._free.pop()
            if time.monotonic() - line.free_since_s < _IDLE_S and line.client.is_connected:
                try:
                    await line.client.rset()
                except (SMTPException, OSError):
                    line.client.close()
                else:
                    return line
            else:
                line.client.close()
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password or None,
            local_hostname=settings.smtp_hello,
            timeout=settings.smtp_timeout_s,
            use_tls=settings.smtp_tls == "implicit",
            start_tls={"starttls": True, "opportunistic": None}.get(settings.smtp_tls, False),
            tls_context=self._context,
        )
        try:
            await client.connect()
            if not client.last_ehlo_response:
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        return client

    async def _address(self, client: aiosmtplib.SMTP, envelope: Envelope, size: int) -> Failure | None:
        dsn = client.supports_extension("dsn")
        options = [f"SIZE={size}"] if client.supports_extension("size") else []
        asked = []
        if dsn:
            options += ["RET=HDRS", f"ENVID={envelope.request}"]
            asked = ["NOTIFY=SUCCESS,FAILURE,DELAY" if self._settings.report_success else "NOTIFY=FAILURE,DELAY"]
        try:
            await client.mail(envelope.sender, options=options)
            await client.rcpt(envelope.recipient, options=asked)
        except SMTPSenderRefused as error:
            return self._refused(client, error, "sender")
        except SMTPRecipientRefused as error:
            return self._refused(client, error, "recipient")
        return None

    async def _deliver(self, line: _Line, content: bytes, may_end: MayEnd) -> Answer:
        """Content, then the commitment, then the end: see `services.notification.domain.deliveries`."""
        client, protocol = line.client, line.client.protocol
        if protocol is None:
            return Failure("connection", detail="the connection has ended")
        start = await protocol.execute_command(b"DATA", timeout=self._settings.smtp_timeout_s)
        if start.code != _START:
            return self._refused(client, SMTPResponseException(start.code, start.message), "content")
        protocol.write(_DOT.sub(b"..", content))
        try:
            if not await may_end():
                client.close()
                return Withdrawn()
        except BaseException:
            client.close()  # without its end the message is dropped by the server
            raise
        protocol.write(b".\r\n")  # raises when the connection has ended: then the end did not go out
        try:
            reply = await protocol.read_response(timeout=self._settings.smtp_answer_s)
        except _BROKEN as error:
            client.close()
            return Unknown(without_addresses(str(error)))
        except BaseException:
            client.close()
            raise
        if reply.code != _TAKEN:
            return self._refused(client, SMTPResponseException(reply.code, reply.message), "content")
        return Accepted(reply.code, without_addresses(reply.message))

    def _refused(self, client: aiosmtplib.SMTP, error: SMTPResponseException, stage: Stage) -> Failure:
        if error.code == 421:  # it closes the connection
            client.close()
        return classify(error.code, str(error.message), stage)


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_tls == "none":
        return None
    context = ssl.create_default_context(cafile=settings.smtp_ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.smtp_tls == "opportunistic":  # RFC 7435: better than nothing against who only listens
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _failure(error: BaseException) -> Failure:
    if isinstance(error, SMTPResponseException) and not _is_tls(error):
        return classify(error.code, error.message, _stage(error))
    sort: Sort = "connection"
    if _is_tls(error):
        sort = "tls"
    elif isinstance(error, TimeoutError):
        sort = "timeout"
    elif isinstance(error, SMTPNotSupported):
        sort = "policy"
    return Failure(sort, detail=without_addresses(f"{type(error).__name__}: {error}"))


def _stage(error: SMTPResponseException) -> Stage:
    return "authentication" if isinstance(error, SMTPAuthenticationError) else "greeting"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or "STARTTLS" in str(error) or "TLS" in type(error).__name__:
            return True
        error = error.__cause__ or error.__context__
    return False


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit(timeout=2.0)
    except (SMTPException, OSError):
        client.close()

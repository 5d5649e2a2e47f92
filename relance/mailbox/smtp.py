"""The SMTP side (RFC 5321): takes every letter, keeps it, passes none on."""

import asyncio
import re
from contextlib import suppress
from typing import Final

from relance.mailbox.letters import Letters

__all__ = ["LETTER_BYTES_MAX", "Smtp"]

LETTER_BYTES_MAX: Final = 20_000_000
_LINE_BYTES_MAX: Final = 100_000  # long lines of a letter; those of commands are shorter
_CONNECTIONS_MAX: Final = 50
_RECIPIENTS_MAX: Final = 100
_IDLE_S: Final = 120.0
_PATH: Final = re.compile(r"(?i)^(?:FROM|TO):\s*<([^<>\s]*)>(.*)$")
_EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", f"SIZE {LETTER_BYTES_MAX}")


class Smtp:
    """The server. `start` it, then `close` it."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_LINE_BYTES_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _CONNECTIONS_MAX:
                writer.write(b"421 4.3.2 too many connections\r\n")
                return
            await _Talk(self._letters, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            pass  # the other side has gone, or said a line without end
        finally:
            self._open -= 1
            writer.close()
            with suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 5.0)


class _Talk:
    """One connection."""

    def __init__(self, letters: Letters, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._letters = letters
        self._reader = reader
        self._writer = writer
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        """Until the other side has had enough."""
        await self._say("220 mailbox ready")
        while True:
            line = await asyncio.wait_for(self._reader.readuntil(b"\r\n"), _IDLE_S)
            command, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
            if command.upper() == "QUIT":
                await self._say("221 2.0.0 bye")
                return
            await self._answer(command.upper(), argument.strip())

    async def _answer(self, command: str, argument: str) -> None:
        match command:
            case "EHLO":
                self._forget()
                first, *last = ("mailbox", *_EXTENSIONS)
                lines = [f"250-{first}", *(f"250-{one}" for one in last[:-1]), f"250 {last[-1]}"]
                await self._say("\r\n".join(lines))
            case "HELO" | "RSET" | "NOOP":
                if command != "NOOP":
                    self._forget()
                await self._say("250 2.0.0 ok")
            case "MAIL":
                await self._mail(argument)
            case "RCPT":
                await self._recipient(argument)
            case "DATA":
                await self._data()
            case _:
                await self._say("502 5.5.1 not here")

    async def _mail(self, argument: str) -> None:
        found = _PATH.match(argument)
        if found is None or self._sender is not None:
            await self._say("503 5.5.1 one sender at a time" if found else "501 5.5.4 MAIL FROM:<address>")
            return
        size = re.search(r"(?i)\bSIZE=(\d+)", found[2])
        if size is not None and int(size[1]) > LETTER_BYTES_MAX:
            await self._say("552 5.3.4 too large")
            return
        self._sender = found[1]
        await self._say("250 2.1.0 ok")

    async def _recipient(self, argument: str) -> None:
        found = _PATH.match(argument)
        if self._sender is None or found is None or "@" not in found[1]:
            await self._say("501 5.5.4 RCPT TO:<address>, after MAIL")
        elif len(self._recipients) >= _RECIPIENTS_MAX:
            await self._say("452 4.5.3 too many recipients")
        else:
            self._recipients.append(found[1])
            await self._say("250 2.1.5 ok")

    async def _data(self) -> None:
        if self._sender is None or not self._recipients:
            await self._say("503 5.5.1 MAIL and RCPT come first")
            return
        await self._say("354 end with a line that is one dot")
        data = await self._body()
        if data is None:
            await self._say("552 5.3.4 too large")
        else:
            id_ = await asyncio.to_thread(self._letters.keep, self._sender, self._recipients, data)
            await self._say(f"250 2.0.0 kept as {id_}")
        self._forget()

    async def _body(self) -> bytes | None:
        """The letter without the dots that were added to it; None when it is too large."""
        lines: list[bytes] = []
        size = 0
        while (line := await asyncio.wait_for(self._reader.readuntil(b"\r\n"), _IDLE_S)) != b".\r\n":
            line = line[1:] if line.startswith(b".") else line
            size += len(line)
            if size <= LETTER_BYTES_MAX:
                lines.append(line)
        return b"".join(lines) if size <= LETTER_BYTES_MAX else None

    def _forget(self) -> None:
        self._sender, self._recipients = None, []

    async def _say(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()

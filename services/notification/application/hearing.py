"""Requests as they come: kept once, or buried with the reason."""

from collections.abc import Callable, Sequence
from typing import Final

from relance.events.messages import decode_request
from relance.kernel.errors import InputError
from relance.observability.logs import logger
from services.notification.domain.addresses import address_hash, parse_address
from services.notification.domain.deliveries import Source
from services.notification.metrics import Metrics
from services.notification.store.ledger import DeadLetter, Heard, Ledger

__all__ = ["Hearing"]

_UNREADABLE: Final = ""


class Hearing:
    """Keeps requests. `heard` is called when there is something new to send."""

    def __init__(
        self, ledger: Ledger, secret: bytes, metrics: Metrics, now_ms: Callable[[], int], heard: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._secret = secret
        self._metrics = metrics
        self._now_ms = now_ms
        self._heard = heard
        self._log = logger("hearing")

    async def take(self, records: Sequence[tuple[Source, bytes]]) -> None:
        """Keep the requests in `records`; what is none, or names no recipient, is said to the dead letters in the same
        transaction. Raises NotNow.
        """
        requests: list[Heard] = []
        letters: list[DeadLetter] = []
        for source, value in records:
            try:
                requests.append(self._read(source, value))
            except InputError as error:
                self._log.error(
                    "dead_letter", reason=str(error)[:200], partition=source.partition, offset=source.offset
                )
                key = f"{source.topic}/{source.partition}/{source.offset}"
                letters.append(DeadLetter(key, value, str(error), source))
        new = await self._ledger.hear(requests, letters, self._now_ms())
        self._metrics.heard.labels("new").inc(new)
        self._metrics.heard.labels("again").inc(len(requests) - new)
        self._metrics.heard.labels("unreadable").inc(len(letters))
        if new:
            self._heard()

    def _read(self, source: Source, value: bytes) -> Heard:
        request = decode_request(value)
        try:
            address = parse_address(request.to)
        except InputError:  # sending will say so in an outcome that checkout hears
            return Heard(request, _UNREADABLE, "", source)
        return Heard(request, address.domain, address_hash(self._secret, request.shop, address), source)

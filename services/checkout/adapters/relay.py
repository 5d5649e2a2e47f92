"""The relay: what transactions queued in the outbox goes to Kafka, at least once, in order for each key.

Of one key one message is under way at a time, so that none overtakes a message that Kafka did not take yet; keys and
topics do not wait for each other. A message that Kafka will never take is marked and left; any other failure is tried
again. Kafka may be away for as long as it likes: no order waits for it.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from relance.kafka.producer import producer_config
from relance.kernel.errors import RelanceError
from relance.observability import logs

__all__ = ["Box", "Queued", "Relay"]

BATCH: Final = 500  # messages read at a time
FLYING_MAX: Final = 2_000  # messages under way
IDLE_S: Final = 0.1  # how often it looks for what other processes queued
DELIVERY_S: Final = 10.0  # how long librdkafka itself tries
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)
_SLICE_S: Final = 0.05  # how long it listens for what became of messages before it looks for more
_LATE_S: Final = 1.0  # after so long without an answer something is wrong
_AWAY_S: Final = 0.5  # how often it looks for more while it does not get on
_LOOK_S: Final = 1.0  # how often it looks whether the role is still its own
_NEVER: Final = frozenset(
    {
        KafkaError._INVALID_ARG, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD,  # noqa: SLF001 - their names
        KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE,
    }
)  # fmt: skip

Held = Callable[[], Awaitable[bool]]
Place = tuple[str, str]  # topic, key


class Queued(Protocol):
    """A message of the outbox."""

    @property
    def id(self) -> int:
        """Its place: messages of one key go in this order."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def key(self) -> str:
        """Its key there."""

    @property
    def value(self) -> bytes:
        """Its bytes."""

    @property
    def message_id(self) -> str:
        """The same whenever it is said: who hears it twice knows by it."""


class Box(Protocol):
    """The outbox. Its calls raise NotNow while the database is away."""

    def leading(self) -> AbstractAsyncContextManager[Held | None]:
        """The role of the one relay, None inside when another process has it; it tells whether it still holds."""

    async def unsent(self, limit: int, after: int = 0) -> Sequence[Queued]:
        """The oldest messages that Kafka has not got, from the place after `after` on."""

    async def sent(self, ids: Collection[int]) -> None:
        """Kafka has these."""

    async def refused(self, id_: int, error: str) -> None:
        """Kafka will never take this one."""


class _Landed(NamedTuple):
    """What became of a message: no error, or Kafka's."""

    message: Queued
    error: Any


class _Flight:
    """The messages under way: at most one of each place. Used by one task; reports come in another thread."""

    def __init__(self, config: dict[str, Any]) -> None:
        # Not a line for each connection that a broker which is away refuses: `problem` says it once.
        self._producer = confluent_kafka.Producer(config | {"error_cb": self._hear, "log_level": 2})
        self._fatal: Any = None
        self._reports: deque[_Landed] = deque()
        self._retry_s: dict[Place, tuple[int, float]] = {}  # turns so far, and when the next begins
        self.flying: dict[Place, tuple[int, float]] = {}  # its place in the outbox, and since when

    @property
    def waits_since_s(self) -> float | None:
        """Since when the oldest is under way."""
        return min((since for _, since in self.flying.values()), default=None)

    def launch(self, messages: Sequence[Queued]) -> int:
        """Send the first of each place that has none under way and is not put off; how many."""
        now_s, begun, behind = time.monotonic(), 0, set()
        for message in messages:
            place = (message.topic, message.key)
            waits = place in behind or place in self.flying or self._retry_s.get(place, (0, 0.0))[1] > now_s
            if not waits and len(self.flying) < FLYING_MAX and self._send(message):
                self.flying[place] = message.id, now_s
                begun += 1
            else:
                behind.add(place)
        return begun

    def _send(self, message: Queued) -> bool:
        try:
            self._producer.produce(
                message.topic, message.value, message.key.encode(), headers=[("id", message.message_id.encode())],
                on_delivery=lambda error, _record: self._reports.append(_Landed(message, error)),
            )  # fmt: skip
        except BufferError:
            return False
        except KafkaException as error:
            self._reports.append(_Landed(message, error.args[0]))
        return True

    def listen(self) -> None:
        """Wait until all have landed, or a moment. Blocks: for a thread."""
        self._producer.flush(_SLICE_S)

    def landed(self) -> list[_Landed]:
        """What has landed since the last call; what failed is put off. Raises KafkaException when the producer is
        beyond repair.
        """
        found = []
        while self._reports:
            one = self._reports.popleft()
            if one.error is not None:
                self._hear(one.error)
            place = (one.message.topic, one.message.key)
            self.flying.pop(place, None)
            if one.error is None:
                self._retry_s.pop(place, None)
            elif not _is_final(one.error):
                turn = self._retry_s.get(place, (0, 0.0))[0]
                self._retry_s[place] = turn + 1, time.monotonic() + _BACKOFF_S[min(turn, len(_BACKOFF_S) - 1)]
            found.append(one)
        if self._fatal is not None:
            raise KafkaException(self._fatal)
        return found

    def _hear(self, error: Any) -> None:
        # Other errors are news of connections: librdkafka deals with them, and reports tell what failed.
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - its name
            self._fatal = error

    def close(self) -> None:
        """Drop what is under way: it is said again by the next relay."""
        self._producer.purge()
        self._producer.flush(0)


class Relay:
    """Relays an outbox to the cluster at `bootstrap`. `woken` is set when something was queued in this process.

    `relayed` and `refused` count messages; `problem` says why it does not get on, None while it does.
    """

    def __init__(self, box: Box, bootstrap: str, woken: asyncio.Event) -> None:
        self._box = box
        self._config = producer_config(bootstrap, linger_ms=1, delivery_timeout_s=DELIVERY_S)
        self._woken = woken
        self._log = logs.logger("relay")
        self.relayed = 0
        self.refused = 0
        self.problem: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`. What is under way then is said again by the next relay."""
        waking = asyncio.create_task(self._wake_at(stop))
        turn = 0
        try:
            while not stop.is_set():
                try:
                    async with self._box.leading() as held:
                        if held is not None:
                            await self._lead(held, stop)
                    turn = 0
                except (RelanceError, KafkaException, OSError) as error:
                    self._complain(str(error))
                    turn += 1
                await _wait(stop, _BACKOFF_S[min(turn, len(_BACKOFF_S)) - 1])
        finally:
            waking.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._woken.set()

    async def _lead(self, held: Held, stop: asyncio.Event) -> None:
        flight = _Flight(self._config)
        looked_s = launched_s = 0.0
        landed = begun = 0
        try:
            while not stop.is_set():
                if time.monotonic() - looked_s > _LOOK_S:
                    if not await held():
                        return
                    looked_s = time.monotonic()
                # While Kafka is away, all that waits is not read anew at each turn.
                if landed or self.problem is None or time.monotonic() - launched_s > _AWAY_S:
                    self._woken.clear()
                    begun, launched_s = await self._launch(flight), time.monotonic()
                if flight.flying:
                    await asyncio.to_thread(flight.listen)
                    landed = await self._land(flight)
                elif not begun:
                    await _wait(self._woken, IDLE_S)
        finally:
            flight.close()

    async def _launch(self, flight: _Flight) -> int:
        """Send what can be sent; behind messages that wait for others there may be some that need not."""
        begun = after = 0
        while begun < BATCH:
            messages = await self._box.unsent(BATCH, after)
            begun += flight.launch(messages)
            if len(messages) < BATCH or len(flight.flying) >= FLYING_MAX:
                break
            after = messages[-1].id
        return begun

    async def _land(self, flight: _Flight) -> int:
        landed = flight.landed()
        sent = [one.message.id for one in landed if one.error is None]
        if sent:
            await self._box.sent(sent)
            self.relayed += len(sent)
        for message, error in landed:
            if error is None:
                continue
            if _is_final(error):
                await self._box.refused(message.id, error.str())
                self.refused += 1
                self._log.error("refused", topic=message.topic, message=message.message_id, reason=error.str())
            else:
                self._complain(f"{message.topic}: {error.str()}")
        since_s = flight.waits_since_s
        if since_s is not None and time.monotonic() - since_s > _LATE_S:
            self._complain("Kafka does not answer")
        elif sent and len(sent) == len(landed):
            self.problem = None
        return len(landed)

    def _complain(self, reason: str) -> None:
        if self.problem is None:
            self._log.warning("not_relayed", reason=reason)
        self.problem = reason


def _is_final(error: Any) -> bool:
    return error.code() in _NEVER


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

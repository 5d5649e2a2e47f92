"""The relay: what transactions queued in the outbox goes to Kafka, at least once, in order for each key.

Of one key one message is under way at a time, so that none overtakes a message that Kafka did not take yet. A message
that Kafka will never take is marked and left; any other failure is tried again. Kafka may be away for as long as it
likes: no order waits for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from relance.kafka.producer import producer_config
from relance.kernel.errors import RelanceError
from relance.observability import logs

__all__ = ["Box", "Queued", "Relay"]

BATCH: Final = 500
IDLE_S: Final = 0.1  # how often it looks for what other processes queued
DELIVERY_S: Final = 10.0  # how long librdkafka itself tries
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0)
_SLICE_S: Final = 0.2
_NEVER: Final = frozenset(
    {
        KafkaError._INVALID_ARG, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD,  # noqa: SLF001 - their names
        KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE,
    }
)  # fmt: skip

Outcome = Literal["sent", "refused", "again"]
Held = Callable[[], Any]


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

    async def unsent(self, limit: int) -> Sequence[Queued]:
        """The oldest messages that Kafka has not got."""

    async def sent(self, ids: Collection[int]) -> None:
        """Kafka has these."""

    async def refused(self, id_: int, error: str) -> None:
        """Kafka will never take this one."""


class Relay:
    """Relays an outbox to the cluster at `bootstrap`. `woken` is set when something was queued in this process.

    `relayed` and `refused` count messages; `problem` says why it does not get on, None while it does.
    """

    def __init__(self, box: Box, bootstrap: str, woken: asyncio.Event) -> None:
        self._box = box
        self._config = producer_config(bootstrap, linger_ms=1, delivery_timeout_s=DELIVERY_S)
        self._woken = woken
        self._log = logs.logger("relay")
        self._stopping = False
        self.relayed = 0
        self.refused = 0
        self.problem: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`. What is under way then is said again by the next relay."""
        ending = asyncio.create_task(self._note(stop))
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
                await _wait(stop, _BACKOFF_S[min(turn, len(_BACKOFF_S) - 1)] if turn else 1.0)
        finally:
            ending.cancel()

    async def _note(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping = True
        self._woken.set()

    async def _lead(self, held: Held, stop: asyncio.Event) -> None:
        producer = confluent_kafka.Producer(self._config)
        turn = 0
        try:
            while not stop.is_set() and await held():
                self._woken.clear()
                messages = await self._box.unsent(BATCH)
                if not messages:
                    turn = 0
                    await _wait(self._woken, IDLE_S)
                elif await self._round(producer, messages):
                    turn = 0
                else:
                    await _wait(stop, _BACKOFF_S[min(turn, len(_BACKOFF_S) - 1)])
                    turn += 1
        finally:
            producer.purge()
            producer.flush(0)

    async def _round(self, producer: Any, messages: Sequence[Queued]) -> bool:
        """Send messages; False when some are to be tried again. Raises KafkaException when the producer is beyond
        repair.
        """
        whole = True
        blocked: set[tuple[str, str]] = set()
        for wave in _waves(messages):
            going = [message for message in wave if (message.topic, message.key) not in blocked]
            told = await asyncio.to_thread(self._send, producer, going)
            sent = [message.id for message in going if told[message.id][0] == "sent"]
            if sent:
                await self._box.sent(sent)
                self.relayed += len(sent)
            for message in going:
                outcome, reason = told[message.id]
                if outcome == "refused":
                    await self._box.refused(message.id, reason)
                    self.refused += 1
                    self._log.error("refused", topic=message.topic, message=message.message_id, reason=reason)
                elif outcome == "again":
                    blocked.add((message.topic, message.key))
                    whole = False
                    self._complain(reason)
        if whole:
            self.problem = None
        return whole

    def _send(self, producer: Any, messages: Sequence[Queued]) -> dict[int, tuple[Outcome, str]]:
        """What became of each; in a thread of its own. An answer that did not come by the end counts as none."""
        told: dict[int, tuple[Outcome, str]] = {
            message.id: ("again", "Kafka did not answer") for message in messages
        }  # fmt: skip
        for message in messages:
            try:
                producer.produce(
                    message.topic, message.value, message.key.encode(), headers=[("id", message.message_id.encode())],
                    on_delivery=lambda error, _record, id_=message.id: _tell(told, id_, error),
                )  # fmt: skip
            except BufferError:
                producer.poll(_SLICE_S)  # it goes with the next round
            except KafkaException as error:
                _tell(told, message.id, error.args[0])
        while not self._stopping and producer.flush(_SLICE_S):
            pass
        return dict(told)

    def _complain(self, reason: str) -> None:
        if self.problem is None:
            self._log.warning("not_relayed", reason=reason)
        self.problem = reason


def _tell(told: dict[int, tuple[Outcome, str]], id_: int, error: Any) -> None:
    if error is None:
        told[id_] = ("sent", "")
        return
    if error.fatal():
        raise KafkaException(error)
    told[id_] = ("refused" if error.code() in _NEVER else "again", str(error.str()))


def _waves(messages: Sequence[Queued]) -> Iterator[list[Queued]]:
    """Messages such that of each key one goes after the other."""
    left = list(messages)
    while left:
        seen: set[tuple[str, str]] = set()
        wave, rest = [], []
        for message in left:
            place = (message.topic, message.key)
            (rest if place in seen else wave).append(message)
            seen.add(place)
        yield wave
        left = rest


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

"""The shops of `tracking.shops.v1`: every service keeps them all in memory, the command line changes them."""

import threading
from collections.abc import Callable
from typing import Any, Final

import msgspec

from relance.events.shops import DEFAULTS, Shop
from relance.events.topics import SHOPS
from relance.kafka.consumer import BatchConsumer, consumer_config, read_all, tail
from relance.kafka.producer import Placed, Producer, producer_config
from relance.kernel.errors import Defect, NotNow, RelanceError
from relance.observability.logs import logger
from relance.rules.windows import faults

__all__ = ["ShopDirectory", "ShopRegister"]

_TRIES: Final = 5
_TIMEOUT_S: Final = 30.0


class ShopDirectory:
    """All shops, as new as the log: read whole at the start, then followed by a thread of its own.

    Reading is safe from any thread and never blocks. `version` grows with every change.
    """

    def __init__(
        self, bootstrap: str, *, topic: str = SHOPS.name, on_change: Callable[[str, Shop | None], None] | None = None
    ) -> None:
        """`on_change` is told each shop (None: removed) in the directory's thread, the ones at the start too."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._on_change = on_change
        self._shops: dict[str, Shop] = {}
        self._version = 0
        self._failure: str | None = None
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="shop-directory", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop following; what is known stays."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    @property
    def ready(self) -> bool:
        """Whether all that the topic held at the start has been read."""
        return self._ready.is_set()

    def wait_ready(self, timeout_s: float) -> bool:
        """Block until `ready`; False when time runs out first."""
        return self._ready.wait(timeout_s)

    def unready(self) -> str | None:
        """Health check: why the directory is not to be relied on, None when it is."""
        if self._failure is not None:
            return self._failure
        return None if self.ready else "the shops are still being read"

    def get(self, shop: str) -> Shop | None:
        """One shop; `DEFAULTS` is the record of the default set."""
        return self._shops.get(shop)

    def all(self) -> list[Shop]:
        """Every shop, the record of the default set excepted."""
        return [shop for name, shop in self._shops.items() if name != DEFAULTS]

    def by_name(self) -> dict[str, Shop]:
        """Every record, the default set's too; a snapshot that never changes."""
        return self._shops

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except Defect as error:
                self._failure = f"the shops cannot be followed: {error}"
                logger("shops").error("shops_failed", reason=str(error))
                return
            except RelanceError as error:  # no topic yet, or no broker: begin again, what is known stays
                if not self.ready:
                    self._failure = str(error)
                logger("shops").warning("shops_unreachable", reason=str(error))
                self._stop.wait(1.0)

    def _read(self) -> None:
        probe = BatchConsumer(consumer_config(self._bootstrap, "relance-shops"))
        try:
            ends = probe.ends(probe.partitions(self._topic))
        finally:
            probe.close()
        missing = {number: high for (_, number), (low, high) in ends.items() if low < high}
        for messages in tail(self._bootstrap, [self._topic], beginning=True, stop=self._stop):
            for message in messages:
                self._apply(message)
                if message.offset() + 1 >= missing.get(message.partition(), 0):
                    missing.pop(message.partition(), None)
            if not missing and not self.ready:
                self._failure = None
                self._ready.set()

    def _apply(self, message: Any) -> None:
        read = _decode(message)
        if read is None:
            return
        name, shop = read
        known = self._shops.get(name)
        if not _replaces(shop, known):
            return
        shops = dict(self._shops)
        if shop is None:
            del shops[name]
        else:
            shops[name] = shop
        self._shops = shops
        self._version += 1
        if self._on_change is not None:
            self._on_change(name, shop)


class ShopRegister:
    """Changes shops, for the command line: each change is read, applied and written with the next version."""

    def __init__(self, bootstrap: str, *, topic: str = SHOPS.name) -> None:
        self._bootstrap = bootstrap
        self._topic = topic

    def read(self) -> dict[str, Shop]:
        """All shops, and under `DEFAULTS` the default set. Raises InputError when the topic is not there, NotNow."""
        shops: dict[str, Shop] = {}
        for message in read_all(self._bootstrap, self._topic):
            read = _decode(message)
            if read is not None and _replaces(read[1], shops.get(read[0])):
                _put(shops, *read)
        return shops

    def change(self, shop: str, change: Callable[[Shop | None], Shop]) -> Shop:
        """Write what `change` makes of the shop (None: there is none), with the next version.

        When somebody else writes at the same time, `change` is applied again to what he wrote. Raises NotNow.
        """
        for _ in range(_TRIES):
            known = self.read().get(shop)
            wanted = msgspec.structs.replace(change(known), version=1 if known is None else known.version + 1)
            self._write(wanted)
            if self.read().get(shop) == wanted:
                return wanted
        raise NotNow(f"{shop} is being changed by others all the time; try again")

    def _write(self, shop: Shop) -> Placed:
        producer = Producer(producer_config(self._bootstrap, linger_ms=0), _raise_nothing)
        try:
            return producer.submit(self._topic, msgspec.json.encode(shop), key=shop.shop.encode()).result(_TIMEOUT_S)
        finally:
            producer.close(5.0)


def _raise_nothing(_error: Defect) -> None:
    """A fatal error shows in the future of the one record."""


def _decode(message: Any) -> tuple[str, Shop | None] | None:
    """Name and shop (None: removed); None for a record that is neither, which is told and left out."""
    name = (message.key() or b"").decode(errors="replace")
    if message.value() is None:
        return name, None
    try:
        shop = msgspec.json.decode(message.value(), type=Shop)
    except msgspec.DecodeError as error:
        logger("shops").error("shop_unreadable", shop=name, offset=message.offset(), reason=str(error))
        return None
    fault = next(faults(shop.definitions), None) if shop.definitions is not None else None
    if fault is not None:  # what the session service would not take, it must not be given again and again
        logger("shops").error("shop_unreadable", shop=name, offset=message.offset(), reason=fault.reason)
        return None
    return shop.shop, shop


def _replaces(shop: Shop | None, known: Shop | None) -> bool:
    if shop is None:
        return known is not None
    return known is None or shop.version > known.version


def _put(shops: dict[str, Shop], name: str, shop: Shop | None) -> None:
    if shop is None:
        shops.pop(name, None)
    else:
        shops[name] = shop

"""Who knocks, and with which key: grants by key and client address. Who shows keys that open nothing waits."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from services.tracking.api.keys import Grant, KeyRing
from services.tracking.api.limits import Buckets

__all__ = ["Door", "client_address"]

_PAIRS_MAX: Final = 65_536


class Door:
    """A key ring behind a rate of refusals: so many a second per client address. Shared by all edges of a process.

    Over that rate no key is looked at, so a right guess does not show either. A key that was let in from the same
    address before passes all the same: who shares an address with a guesser (a proxy, a NAT) is not shut out. Memory
    is bounded: of addresses, and of pairs of address and key, those used longest ago are forgotten.
    """

    def __init__(
        self, keys: KeyRing, refusals_per_second: float, trusted_proxies: int = 0, pairs_max: int = _PAIRS_MAX,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`refusals_per_second` 0: no limit. `trusted_proxies`: see `client_address`."""
        self._keys = keys
        self._per_second = refusals_per_second
        self._trusted_proxies = trusted_proxies
        self._pairs_max = pairs_max
        self._clock_s = clock_s
        self._refusals = Buckets()
        self._let_in: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def address(self, peer: str, forwarded: str) -> str:
        """What a client is counted by: its address as `client_address` finds it."""
        return client_address(peer, forwarded, self._trusted_proxies)

    def find(self, key: bytes, address: str) -> Grant | None:
        """The grant of a key, or None. Raises OverRate, and looks nothing up, while the address must wait."""
        pair = (address, key)
        if pair not in self._let_in:
            self._refusals.admit(address, self._per_second, self._clock_s(), "refused keys")
        grant = self._keys.find(key, time.time_ns() // 1_000_000)
        if grant is None:
            self._let_in.pop(pair, None)
        return grant

    def let_in(self, key: bytes, address: str) -> None:
        """The key opened what was asked for."""
        pair = (address, key)
        self._let_in[pair] = None
        self._let_in.move_to_end(pair)
        if len(self._let_in) > self._pairs_max:
            self._let_in.popitem(last=False)

    def refused(self, address: str) -> None:
        """Count an answer that a key opens nothing, or not this."""
        self._refusals.take(address, 1, self._per_second, self._clock_s())

    def is_page_welcome(self, origin: bytes, key: bytes | None) -> bool:
        """Whether a page of this origin may read answers: an origin of the publishable key's shop, without a key of any
        shop's. Of a secret key it says nothing, since whoever asks is not counted.
        """
        if key is None:
            return self._keys.origin_known(origin)
        grant = self._keys.find(key, time.time_ns() // 1_000_000)
        return grant is not None and grant.kind == "publishable" and origin.decode("latin-1") in grant.shop.origins


def client_address(peer: str, forwarded: str, trusted_proxies: int) -> str:
    """The client's address as the outermost of our own proxies saw it; of IPv6 its /64, which one client has to itself.

    `peer` is who opened the connection, `forwarded` what stands in X-Forwarded-For. Only the last `trusted_proxies`
    hops are believed: what stands further left was written by the client.
    """
    seen = peer
    if trusted_proxies:
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        if len(hops) >= trusted_proxies:
            seen = hops[-trusted_proxies]
    return _network(seen)


@lru_cache(maxsize=16_384)
def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)

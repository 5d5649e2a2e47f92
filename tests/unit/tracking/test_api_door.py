"""Who shows keys that open nothing waits; nobody else does."""

import hashlib

import pytest

from relance.events.shops import Key, Shop
from services.tracking.api.door import Door
from services.tracking.api.grpc import _host
from services.tracking.api.keys import KeyRing
from services.tracking.api.limits import OverRate

GUESSER, ELSEWHERE = "203.0.113.7", "198.51.100.1"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Shops:
    """One shop with a secret and a publishable key, counting how often it was asked."""

    version = 1

    def __init__(self) -> None:
        secret = Key(kind="secret", sha256=sha256("sk"), hint="sk", created_at_ms=0)
        publishable = Key(kind="publishable", sha256=sha256("pk"), hint="pk", created_at_ms=0)
        self.shop = Shop(shop="a", version=1, keys=(secret, publishable), origins=("https://a.example",))

    def all(self) -> list[Shop]:
        return [self.shop]


class Hall:
    """A door with a clock that a test moves."""

    def __init__(self, per_second: float = 10, pairs_max: int = 100) -> None:
        self.now_s = 0.0
        self.shops = Shops()
        self.door = Door(KeyRing(self.shops), per_second, pairs_max=pairs_max, clock_s=lambda: self.now_s)

    def knock(self, key: bytes, address: str = GUESSER) -> bool:
        """As an edge does: whether the key opened. Raises OverRate."""
        grant = self.door.find(key, address)
        if grant is None:
            self.door.refused(address)
        else:
            self.door.let_in(key, address)
        return grant is not None

    def guesses(self, count: int) -> int:
        """How many of so many different keys were looked at."""
        looked_at = 0
        for number in range(count):
            try:
                assert not self.knock(b"guess %d" % number)
            except OverRate:
                continue
            looked_at += 1
        return looked_at


def test_guesses_are_looked_at_as_often_as_the_rate_says() -> None:
    hall = Hall(per_second=10)
    assert hall.guesses(1_000) == 10
    hall.now_s = 1.0
    assert hall.guesses(1_000) == 10


def test_over_the_rate_a_right_guess_does_not_show_until_the_time_named() -> None:
    hall = Hall()
    hall.guesses(100)
    with pytest.raises(OverRate, match="more than 10 refused keys a second") as raised:
        hall.knock(b"sk")
    hall.now_s = raised.value.retry_after_s
    assert hall.knock(b"sk")


def test_other_addresses_and_who_was_let_in_before_are_not_held_up() -> None:
    hall = Hall()
    assert hall.knock(b"sk")
    hall.guesses(100)
    assert hall.knock(b"sk")
    assert hall.knock(b"sk", ELSEWHERE)
    with pytest.raises(OverRate):
        hall.knock(b"pk")


def test_a_revoked_key_is_a_guess_like_any_other() -> None:
    hall = Hall()
    assert hall.knock(b"sk")
    hall.shops.shop = Shop(shop="a", version=2)
    hall.shops.version = 2
    assert not hall.knock(b"sk")
    hall.guesses(100)
    with pytest.raises(OverRate):
        hall.knock(b"sk")


def test_what_is_remembered_of_who_was_let_in_is_bounded() -> None:
    hall = Hall(pairs_max=10)
    for number in range(100):
        assert hall.knock(b"sk", f"10.0.0.{number}")
    assert len(hall.door._let_in) == 10


def test_0_is_no_limit() -> None:
    assert Hall(per_second=0).guesses(1_000) == 1_000


def test_what_a_page_is_told_says_nothing_of_secret_keys() -> None:
    door = Hall().door
    origin = b"https://a.example"
    assert door.is_page_welcome(origin, b"pk")
    assert not door.is_page_welcome(b"https://b.example", b"pk")
    assert door.is_page_welcome(origin, None)
    assert not door.is_page_welcome(origin, b"sk")


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:127.0.0.1:53124", "127.0.0.1"), ("ipv6:%5B2001:db8::1%5D:53124", "2001:db8::1"), ("unix:", "")],
)
def test_the_address_of_a_grpc_peer(peer: str, host: str) -> None:
    assert _host(peer) == host
